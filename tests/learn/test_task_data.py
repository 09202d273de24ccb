import pytest

from qcbench import store
from qcbench.errors import LeakError
from qcbench.learn.task_data import identity, sound_splits, task_data
from tests.learn.conftest import consensus_row, image_row


@pytest.fixture
def sorted_out(study):
    """Three people: good and rejected images in folds 0 and 1, one in the test set; no volumes are needed."""
    people = {"sub-0": ("cv", 0), "sub-1": ("cv", 1), "sub-2": ("test", None)}
    rows = [(f"{who}_{kind}", who, kind) for who in people for kind in ("good", "reject")]
    store.write(study, "images", [image_row(image_id, who) for image_id, who, _ in rows])
    store.write(study, "consensus", [consensus_row(image_id, kind) for image_id, _, kind in rows])
    store.write(study, "preprocessed", [preprocessed(image_id) for image_id, _, _ in rows])
    store.write(
        study,
        "splits",
        [
            {"image_id": i, "participant_id": who, "set": people[who][0], "fold": people[who][1], "seed": 0}
            for i, who, _ in rows
        ],
    )
    return study


def preprocessed(image_id, preset="fast"):
    return {"image_id": image_id, "volume_path": f"{image_id}.nii.gz", "preprocessing_preset": preset}


def hashes(study):
    return {row["image_id"]: f"hash of {row['image_id']}" for row in store.rows(study, "preprocessed")}


def test_the_test_set_and_images_without_a_volume_are_left_out(sorted_out):
    known = hashes(sorted_out)
    known.pop("sub-0_good")
    data = task_data(sorted_out, "sr", known)
    assert data.labels == {"sub-0_reject": 1, "sub-1_good": 0, "sub-1_reject": 1}
    assert data.parts(0) == ({"sub-1_good": 0, "sub-1_reject": 1}, {"sub-0_reject": 1})
    assert data.folds == [0, 1]
    assert data.fitted_to()["sub-1_good"] == {
        "participant_id": "sub-1", "fold": 1, "label": 0, "volume": "hash of sub-1_good",
    }  # fmt: skip


def inputs_sha256(study, known=None, task="sr"):
    return identity(study, task_data(study, task, known or hashes(study)))["inputs_sha256"]


def test_other_bytes_of_a_volume_are_other_inputs_but_not_those_of_the_test_set(sorted_out):
    before = inputs_sha256(sorted_out)
    assert inputs_sha256(sorted_out, {**hashes(sorted_out), "sub-2_good": "other"}) == before
    assert inputs_sha256(sorted_out, {**hashes(sorted_out), "sub-1_good": "other"}) != before


def test_images_that_a_task_is_not_about_change_nothing_of_its_inputs(sorted_out):
    before = inputs_sha256(sorted_out, task="tier3"), inputs_sha256(sorted_out, task="sr")
    store.upsert(sorted_out, "preprocessed", [preprocessed("sub-9_new", "clinica")])
    assert (inputs_sha256(sorted_out, task="tier3"), inputs_sha256(sorted_out, task="sr")) == before
    # A straight reject more: tiers do not know of it.
    new = {"image_id": "sub-9_new", "participant_id": "sub-9", "set": "cv", "fold": 0, "seed": 0}
    store.upsert(sorted_out, "splits", [new])
    store.upsert(sorted_out, "consensus", [consensus_row("sub-9_new", "reject")])
    after = inputs_sha256(sorted_out, task="tier3"), inputs_sha256(sorted_out, task="sr")
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)


def test_two_names_that_became_one_person_since_the_split_are_a_leak(sorted_out):
    assert len(sound_splits(sorted_out)) == 6
    store.upsert(sorted_out, "images", [image_row("sub-2_good", "sub-1")])
    with pytest.raises(LeakError, match=r"sub-1 \(cv fold 1, test\)"):
        sound_splits(sorted_out)
