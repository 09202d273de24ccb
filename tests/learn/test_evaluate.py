import numpy as np
import pytest

from qcbench import store
from qcbench.errors import StudyError
from qcbench.learn import runs
from qcbench.learn.evaluate import evaluate
from qcbench.learn.metrics import METRICS
from qcbench.learn.splits import split
from tests.learn.conftest import label


@pytest.fixture
def predicted(trained_copy):
    """The copy with predictions that know the answer, but for one image of the test set."""
    labels = {row["image_id"]: row["straight_reject"] for row in store.rows(trained_copy, "consensus")}
    test = [row["image_id"] for row in store.rows(trained_copy, "splits") if row["set"] == "test"]
    wrong = next(image_id for image_id in test if not labels[image_id])
    (run,) = runs.find(trained_copy, task="sr")
    rows = [
        {
            "image_id": image_id,
            "task": "sr",
            "architecture": "conv5_fc3",
            "run_id": run.run_id,
            "fold": fold,
            "probability": 0.9 if is_reject or (image_id == wrong and fold == 0) else 0.1,
            "decision": "no",
            "preprocessing_preset": "fast",
        }
        for image_id, is_reject in labels.items()
        for fold in run.fitted_folds()
    ]
    store.write(trained_copy, "predictions", rows)
    return trained_copy


def found(study, **wanted):
    rows = store.rows(study, "metrics")
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def test_one_row_per_fold_and_a_mean_with_its_deviation(predicted):
    evaluate(predicted, show_progress=False)
    rows = found(predicted, task="sr", architecture="conv5_fc3", set="test", metric="specificity")
    by_fold = {row["fold"]: row for row in rows}
    assert [by_fold[fold]["value"] for fold in (0, 1, 2)] == pytest.approx([2 / 3, 1, 1])
    mean = by_fold[None]
    assert mean["value"] == pytest.approx(8 / 9)
    assert mean["sd"] == pytest.approx(np.std([2 / 3, 1, 1], ddof=1))
    assert mean["sd_population"] == pytest.approx(np.std([2 / 3, 1, 1]))
    assert {(row["n"], row["n_participants"], row["n_positive"]) for row in rows} == {(4, 1, 1)}
    assert {row["low"] for row in rows} == {None}  # an interval of one participant would mean nothing
    assert not mean["simulated"]


def test_the_ensemble_decides_by_the_mean_probability_of_the_folds(predicted):
    evaluate(predicted, show_progress=False)
    (row,) = found(predicted, architecture="conv5_fc3-ensemble", set="test", metric="specificity")
    # One fold of three is wrong on an image (0.9, 0.1, 0.1): together they are right.
    assert (row["value"], row["fold"], row["n"]) == (1, None, 4)
    assert found(predicted, architecture="conv5_fc3-ensemble", set="validation") == []


def test_a_task_without_a_baseline_is_named_with_what_to_run(predicted):
    (note,) = [note for note in evaluate(predicted, show_progress=False).notes if "baseline" in note]
    assert "beside gadolinium, sr, tier2, tier3" in note
    assert "--architecture forest_25" in note


def test_every_run_has_a_card(predicted):
    evaluate(predicted, show_progress=False)
    assert len(list(predicted.runs.glob("*/MODEL_CARD.md"))) == 4


def test_validation_is_each_fold_on_its_own_images(predicted):
    evaluate(predicted, show_progress=False)
    sizes = {
        row["fold"]: row["n"]
        for row in found(predicted, task="sr", architecture="conv5_fc3", set="validation", metric="auc")
    }
    assert sizes.pop(None) == sum(sizes.values()) == 20


def test_a_second_evaluation_changes_nothing(predicted):
    assert evaluate(predicted, show_progress=False).done > 0
    before = predicted.table_path("metrics").read_bytes()
    assert evaluate(predicted, show_progress=False).done == 0
    assert predicted.table_path("metrics").read_bytes() == before


def test_a_task_without_predictions_has_null_rows_and_a_note(predicted):
    summary = evaluate(predicted, show_progress=False)
    rows = found(predicted, task="tier3", architecture="conv5_fc3", set="test")
    assert {row["value"] for row in rows} == {None}
    assert all(row["reason"] for row in rows)
    assert any(note.startswith("tier3-conv5_fc3") and "then predict" in note for note in summary.notes)


def test_images_without_a_prediction_are_counted_out_and_named(predicted):
    rows = store.rows(predicted, "predictions")
    tested = sorted(row["image_id"] for row in store.rows(predicted, "splits") if row["set"] == "test")
    store.write(predicted, "predictions", [row for row in rows if row["image_id"] != tested[0]])
    summary = evaluate(predicted, show_progress=False)
    assert any("1 test images have no prediction" in note for note in summary.notes)
    counts = {
        row["n"]
        for row in store.rows(predicted, "metrics")
        if row["set"] == "test" and row["task"] == "sr" and row["architecture"] not in ("annotators",)
    }
    assert counts == {len(tested) - 1}


def test_an_empty_class_in_the_test_set_is_a_row_with_a_reason(predicted):
    splits = {row["image_id"]: row["set"] for row in store.rows(predicted, "splits")}
    kept = [
        row
        for row in store.rows(predicted, "consensus")
        if not (row["straight_reject"] and splits[row["image_id"]] == "test")
    ]
    store.write(predicted, "consensus", kept)
    evaluate(predicted, show_progress=False)
    (row,) = found(predicted, task="sr", architecture="conv5_fc3", set="test", metric="auc", fold=1)
    assert (row["value"], row["reason"], row["n"]) == (None, "no positive image in the set", 3)


def test_a_skipped_fold_has_all_its_rows_with_the_reason(predicted):
    (run,) = runs.find(predicted, task="tier2")
    run.save_skipped({1: "no image 'tier 2' to fit on"})
    evaluate(predicted, show_progress=False)
    rows = found(predicted, task="tier2", architecture="conv5_fc3", set="test", fold=1)
    assert {row["metric"] for row in rows} == set(METRICS)
    assert {(row["value"], row["reason"]) for row in rows} == {(None, "not fitted: no image 'tier 2' to fit on")}


def test_what_rests_on_a_simulation_says_so(predicted):
    rows = store.rows(predicted, "images")
    store.write(predicted, "images", [{**row, "simulated": row["image_id"].endswith("good")} for row in rows])
    evaluate(predicted, show_progress=False)
    assert all(row["simulated"] for row in found(predicted, architecture="conv5_fc3"))


def test_runs_of_earlier_splits_are_not_evaluated(predicted):
    split(predicted, test_images=4, folds=2, seed=5)
    with pytest.raises(StudyError, match="no run on its present splits"):
        evaluate(predicted, show_progress=False)


def test_annotators_are_the_mean_over_the_raters(predicted):
    for row in store.rows(predicted, "splits"):
        kind = row["image_id"].split("_")[1]
        label(predicted, "alice", row["image_id"], kind)
        label(predicted, "bob", row["image_id"], "good")  # bob never rejects
    evaluate(predicted, show_progress=False)
    wanted = {"task": "sr", "architecture": "annotators", "set": "test", "metric": "balanced_accuracy"}
    values = {row["run_id"]: row["value"] for row in found(predicted, **wanted)}
    assert values == {"rater:alice": 1.0, "rater:bob": 0.5, "annotators": 0.75}
    assert found(predicted, **{**wanted, "set": "cv", "run_id": "annotators"})[0]["n"] == 20
