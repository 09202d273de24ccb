"""From a measured severity to the protocol's grade, and from a grade to the strengths to try."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import numpy as np

from qcbench.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The grades of one characteristic: its measure, where grades 1 and 2 begin, what is drawn for each.

    `only` names the grades for which an artefact is drawn, where that is not all of them.
    """

    measure: str
    visible: float
    severe: float
    draws: tuple[tuple[float, float], ...]
    only: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def can_draw(self, artefact: str, grade: int) -> bool:
        """Return whether an artefact is drawn for a grade: it may be, and heads of the table reached it."""
        return grade in self.only.get(artefact, (0, 1, 2)) and curves()[artefact].max() >= self.draws[grade][0]

    def grade(self, severity: float) -> int:
        """Return 0, 1 or 2."""
        return int(severity >= self.visible) + int(severity >= self.severe)


@cache
def scales() -> dict[str, Scale]:
    """Return the committed scale of each graded characteristic."""
    return {
        name: Scale(
            measure=entry["measure"],
            visible=entry["visible"],
            severe=entry["severe"],
            draws=tuple(tuple(band) for band in entry["draws"]),
            only=entry.get("only", {}),
        )
        for name, entry in _file("grades.toml").items()
    }


@cache
def curves() -> dict[str, np.ndarray]:
    """Return, for each artefact, the median severity at the strengths of `strengths`."""
    return {name: np.array(row) for name, row in _file("curves.toml")["severity"].items()}


@cache
def strengths() -> np.ndarray:
    """Return the strengths (0 to 1) at which `curves` was measured."""
    return np.array(_file("curves.toml")["strengths"])


@cache
def tables_sha256() -> str:
    """Return a hash of both tables: copies graded by other tables are other copies."""
    return hashlib.sha256(b"".join(_content(name) for name in ("grades.toml", "curves.toml"))).hexdigest()


def first_guess(artefact: str, severity: float) -> float:
    """Return the strength (0 to 1) at which heads like those of the table show about that severity."""
    if artefact not in curves():
        raise UsageError(f"an artefact is one of {', '.join(curves())}; got {artefact!r}")
    # Where the curve is flat the first strength that reaches the severity is meant.
    rising = np.maximum.accumulate(curves()[artefact]) + 1e-9 * np.arange(len(strengths()))
    return float(np.interp(severity, rising, strengths()))


def _file(name: str) -> dict:
    return tomllib.loads(_content(name).decode("utf-8"))


def _content(name: str) -> bytes:
    return resources.files(__package__).joinpath(name).read_bytes()
