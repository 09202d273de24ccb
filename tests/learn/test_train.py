import csv
import json
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from qcbench import store
from qcbench.errors import LeakError, StudyError, TrainingError, UsageError
from qcbench.learn import checkpoints, runs
from qcbench.learn.datasets import build_cache
from qcbench.learn.runs import Run
from qcbench.learn.train import train
from tests.learn.conftest import add_image, consensus_row, copy_of

QUICKLY = {"preset": "quick", "epochs": 1, "spacing": 4, "device": "cpu", "show_progress": False}


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
    assert (run.config["pretraining"], run.config["voxels"]) == (None, "uint8")
    assert run.fitted_folds() == [0, 1, 2]
    files = {path.name for path in run.fold_folder(0).iterdir()}
    assert files == {"weights.safetensors", "curves.csv", "fold.json"}
    with (run.fold_folder(0) / "curves.csv").open() as file:
        curves = list(csv.DictReader(file))
    assert list(curves[0]) == ["epoch", "train_loss", "validation_loss", "validation_balanced_accuracy"]
    fold = json.loads((run.fold_folder(0) / "fold.json").read_text())
    assert fold["validation_loss"] == min(float(row["validation_loss"]) for row in curves)
    fitting = {name: fold["fitting"][name] for name in ("device", "devices", "precision", "went_on_after_epochs")}
    assert fitting == {"device": "cpu", "devices": 1, "precision": "32-true", "went_on_after_epochs": []}


def test_an_identical_call_does_nothing_and_a_missing_fold_alone_is_fitted(trained_copy):
    again = {**QUICKLY, "task": "tier2"}
    assert (train(trained_copy, **again).done, train(trained_copy, **again).unchanged) == (0, 3)
    (run,) = runs.find(trained_copy, task="tier2")
    before = (run.fold_folder(1) / "weights.safetensors").read_bytes()
    (run.fold_folder(1) / "fold.json").unlink()
    summary = train(trained_copy, **again)
    assert (summary.done, summary.unchanged) == (1, 2)
    assert (run.fold_folder(1) / "weights.safetensors").read_bytes() == before


def test_a_call_that_was_interrupted_goes_on_after_its_last_epoch(labelled_copy, monkeypatch):
    asked = {**QUICKLY, "epochs": 2, "task": "sr", "folds": 0, "preset": "better", "deterministic": True}
    # Without one image that is validated on, the classes of the fold's fit part are no longer those of the whole.
    held_out = {row["image_id"] for row in store.rows(labelled_copy, "splits") if row["fold"] == 0}
    consensus = store.rows(labelled_copy, "consensus")
    consensus.remove(next(row for row in consensus if row["image_id"] in held_out and row["tier"] == 1))
    store.write(labelled_copy, "consensus", consensus)
    uninterrupted = copy_of(labelled_copy, labelled_copy.folder.parent / "other")
    train(uninterrupted, **asked)
    save_curves = Run.save_curves

    def save_and_stop(self, fold, name, curves):
        save_curves(self, fold, name, curves)
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save_curves", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train(labelled_copy, **asked)
    monkeypatch.undo()
    (run,) = runs.find(labelled_copy)
    assert (run.fitted_folds(), (run.fold_folder(0) / "unfinished").is_dir()) == ([], True)
    assert train(labelled_copy, **asked).done == 1
    fold = json.loads((run.fold_folder(0) / "fold.json").read_text())
    assert fold["fitting"]["went_on_after_epochs"][0]["epoch"] == 0
    expected = json.loads((runs.find(uninterrupted)[0].fold_folder(0) / "fold.json").read_text())
    assert fold["weights_sha256"] == expected["weights_sha256"]
    assert fold["class_weights"] == [2 / 3, 2.0] != run.config["class_weights"]
    assert not (run.fold_folder(0) / "unfinished").exists()


def test_two_processes_do_not_fit_one_fold(trained_copy):
    (run,) = runs.find(trained_copy, task="sr")
    (run.fold_folder(1) / "fold.json").unlink()
    with (
        checkpoints.claimed(run.fold_folder(1) / "unfinished"),
        pytest.raises(UsageError, match=r"another process is fitting into .*fold-1"),
    ):
        train(trained_copy, **{**QUICKLY, "task": "sr"})
    assert train(trained_copy, **{**QUICKLY, "task": "sr"}).done == 1


def test_a_fold_that_another_process_fitted_meanwhile_is_left_alone(trained_copy, monkeypatch):
    (run,) = runs.find(trained_copy, task="sr")
    fold_json = run.fold_folder(1) / "fold.json"
    content = fold_json.read_text()
    fold_json.unlink()

    @contextmanager
    def claimed_late(folder):
        with checkpoints.claimed(folder):
            fold_json.write_text(content)
            yield

    monkeypatch.setattr(
        "qcbench.learn.train.checkpoints", SimpleNamespace(**{**vars(checkpoints), "claimed": claimed_late})
    )
    summary = train(trained_copy, **{**QUICKLY, "task": "sr"})
    assert (summary.done, summary.unchanged) == (0, 3)
    assert fold_json.read_text() == content
    assert not (run.fold_folder(1) / "unfinished").exists()


def test_volumes_that_are_preprocessed_anew_meanwhile_are_told_and_nothing_is_saved(labelled_copy, monkeypatch):
    image_id = next(row["image_id"] for row in store.rows(labelled_copy, "splits") if row["set"] == "cv")

    def preprocess_anew(*_):
        add_image(labelled_copy, image_id, "bad", 999)
        build_cache(labelled_copy, spacing=4, show_progress=False)

    monkeypatch.setattr(Run, "save_curves", preprocess_anew)
    with pytest.raises(TrainingError, match=f"1 volumes were preprocessed anew .* sr fold 0 .* such as {image_id}"):
        train(labelled_copy, task="sr", folds=0, **QUICKLY)
    assert runs.find(labelled_copy)[0].fitted_folds() == []


def test_numbers_of_numpy_are_as_good_as_any(trained_copy):
    asked = {**QUICKLY, "task": "sr", "spacing": np.int64(4), "epochs": np.int64(1), "seed": np.int64(0)}
    assert train(trained_copy, folds=np.arange(1, 3), workers=np.int64(0), **asked).unchanged == 2


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
    store.write(labelled_copy, "splits", rows)
    tested = next(row["participant_id"] for row in rows if row["set"] == "test")
    renamed = [{**row, "participant_id": tested} if row["image_id"] == moved["image_id"] else row
               for row in store.rows(labelled_copy, "images")]  # fmt: skip
    store.write(labelled_copy, "images", renamed)
    for architecture in ("conv5_fc3", "forest_25"):
        with pytest.raises(LeakError, match=tested):
            train(labelled_copy, architecture=architecture, **QUICKLY)


def test_bad_volumes_and_lost_ones_are_reported_and_training_goes_on(labelled_copy):
    image_id = next(row["image_id"] for row in store.rows(labelled_copy, "splits") if row["fold"] == 0)
    volume = next(r["volume_path"] for r in store.rows(labelled_copy, "preprocessed") if r["image_id"] == image_id)
    in_cv = [row["image_id"] for row in store.rows(labelled_copy, "splits") if row["set"] == "cv"]
    labelled_copy.absolute(volume).write_bytes(b"no image")
    build_cache(labelled_copy, spacing=4, show_progress=False)
    other = next(name for name in in_cv if name != image_id and name.endswith("good"))
    lost = {"image_id": other, "preprocessing_preset": "fast", "volume_path": None, "error": "not registered"}
    store.upsert(labelled_copy, "preprocessed", [lost])
    summary = train(labelled_copy, task="sr", folds=1, **QUICKLY)
    assert (set(summary.failed), summary.done) == ({image_id, other}, 1)
    assert summary.failed[other] == "has no volume: not registered"
    assert "2 images have no volume that can be used; they were left out" in summary.notes
    (run,) = runs.find(labelled_copy)
    fold = json.loads((run.fold_folder(1) / "fold.json").read_text())
    assert fold["n_fit"] + fold["n_validation"] == sum(run.config["images"].values()) == len(in_cv) - 2


def test_what_cannot_be_trained_is_refused(labelled, study):
    with pytest.raises(StudyError, match="qcbench split"):
        train(study, **QUICKLY)
    with pytest.raises(UsageError, match="there is no fold 9; the splits have 0, 1, 2"):
        train(labelled, folds=9, **QUICKLY)
    with pytest.raises(UsageError, match="a batch of 4 images cannot be shared by 6 processes"):
        train(labelled, devices=3, nodes=2, **QUICKLY)
    for asked, words in [
        ({"folds": []}, "no fold was asked for"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"seed": -1, "architecture": "forest_25"}, "seed must be a whole number from 0"),
        ({"spacing": 4.0}, "spacing must be a whole number of at least 1, got 4.0"),
        ({"devices": 0}, "devices must be a whole number of at least 1"),
    ]:
        with pytest.raises(UsageError, match=words):
            train(labelled, **{**QUICKLY, **asked})
    with pytest.raises(UsageError, match="no architecture"):
        train(labelled, architecture="vgg", **QUICKLY)
