import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench.learn.metrics import METRICS, metrics_from_decisions, metrics_from_probabilities

# Bottani et al. 2022, Table 5 (percent): positive and negative images of the test set, sensitivity,
# specificity, then what follows from them. Means over five folds, hence the tolerance.
TABLE_5 = {
    "sr": (115, 385, 91.83, 95.69, (93.76, 86.44, 97.51, 94.85, 85.71)),
    "gadolinium": (220, 165, 96.45, 97.82, (97.14, 98.33, 95.39, 97.04, 94.00)),
    "tier3": (161, 224, 79.88, 87.14, (83.51, 81.93, 85.83, 84.07, 67.38)),
    "tier2": (153, 71, 77.39, 65.92, (71.65, 83.20, 57.78, 74.10, 42.10)),
}
FOLLOWING = ("balanced_accuracy", "ppv", "npv", "f1_weighted", "mcc")


@pytest.mark.parametrize("task", TABLE_5)
def test_the_published_table_follows_from_sensitivity_and_specificity(task):
    n_positive, n_negative, sensitivity, specificity, expected = TABLE_5[task]
    hits, correct_rejections = round(n_positive * sensitivity), round(n_negative * specificity)
    truth = [1] * (100 * n_positive) + [0] * (100 * n_negative)
    decided = [1] * hits + [0] * (100 * n_positive - hits)
    decided += [0] * correct_rejections + [1] * (100 * n_negative - correct_rejections)
    found = metrics_from_decisions(truth, decided)
    for name, value in zip(FOLLOWING, expected, strict=True):
        # MCC of tier 2 is the least linear of all: mean over folds and value at the mean differ most.
        assert 100 * found[name] == pytest.approx(value, abs=0.35 if name == "mcc" else 0.3), name


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_metrics_are_in_range_and_the_hard_auc_is_the_balanced_accuracy(pairs):
    truth, probabilities = zip(*pairs, strict=True)
    found = metrics_from_probabilities(truth, probabilities)
    assert tuple(found) == METRICS
    assert all(value is None or (-1 if name == "mcc" else 0) <= value <= 1 for name, value in found.items())
    assert (found["balanced_accuracy"] is None) == (len(set(truth)) < 2)
    if found["balanced_accuracy"] is not None:
        assert found["auc_hard"] == pytest.approx(found["balanced_accuracy"])
        assert found["balanced_accuracy"] == pytest.approx((found["sensitivity"] + found["specificity"]) / 2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=30))
def test_exchanging_the_classes_exchanges_the_metrics(pairs):
    truth, decided = zip(*pairs, strict=True)
    found = metrics_from_decisions(truth, decided)
    mirrored = metrics_from_decisions([1 - label for label in truth], [1 - label for label in decided])
    for one, other in (("sensitivity", "specificity"), ("ppv", "npv"), ("balanced_accuracy", "balanced_accuracy")):
        assert found[one] == pytest.approx(mirrored[other])


def test_what_is_not_defined_is_none():
    found = metrics_from_probabilities([0, 0], [0.1, 0.2])
    assert {name for name, value in found.items() if value is not None} == {"specificity", "npv"}
    assert set(metrics_from_probabilities([], []).values()) == {None}
