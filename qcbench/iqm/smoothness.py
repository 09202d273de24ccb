"""How smooth the voxels of a region are: the full width at half maximum (FWHM) of an equivalent blur."""

from __future__ import annotations

import math

import numpy as np

from qcbench.iqm.reasons import need

AXES = ("x", "y", "z")
_FWHM_OF_SIGMA = math.sqrt(8 * math.log(2))
#: Pairs of neighbours that a variance needs, as in AFNI.
_LEAST_PAIRS = 6


def fwhm(data: np.ndarray, region: np.ndarray, axis: int) -> float:
    """Return the smoothness along an axis, in voxels.

    White noise blurred by a Gaussian of width s has neighbours that differ by a variance of 2 V (1 - exp(-1 / 4 s^2)),
    V being that of the voxels: the formula is solved for s. Only neighbours in the region are compared. Lower is
    better. Source: Forman et al., Magn Reson Med 1995, as in AFNI's 3dFWHMx -ShowMeClassicFWHM on one volume; anatomy
    counts as noise, so the number is for comparison between images alone.
    """
    first, second = _neighbours(axis)
    both = region[first] & region[second]
    n_pairs = int(np.count_nonzero(both))
    need(n_pairs >= _LEAST_PAIRS, f"the region has {n_pairs} pairs of neighbours along {AXES[axis]}")
    variance = float(np.var(data[region], dtype=np.float64, ddof=1))
    need(variance > 0, "the region has the same value everywhere")
    steps = data[second][both].astype(np.float64) - data[first][both]
    correlation = 1 - float(np.var(steps, ddof=1)) / (2 * variance)
    need(0 < correlation < 1, f"neighbours along {AXES[axis]} are no more alike than others: no blur gives that")
    return _FWHM_OF_SIGMA * math.sqrt(-1 / (4 * math.log(correlation)))


def _neighbours(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    before = [slice(None)] * 3
    after = [slice(None)] * 3
    before[axis], after[axis] = slice(None, -1), slice(1, None)
    return tuple(before), tuple(after)
