import pytest

from qcbench import store
from qcbench.errors import UsageError
from qcbench.learn import tabular, variants
from qcbench.learn.evaluate import evaluate
from qcbench.learn.left_out import leave_one_out, splits_without
from qcbench.learn.splits import split

QUICKLY = {"task": "sr", "spacing": 4, "device": "cpu", "show_progress": False, "least_images": 4}


def split_row(image_id, participant, fold):
    place = {"set": "test", "fold": None} if fold is None else {"set": "cv", "fold": fold}
    return {"image_id": image_id, "participant_id": participant, "seed": 0, **place}


def test_nobody_of_the_place_is_trained_on_nor_the_study_s_test_set_nor_the_unknown():
    splits = [
        split_row("a1", "sub-1", 0),
        split_row("b1", "sub-1", 0),  # the same person, scanned elsewhere too
        split_row("a2", "sub-2", None),
        split_row("b3", "sub-3", 1),
        split_row("b4", "sub-4", None),
        split_row("x5", "sub-5", 1),
    ]
    place_of = {"a1": "A", "a2": "A", "b1": "B", "b3": "B", "b4": "B", "x5": None}
    new = {row["image_id"]: (row["set"], row["fold"]) for row in splits_without(splits, place_of, "A")}
    assert new == {"a1": ("test", None), "a2": ("test", None), "b3": ("cv", 1)}


@pytest.fixture
def at_hospitals(labelled_copy, monkeypatch):
    """The six participants at hospitals North and South, three each; forests of few trees."""
    monkeypatch.setattr(tabular, "N_TREES", 5)
    rows = store.rows(labelled_copy, "images")
    places = {f"sub-{number:02d}": "North" if number < 3 else "South" for number in range(6)}
    store.write(labelled_copy, "images", [{**row, "hospital": places[row["participant_id"]]} for row in rows])
    return labelled_copy


def rows_of(study, by="hospital", metric="balanced_accuracy"):
    rows = store.rows(study, "metrics")
    return [row for row in rows if row["set"] == f"left-out {by}" and row["metric"] == metric]


def test_each_hospital_is_predicted_by_a_network_that_never_saw_it(at_hospitals):
    options = {**QUICKLY, "architecture": "lean3d", "preset": "quick", "epochs": 1}
    summary = leave_one_out(at_hospitals, **options)
    assert (summary.done, summary.unchanged, summary.failed) == (2, 0, {})
    for variant in variants.find(at_hospitals, "left-out-hospital"):
        tested = {row["image_id"] for row in store.rows(variant, "splits") if row["set"] == "test"}
        assert {row["image_id"] for row in store.rows(variant, "predictions")} == tested
        assert len(tested) == 12
    assert leave_one_out(at_hospitals, **options).unchanged == 2


def test_a_hospital_that_holds_a_whole_fold_does_not_stop_the_others(at_hospitals):
    rows = store.rows(at_hospitals, "splits")
    fold_of = dict(zip(sorted({row["participant_id"] for row in rows}), (0, 0, None, 1, 1, 2), strict=True))
    moved = [(row, fold_of[row["participant_id"]]) for row in rows]
    store.write(at_hospitals, "splits", [{**row, "set": "test" if f is None else "cv", "fold": f} for row, f in moved])
    summary = leave_one_out(at_hospitals, **QUICKLY, architecture="lean3d", preset="quick", epochs=1)
    assert summary.done == 1
    assert [note for note in summary.notes if "too few folds are left" in note] == [
        "South is not left out: without its people too few folds are left to fit and validate"
    ]


def test_the_metrics_have_a_row_a_hospital_and_their_mean(at_hospitals):
    tabular.forest(at_hospitals, task="sr", show_progress=False)
    leave_one_out(at_hospitals, **QUICKLY, architecture="forest_25")
    evaluate(at_hospitals, show_progress=False)
    rows = {row["left_out"]: row for row in rows_of(at_hospitals)}
    assert set(rows) == {"North", "South", None}
    assert rows[None]["value"] == pytest.approx((rows["North"]["value"] + rows["South"]["value"]) / 2)
    assert [(rows[name]["n"], rows[name]["n_participants"]) for name in ("North", None)] == [(12, 3), (24, 6)]
    assert {row["architecture"] for row in rows.values()} == {"forest_25"}


def test_networks_fitted_in_two_ways_have_two_means(at_hospitals):
    tabular.forest(at_hospitals, task="sr", show_progress=False)
    for seed in (0, 1):
        leave_one_out(at_hospitals, **QUICKLY, architecture="forest_25", seed=seed)
    evaluate(at_hospitals, show_progress=False)
    means = [row for row in rows_of(at_hospitals) if row["left_out"] is None]
    assert sorted(row["run_id"].rsplit("-", 1)[0] for row in means) == [
        "mean over places forest_25-5 trees-4mm-s0",
        "mean over places forest_25-5 trees-4mm-s1",
    ]
    assert [row["n"] for row in means] == [24, 24]


def test_what_was_left_out_of_earlier_splits_is_not_evaluated_but_named(at_hospitals):
    leave_one_out(at_hospitals, **QUICKLY, architecture="forest_25")
    split(at_hospitals, test_images=4, folds=2, seed=5)
    tabular.forest(at_hospitals, task="sr", show_progress=False)
    summary = evaluate(at_hospitals, show_progress=False)
    assert rows_of(at_hospitals) == []
    assert sum("run leave-one-out again" in note for note in summary.notes) == 2


def test_a_small_hospital_is_named_and_not_left_out(at_hospitals):
    summary = leave_one_out(at_hospitals, **{**QUICKLY, "least_images": 13}, architecture="forest_25")
    assert (summary.done, len(summary.notes)) == (0, 2)
    assert "North is not left out: 12 labelled images, 13 are asked for" in summary.notes


def test_one_hospital_alone_and_another_column_are_refused(labelled_copy):
    with pytest.raises(UsageError, match="at least two must be there; got none and 24 images whose hospital"):
        leave_one_out(labelled_copy, **QUICKLY)
    with pytest.raises(UsageError, match="hospital, manufacturer, model_name; got 'sex'"):
        leave_one_out(labelled_copy, by="sex", **QUICKLY)
