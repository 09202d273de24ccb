import pytest

from qcbench import store
from qcbench.errors import UsageError
from qcbench.learn.datasets import build_cache, open_cache
from qcbench.learn.fit import Machine
from qcbench.learn.options import train_options
from qcbench.learn.plans import Asked, plan_of, refuse_few_images
from tests.learn.conftest import add_image, consensus_row, image_row


def asked(**more):
    options = {"architecture": "conv5_fc3", "preset": "quick", "options": train_options("quick", epochs=1)}
    options |= {"spacing": 4, "voxels": "uint8", "seed": 0, "folds": [0, 1, 2], "pretrain": None}
    return Asked(**{**options, "machine": Machine(device="cpu"), **more})


def planned(study, task="tier2", **more):
    build_cache(study, spacing=4, show_progress=False)
    return plan_of(study, task, open_cache(study, spacing=4), asked(**more))


def test_an_image_that_comes_to_the_warehouse_lets_finished_folds_be(trained_copy):
    assert (planned(trained_copy).fitted, planned(trained_copy).to_fit) == ([0, 1, 2], [])
    new = {**add_image(trained_copy, "sub-99_new", "good", 99), "preprocessing_preset": "clinica"}
    store.upsert(trained_copy, "preprocessed", [new])
    store.upsert(trained_copy, "images", [image_row("sub-99_new", "sub-99")])
    assert planned(trained_copy).fitted == [0, 1, 2]


def test_a_label_more_lets_the_folds_of_tasks_be_that_are_not_about_it(trained_copy):
    store.upsert(trained_copy, "preprocessed", [add_image(trained_copy, "sub-99_new", "reject", 99)])
    store.upsert(trained_copy, "images", [image_row("sub-99_new", "sub-99")])
    store.upsert(trained_copy, "consensus", [consensus_row("sub-99_new", "reject")])
    place = {"participant_id": "sub-99", "set": "cv", "fold": 0, "seed": 0}
    store.upsert(trained_copy, "splits", [{"image_id": "sub-99_new", **place}])
    assert (planned(trained_copy).to_fit, planned(trained_copy, "sr").to_fit) == ([], [0, 1, 2])


@pytest.mark.parametrize(("set_", "to_fit"), [("cv", [0, 1, 2]), ("test", [])])
def test_a_volume_made_anew_is_fitted_to_anew(trained_copy, set_, to_fit):
    image_id = next(
        row["image_id"]
        for row in store.rows(trained_copy, "splits")
        if row["set"] == set_ and row["image_id"].endswith("good")
    )
    add_image(trained_copy, image_id, "good", 999)
    assert planned(trained_copy).to_fit == to_fit


def test_processes_that_would_have_no_image_are_refused_before_they_start(labelled_copy):
    held_out = {row["image_id"] for row in store.rows(labelled_copy, "splits") if row["fold"] == 1}
    kept = sorted(name for name in held_out if name.endswith(("good", "moderate")))[:1]
    kept += sorted(name for name in held_out if name.endswith("bad"))[:1]
    consensus = [
        row
        for row in store.rows(labelled_copy, "consensus")
        if row["image_id"] not in held_out or row["image_id"] in kept
    ]
    store.write(labelled_copy, "consensus", consensus)
    several = Machine(device="cpu", devices=3)
    refuse_few_images([planned(labelled_copy, "tier3", machine=several, folds=[0])])
    refuse_few_images([planned(labelled_copy, "tier3", machine=Machine(device="cpu", devices=2))])
    with pytest.raises(UsageError, match="tier3 fold 1 has 2 images to fit on or to validate on, which 3 processes"):
        refuse_few_images([planned(labelled_copy, "tier3", machine=several)])
