"""Signal, noise and contrast of one volume: numbers and masks in, one number out.

Medians stand where the published formulas have means, as in MRIQC: a vessel or a lesion does not move them.
Every function raises NotMeasurableError where its formula would divide by nothing.
"""

from __future__ import annotations

import math

import numpy as np

from qcbench.iqm.reasons import need

#: The standard deviation of a Rayleigh distribution over that of the noise in either channel: sqrt((4 - pi) / 2).
RAYLEIGH_SPREAD = 0.6551364
#: With white matter at 1000, less than this is no spread of noise.
_LEAST_MAD, _LEAST_STDV = 1.0, 1e-3


def snr(median: float, stdv: float, n_voxels: float) -> float:
    """Return the signal-to-noise ratio of a tissue by itself: its median over its sample standard deviation.

    Higher is better; no unit. Source: MRIQC, after Magnotta & Friedman, J Digit Imaging 2006.

    >>> round(snr(median=100.0, stdv=5.0, n_voxels=1e9), 6)
    20.0
    """
    need(n_voxels > 1, "the region has one voxel at most")
    need(stdv > 0, "the region has the same value everywhere")
    return median / (stdv * math.sqrt(n_voxels / (n_voxels - 1)))


def snr_dietrich(median: float, *, air_stdv: float, air_mad: float | None = None) -> float:
    """Return the signal-to-noise ratio of a tissue over the air: 0.655 times its median over the air's spread.

    The factor makes the spread of a Rayleigh distribution that of its noise. With `air_mad`, that is the spread where
    it is above 1, as in MRIQC. Higher is better; no unit. Source: Dietrich et al., J Magn Reson Imaging 2007, eq. A.12.

    >>> round(snr_dietrich(100.0, air_stdv=2.0), 6)
    32.75682
    """
    if air_mad is not None and air_mad > _LEAST_MAD:
        return RAYLEIGH_SPREAD * median / air_mad
    need(air_stdv > _LEAST_STDV, "the air has no noise to compare with: it is constant")
    return RAYLEIGH_SPREAD * median / air_stdv


def cnr(*, wm_median: float, gm_median: float, wm_stdv: float, gm_stdv: float, air_stdv: float) -> float:
    """Return the contrast of white and grey matter over the spread of both and of the air.

    Higher is better; no unit. Source: Magnotta & Friedman, J Digit Imaging 2006.

    >>> cnr(wm_median=110.0, gm_median=70.0, wm_stdv=6.0, gm_stdv=8.0, air_stdv=0.0)
    4.0
    """
    spread = math.sqrt(air_stdv**2 + gm_stdv**2 + wm_stdv**2)
    need(spread > 0, "white matter, grey matter and air are each constant")
    return abs(wm_median - gm_median) / spread


def cjv(*, wm_median: float, gm_median: float, wm_mad: float, gm_mad: float) -> float:
    """Return the coefficient of joint variation of white and grey matter: their spread over their distance.

    Lower is better; motion and uneven intensity raise it; no unit. Source: Ganzetti et al., Front Neuroinform 2016,
    with the median absolute deviation for the standard deviation, as in MRIQC.

    >>> cjv(wm_median=110.0, gm_median=70.0, wm_mad=6.0, gm_mad=10.0)
    0.4
    """
    need(wm_median != gm_median, "white and grey matter have the same median")
    return (wm_mad + gm_mad) / abs(wm_median - gm_median)


def fber(data: np.ndarray, inside: np.ndarray, outside: np.ndarray, *, of_medians: bool) -> float:
    """Return the mean energy of the voxels inside over that of those outside.

    `of_medians`: median energies, as MRIQC computes them, in place of the published means. Higher is better; no unit.
    Source: Shehzad et al., the Preprocessed Connectomes Project's Quality Assessment Protocol, 2015.

    >>> fber(np.array([3.0, 3.0, 1.0, 1.0]), np.arange(4) < 2, np.arange(4) >= 2, of_medians=False)
    9.0
    """
    need(inside.any(), "the head mask is empty")
    need(outside.any(), "nothing lies outside the head")
    energies = [_median_energy(data[mask]) if of_medians else _mean_energy(data[mask]) for mask in (inside, outside)]
    # MRIQC's bound for its sentinel; on its scale the white matter has an energy of a million.
    need(energies[1] >= 1e-3, "the air has no signal at all: it was cut away or set to zero")
    return energies[0] / energies[1]


def efc(data: np.ndarray, region: np.ndarray) -> float:
    """Return the entropy focus criterion: the entropy of the intensities over that of a uniform image.

    Lower is better, 0 for one bright voxel in the dark, 1 for a uniform image; blur and ghosts raise it; no unit.
    `data` is not negative. Source: Atkinson et al., IEEE Trans Med Imaging 1997.

    >>> round(efc(np.full((4, 4, 4), 7.0), np.ones((4, 4, 4), bool)), 12)
    1.0
    """
    values = data[region]
    need(values.size > 1, "the region has one voxel at most")
    n_voxels = values.size
    # x ln x is 0 at 0: the many zeros of a field of view need no logarithm.
    values = values[values > 0].astype(np.float64)
    energy = float(values @ values)
    need(energy > 0, "the region is black")
    root = math.sqrt(energy)
    # The sum of x/b ln(x/b), with the division by b taken out of it.
    entropy = (float(values @ np.log(values)) - math.log(root) * float(values.sum())) / root
    return entropy / (math.sqrt(n_voxels) * math.log(1 / math.sqrt(n_voxels)))


def wm2max(data: np.ndarray, wm_median: float) -> float:
    """Return the median of white matter over the 99.95th percentile of the voxels given.

    0.6 to 0.8 is usual in T1w images; fat, vessels and contrast agent lower it; no unit. Source: MRIQC, Esteban et
    al., PLoS ONE 2017.

    >>> wm2max(np.arange(20001.0), wm_median=9995.0)
    0.5
    """
    need(data.size, "the region is empty")
    rank = 0.9995 * (data.size - 1)
    low = math.floor(rank)
    high = min(low + 1, data.size - 1)
    ordered = np.partition(data.reshape(-1), (low, high))
    most = float(ordered[low]) + (float(ordered[high]) - float(ordered[low])) * (rank - low)
    need(most > 0, "the region is black")
    return wm_median / most


def _mean_energy(values: np.ndarray) -> float:
    values = values.astype(np.float64, copy=False)
    return float(values @ values) / values.size


def _median_energy(values: np.ndarray) -> float:
    # Of an even number, the mean of two squares and not the square of a mean.
    middle = (values.size - 1) // 2
    ordered = np.partition(np.abs(values), (middle, values.size // 2))
    return (float(ordered[middle]) ** 2 + float(ordered[values.size // 2]) ** 2) / 2
