"""A copy of a head with artefacts of chosen strength, or of a chosen grade, and what is seen of them.

The order is that of an examination: the agent is injected, the sequence gives its contrast, the
head moves, the receiver adds its noise. Each step is measured against what went into it, so that
noise is not taken for motion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from qcbench.errors import UsageError
from qcbench.imaging.heads import Head
from qcbench.imaging.simulate import contrast, gadolinium, grades, motion, signal
from qcbench.imaging.simulate.rejects import SCANS, straight_reject
from qcbench.imaging.simulate.severity import Sight
from qcbench.imaging.simulate.surroundings import surrounded

Degrade = Callable[[Head, float, np.random.Generator], np.ndarray]

#: The artefacts of each characteristic, in the order of an examination, with the share of draws each gets.
#: A field of view that is too small folds a second head over the first: raters see it as they see ghosts.
ARTEFACTS: dict[str, dict[str, tuple[Degrade, float]]] = {
    "gadolinium": {"gadolinium": (gadolinium.gadolinium, 1.0)},
    "contrast": {
        "mixing": (contrast.mixing, 0.4),
        "low_resolution": (contrast.low_resolution, 0.25),
        "thick_slices": (contrast.thick_slices, 0.15),
        "uneven_brightness": (contrast.uneven_brightness, 0.2),
    },
    "motion": {
        "abrupt": (motion.abrupt, 0.45),
        "slow": (motion.slow, 0.25),
        "ghosting": (motion.ghosting, 0.2),
        "wrap_around": (motion.wrap_around, 0.1),
    },
    "noise": {"noise": (signal.noise, 0.8), "spikes": (signal.spikes, 0.2)},
}
#: The strengths of an injection that are drawn: weaker ones would be seen by some raters only.
_DOSES = (0.7, 1.0)
_MOST_TRIES = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Copy:
    """A degraded head; `severity` and `grades` are measured, by characteristic; `strengths` by artefact.

    `figures` holds further measures of the whole change: `sharpness_lost` and `ghost_level`.
    `n_tries` is how many strengths were tried until the grades were as asked.
    """

    head: Head
    gadolinium: bool
    severity: dict[str, float]
    grades: dict[str, int]
    strengths: dict[str, float]
    figures: dict[str, float]
    n_tries: int = 1


def with_strengths(head: Head, strengths: Mapping[str, float], *, seed: int, sight: Sight | None = None) -> Copy:
    """Return the head with artefacts of these strengths (0 to 1, by name); none gives the very same voxels.

    `sight` saves a few hundredths of a second where many copies are made of one head. Raises
    UsageError for an unknown artefact or a strength beyond 0 to 1.
    """
    known = [name for family in ARTEFACTS.values() for name in family]
    for name, strength in strengths.items():
        if name not in known:
            raise UsageError(f"an artefact is one of {', '.join(known)}; got {name!r}")
        if not 0 <= strength <= 1:
            raise UsageError(f"the strength of {name} must be from 0 to 1, got {strength}")
    making = _Making(head, sight or Sight(head), seed)
    for characteristic, family in ARTEFACTS.items():
        for name in family:
            if strengths.get(name):
                made = making.attempt(characteristic, name, strengths[name])
                making.keep(characteristic, name, strengths[name], made)
    return making.copy()


def draw(
    head: Head,
    *,
    gadolinium: bool = False,
    motion: int = 0,
    contrast: int = 0,
    noise: int = 0,
    seed: int,
    sight: Sight | None = None,
) -> Copy:
    """Return a copy of these grades: which artefacts and how strong is drawn, measured, and mended.

    A strength that shows as another grade than the one that was asked for is changed and tried again;
    where an artefact cannot reach a grade on this head, another one is taken. In the end `grades`
    says what is there. The same arguments give the same voxels. Raises UsageError for a grade
    that is not 0, 1 or 2.
    """
    asked = {"motion": motion, "contrast": contrast, "noise": noise}
    for name, grade in asked.items():
        if grade not in (0, 1, 2):
            raise UsageError(f"{name} must be 0, 1 or 2, got {grade!r}")
    making = _Making(head, sight or Sight(head), seed)
    if gadolinium:
        dose = float(making.rng("dose").uniform(*_DOSES))
        making.keep("gadolinium", "gadolinium", dose, making.attempt("gadolinium", "gadolinium", dose))
    for characteristic in ("contrast", "motion", "noise"):
        making.reach(characteristic, asked[characteristic])
    return making.copy()


def plant(head: Head, planted: Mapping[str, object], *, seed: int, sight: Sight | None = None) -> tuple[Head, dict]:
    """Return an image with what is to be planted in it, surroundings included, and what is there to be seen.

    `planted` has `straight_reject`, and `kind` or else `gadolinium`, `motion`, `contrast` and
    `noise`. The truth that comes back has the same keys, its grades as measured, and `severity`,
    `strengths`, `figures` and `asked` beside them.
    """
    if planted["straight_reject"]:
        kind = str(planted["kind"])
        rng = np.random.default_rng([seed, *b"reject"])
        # Scans that are rejected have moved and are noisy as others are; otherwise noise would speak for a scan.
        poor = {name: int(rng.integers(0, 3)) for name in grades.scales()}
        if kind in SCANS and rng.random() < 0.6:
            head = draw(head, **poor, gadolinium=bool(rng.random() < 0.5), seed=seed, sight=sight).head
        return surrounded(straight_reject(head, kind=kind, seed=seed), seed=seed), {"planted": dict(planted)}
    asked = {name: planted[name] for name in ("gadolinium", *grades.scales())}
    made = draw(head, **asked, seed=seed, sight=sight)
    truth = {
        "planted": {**planted, **made.grades},
        "asked": asked,
        "severity": made.severity,
        "strengths": made.strengths,
        "figures": made.figures,
    }
    return surrounded(made.head, seed=seed), truth


class _Making:
    """A copy on its way: the voxels so far, their slices, and what was measured."""

    def __init__(self, head: Head, sight: Sight, seed: int) -> None:
        self._head, self._sight, self._seed = head, sight, seed
        self._planes = sight.untouched
        self._strengths: dict[str, float] = {}
        self._severity = dict.fromkeys(grades.scales(), 0.0)
        self._n_tries = 0

    def rng(self, step: str) -> np.random.Generator:
        """Return a generator for one step, so that one step's draws do not depend on another's."""
        return np.random.default_rng([self._seed, *step.encode()])

    def attempt(self, characteristic: str, name: str, strength: float) -> tuple[Head, list[np.ndarray], float]:
        """Return the head, the slices and the severity that a strength leads to."""
        data = ARTEFACTS[characteristic][name][0](self._head, strength, self.rng(name))
        changed = replace(self._head, data=data)
        planes = self._sight.cut(data)
        if characteristic not in grades.scales():
            return changed, planes, 0.0
        measure = getattr(self._sight, grades.scales()[characteristic].measure)
        self._n_tries += 1
        return changed, planes, measure(self._planes, planes)

    def keep(self, characteristic: str, name: str, strength: float, made: tuple) -> None:
        """Go on from what an attempt made."""
        self._head, self._planes, severity = made
        self._strengths[name] = strength
        if characteristic in self._severity:
            # Two artefacts of one characteristic in one copy add up, more or less.
            self._severity[characteristic] += severity

    def reach(self, characteristic: str, grade: int) -> None:
        """Add an artefact so that the characteristic has this grade, as near as can be."""
        rng = self.rng(f"which {characteristic}")
        family = ARTEFACTS[characteristic]
        shares = np.array([share for _, share in family.values()])
        order = [str(name) for name in rng.choice(list(family), len(family), replace=False, p=shares / shares.sum())]
        scale = grades.scales()[characteristic]
        wanted = float(rng.uniform(*scale.draws[grade]))
        if grade == 0 and rng.random() < 0.5:
            return  # half of the good ones have nothing at all
        best = None
        for name in (name for name in order if scale.can_draw(name, grade)):
            strength, made = self._search(characteristic, name, wanted, grade)
            if best is None or abs(made[2] - wanted) < abs(best[2][2] - wanted):
                best = (name, strength, made)
            if scale.grade(made[2]) == grade:
                best = (name, strength, made)
                break
        self.keep(characteristic, *best)

    def _search(self, characteristic: str, name: str, wanted: float, grade: int) -> tuple[float, tuple]:
        """Return the strength that shows the wanted severity, and what it made."""
        scale = grades.scales()[characteristic]
        strength, relative, best = grades.first_guess(name, wanted), 1.0, None
        for _ in range(_MOST_TRIES):
            made = self.attempt(characteristic, name, strength)
            if best is None or abs(made[2] - wanted) < abs(best[1][2] - wanted):
                best = (strength, made)
            if scale.grade(made[2]) == grade:
                return strength, made
            if strength >= 1 and made[2] < wanted:
                break
            # This head and draw show more or less of the artefact than the table's: by that factor.
            relative *= max(made[2], 1e-3) / max(wanted, 1e-3)
            strength = grades.first_guess(name, wanted / relative)
        return best

    def copy(self) -> Copy:
        """Return the copy with its measured grades."""
        scales, before = grades.scales(), self._sight.untouched
        return Copy(
            head=self._head,
            gadolinium=self._strengths.get("gadolinium", 0.0) > 0,
            severity={name: round(value, 4) for name, value in self._severity.items()},
            grades={name: scales[name].grade(value) for name, value in self._severity.items()},
            strengths={name: round(value, 4) for name, value in self._strengths.items()},
            figures={
                "sharpness_lost": round(self._sight.sharpness_lost(before, self._planes), 4),
                "ghost_level": round(self._sight.ghost_level(before, self._planes), 4),
            },
            n_tries=self._n_tries,
        )
