"""Small synthetic studies: a head of blocks per image, whose class can be seen in it."""

import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from qcbench import images, store
from qcbench.learn.datasets import coarse_shape
from qcbench.learn.networks import FULL_SHAPE
from qcbench.learn.splits import split
from qcbench.learn.train import train
from qcbench.study import Study

AFFINE = np.array([[1.0, 0, 0, -84], [0, 1, 0, -120], [0, 0, 1, -78], [0, 0, 0, 1]])

#: Four images of each participant: straight reject, tier 1, tier 2 and tier 3.
KINDS = {
    "reject": {"straight_reject": True, "gadolinium": None, "motion": None, "contrast": None, "noise": None},
    "good": {"straight_reject": False, "gadolinium": False, "motion": 0, "contrast": 0, "noise": 0},
    "moderate": {"straight_reject": False, "gadolinium": True, "motion": 1, "contrast": 0, "noise": 0},
    "bad": {"straight_reject": False, "gadolinium": True, "motion": 2, "contrast": 1, "noise": 0},
}
TIERS = {"reject": None, "good": 1, "moderate": 2, "bad": 3}


def head(kind, seed):
    """A volume of 169 x 208 x 179 bytes in blocks of 4 mm (so that gzip is fast)."""
    generator = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in coarse_shape(4)), indexing="ij")
    brain = 100.0 * (x**2 + y**2 + z**2 < 0.7)
    if kind == "reject":
        brain[:, :, 20:] = 0
    stripes = {"moderate": 20, "bad": 60}.get(kind, 0)
    brain[::4] *= 1 - stripes / 100
    if kind in ("moderate", "bad"):
        brain[18:24, 20:30, 20:26] = 250
    noisy = brain + generator.integers(0, 8, brain.shape)
    large = np.kron(noisy, np.ones((4, 4, 4)))
    return large[tuple(slice(-size, None) for size in FULL_SHAPE)].clip(0, 255).astype(np.uint8)


def image_row(image_id, participant_id, **more):
    return {"image_id": image_id, "participant_id": participant_id, "source_path": "-", "simulated": False, **more}


def consensus_row(image_id, kind, **more):
    return {
        "image_id": image_id,
        **KINDS[kind],
        "tier": TIERS[kind],
        "decided_by": "raters",
        "label_event_ids": [],
        "stale": False,
        "simulated": False,
        **more,
    }


def label(study, rater, image_id, kind):
    """Append a label event of a rater; one session, so call it for one rater after another."""
    folder = study.label_folder(rater) / image_id
    store.SegmentLog(folder, "label_events").append(
        {
            "event_id": f"{rater}-{image_id}",
            "rater": rater,
            "source": "rater",
            "session": "s",
            "sequence": 0,
            "image_id": image_id,
            "purpose": "label",
            **KINDS[kind],
            "saved_at": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=1),
            "protocol": "t1w-warehouse",
            "protocol_sha256": "0",
            "version": "0",
        }
    )


def add_image(study, image_id, kind, seed):
    """Write a volume; return its row of `preprocessed`."""
    path = study.derivatives / "sub" / f"{image_id}_space-MNI_T1w.nii.gz"
    images.save_volume(path, head(kind, seed), AFFINE)
    return {
        "image_id": image_id,
        "volume_path": study.relative(path),
        "preprocessing_preset": "fast",
        "template": "t",
        "template_sha256": "ab",
    }


def make_study(folder, n_participants):
    """A study with four images per participant, a consensus, volumes and two raters."""
    study = Study.create(folder, raters=["alice", "bob"])
    rows = [
        (f"sub-{number:02d}_{kind}", f"sub-{number:02d}", kind) for number in range(n_participants) for kind in KINDS
    ]
    store.write(study, "images", [image_row(image_id, who) for image_id, who, _ in rows])
    store.write(study, "consensus", [consensus_row(image_id, kind) for image_id, _, kind in rows])
    store.write(
        study,
        "preprocessed",
        [add_image(study, image_id, kind, seed) for seed, (image_id, _, kind) in enumerate(rows)],
    )
    return study


@pytest.fixture(scope="session")
def labelled(tmp_path_factory):
    """Six participants with 24 volumes, split in three folds. Not to be changed by a test."""
    study = make_study(tmp_path_factory.mktemp("learn") / "labelled", 6)
    split(study, test_images=4, folds=3)
    return study


@pytest.fixture(scope="session")
def trained(labelled, tmp_path_factory):
    """`labelled` with all tasks fitted for one epoch at 4 mm. Not to be changed by a test."""
    study = copy_of(labelled, tmp_path_factory.mktemp("trained"))
    train(study, preset="quick", epochs=1, spacing=4, device="cpu", show_progress=False)
    return study


def copy_of(study, folder):
    """A copy that a test may change."""
    shutil.copytree(study.folder, folder / "copy")  # modification times are kept, so the cache stays valid
    return Study(folder / "copy")


@pytest.fixture
def trained_copy(trained, tmp_path):
    return copy_of(trained, tmp_path)


@pytest.fixture
def labelled_copy(labelled, tmp_path):
    return copy_of(labelled, tmp_path)
