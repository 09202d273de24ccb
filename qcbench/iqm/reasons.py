"""A metric is a number, or null with the reason; it is never a sentinel such as -1."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from qcbench.errors import QcbenchError


class NotMeasurableError(QcbenchError):
    """The arrays do not hold what a metric needs; the text says what is missing. It becomes a reason in the row."""


@dataclass(kw_only=True, eq=False)
class Findings:
    """What was measured on one image: `values` by key, null where `reasons` says why."""

    values: dict[str, float | int | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def note(self, key: str, formula: Callable[[], float | int]) -> None:
        """Note what `formula()` returns under the key, or why it cannot be had."""
        self.note_all((key,), lambda: {key: formula()})

    def note_all(self, keys: tuple[str, ...], formula: Callable[[], dict[str, float | int]]) -> None:
        """Note each of the keys that one formula finds together, or why none can be had."""
        try:
            found = formula()
        except NotMeasurableError as error:
            self.miss(keys, str(error))
            return
        for key in keys:
            if math.isfinite(found[key]):
                self.values[key] = found[key]
            else:
                self.miss((key,), "the formula gives no finite number on these voxels")

    def note_mean(self, key: str, of: tuple[str, ...]) -> None:
        """Note the mean of values noted before, or why one of them cannot be had."""
        self.note(key, lambda: sum(self[each] for each in of) / len(of))

    def miss(self, keys: tuple[str, ...], reason: str) -> None:
        """Note the keys as null for one reason."""
        for key in keys:
            self.values[key], self.reasons[key] = None, reason

    def __getitem__(self, key: str) -> float | int:
        """Return a value that another metric is made of; raises NotMeasurableError with its reason."""
        value = self.values[key]
        if value is None:
            raise NotMeasurableError(self.reasons[key])
        return value


def need(condition: object, reason: str) -> None:
    """Raise NotMeasurableError with the reason unless the condition holds."""
    if not condition:
        raise NotMeasurableError(reason)
