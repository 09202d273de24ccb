import csv
import json

import pytest

from qcbench import store
from qcbench.errors import LeakError, StudyError, UsageError
from qcbench.learn import runs
from qcbench.learn.train import PRESETS, train, train_options
from tests.learn.conftest import consensus_row

QUICKLY = {"preset": "quick", "epochs": 1, "spacing": 4, "device": "cpu", "show_progress": False}


def test_the_preset_of_the_paper_is_that_of_the_paper():
    paper = PRESETS["paper-2022"]
    assert (paper.learning_rate, paper.weight_decay, paper.batch_size, paper.epochs) == (1e-4, 1e-4, 2, 50)
    assert (paper.patience, paper.loss_norm) == (10, "batch")


@pytest.mark.parametrize(
    ("preset", "epochs", "words"), [("best", None, "paper-2022, quick"), ("quick", 0, "at least 1")]
)
def test_wrong_options_are_refused(preset, epochs, words):
    with pytest.raises(UsageError, match=words):
        train_options(preset, epochs=epochs)


def test_a_run_says_how_it_was_made(trained):
    (run,) = runs.find(trained, task="tier3", architecture="conv5_fc3")
    assert run.run_id.startswith("tier3-conv5_fc3-quick-4mm-s0-")
    assert run.config["options"]["epochs"] == 1
    assert run.config["preprocessing"] == {
        "preprocessing_preset": ["fast"],
        "template": ["t"],
        "template_sha256": ["ab"],
    }
    assert {"consensus_sha256", "splits_sha256", "versions", "seed", "class_weights"} <= set(run.config)
    assert run.fitted_folds() == [0, 1, 2]
    files = {path.name for path in run.fold_folder(0).iterdir()}
    assert files == {"weights.safetensors", "curves.csv", "fold.json"}
    with (run.fold_folder(0) / "curves.csv").open() as file:
        curves = list(csv.DictReader(file))
    assert list(curves[0]) == ["epoch", "train_loss", "validation_loss", "validation_balanced_accuracy"]
    fold = json.loads((run.fold_folder(0) / "fold.json").read_text())
    assert fold["validation_loss"] == min(float(row["validation_loss"]) for row in curves)


def test_an_identical_call_does_nothing_and_a_missing_fold_alone_is_fitted(trained_copy):
    again = {**QUICKLY, "task": "tier2"}
    assert (train(trained_copy, **again).done, train(trained_copy, **again).unchanged) == (0, 3)
    (run,) = runs.find(trained_copy, task="tier2")
    before = (run.fold_folder(1) / "weights.safetensors").read_bytes()
    (run.fold_folder(1) / "fold.json").unlink()
    summary = train(trained_copy, **again)
    assert (summary.done, summary.unchanged) == (1, 2)
    assert (run.fold_folder(1) / "weights.safetensors").read_bytes() == before


def test_new_labels_make_a_new_run(trained_copy):
    changed = [{**row, "stale": True} for row in store.rows(trained_copy, "consensus")]
    reject = next(row for row in changed if row["tier"] == 2 and row["image_id"].startswith("sub-0"))
    changed.remove(reject)
    store.write(trained_copy, "consensus", [*changed, consensus_row(reject["image_id"], "bad")])
    summary = train(trained_copy, task="tier3", folds=0, **QUICKLY)
    assert summary.done == 1
    assert len(runs.find(trained_copy, task="tier3")) == 2
    assert any("run consensus again" in note for note in summary.notes)


def test_a_fold_without_one_class_is_named_and_not_fitted(labelled_copy):
    splits = {row["image_id"]: row for row in store.rows(labelled_copy, "splits")}
    kept = [
        row
        for row in store.rows(labelled_copy, "consensus")
        if not (row["tier"] == 2 and splits[row["image_id"]]["fold"] == 1)
    ]
    store.write(labelled_copy, "consensus", kept)
    summary = train(labelled_copy, task="tier2", folds=[0, 1], **QUICKLY)
    assert (summary.done, summary.failed) == (1, {})
    assert summary.notes == ["tier2 fold 1 was not fitted: no image 'tier 2' to validate on"]
    (run,) = runs.find(labelled_copy)
    assert run.skipped() == {1: "no image 'tier 2' to validate on"}


def test_a_split_that_leaks_is_refused_before_anything_is_written(labelled_copy):
    rows = store.rows(labelled_copy, "splits")
    moved = next(row for row in rows if row["set"] == "cv")
    store.write(labelled_copy, "splits", [*(r for r in rows if r is not moved), {**moved, "set": "test", "fold": None}])
    with pytest.raises(LeakError, match=moved["participant_id"]):
        train(labelled_copy, **QUICKLY)
    assert not labelled_copy.runs.exists()


def test_a_bad_volume_is_reported_and_training_goes_on(labelled_copy):
    image_id = next(row["image_id"] for row in store.rows(labelled_copy, "splits") if row["fold"] == 0)
    volume = next(r["volume_path"] for r in store.rows(labelled_copy, "preprocessed") if r["image_id"] == image_id)
    labelled_copy.absolute(volume).write_bytes(b"no image")
    summary = train(labelled_copy, task="sr", folds=1, **QUICKLY)
    assert (set(summary.failed), summary.done) == ({image_id}, 1)


def test_what_cannot_be_trained_is_refused(labelled, study):
    with pytest.raises(StudyError, match="qcbench split"):
        train(study, **QUICKLY)
    with pytest.raises(UsageError, match="there is no fold 9; the splits have 0, 1, 2"):
        train(labelled, folds=9, **QUICKLY)
    with pytest.raises(UsageError, match="no architecture"):
        train(labelled, architecture="vgg", **QUICKLY)
