"""What changes from volume to volume of a bold series: arrays in, numbers out.

`voxels` is a matrix with one row a voxel of the brain and one column a volume, after motion correction.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm, rankdata

from qcbench.iqm.reasons import need

#: The interquartile range of a normal distribution with a standard deviation of 1, to FSL's digits.
_IQR_OF_NORMAL = 1.349
#: Below this spread a voxel is taken not to change.
_LEAST_SPREAD = 1e-7
_LEAST_STDV = 1e-3
#: How many volumes at the start are looked at for a signal that is not steady yet, and how far off is off.
_FIRST_VOLUMES, _FAR = 50, 3.5
#: Share of points that 3dToutcount lets be outliers by chance, over the length of the series.
_OUTLIERS_BY_CHANCE = 0.001


def dummy_trs(global_signal: np.ndarray) -> int:
    """Return how many volumes at the start are not in a steady state yet.

    `global_signal` is the mean of each volume. Those whose distance from the median of the first 50, over the median
    distance, is above 3.5 in units of a normal standard deviation count, up to the first that is not. Source: the
    modified z-score of Iglewicz & Hoaglin 1993, as in nipype's NonSteadyStateDetector.

    >>> dummy_trs(np.array([130.0, 115.0, 100.0, 101.0, 99.0, 100.0, 101.0, 99.0]))
    2
    """
    first = np.asarray(global_signal, np.float64)[:_FIRST_VOLUMES]
    distance = np.abs(first - np.median(first))
    # Without any spread, whatever differs is far off.
    far = 0.6745 * distance > _FAR * np.median(distance)
    return int(np.argmin(far)) if not far.all() else len(far)


def dvars(voxels: np.ndarray) -> dict[str, float]:
    """Return three means over time of DVARS, the spatial root mean square of the change between two volumes.

    `nstd` is in tenths of a percent: the median of all voxels is scaled to 1000. `std` is that over what a brain whose
    voxels are first-order autoregressive would have, `vstd` compares voxel by voxel: both are near 1 in a steady
    series. Lower is better. Voxels that do not change are left out. Source: Power et al., NeuroImage 2012;
    Nichols, Notes on creating a standardized version of DVARS, 2013.
    """
    need(voxels.shape[1] > 2, f"a series of at least 3 volumes is needed, this one has {voxels.shape[1]}")
    need(voxels.size, "the brain mask is empty")
    scale = float(np.median(voxels))
    need(scale > 0, "the brain is black")
    scaled = voxels.astype(np.float64) * (1000 / scale)
    # The quartiles are values that occur, as FSL takes them.
    low, high = np.percentile(scaled, (25, 75), axis=1, method="lower")
    spread = (high - low) / _IQR_OF_NORMAL
    changing = spread > _LEAST_SPREAD
    need(changing.any(), "no voxel changes over time")
    scaled, spread = scaled[changing], spread[changing]
    expected = np.sqrt(2 * (1 - _lag_one(scaled))) * spread
    steps = np.diff(scaled, axis=1)
    nstd = np.sqrt(np.square(steps).mean(axis=0))
    vstd = np.sqrt(np.square(steps / expected[:, None]).mean(axis=0))
    return {"nstd": float(nstd.mean()), "std": float((nstd / expected.mean()).mean()), "vstd": float(vstd.mean())}


def tsnr(voxels: np.ndarray, *, with_constant: bool) -> float:
    """Return the median over voxels of the mean over time divided by the standard deviation.

    `with_constant`: voxels that do not change count as 0, as in MRIQC; otherwise they are left out. Higher is better;
    drift lowers it, for none is removed. Source: Krueger & Glover, Magn Reson Med 2001.

    >>> tsnr(np.array([[9.0, 11.0], [18.0, 22.0], [5.0, 5.0]]), with_constant=False)
    10.0
    """
    need(voxels.size, "the brain mask is empty")
    stdv = voxels.std(axis=1, dtype=np.float64)
    changing = stdv > _LEAST_STDV
    need(changing.any(), "no voxel changes over time")
    ratio = np.divide(voxels.mean(axis=1, dtype=np.float64), stdv, out=np.zeros(len(voxels)), where=changing)
    return float(np.median(ratio if with_constant else ratio[changing]))


def gcor(voxels: np.ndarray) -> float:
    """Return the mean of the correlations of all pairs of voxels, each with itself included.

    High values tell of a signal that the whole brain shares: breathing, motion, a drifting scanner. Lower is better,
    -1 to 1. It is the squared length of the mean of all series made zero-mean and of unit length. Source: Saad et al.,
    Brain Connect 2013.

    >>> gcor(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]))
    0.0
    """
    need(voxels.size, "the brain mask is empty")
    demeaned = voxels - voxels.mean(axis=1, keepdims=True, dtype=np.float64)
    lengths = np.sqrt(np.einsum("vt,vt->v", demeaned, demeaned))
    changing = lengths > _LEAST_SPREAD
    need(changing.any(), "no voxel changes over time")
    mean = (demeaned[changing] / lengths[changing, None]).mean(axis=0)
    return float(mean @ mean)


def aor(voxels: np.ndarray) -> float:
    """Return the mean share of the voxels of a volume that are outliers of their own series.

    An outlier is further from its series' median than the median absolute deviation times sqrt(pi / 2) times the
    normal quantile that one in 1000 series would pass by chance. Lower is better, 0 to 1. Source: AFNI's 3dToutcount
    -fraction.
    """
    n_voxels, n_volumes = voxels.shape
    need(n_voxels, "the brain mask is empty")
    need(n_volumes > 2, f"a series of at least 3 volumes is needed, this one has {n_volumes}")
    far = norm.isf(_OUTLIERS_BY_CHANCE / n_volumes) * math.sqrt(math.pi / 2)
    distance = np.abs(voxels - np.median(voxels, axis=1, keepdims=True))
    deviation = np.median(distance, axis=1, keepdims=True)
    # Most points of a voxel that hardly changes are its median: any other would count, so none does.
    return float(((distance > far * deviation) & (deviation > 0)).mean())


def aqi(voxels: np.ndarray) -> float:
    """Return the mean over volumes of 1 minus the rank correlation with the median volume.

    Lower is better, 0 to 2. Source: AFNI's 3dTqual, which takes its own automatic mask where this takes the brain's.
    """
    need(len(voxels) > 2, "the brain mask has two voxels at most")
    median = np.median(voxels, axis=1)
    need(median.min() < median.max(), "the median volume has the same value everywhere")
    return float(np.mean([1 - _rank_correlation(column, median) for column in voxels.T]))


def gsr(mean: np.ndarray, brain: np.ndarray, *, axis: int) -> float:
    """Return how much brighter the air is where a ghost of the brain would lie than elsewhere, over the brain's median.

    The ghost of an echo-planar image lies half a field of view away along the phase-encoding axis; the other axis tells
    what is usual. Near 0 is better. The field must be the scanner's: a cropped or padded one moves the ghost. The
    difference of two means is taken in the precision of `mean`. Source: Giannelli et al., J Appl Clin Med Phys 2010.
    """
    need(brain.any(), "the brain mask is empty")
    ghost = np.roll(brain, brain.shape[axis] // 2, axis=axis) & ~brain
    elsewhere = ~ghost & ~brain
    need(ghost.any() and elsewhere.any(), "the brain leaves no room for a ghost and for air without one")
    median = float(np.median(mean[brain]))
    need(median > 0, "the brain is black")
    return float(mean[ghost].mean() - mean[elsewhere].mean()) / median


def _lag_one(series: np.ndarray) -> np.ndarray:
    """Return each row's autocorrelation at a lag of one, the Yule-Walker estimate of a first-order process."""
    demeaned = series - series.mean(axis=1, keepdims=True)
    return np.einsum("vt,vt->v", demeaned[:, 1:], demeaned[:, :-1]) / np.einsum("vt,vt->v", demeaned, demeaned)


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    if first.min() == first.max():
        # A lost volume is like no other.
        return 0.0
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
