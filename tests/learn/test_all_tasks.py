"""One network for all tasks, from training to the model card."""

import json
import math

import pytest

from qcbench import store
from qcbench.errors import UsageError
from qcbench.learn import runs
from qcbench.learn.evaluate import evaluate
from qcbench.learn.infer import predict
from qcbench.learn.learning_curve import learning_curve
from qcbench.learn.runs import Run
from qcbench.learn.task_data import task_data
from qcbench.learn.train import train
from qcbench.schema import TASKS
from tests.learn.conftest import copy_of

QUICKLY = {"architecture": "multitask3d", "preset": "quick", "spacing": 4, "device": "cpu", "show_progress": False}


@pytest.fixture(scope="module")
def predicted(labelled, tmp_path_factory):
    """`labelled` with one run for all tasks, its predictions and metrics. Not to be changed by a test."""
    study = copy_of(labelled, tmp_path_factory.mktemp("all-tasks"))
    train(study, epochs=1, folds=[0, 1], **QUICKLY)
    predict(study, architecture="multitask3d", device="cpu", show_progress=False)
    evaluate(study, show_progress=False)
    return study


@pytest.fixture
def predicted_copy(predicted, tmp_path):
    return copy_of(predicted, tmp_path)


def test_all_tasks_are_one_run_whatever_they_are_called(predicted_copy):
    (run,) = runs.find(predicted_copy)
    assert run.run_id.startswith("multitask-multitask3d-quick-4mm-s0-")
    assert (run.tasks, run.fitted_folds()) == (TASKS, [0, 1])
    assert json.loads((run.folder / "architecture.json").read_text())["outputs"] == 8
    again = train(predicted_copy, task="multitask", epochs=1, folds=[0, 1], **QUICKLY)
    assert (again.done, again.unchanged, again.facts["runs"]) == (0, 2, run.run_id)


def test_a_straight_reject_is_fitted_to_as_that_and_nothing_else(labelled):
    images = [row["image_id"] for row in store.rows(labelled, "preprocessed")]
    data = task_data(labelled, "multitask", dict.fromkeys(images, "hash"))
    assert sorted(data.labels) == sorted(
        row["image_id"] for row in store.rows(labelled, "splits") if row["fold"] is not None
    )
    rejects = [label for image_id, label in data.labels.items() if image_id.endswith("reject")]
    assert len(rejects) == 5
    assert all(label[0] == 1 and all(map(math.isnan, label[1:])) for label in rejects)
    assert data.counts() == {
        "sr 0": 15, "sr 1": 5, "gadolinium 0": 5, "gadolinium 1": 10,
        "tier3 0": 10, "tier3 1": 5, "tier2 0": 5, "tier2 1": 5,
    }  # fmt: skip


def test_what_balances_the_classes_counts_only_what_was_noted(predicted):
    (run,) = runs.find(predicted)
    weights = json.loads((run.fold_folder(0) / "fold.json").read_text())["class_weights"]
    assert len(weights) == 8
    assert weights[0] == pytest.approx([20 / 30, 20 / 10])  # of twenty images five are rejects
    assert weights[1] == pytest.approx([15 / 10, 15 / 20])
    assert weights[7] == [0.5, 0]  # nobody noted noise 2


def test_a_fold_in_which_a_task_has_one_answer_is_named_and_not_fitted(predicted_copy):
    fold_of = {row["image_id"]: row["fold"] for row in store.rows(predicted_copy, "splits")}
    consensus = store.rows(predicted_copy, "consensus")
    kept = [row for row in consensus if not (row["tier"] == 3 and fold_of[row["image_id"]] == 1)]
    store.write(predicted_copy, "consensus", kept)
    summary = train(predicted_copy, epochs=1, folds=1, **QUICKLY)
    assert (summary.done, summary.notes) == (0, ["multitask fold 1 was not fitted: no image 'tier 3' to validate on"])


def test_what_was_interrupted_goes_on_to_the_same_weights(predicted_copy, monkeypatch):
    asked = {**QUICKLY, "epochs": 2, "folds": 0, "deterministic": True}
    uninterrupted = copy_of(predicted_copy, predicted_copy.folder.parent / "other")
    train(uninterrupted, **asked)
    save_curves = Run.save_curves

    def save_and_stop(self, fold, name, curves):
        save_curves(self, fold, name, curves)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "save_curves", save_and_stop)
        train(predicted_copy, **asked)
    finished = train(predicted_copy, **asked)
    assert finished.done == 1
    folds = [
        json.loads((study.runs / finished.facts["runs"] / "fold-0" / "fold.json").read_text())
        for study in (predicted_copy, uninterrupted)
    ]
    assert folds[0]["fitting"]["went_on_after_epochs"][0]["epoch"] == 0
    assert folds[0]["weights_sha256"] == folds[1]["weights_sha256"]


def test_every_image_gets_a_row_for_each_task_under_one_run(predicted_copy):
    rows = store.rows(predicted_copy, "predictions")
    assert {row["run_id"] for row in rows} == {runs.find(predicted_copy)[0].run_id}
    assert {row["architecture"] for row in rows} == {"multitask3d"}
    keys = {(row["image_id"], row["task"], row["fold"]) for row in rows}
    assert (len(keys), {row["task"] for row in rows}) == (24 * 4 * 2, set(TASKS))
    assert all(0 <= row["probability"] <= 1 for row in rows)
    assert len({row["probability"] for row in rows if row["image_id"] == rows[0]["image_id"]}) == 8
    options = {"architecture": "multitask3d", "device": "cpu", "show_progress": False}
    assert predict(predicted_copy, **options).unchanged == 24 * 4 * 2
    store.write(predicted_copy, "predictions", [row for row in rows if row["task"] != "sr" or row["fold"] != 1])
    again = predict(predicted_copy, task="multitask", **options)
    assert again.done + again.unchanged == len(store.rows(predicted_copy, "predictions")) == 24 * 4 * 2


def test_each_task_has_its_metrics_on_its_own_images(predicted):
    rows = [row for row in store.rows(predicted, "metrics") if row["architecture"] == "multitask3d"]
    sizes = {
        row["task"]: row["n"]
        for row in rows
        if (row["set"], row["fold"], row["metric"]) == ("test", 0, "balanced_accuracy")
    }
    assert sizes == {"sr": 4, "gadolinium": 3, "tier3": 3, "tier2": 2}
    of_validation = {row["task"] for row in rows if row["set"] == "validation" and row["value"] is not None}
    assert of_validation == set(TASKS)


def test_the_card_lists_all_tasks(predicted):
    text = (runs.find(predicted)[0].folder / "MODEL_CARD.md").read_text()
    for words in ("### sr: straight reject", "### gadolinium: with", "### tier3: tier 3,", "### tier2: tier 2,"):
        assert words in text
    assert text.count("| balanced_accuracy |") == 4
    assert "outputs: 8" in text
    assert "noise_2: [0.5, 0.0]" in text  # its class weights


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"task": "sr"}, "task must be all or multitask, got 'sr'"),
        ({"task": "multitask", "architecture": "lean3d"}, "architecture multitask3d, got 'lean3d'"),
        ({"pretrain": "simulated"}, "cannot begin with simulated copies"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_written(labelled, asked, words):
    with pytest.raises(UsageError, match=words):
        train(labelled, **{**QUICKLY, **asked})
    assert not labelled.runs.exists()


def test_predictions_of_one_task_and_learning_curves_are_refused(predicted):
    with pytest.raises(UsageError, match="task must be all or multitask, got 'tier2'"):
        predict(predicted, task="tier2", architecture="multitask3d")
    with pytest.raises(UsageError, match="counts the images of one task"):
        learning_curve(predicted, architecture="multitask3d")
