"""The four published tasks as labels of 0 and 1, and how their classes are weighted. Pure.

Bottani et al. 2022, section 2.6: straight reject against the rest; with gadolinium against
without; tier 3 against tiers 2 and 1; tier 2 against tier 1. Rows are those of the consensus or
of one rater's labels: both have straight_reject, gadolinium and tier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from qcbench.errors import UsageError
from qcbench.schema import TASKS

Row = Mapping[str, object]

#: Label 1, then label 0, in words.
CLASS_NAMES = {
    "sr": ("straight reject", "not straight reject"),
    "gadolinium": ("with gadolinium", "without gadolinium"),
    "tier3": ("tier 3", "tier 1 or 2"),
    "tier2": ("tier 2", "tier 1"),
}

#: The classes whose shares a test set should have as the rest has.
CLASSES = ("straight reject", "tier 1", "tier 2", "tier 3", "ungraded")
#: The task of a run whose network answers all of them.
MULTITASK = "multitask"


def image_class(row: Row) -> str:
    """Return the class of a consensus row: straight reject, tier 1, 2 or 3, or ungraded.

    >>> image_class({"straight_reject": False, "tier": 2})
    'tier 2'
    """
    if row["straight_reject"]:
        return "straight reject"
    return "ungraded" if row["tier"] is None else f"tier {row['tier']}"


def covered_tasks(task: str) -> tuple[str, ...]:
    """Return the tasks that a run of that task answers.

    >>> covered_tasks("sr"), covered_tasks("multitask")
    (('sr',), ('sr', 'gadolinium', 'tier3', 'tier2'))
    """
    return TASKS if task == MULTITASK else (task,)


def chosen_tasks(task: str) -> tuple[str, ...]:
    """Return the tasks that are meant: all of them for ``"all"``, else the one of that name.

    >>> chosen_tasks("tier3")
    ('tier3',)
    """
    if task == "all":
        return TASKS
    if task not in TASKS:
        raise UsageError(f"there is no task {task!r}; choose one of {', '.join(TASKS)}, or all")
    return (task,)


def task_labels(consensus_rows: Iterable[Row], task: str) -> dict[str, int]:
    """Return image_id -> 1 (positive class) or 0, for the images that the task is about.

    ``sr`` takes every image; ``gadolinium`` and ``tier3`` those that are no straight reject;
    ``tier2`` those of tier 1 and 2. An image whose grade is missing is in no graded task.

    >>> rows = [
    ...     {"image_id": "a", "straight_reject": True, "gadolinium": None, "tier": None},
    ...     {"image_id": "b", "straight_reject": False, "gadolinium": True, "tier": 3},
    ...     {"image_id": "c", "straight_reject": False, "gadolinium": False, "tier": 1},
    ... ]
    >>> task_labels(rows, "sr"), task_labels(rows, "tier3"), task_labels(rows, "tier2")
    ({'a': 1, 'b': 0, 'c': 0}, {'b': 1, 'c': 0}, {'c': 0})
    """
    label_of = _LABEL_OF[chosen_tasks(task)[0]]
    labels = {row["image_id"]: label_of(row) for row in consensus_rows}
    return {image_id: int(label) for image_id, label in labels.items() if label is not None}


def rater_decisions(label_rows: Iterable[Row], truth: Mapping[str, int], task: str) -> dict[str, int]:
    """Return image_id -> 1 or 0 as one rater decided it, for the images of `truth`.

    `truth` is what `task_labels` made of the consensus: it says which images count. An image
    that the rater did not label, or rejected where the task needs a grade, is left out. In
    ``tier2`` a rater's tier 3 counts as positive: worse than tier 1 is what is asked.
    """
    decisions = {}
    for row in label_rows:
        decision = (None if row["tier"] is None else row["tier"] >= 2) if task == "tier2" else _LABEL_OF[task](row)
        if row["image_id"] in truth and decision is not None:
            decisions[row["image_id"]] = int(decision)
    return decisions


def class_weights(labels: Iterable[int]) -> tuple[float, float]:
    """Return the weights of class 0 and class 1: N / (2 n_c), so that both classes weigh the same.

    A class without an image weighs 0; it is for the caller to refuse.

    >>> [round(weight, 4) for weight in class_weights([1] * 1340 + [0] * 3660)]
    [0.6831, 1.8657]
    """
    counts = Counter(labels)
    total = counts.total()
    return tuple(total / (2 * counts[label]) if counts[label] else 0.0 for label in (0, 1))


def missing_class(labels: Iterable[int], task: str) -> str | None:
    """Return the name of a class of the task that has no image, or None when both have one.

    >>> missing_class([0, 0], "tier3")
    'tier 3'
    """
    present = set(labels)
    positive, negative = CLASS_NAMES[task]
    if 1 not in present:
        return positive
    return None if 0 in present else negative


def _sr(row: Row) -> bool:
    return bool(row["straight_reject"])


def _gadolinium(row: Row) -> bool | None:
    return None if row["straight_reject"] else row["gadolinium"]


def _tier3(row: Row) -> bool | None:
    return None if row["straight_reject"] or row["tier"] is None else row["tier"] == 3


def _tier2(row: Row) -> bool | None:
    return None if row["straight_reject"] or row["tier"] not in (1, 2) else row["tier"] == 2


_LABEL_OF = {"sr": _sr, "gadolinium": _gadolinium, "tier3": _tier3, "tier2": _tier2}
