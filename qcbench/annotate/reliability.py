"""Statistics of agreement: from the library that has them, or from their source in a few lines.

Higher is better in all of them; one that is undefined is NaN.
"""

from __future__ import annotations

import krippendorff
import numpy as np


def weighted_kappa(tables: np.ndarray, weights: str | None = None) -> np.ndarray:
    """Return Cohen's kappa of each square table of counts (..., n, n): 1 is full agreement, 0 is chance.

    It is NaN where it is undefined: both raters gave one and the same grade throughout. `weights`
    is None, "linear" or "quadratic" (Cohen 1968). Hundreds of tables of a bootstrap are done at
    once, which scikit-learn's function cannot; the tests hold the two together.

    >>> round(float(weighted_kappa(np.array([[5, 1, 0], [0, 4, 1], [0, 2, 3]]), "linear")), 3)
    0.709
    """
    apart = np.abs(np.subtract.outer(*[np.arange(tables.shape[-1])] * 2))
    cost = {None: apart > 0, "linear": apart, "quadratic": apart**2}[weights]
    first, second = tables.sum(axis=-1, keepdims=True), tables.sum(axis=-2, keepdims=True)
    by_chance = (cost * first * second).sum(axis=(-2, -1)) / tables.sum(axis=(-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance > 0, 1 - (cost * tables).sum(axis=(-2, -1)) / by_chance, np.nan)


def balanced_accuracy(tables: np.ndarray) -> np.ndarray:
    """Return the mean, over the grades of the columns, of the share that the rows found (percent).

    `tables` are square tables of counts (..., n, n). Grades that never occur in the columns do not
    count.

    >>> float(balanced_accuracy(np.array([[8, 1], [2, 3]])))
    77.5
    """
    wanted = tables.sum(axis=-2)
    found = np.diagonal(tables, axis1=-2, axis2=-1)
    with np.errstate(invalid="ignore"):
        return 100 * np.nanmean(np.where(wanted > 0, found / wanted, np.nan), axis=-1)


def percent_agreement(tables: np.ndarray) -> np.ndarray:
    """Return how many in a hundred got the same grade from both, of each table (..., n, n)."""
    return 100 * np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1))


def alpha(counts: np.ndarray, *, graded: bool) -> float:
    """Return Krippendorff's alpha: 1 is full agreement, 0 is chance; NaN where it is undefined.

    `counts` holds, for each image (row) and grade (column), how many raters gave it. Grades are
    ordinal, yes and no are nominal (Krippendorff 2011, Computing Krippendorff's alpha-reliability).
    """
    if (counts.sum(axis=0) > 0).sum() < 2:
        return float("nan")
    level = "ordinal" if graded else "nominal"
    return float(
        krippendorff.alpha(value_counts=counts, level_of_measurement=level, value_domain=np.arange(counts.shape[1]))
    )


def icc(ratings: np.ndarray) -> float:
    """Return ICC(2,1): how far single raters agree in absolute terms; 1 is full agreement, 0 is none.

    `ratings` has an image a row and a rater a column, none missing (Shrout and Fleiss 1979,
    Intraclass correlations: two-way random effects, single measures).

    >>> six = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> round(icc(np.array(six)), 2)
    0.29
    """
    n, k = ratings.shape
    if n < 2:
        return float("nan")
    by_image, by_rater = ratings.mean(axis=1, keepdims=True), ratings.mean(axis=0, keepdims=True)
    between_images = k * ((by_image - ratings.mean()) ** 2).sum() / (n - 1)
    between_raters = n * ((by_rater - ratings.mean()) ** 2).sum() / (k - 1)
    residual = ((ratings - by_image - by_rater + ratings.mean()) ** 2).sum() / ((n - 1) * (k - 1))
    total = between_images + (k - 1) * residual + k * (between_raters - residual) / n
    return float((between_images - residual) / total) if total > 0 else float("nan")
