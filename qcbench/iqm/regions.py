"""Statistics of the voxels of one region, each voxel weighted by how much of it belongs there.

The weighted quantile is that of SAS and statsmodels: the smallest value at which the summed weight passes p, and the
mean of two neighbours where it meets p exactly.
"""

from __future__ import annotations

import numpy as np

from qcbench.iqm.reasons import need

#: In the order of the keys, ``summary_<region>_<statistic>``.
STATISTICS = ("mean", "median", "p05", "p95", "stdv", "k", "mad", "n")
#: The median absolute deviation of a normal distribution with a standard deviation of 1.
MAD_OF_NORMAL = 0.6744897501960817
#: Whole numbers over at most so wide a range are counted, not sorted.
_MOST_COUNTERS = 2**22


def summary(data: np.ndarray, share: np.ndarray, *, decimals: int | None = None) -> dict[str, float]:
    """Return the eight STATISTICS of the voxels of a region; `share` in [0, 1] says how much of each belongs to it.

    Mean, stdv (of the population) and quantiles are weighted by the share; k, the excess kurtosis, and mad, in units
    of a normal standard deviation and centred on the weighted median, are those of voxels above half the largest
    share; n is the sum of shares. With `decimals`, data are rounded to whole numbers and shares to three digits first,
    results to `decimals`, as MRIQC does against noise of the last bit. Raises NotMeasurableError for an empty region.

    >>> found = summary(np.array([1.0, 2.0, 3.0, 100.0]), np.array([1.0, 1.0, 1.0, 0.0]))
    >>> found["mean"], found["median"], found["p95"], found["n"]
    (2.0, 2.0, 3.0, 3.0)
    """
    inside = share > 0
    values, weights = data[inside], share[inside]
    need(values.size, "the region is empty")
    core = values[weights > 0.5 * weights.max()]
    n_voxels = float(weights.sum(dtype=np.float64))
    if decimals is not None:
        values, weights = np.round(values), _rounded_shares(weights)
        need(weights.any(), "the region is empty")
    p05, median, p95 = quantiles(values, weights, (0.05, 0.5, 0.95), others=data if decimals is not None else None)
    mean, stdv = _moments(values, weights)
    found = {
        "mean": mean,
        "median": median,
        "p05": p05,
        "p95": p95,
        "stdv": stdv,
        "k": excess_kurtosis(core),
        "mad": mad(core, centre=median),
    }
    if decimals is not None:
        found = {name: round(value, decimals) for name, value in found.items()}
    return {**found, "n": n_voxels}


def quantiles(
    values: np.ndarray, weights: np.ndarray, probabilities: tuple[float, ...], *, others: np.ndarray | None = None
) -> tuple[float, ...]:
    """Return weighted quantiles of a flat array.

    MRIQC hands statsmodels the voxels outside the region too, with no weight; where the summed weight meets p exactly,
    the next larger value may then be one of theirs. `others`, the whole image, does the same.

    >>> quantiles(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), (0.2, 0.5, 0.75))
    (1.0, 2.0, 2.5)
    """
    distinct, summed = _cumulated(values, weights)
    found = []
    for probability in probabilities:
        target = probability * summed[-1]
        index = int(np.searchsorted(summed, target))
        value = float(distinct[index])
        if abs(target - summed[index]) < 1e-10:
            value = (value + _next_value(value, distinct, index, others)) / 2
        found.append(value)
    return tuple(found)


def mad(values: np.ndarray, *, centre: float | None = None) -> float:
    """Return the median absolute deviation from `centre` (the median) in units of a normal standard deviation.

    >>> round(mad(np.array([1.0, 2.0, 3.0, 4.0, 50.0])), 4)
    1.4826
    """
    need(values.size, "the region is empty")
    about = np.median(values) if centre is None else centre
    # In double precision whatever the voxels have: the last of four digits would differ.
    return float(np.median(np.abs(values - np.float64(about)))) / MAD_OF_NORMAL


def excess_kurtosis(values: np.ndarray) -> float:
    """Return the fourth central moment over the squared variance, minus 3; nan when all values are the same."""
    squared = np.square(values - values.mean(dtype=np.float64))
    variance = squared.mean()
    if variance <= np.square(np.finfo(float).eps * np.abs(values).max()):
        return float("nan")
    return float(np.square(squared).mean() / variance**2 - 3)


def _rounded_shares(shares: np.ndarray) -> np.ndarray:
    # In single precision, as MRIQC holds them: 0.123 is then another number in the last digits of the sums.
    return np.round(shares.astype(np.float32), 3).astype(np.float64) if shares.dtype != bool else shares


def _moments(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    if values.min() == values.max():
        # Rounding would leave a spread of 1e-16, and a division by it a number.
        return float(values[0]), 0.0
    if weights.dtype == bool:
        return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    total = weights.sum()
    mean = float(weights @ values / total)
    return mean, float(np.sqrt(weights @ np.square(values - mean) / total))


def _cumulated(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values in order and the weight up to and with each."""
    low, high = values.min(), values.max()
    whole = high - low < _MOST_COUNTERS and (values == np.rint(values)).all()
    if whole:
        counters = (values - low).astype(np.int64)
        weight = np.bincount(counters, None if weights.dtype == bool else weights)
        present = np.flatnonzero(weight)
        return low + present, np.cumsum(weight[present], dtype=np.float64)
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), ordered.size - 1)
    return ordered[last], np.cumsum(weights[order], dtype=np.float64)[last]


def _next_value(value: float, distinct: np.ndarray, index: int, others: np.ndarray | None) -> float:
    if others is not None:
        rounded = np.round(others)
        larger = rounded[rounded > value]
        return float(larger.min()) if larger.size else value
    return float(distinct[min(index + 1, distinct.size - 1)])
