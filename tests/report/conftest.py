"""A small study in literal numbers, with every table filled and pictures drawn by numpy."""

from datetime import UTC, datetime

import numpy as np
import pytest

from qcbench import images, store
from qcbench.study import Study

SIEMENS = {"manufacturer": "Siemens", "model_name": "Skyra", "field_strength_t": 3.0}
GE = {"manufacturer": "GE", "model_name": "Signa", "field_strength_t": 1.5}
# number, participant, scanner, age, sex, and what became of the file
CATALOGUE = [
    (1, "a", SIEMENS, 60.0, "F", {"error": "TRUNCATED: ends early"}),
    (2, "b", SIEMENS, 61.0, "F", {"excluded_reason": "fewer than 40 slices"}),
    (3, "c", SIEMENS, 40.0, "F", {}),
    (4, "d", SIEMENS, 50.0, "M", {}),
    (5, "e", SIEMENS, 60.0, "M", {}),
    (6, "e", SIEMENS, 60.0, "M", {}),
    (7, "f", SIEMENS, None, None, {}),
    (8, "g", GE, 30.0, "F", {}),
    (9, "h", GE, 50.0, "F", {}),
    (10, "i", GE, 70.0, "M", {}),
    (11, "j", {}, 80.0, "F", {}),
    (12, "k", {}, None, "M", {}),
]
# straight reject, gadolinium, motion, contrast, noise, tier
CONSENSUS = {
    5: (True, None, None, None, None, None),
    6: (False, False, 0, 0, 0, 1),
    7: (False, True, 0, 0, 0, 1),
    8: (False, False, 1, 0, 1, 2),
    9: (False, True, 2, 1, 0, 3),
    10: (False, True, 0, 2, 0, 3),
}
NOTED = ("straight_reject", "gadolinium", "motion", "contrast", "noise")


def image_id(number):
    return f"sub-{number:02d}_T1w"


def image_row(number, participant, scanner, age, sex, fate):
    return {
        "image_id": image_id(number),
        "participant_id": f"sub-{participant}",
        "source_path": f"in/{number}.nii.gz",
        "age_years": age,
        "sex": sex,
        "simulated": False,
        **scanner,
        **fate,
    }


def label_event(number, rater, noted, *, comment=None, source="rater"):
    return {
        "event_id": f"{rater}-{number}",
        "rater": rater,
        "source": source,
        "session": f"session-{rater}",
        "sequence": number,
        "image_id": image_id(number),
        "purpose": "label",
        **dict(zip(NOTED, noted, strict=True)),
        "comment": comment,
        "saved_at": datetime(2026, 1, number, 9, 30, tzinfo=UTC),
        "protocol": "t1w-warehouse",
        "protocol_sha256": "0" * 64,
        "version": "0.1.0",
    }


def add_labels(study, folder_of, events):
    log = store.SegmentLog(study.label_folder(folder_of) / "session", "label_events")
    for event in events:
        log.append(event)


def draw_screenshot(study, number):
    """Three discs side by side, of a size that depends on the number; return the relative path."""
    across, down = np.meshgrid(np.arange(-30, 30), np.arange(-40, 40))
    disc = (180 * (across**2 / 20**2 + down**2 / (24 + number) ** 2 < 1)).astype(np.uint8)
    path = study.derivatives / "screenshots" / f"{image_id(number)}.png"
    images.save_png(path, np.hstack([disc, disc // 2, disc]))
    return study.relative(path)


def metric_rows(task, architecture, metric, values, *, reasons=None):
    """One row a fold; None makes an undefined one."""
    return [
        {
            "task": task,
            "architecture": architecture,
            "training_preset": "fast",
            "run_id": f"{task}-{architecture}",
            "fold": fold,
            "set": "test",
            "metric": metric,
            "value": value,
            "n": 40,
            "simulated": False,
            "reason": "only one class was predicted" if value is None else None,
        }
        for fold, value in enumerate(values)
    ]


def annotator_row(task, value):
    row = metric_rows(task, "annotators", "balanced_accuracy", [value])[0]
    return {**row, "fold": None, "training_preset": None, "run_id": "annotators"}


METRICS = [
    *metric_rows("sr", "conv5_fc3", "balanced_accuracy", [0.90, 0.92, 0.94, 0.96, 0.98]),
    *metric_rows("sr", "conv5_fc3", "mcc", [0.80, None, 0.90, None, 0.85]),
    *metric_rows("sr", "forest_25", "balanced_accuracy", [0.70, 0.72, 0.74, 0.76, 0.78]),
    annotator_row("sr", 0.97),
]


def fill_images(study):
    store.write(study, "images", [image_row(*entry) for entry in CATALOGUE])


def fill_preprocessed(study):
    done = {"preprocessing_preset": "fast", "template": "MNI152", "template_sha256": "f" * 64}
    rows = [{**done, "image_id": image_id(3), "error": "WorkerError: crashed"}]
    for number in range(5, 13):
        picture = draw_screenshot(study, number)
        row = {"image_id": image_id(number), "screenshot_path": picture, "alignment": number / 20, "seconds": 10.0}
        rows.append({**done, **row})
    store.write(study, "preprocessed", rows)


def fill_labels(study):
    agreed = [label_event(number, "alice", noted[:5]) for number, noted in CONSENSUS.items()]
    alone = [
        label_event(11, "alice", (True, *[None] * 4)),
        label_event(12, "alice", (False, True, 0, 1, 2), comment="tilted"),
    ]
    add_labels(study, "alice", agreed + alone)
    others = [label_event(number, "bob", noted[:5]) for number, noted in CONSENSUS.items()]
    add_labels(study, "bob", [*others, label_event(11, "bob", (False, False, 1, 0, 0))])


def fill_consensus(study):
    rows = []
    for number, noted in CONSENSUS.items():
        row = dict(zip((*NOTED, "tier"), noted, strict=True))
        ids = [f"alice-{number}", f"bob-{number}"]
        row.update(image_id=image_id(number), decided_by="raters", label_event_ids=ids, stale=False, simulated=False)
        rows.append(row)
    store.write(study, "consensus", rows)
    verdicts = [label_event(11, "alice", (True, *[None] * 4)), label_event(11, "bob", (False, False, 1, 0, 0))]
    names = ("image_id", "rater", *NOTED, "comment", "event_id")
    store.write(study, "open_reviews", [{name: verdict[name] for name in names} for verdict in verdicts])


def fill_agreement(study):
    pair = {"raters": "alice,bob", "n": 7}
    rows = [
        {"characteristic": "straight_reject", "statistic": "kappa", "value": 0.588, "low": 0.1, "high": 1.0, **pair},
        {"characteristic": "noise", "statistic": "kappa_linear", "value": None, "reason": "one grade only", **pair},
    ]
    store.write(study, "agreement", rows)


def fill_splits(study):
    places = {5: ("cv", 0), 6: ("cv", 0), 7: ("cv", 1), 8: ("cv", 1), 9: ("test", None), 10: ("test", None)}
    people = {entry[0]: f"sub-{entry[1]}" for entry in CATALOGUE}
    rows = [
        {"image_id": image_id(number), "participant_id": people[number], "set": name, "fold": fold}
        for number, (name, fold) in places.items()
    ]
    store.write(study, "splits", rows)


def fill_results(study):
    store.write(study, "metrics", METRICS)
    row = {
        "task": "sr",
        "architecture": "conv5_fc3",
        "run_id": "sr-conv5_fc3",
        "fold": 0,
        "preprocessing_preset": "fast",
    }
    rows = [{**row, "image_id": image_id(number), "probability": number / 10} for number in (4, 5, 6)]
    store.write(study, "predictions", rows)


def fill(study):
    """Fill every table of an empty study."""
    steps = (fill_images, fill_preprocessed, fill_labels, fill_consensus, fill_agreement, fill_splits, fill_results)
    for step in steps:
        step(study)
    return study


@pytest.fixture
def filled(study):
    """A study of 12 images with every table filled, in literal numbers."""
    return fill(study)


@pytest.fixture(scope="session")
def filled_once(tmp_path_factory):
    """The same study for tests that only read its tables."""
    return fill(Study.create(tmp_path_factory.mktemp("report") / "study", raters=["alice", "bob"]))


@pytest.fixture
def simulate():
    """Make one image and one rater of a filled study simulated."""

    def make(study):
        rows = store.rows(study, "images")
        rows[-1]["simulated"] = True
        store.write(study, "images", rows)
        extra = label_event(12, "alice", (False, True, 0, 1, 2), source="simulated")
        add_labels(study, "alice", [{**extra, "event_id": "again", "sequence": 99, "supersedes": "alice-12"}])

    return make


@pytest.fixture
def evil_rows():
    """Rows of every table with the given text wherever a text may stand."""
    return _evil_rows


def _evil_rows(text):
    noted = {"straight_reject": False, "gadolinium": True, "motion": 0, "contrast": 0, "noise": 0}
    image = {"image_id": text, "participant_id": text, "source_path": text, "simulated": False}
    broken = {**image, "image_id": text + "2", "error": text}
    people = {"manufacturer": text, "model_name": text, "sex": text}
    run = {"task": "../" + text, "architecture": text, "run_id": text, "fold": 0}
    metric = {**run, "set": "test", "n": 1, "simulated": False, "training_preset": text}
    done = {"preprocessing_preset": text, "template": text}
    return {
        "images": [{**image, **people}, broken],
        "preprocessed": [
            {**done, "image_id": text, "alignment": 0.5, "screenshot_path": text},
            {**done, "image_id": text + "2", "error": text},
        ],
        "consensus": [
            {"image_id": text, **noted, "tier": 1, "decided_by": "raters", "label_event_ids": [text], "stale": True}
            | {"simulated": False}
        ],
        "open_reviews": [{"image_id": text, "rater": text, **noted, "event_id": text}],
        "agreement": [
            {"characteristic": text, "statistic": text, "raters": text, "n": 1, "reason": text},
        ],
        "splits": [
            {"image_id": text, "participant_id": text, "set": "cv", "fold": 0},
            {"image_id": text + "2", "participant_id": text, "set": "cv", "fold": 1},
        ],
        "metrics": [
            {**metric, "metric": "balanced_accuracy", "value": 0.5},
            {**metric, "metric": "mcc", "reason": text},
            {**metric, "metric": text, "value": 0.5},
        ],
        "predictions": [{**run, "image_id": text, "probability": 0.5, "preprocessing_preset": text}],
    }
