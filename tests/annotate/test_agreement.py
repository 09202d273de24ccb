import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from qcbench import store
from qcbench.annotate import agreement as room

PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=4, max_size=40)


@given(PAIRS)
def test_kappa_of_a_table_is_kappa_of_its_pairs(pairs):
    table = np.zeros((3, 3), dtype=int)
    for first, second in pairs:
        table[first, second] += 1
    ours = room.weighted_kappa(table, "quadratic")
    first, second = zip(*pairs, strict=True)
    if len(set(first + second)) > 1:
        theirs = cohen_kappa_score(first, second, labels=[0, 1, 2], weights="quadratic")
        assert ours == pytest.approx(theirs, nan_ok=True)


def test_full_agreement_is_1_and_its_interval_is_1():
    kappa = next(
        row for row in room.compare([0, 1, 0, 1], [0, 1, 0, 1], "straight_reject") if row["statistic"] == "kappa"
    )
    assert (kappa["value"], kappa["low"], kappa["high"], kappa["n"]) == (1.0, 1.0, 1.0, 4)


def test_one_grade_throughout_leaves_kappa_null_with_the_reason():
    rows = {row["statistic"]: row for row in room.compare([0, 0], [0, 0], "motion")}
    assert rows["kappa_linear"]["value"] is None
    assert "same value" in rows["kappa_linear"]["reason"]
    assert rows["percent_agreement"]["value"] == 100


def test_the_interval_holds_the_value_and_narrows_with_more_images():
    few = room.compare([0, 1, 2, 1, 0, 2], [0, 1, 1, 1, 0, 2], "noise")[1]
    many = room.compare([0, 1, 2, 1, 0, 2] * 20, [0, 1, 1, 1, 0, 2] * 20, "noise")[1]
    assert few["low"] < few["value"] < few["high"]
    assert many["high"] - many["low"] < few["high"] - few["low"]


def test_a_study_without_labels_has_an_empty_table_and_a_note(study):
    summary = room.agreement(study)
    assert store.rows(study, "agreement") == []
    assert "two raters" in summary.notes[0]
