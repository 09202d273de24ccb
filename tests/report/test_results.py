import pandas as pd
import pytest

from qcbench import schema
from qcbench.report import results
from qcbench.report.inputs import read_tables, to_frame


@pytest.fixture(scope="module")
def data(filled_once):
    return read_tables(filled_once)


@pytest.fixture(scope="module")
def summary(data):
    return results.metric_summary(data.metrics)


def metric(value, *, fold=None, name="balanced_accuracy", architecture="net", evaluated_on="test", **more):
    row = {"task": "sr", "architecture": architecture, "run_id": "run", "fold": fold, "set": evaluated_on}
    return {**row, "metric": name, "value": value, "n": 10, "simulated": False, **more}


def test_classes_are_counted_by_gadolinium_and_grade(data):
    table = results.class_counts(data.consensus)
    assert table[["Class", "Gadolinium", "Images"]].values.tolist() == [
        ["SR", "not noted", 1],
        ["tier 1", "with", 1],
        ["tier 1", "without", 1],
        ["tier 2", "with", 0],
        ["tier 2", "without", 1],
        ["tier 3", "with", 2],
        ["tier 3", "without", 0],
        ["all", "", 6],
    ]
    total = table.iloc[-1]
    assert total[["motion 0", "motion 1", "motion 2"]].tolist() == [3, 1, 1]
    assert total[["contrast 0", "contrast 1", "contrast 2"]].tolist() == [3, 1, 1]
    assert total[["noise 0", "noise 1", "noise 2"]].tolist() == [4, 1, 0]
    assert table["% of all"].tolist() == pytest.approx([100 / 6, 100 / 6, 100 / 6, 0, 100 / 6, 200 / 6, 0, 100])


def test_a_straight_reject_has_no_grade_count(data):
    assert results.class_counts(data.consensus).iloc[0][["motion 0", "noise 2"]].isna().all()


def test_gadolinium_is_counted_in_tiers_that_have_images(data):
    assert results.gadolinium_counts(data.consensus) == {"tier 1": (1, 1), "tier 2": (0, 1), "tier 3": (2, 0)}


def test_a_waiting_review_shows_both_verdicts(data):
    assert results.waiting_reviews(data.open_reviews).values.tolist() == [
        ["sub-11_T1w", "alice", "bob (without gadolinium, motion 1, contrast 0, noise 0)"]
    ]


def test_splits_are_counted_per_fold_and_class(data):
    table = results.split_counts(data.splits, data.consensus)
    assert table.values.tolist() == [
        ["fold 0", 1, 2, 1, 1, 0, 0, 0],
        ["fold 1", 2, 2, 0, 1, 1, 0, 0],
        ["test", 2, 2, 0, 0, 0, 2, 0],
        ["all", 5, 6, 1, 2, 1, 2, 0],
    ]


def test_a_participant_in_two_folds_or_sets_is_named():
    rows = [("a", "cv", 0), ("a", "cv", 1), ("b", "cv", 0), ("b", "test", None), ("c", "cv", 1), ("c", "cv", 1)]
    splits = [
        {"image_id": str(n), "participant_id": who, "set": name, "fold": fold}
        for n, (who, name, fold) in enumerate(rows)
    ]
    assert results.shared_participants(to_frame(splits, schema.SPLITS)) == ["a", "b"]


def test_mean_and_sd_are_over_the_folds(summary):
    row = summary[(summary["architecture"] == "conv5_fc3") & (summary["metric"] == "balanced_accuracy")].iloc[0]
    assert row["mean"] == pytest.approx(0.94)
    assert row["sd"] == pytest.approx(0.0316228, abs=1e-6)  # ddof = 1; ddof = 0 would give 0.0283
    assert (row["folds"], row["folds_run"], row["n_lowest"]) == (5, 5, 40)


def test_a_summary_over_folds_does_not_count_as_a_fold():
    rows = [metric(0.8, fold=0), metric(0.9, fold=1), metric(0.1)]
    (row,) = results.metric_summary(to_frame(rows, schema.METRICS)).to_dict("records")
    assert row["mean"] == pytest.approx(0.85)
    assert row["folds_run"] == 2


def test_other_sets_do_not_reach_the_test_metrics():
    rows = [metric(0.8, fold=0), metric(0.1, fold=0, evaluated_on="validation")]
    (row,) = results.metric_summary(to_frame(rows, schema.METRICS)).to_dict("records")
    assert row["mean"] == pytest.approx(0.8)


def test_the_table_of_a_task_has_a_column_per_architecture_annotators_last(summary):
    table = results.metric_table(summary, "sr").set_index("Metric")
    assert table.columns.tolist() == ["conv5_fc3", "forest_25", "annotators"]
    assert table.loc["BA"].tolist() == ["94.00 ± 3.16", "74.00 ± 3.16", "97.00"]
    assert table.loc["MCC", "conv5_fc3"] == "85.00 ± 5.00 (3 of 5 folds)"
    assert pd.isna(table.loc["MCC", "annotators"])


def test_undefined_values_have_their_reason_and_folds(summary):
    assert results.undefined_metrics(summary, "sr") == [
        "MCC of conv5_fc3 (sr-conv5_fc3): only one class was predicted (fold 1, 3)."
    ]


def test_a_metric_that_is_undefined_everywhere_says_so():
    summary = results.metric_summary(to_frame([metric(None, fold=0), metric(None, fold=1)], schema.METRICS))
    assert results.metric_table(summary, "sr").values.tolist() == [["BA", "undefined"]]
    assert results.undefined_metrics(summary, "sr") == ["BA of net (run): no reason given (fold 0, 1)."]


def test_two_runs_of_one_architecture_are_told_apart():
    rows = [metric(0.8, fold=0), metric(0.9, fold=0, run_id="later")]
    table = results.metric_table(results.metric_summary(to_frame(rows, schema.METRICS)), "sr")
    assert table.columns.tolist() == ["Metric", "net (later)", "net (run)"]


def test_annotators_show_their_interval_where_there_is_one():
    rows = [metric(0.97, architecture="annotators", run_id="annotators", low=0.95, high=0.99)]
    table = results.metric_table(results.metric_summary(to_frame(rows, schema.METRICS)), "sr")
    assert table["annotators"].tolist() == ["97.00 [95.00, 99.00]"]


def test_single_raters_are_in_the_numbers_but_their_mean_is_shown():
    people = {"architecture": "annotators", "sd": 0.014142}
    rows = [metric(0.97, run_id="annotators", **people), metric(0.98, run_id="rater:alice", **people)]
    summary = results.metric_summary(
        pd.DataFrame([{"training_preset": None, "low": None, "high": None, **row} for row in rows])
    )
    assert sorted(summary["run_id"]) == ["annotators", "rater:alice"]
    assert results.metric_table(summary, "sr").values.tolist() == [["BA", "97.00 ± 1.41"]]


def test_runs_say_what_they_are_and_whether_simulated():
    rows = [metric(0.8, fold=0, simulated=True), metric(0.7, fold=0, architecture="forest_25")]
    table = results.run_table(results.metric_summary(to_frame(rows, schema.METRICS)))
    assert table[["Architecture", "What it is", "Simulated"]].values.tolist() == [
        ["net", "network", "yes"],
        ["forest_25", "baseline without a network", "no"],
    ]


def test_predictions_are_counted_per_run(data):
    (row,) = results.prediction_counts(data.predictions).to_dict("records")
    assert (row["Task"], row["Images"], row["Folds"], row["not decided"]) == ("sr", 3, 1, 3)
    assert row["Probability ≥ 0.5, %"] == pytest.approx(200 / 3)


def test_published_tasks_come_first():
    assert results.tasks_of(pd.DataFrame({"task": ["zzz", "tier2", "sr", "aaa"]})) == ["sr", "tier2", "aaa", "zzz"]
