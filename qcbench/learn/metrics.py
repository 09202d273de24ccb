"""How good decisions and probabilities are, per image set. Pure.

All are shares from 0 to 1 (MCC from -1 to 1), higher is better. A metric that the data do not
define is None, and `why_undefined` says why: it is never replaced by 0 or 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from sklearn.metrics import (
    balanced_accuracy_score,
    f1_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)

_NEED_BOTH_CLASSES = ("balanced_accuracy", "f1_weighted", "mcc", "auc", "auc_hard")
#: F1 in the paper's tables is `f1_weighted` (by support), its AUC is `auc_hard`, equal to the balanced accuracy.
DECISION_METRICS = (
    "balanced_accuracy",
    "f1_weighted",
    "f1",
    "mcc",
    "auc_hard",
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
)
METRICS = (*DECISION_METRICS[:4], "auc", *DECISION_METRICS[4:])


def metrics_from_decisions(truth: Sequence[int], decided: Sequence[int]) -> dict[str, float | None]:
    """Return each of DECISION_METRICS for labels and decisions of 0 and 1; None where undefined.

    >>> found = metrics_from_decisions([1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 1])
    >>> found["sensitivity"], found["specificity"], found["balanced_accuracy"], found["auc_hard"]
    (0.75, 0.5, 0.625, 0.625)
    >>> metrics_from_decisions([1, 1], [1, 0])["specificity"] is None
    True
    """
    return {
        name: None if why_undefined(name, truth, decided) else float(_SCORES[name](truth, decided))
        for name in DECISION_METRICS
    }


def metrics_from_probabilities(truth: Sequence[int], probabilities: Sequence[float]) -> dict[str, float | None]:
    """Return each of METRICS: decisions at 0.5, and the area under the ROC curve of the probabilities.

    >>> metrics_from_probabilities([1, 0, 0], [0.4, 0.3, 0.1])["auc"]
    1.0
    """
    decided = [int(probability >= 0.5) for probability in probabilities]
    found = metrics_from_decisions(truth, decided)
    found["auc"] = None if why_undefined("auc", truth, decided) else float(roc_auc_score(truth, probabilities))
    return {name: found[name] for name in METRICS}


def why_undefined(metric: str, truth: Sequence[int], decided: Sequence[int]) -> str | None:
    """Return why the metric has no value on these data, or None when it has one.

    >>> why_undefined("npv", [1, 0], [1, 1])
    'nothing was decided negative'
    """
    if not len(truth):
        return "no image in the set"
    if 1 not in truth and metric in (*_NEED_BOTH_CLASSES, "sensitivity", "f1"):
        return "no positive image in the set"
    if 0 not in truth and metric in (*_NEED_BOTH_CLASSES, "specificity"):
        return "no negative image in the set"
    if metric == "ppv" and 1 not in decided:
        return "nothing was decided positive"
    if metric == "npv" and 0 not in decided:
        return "nothing was decided negative"
    return None


def _f1_weighted(truth: Sequence[int], decided: Sequence[int]) -> float:
    return f1_score(truth, decided, average="weighted", zero_division=0)


def _f1(truth: Sequence[int], decided: Sequence[int]) -> float:
    return f1_score(truth, decided, zero_division=0)


def _specificity(truth: Sequence[int], decided: Sequence[int]) -> float:
    return recall_score(truth, decided, pos_label=0)


def _npv(truth: Sequence[int], decided: Sequence[int]) -> float:
    return precision_score(truth, decided, pos_label=0)


def _mcc(truth: Sequence[int], decided: Sequence[int]) -> float:
    """Return Matthews' correlation; 0 when all decisions are one class, as sklearn defines it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return matthews_corrcoef(truth, decided)


_SCORES = {
    "balanced_accuracy": balanced_accuracy_score,
    "f1_weighted": _f1_weighted,
    "f1": _f1,
    "mcc": _mcc,
    "auc_hard": roc_auc_score,
    "sensitivity": recall_score,
    "specificity": _specificity,
    "ppv": precision_score,
    "npv": _npv,
}
