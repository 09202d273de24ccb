import json
import random

from qcbench import store
from qcbench.annotate import simulated

PLANTED = {"straight_reject": False, "gadolinium": True, "motion": 2, "contrast": 0, "noise": 1}


def test_simulated_raters_mostly_note_what_was_planted_and_sometimes_err():
    notes = [simulated.noted(PLANTED, random.Random(seed)) for seed in range(400)]
    right = {name: sum(note.get(name) == value for note in notes) / 400 for name, value in PLANTED.items()}
    for name in ("gadolinium", "motion", "contrast", "noise"):
        assert 0.75 < right[name] < 1


def test_every_screenshot_is_labelled_once_by_each_simulated_rater(tmp_path):
    study = simulated_study(tmp_path)
    assert simulated.label_all(study).done == 4
    assert simulated.label_all(study).done == 0
    labels = store.labels(study)
    assert {(label["image_id"], label["rater"]) for label in labels} == {
        (image_id, rater) for image_id in ("a", "b") for rater in simulated.RATERS
    }
    assert {label["source"] for label in labels} == {"simulated"}


def simulated_study(tmp_path):
    from qcbench.study import Study

    study = Study.create(tmp_path / "s", raters=["alice"], consensus_raters=list(simulated.RATERS))
    images = [
        {"image_id": name, "participant_id": f"sub-{name}", "source_path": name, "simulated": True} for name in "abc"
    ]
    images[0]["simulation"] = json.dumps({"planted": PLANTED})
    store.write(study, "images", images)
    rows = [
        {"image_id": name, "preprocessing_preset": "fast", "screenshot_path": path}
        for name, path in (("a", "a.png"), ("b", "b.png"), ("c", None))
    ]
    store.write(study, "preprocessed", rows)
    return study
