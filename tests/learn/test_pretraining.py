import json
from collections import Counter

import pytest

from qcbench import store
from qcbench.errors import StudyError, UsageError
from qcbench.learn import pretraining, runs
from qcbench.learn.train import train
from tests.learn.conftest import KINDS, add_image, image_row

QUICKLY = {"preset": "quick", "epochs": 1, "spacing": 4, "device": "cpu", "show_progress": False}


def add_copies(study):
    """Two copies of each participant's good scan, one of tier 1 and one of tier 3; and of someone never labelled."""
    people = sorted({row["participant_id"] for row in store.rows(study, "images")})
    catalogued, aligned = [], []
    for seed, who in enumerate([*people, "sub-unlabelled"]):
        for kind in ("good", "bad"):
            image_id = f"{who}_{kind}_copy"
            planted = {**KINDS[kind], "straight_reject": False}
            more = {"simulated": True, "derived_from": f"{who}_good", "simulation": json.dumps({"planted": planted})}
            catalogued.append(image_row(image_id, who, **more))
            aligned.append(add_image(study, image_id, kind, 100 + seed))
    store.upsert(study, "images", catalogued)
    store.upsert(study, "preprocessed", aligned)


@pytest.fixture
def with_copies(labelled_copy):
    add_copies(labelled_copy)
    return labelled_copy


def test_a_copy_goes_where_its_participant_goes(with_copies):
    splits = store.rows(with_copies, "splits")
    place = {row["participant_id"]: row["fold"] for row in splits}
    tested = {row["participant_id"] for row in splits if row["set"] == "test"}
    usable = [row["image_id"] for row in store.rows(with_copies, "images")]
    found = pretraining.copies(with_copies, "tier3", dict.fromkeys(usable, "hash"))
    assert tested
    assert not tested & set(found.participant_of.values())
    assert "sub-unlabelled_bad_copy" in found.labels
    for fold in (0, 1, 2):
        fit, validation = found.parts(fold)
        assert {place[found.participant_of[image_id]] for image_id in validation} == {fold}
        assert fold not in {place.get(found.participant_of[image_id]) for image_id in fit}
        assert {"sub-unlabelled_bad_copy", "sub-unlabelled_good_copy"} < set(fit)
    assert Counter(found.labels.values()) == {0: len(found.labels) / 2, 1: len(found.labels) / 2}
    assert all(label == image_id.endswith("_bad_copy") for image_id, label in found.labels.items())


def test_a_copy_goes_where_the_catalogue_of_today_says_its_person_is(with_copies):
    rows = store.rows(with_copies, "splits")
    hashes = {row["image_id"]: "hash" for row in store.rows(with_copies, "images")}
    tested, learned = (next(row["participant_id"] for row in rows if row["set"] == set_) for set_ in ("test", "cv"))
    # Everything of the tested person has another name since; of the learned one's scan alone, not of its copies.
    renamed = []
    for row in store.rows(with_copies, "images"):
        if row["participant_id"] == tested:
            row["participant_id"] = "sub-new"
        if row["image_id"] == f"{learned}_good":
            row["participant_id"] = "sub-other"
        renamed.append(row)
    store.write(with_copies, "images", renamed)
    found = pretraining.copies(with_copies, "tier3", hashes)
    assert not {f"{tested}_good_copy", f"{tested}_bad_copy"} & set(found.labels)
    fold = next(row["fold"] for row in rows if row["participant_id"] == learned)
    assert found.participant_of[f"{learned}_bad_copy"] == "sub-other"
    assert found.fold_of["sub-other"] == fold


def test_a_run_begins_with_copies_and_says_so(with_copies):
    assert train(with_copies, task="tier3", folds=0, pretrain="simulated", **QUICKLY).done == 1
    (run,) = runs.find(with_copies)
    assert run.run_id.startswith("tier3-conv5_fc3-quick-pretrained-4mm-s0-")
    assert run.config["pretraining"]["source"] == "simulated"
    fold = json.loads((run.fold_folder(0) / "fold.json").read_text())
    found = pretraining.copies(with_copies, "tier3", {r["image_id"]: "hash" for r in store.rows(with_copies, "images")})
    assert [fold["pretraining"][name] for name in ("n_fit", "n_validation")] == [len(p) for p in found.parts(0)]
    files = {path.name for path in run.fold_folder(0).iterdir()}
    assert files == {"weights.safetensors", "curves.csv", "pretraining_curves.csv", "fold.json"}
    assert set(run.fitted_to()["copies"]) == set(found.participant_of.values())
    # Without copies it is another run, with other weights.
    train(with_copies, task="tier3", folds=0, **QUICKLY)
    other = next(found for found in runs.find(with_copies) if found.run_id != run.run_id)
    weights = [(one.fold_folder(0) / "weights.safetensors").read_bytes() for one in (run, other)]
    assert weights[0] != weights[1]


def test_a_fold_whose_copies_lack_a_class_is_named(with_copies):
    who = next(row["participant_id"] for row in store.rows(with_copies, "splits") if row["fold"] == 1)
    rest = [row for row in store.rows(with_copies, "images") if row["image_id"] != f"{who}_bad_copy"]
    store.write(with_copies, "images", rest)
    found = pretraining.copies(with_copies, "tier3", {row["image_id"]: "hash" for row in rest})
    same_fold = {row["participant_id"] for row in store.rows(with_copies, "splits") if row["fold"] == 1}
    expected = "no simulated image 'tier 3' to choose an epoch by; simulate more of them"
    assert found.why_not(1) == (expected if same_fold == {who} else None)


def test_without_copies_and_from_elsewhere_it_is_refused(labelled):
    with pytest.raises(StudyError, match=r"no simulated copy for task sr.*qcbench simulate"):
        train(labelled, task="sr", pretrain="simulated", **QUICKLY)
    with pytest.raises(UsageError, match="begin with simulated, got 'imagenet'"):
        train(labelled, pretrain="imagenet", **QUICKLY)
