"""The alignment tried on the template itself: what is right must score high, what is wrong low.

Made for the start of a batch and for `doctor`: a broken library, template or version shows here and not in a thousand
pictures. The template is looked at as it is and laid where it does not belong; nothing is searched but once.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.spatial.transform import Rotation

from qcbench.errors import WorkerError
from qcbench.findings import Finding, ok, problem
from qcbench.imaging import isolate, register, score, template
from qcbench.imaging.template import Template

#: What a found alignment may be away from the known one.
_NEAR_MM = 2.0
_AT_MM = 4
_TIMEOUT_S, _MEMORY_GB = 300.0, 4.0
_INSTALL = "Install the versions of constraints.txt again: pip install 'qcbench[prepare]' -c constraints.txt"


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """Whether preprocessing works here: each case with the score it got and whether it passed."""

    cases: dict[str, float]
    failures: tuple[str, ...]
    displacement_mm: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every case came out as it must."""
        return not self.failures


@cache
def run_once() -> SelfTest:
    """Return the result of `self_test` in a process of its own, made once a session."""
    return isolate.call(self_test, timeout_s=_TIMEOUT_S, memory_gb=_MEMORY_GB)


def require() -> None:
    """Raise WorkerError when preprocessing does not work here: no image would be worth its time."""
    result = run_once()
    if not result.passed:
        raise WorkerError(
            f"preprocessing fails on the template itself: {', '.join(result.failures)}, expected all cases to pass. "
            "Install the versions of constraints.txt again and run: qcbench doctor"
        )


def finding() -> Finding:
    """Return for the doctor whether preprocessing works here."""
    result = run_once()
    name = "preprocessing"
    if not result.passed:
        return problem(name, f"fails on the template itself: {', '.join(result.failures)}", _INSTALL)
    found = f"the template is found within {result.displacement_mm:.1f} mm, and 5 wrong places of it are told"
    return ok(name, found)


def self_test() -> SelfTest:
    """Return what the alignment makes of the template (about 4 CPU-seconds, loading included; native code).

    Searched for with a known place in the scanner, it must be found within 2 mm and score at least what ends a
    search. Laid wrong (a quarter and a half turn, upside down, far away), it must score below `score.LOW`.
    """
    # One thread: ITK adds in the order in which threads end, and the last digits would change.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    began = time.monotonic()
    coarse = template.load().coarse(_AT_MM)
    cases = {"in its place": _scored(coarse, np.eye(4))}
    wrong = {name: _scored(coarse, _about_brain(coarse, turn)) for name, turn in _wrong_turns().items()}
    beside = np.eye(4)
    beside[0, 3] = 200.0
    wrong["outside the image"] = _scored(coarse, beside)
    found, apart_mm = _searched()
    cases |= {**wrong, "found again": found}
    least = register.RegisterOptions().enough
    failures = [name for name in ("in its place", "found again") if cases[name] < least]
    failures += [name for name in wrong if cases[name] >= score.LOW]
    if apart_mm > _NEAR_MM:
        failures.append(f"found {apart_mm:.1f} mm away")
    seconds = time.monotonic() - began
    return SelfTest(cases=cases, failures=tuple(failures), displacement_mm=apart_mm, seconds=seconds)


def _scored(coarse: Template, template_to_scanner: np.ndarray) -> float:
    return round(score.score(coarse.t1, coarse.affine, template_to_scanner, coarse).alignment, 3)


def _wrong_turns() -> dict[str, np.ndarray]:
    return {
        "a quarter turn about z": Rotation.from_euler("z", 90, degrees=True).as_matrix(),
        "a half turn about z": Rotation.from_euler("z", 180, degrees=True).as_matrix(),
        "a quarter turn about x": Rotation.from_euler("x", 90, degrees=True).as_matrix(),
        "upside down": np.diag([1.0, 1.0, -1.0]),
    }


def _about_brain(coarse: Template, linear: np.ndarray) -> np.ndarray:
    """Return a linear map about the middle of the brain as an affine (4, 4)."""
    centre = (coarse.affine @ [*np.argwhere(coarse.brain).mean(axis=0), 1])[:3]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, centre - linear @ centre
    return matrix


def _searched() -> tuple[float, float]:
    """Return the score of the template when it is searched for, smaller and tilted, and how far off it was found."""
    fine = template.load().coarse(2)
    placed = np.eye(4)
    placed[:3, :3] = 0.87 * Rotation.from_euler("xyz", (12, 3, -5), degrees=True).as_matrix()
    placed[:3, 3] = (8, -15, 20)
    found = register.register(fine.t1, placed @ fine.affine, register.RegisterOptions())
    return round(found.score.alignment, 3), register.displacement_mm(found.template_to_scanner, placed)
