"""What lies in the air around the head: artefacts (QI1), and whether the rest is the noise of a scanner (QI2).

Both after Mortamet et al., Magn Reson Med 2009; lower is better, no unit.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize
from scipy.special import gammaln, xlogy

from qcbench.iqm.reasons import need

#: The degrees of freedom that MRIQC starts its fit from.
_COIL_ELEMENTS = 32
_LEAST_VOXELS = 1000
#: As many voxels are drawn as MRIQC draws, with its seed.
_MOST_VOXELS, _SEED = 300_000, 1191935
#: The scale on which the 99th percentile is 100: where densities are compared, and how smooth the image's is.
_GRID = np.linspace(0.0, 110.0, 1000)
_BANDWIDTH = 4.0
#: More distinct values than these are binned: the likelihood needs finer bins than the density, which is smooth.
_MOST_DISTINCT_FITTED, _FITTED_BIN = 20_000, 0.002
_MOST_DISTINCT_SMOOTHED, _SMOOTHED_BIN = 2_000, 0.02
#: What scipy adds to the negative log likelihood for a value that the distribution cannot have.
_PENALTY = 100 * math.log(np.finfo(float).max)


def qi1(air: np.ndarray, artefact: np.ndarray) -> float:
    """Return the share of the air above the nose and the nape that holds artefacts; `air` is without them.

    >>> qi1(np.array([True, True, True, False]), np.array([False, False, False, True]))
    0.25
    """
    n_air, n_artefact = int(np.count_nonzero(air)), int(np.count_nonzero(artefact))
    need(n_air, "no air is left above the nose and the nape")
    return n_artefact / (n_air + n_artefact)


def qi2(data: np.ndarray, hat: np.ndarray, *, drawn: bool) -> float:
    """Return the mean distance of the air's density from the chi-squared one that fits it best, right of its mode.

    `hat` is the air above the nose and the nape, artefacts included. `drawn`: zeros count as values, and of more than
    300,000 voxels as many are drawn with a fixed seed, as in MRIQC; otherwise all voxels above zero are used.
    """
    values = data[hat].astype(np.float64)
    # A negative value is a filter's overshoot.
    values = np.maximum(values, 0.0)
    n_positive = int(np.count_nonzero(values))
    need(n_positive >= _LEAST_VOXELS, f"the air has {n_positive} voxels above zero, {_LEAST_VOXELS} are needed")
    if not drawn:
        values = values[values > 0]
    need(values.min() < values.max(), "the air has the same value everywhere")
    top = float(np.percentile(values, 99))
    need(top > 0, "99 of 100 voxels of the air are zero: its noise was removed")
    values *= 100 / top
    if drawn and values.size >= _MOST_VOXELS:
        values = np.random.RandomState(_SEED).choice(values, size=_MOST_VOXELS)
    # Scanners write whole numbers: there are far fewer distinct values than voxels.
    distinct, counts = np.unique(values, return_counts=True)
    if distinct.size > _MOST_DISTINCT_FITTED:
        distinct, counts = _binned(distinct, counts, _FITTED_BIN)
    density = _density(distinct, counts)
    # Right of the half maximum, where artefacts and not the shape of the noise make the difference.
    from_right = int(np.argmax(density[::-1] > density.max() / 2))
    need(from_right, "the air's intensities have no tail")
    fitted = _chi2_density(_GRID, *_fit(distinct, counts, values))
    return float(np.abs(density - fitted)[-from_right:].mean())


def _binned(distinct: np.ndarray, counts: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the means of bins of that width, and how many values each holds; zero stays by itself."""
    bins = np.ceil(distinct / width).astype(np.int64)
    starts = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1))
    sums = np.add.reduceat(counts, starts)
    return np.add.reduceat(distinct * counts, starts) / sums, sums


def _density(distinct: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the Gaussian kernel density of the values on the grid."""
    total = counts.sum()
    near = distinct < _GRID[-1] + 10 * _BANDWIDTH
    distinct, counts = distinct[near], counts[near]
    if distinct.size > _MOST_DISTINCT_SMOOTHED:
        distinct, counts = _binned(distinct, counts, _SMOOTHED_BIN)
    kernels = np.exp(-0.5 * np.square((_GRID[:, None] - distinct[None]) / _BANDWIDTH))
    return kernels @ counts / (total * _BANDWIDTH * math.sqrt(2 * math.pi))


def _fit(distinct: np.ndarray, counts: np.ndarray, values: np.ndarray) -> tuple[float, float, float]:
    """Return the degrees of freedom, location and scale of greatest likelihood, searched as scipy's ``chi2.fit`` does.

    The same start, simplex and stopping rule lead to the same end; only the likelihood is summed over distinct values.
    """
    total = counts.sum()

    def cost(parameters: np.ndarray) -> float:
        df, loc, scale = (float(each) for each in parameters)
        if scale <= 0 or df <= 0:
            return math.inf
        x = (distinct - loc) / scale
        with np.errstate(divide="ignore", invalid="ignore"):
            each = xlogy(df / 2 - 1, x) - x / 2
        good = (x >= 0) & np.isfinite(each)
        n_good = counts[good].sum()
        likelihood = counts[good] @ each[good] - n_good * (gammaln(df / 2) + math.log(2) * df / 2)
        return -likelihood + total * math.log(scale) + (total - n_good) * _PENALTY

    return tuple(optimize.fmin(cost, (_COIL_ELEMENTS, *_start(values)), disp=False))


def _start(values: np.ndarray) -> tuple[float, float]:
    """Return location and scale from the moments of one degree of freedom; below the least value where they are not."""
    scale = math.sqrt(float(values.var()) / 2)
    loc = float(values.mean()) - scale
    low, high = float(values.min()), float(values.max())
    return (loc, scale) if loc < low else (low - 0.1 * (high - low), 1.0)


def _chi2_density(x: np.ndarray, df: float, loc: float, scale: float) -> np.ndarray:
    y = np.maximum((x - loc) / scale, 0)
    with np.errstate(divide="ignore"):
        logarithm = xlogy(df / 2 - 1, y) - y / 2 - gammaln(df / 2) - math.log(2) * df / 2
    return np.where(x < loc, 0.0, np.exp(logarithm) / scale)
