"""Which series are taken: those whose descriptions the radiologist has marked in the list of `attributes`.

Bottani et al. 2022 fetch "the images with a kept value" and do not say how three attributes are put together. Here
all of them must agree: a knee whose series is called "T1 3D" has a kept SeriesDescription and is no brain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from qcbench.errors import UsageError
from qcbench.prepare import words
from qcbench.prepare.attributes import ATTRIBUTES, read_numbered

#: What may stand in the column `keep`, in small letters and without accents.
YES = words.as_set("yes y oui o ok x 1 true vrai keep kept garder garde k v ✓ ✔")
NO = words.as_set("no n non 0 false faux drop exclude exclure")
#: How the reasons of series that are not taken begin.
NOT_KEPT = "not kept"
RULES = ("all", "any")


@dataclass(frozen=True, kw_only=True)
class Marks:
    """The marks of a list: (attribute, value) -> kept or not; values without a mark are not in it."""

    kept: Mapping[tuple[str, str], bool]
    rule: str = "all"

    @cached_property
    def _asked(self) -> set[str]:
        return {name for (name, _), kept in self.kept.items() if kept}

    def refusal(self, series: Mapping) -> str | None:
        """Return why a series is not taken, None when it is; no value of a header is in the reason.

        An attribute of which the list marks no value as kept is not asked. With the rule ``all`` every other
        attribute must have a kept value or be empty, one at least must have one, and no value may be marked as not
        kept; with ``any`` one kept value is enough.
        """
        marks = {name: self.kept.get((name, series[column] or "")) for name, column in ATTRIBUTES.items()}
        if self.rule == "any":
            return None if True in marks.values() else f"{NOT_KEPT}: none of its descriptions is marked"
        for name, column in ATTRIBUTES.items():
            if marks[name] is False:
                return f"{NOT_KEPT}: its {name} is marked as not to be kept"
            if name in self._asked and marks[name] is None and series[column]:
                return f"{NOT_KEPT}: its {name} is not marked"
        return None if True in marks.values() else f"{NOT_KEPT}: it has no description that is marked"


def read_marks(path: Path, *, rule: str = "all") -> Marks:
    """Return the marks of a list. Raises UsageError when it is missing, a mark is unknown, or nothing is kept."""
    if rule not in RULES:
        raise UsageError(f"a series is taken when all of its descriptions are kept, or any: {RULES}; got {rule!r}")
    if not path.is_file():
        raise UsageError(f"{path} is missing; make the list with: qcbench attributes SOURCE {path}")
    kept: dict[tuple[str, str], bool] = {}
    for line, row in read_numbered(path):
        mark = words.folded(row["keep"]).strip()
        if row["attribute"] not in ATTRIBUTES:
            raise UsageError(
                f"{path}, line {line}: the attribute must be one of {', '.join(ATTRIBUTES)}, got {row['attribute']!r}"
            )
        if mark and mark not in YES | NO:
            raise UsageError(
                f"{path}, line {line}: `keep` must be yes, oui, x or 1 (no, non or 0; empty: not marked), "
                f"got {row['keep']!r}"
            )
        if mark:
            kept[(row["attribute"], row["value"])] = mark in YES
    if True not in kept.values():
        raise UsageError(f"{path} keeps nothing: have the column `keep` marked (yes) by somebody who knows, then again")
    return Marks(kept=kept, rule=rule)


def told(reasons: Counter) -> str:
    """Return reasons with their counts in one sentence, the most frequent first."""
    return "; ".join(f"{n} {reason}" for reason, n in reasons.most_common())
