import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench import store
from qcbench.errors import UsageError
from qcbench.learn import tabular, variants
from qcbench.learn.learning_curve import learning_curve, nested_order

QUICKLY = {"task": "sr", "show_progress": False, "workers": 0}


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(tabular, "N_TREES", 5)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 4), min_size=1), st.integers(0, 3))
def test_every_part_of_the_order_has_its_share_of_every_fold(fold_of, seed):
    order = nested_order(fold_of, seed)
    assert sorted(order) == sorted(fold_of)
    for n in range(1, len(order) + 1):
        for fold in set(fold_of.values()):
            of_fold = sum(which == fold for which in fold_of.values())
            taken = sum(fold_of[who] == fold for who in order[:n])
            assert abs(taken - of_fold * n / len(order)) <= len(set(fold_of.values()))


def test_a_smaller_subset_is_part_of_a_larger_and_the_test_set_is_the_study_s(labelled_copy):
    summary = learning_curve(labelled_copy, **QUICKLY, sizes=[12, 20], architecture="forest_25")
    rows = store.rows(labelled_copy, "learning_curve")
    assert (summary.done, summary.failed) == (len(rows), {})
    assert {(row["n_asked"], row["n_images"], row["n_participants"], row["n_test"]) for row in rows} == {
        (12, 12, 3, 4),
        (20, 20, 5, 4),
    }
    assert {row["fold"] for row in rows} == {0, 1, 2}
    splits = [
        {(row["image_id"], row["set"], row["fold"]) for row in store.rows(variant, "splits")}
        for variant in (*variants.find(labelled_copy, "curve-sr-12"), *variants.find(labelled_copy, "curve-sr-20"))
    ]
    whole = {(row["image_id"], row["set"], row["fold"]) for row in store.rows(labelled_copy, "splits")}
    assert splits[0] < splits[1] == whole
    again = learning_curve(labelled_copy, **QUICKLY, sizes=[12, 20], architecture="forest_25")
    assert (again.done, again.unchanged) == (0, len(rows))


def test_a_network_goes_on_where_it_was_stopped(labelled_copy):
    options = {**QUICKLY, "architecture": "lean3d", "preset": "quick", "spacing": 4, "epochs": 1, "device": "cpu"}
    learning_curve(labelled_copy, **options, sizes=[20], folds=0)
    (variant,) = variants.find(labelled_copy, "curve-")
    (weights,) = variant.runs.glob("*/fold-0/weights.safetensors")
    before = weights.stat().st_mtime_ns
    learning_curve(labelled_copy, **options, sizes=[20], folds=[0, 1])
    rows = store.rows(labelled_copy, "learning_curve")
    assert [row["fold"] for row in rows] == [0, 1]
    assert weights.stat().st_mtime_ns == before
    assert all(row["run_id"] == weights.parents[1].name for row in rows)
    assert not any(row["simulated"] for row in rows)
    learning_curve(labelled_copy, **{**options, "epochs": 2}, sizes=[20], folds=0)
    kept = [(row["epochs"], row["fold"]) for row in store.rows(labelled_copy, "learning_curve")]
    assert sorted(kept) == [(1, 0), (1, 1), (2, 0)]


def test_a_subset_without_a_class_has_rows_with_the_reason(labelled_copy):
    rows = store.rows(labelled_copy, "consensus")
    test = {row["image_id"] for row in store.rows(labelled_copy, "splits") if row["set"] == "test"}
    kept = [row for row in rows if not row["straight_reject"] or row["image_id"] in test]
    store.write(labelled_copy, "consensus", kept)
    summary = learning_curve(labelled_copy, **QUICKLY, sizes=[9], architecture="forest_25")
    found = store.rows(labelled_copy, "learning_curve")
    assert {row["balanced_accuracy"] for row in found} == {None}
    assert all("no image 'straight reject'" in row["reason"] for row in found)
    assert len(summary.notes) == 3


def test_a_size_that_the_labels_do_not_reach_is_refused(labelled_copy):
    with pytest.raises(UsageError, match=r"task sr has 20 labelled images in cross-validation; .* got 21"):
        learning_curve(labelled_copy, **QUICKLY, sizes=[21], architecture="forest_25")
