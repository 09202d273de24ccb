"""Significance tests of the report: numbers in, numbers out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, chi2_contingency, mannwhitneyu, norm, ttest_ind


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """One test: its statistic, degrees of freedom, p-value and sample size.

    When the test is undefined the first three are None and `reason` says why; otherwise `reason`
    may hold a caution.
    """

    __test__ = False  # pytest would take the name for a test class

    comparison: str
    statistic: float | None
    degrees_of_freedom: float | None
    p: float | None
    n: int
    reason: str = ""


def chi_squared(counts: Sequence[Sequence[int]], *, comparison: str = "") -> TestResult:
    """Return Pearson's chi-squared test of independence on a table of counts, (rows, columns).

    A 2 x 2 table gets Yates' correction (scipy's default), as in Bottani et al. 2022, section
    3.1: their p < 2.13e-8 is the corrected test of tier 1 against tier 2. A lower p speaks more
    strongly against independence.

    >>> result = chi_squared([[358, 515], [812, 721]])
    >>> round(result.statistic, 3), f"{result.p:.4g}"
    (31.373, '2.129e-08')
    >>> chi_squared([[3, 0], [5, 0]]).reason
    'a row or a column has no image'
    """
    table = np.asarray(counts)
    n = int(table.sum())
    if table.ndim != 2 or min(table.shape) < 2 or not (table.sum(axis=0).all() and table.sum(axis=1).all()):
        return _undefined(comparison, n, "a row or a column has no image")
    result = chi2_contingency(table)
    # Cochran 1952: the approximation is poor where an expected count is below 5.
    smallest = result.expected_freq.min()
    return TestResult(
        comparison=comparison,
        statistic=float(result.statistic),
        degrees_of_freedom=int(result.dof),
        p=float(result.pvalue),
        n=n,
        reason=f"smallest expected count {smallest:.1f}: too few images to rely on p" if smallest < 5 else "",
    )


def gadolinium_by_tier(counts: Mapping[str, tuple[int, int]]) -> list[TestResult]:
    """Return the test of gadolinium against all tiers, then against each pair of tiers.

    `counts` gives, for each tier, the images with and without gadolinium.

    >>> published = {"tier 1": (358, 515), "tier 2": (812, 721), "tier 3": (1246, 393)}
    >>> [f"{result.comparison}: {result.p:.1e}" for result in gadolinium_by_tier(published)][:2]
    ['tier 1, tier 2, tier 3: 5.9e-74', 'tier 1, tier 2: 2.1e-08']
    """
    groups = [tuple(counts), *itertools.combinations(counts, 2)]
    return [chi_squared([counts[tier] for tier in group], comparison=", ".join(group)) for group in groups]


def welch(first: Sequence[float], second: Sequence[float], *, comparison: str = "") -> TestResult:
    """Return Welch's t-test of two independent groups, which does not take their variances as equal.

    >>> result = welch([60, 62, 64, 70], [50, 51, 55, 56])
    >>> round(result.statistic, 2), round(result.p, 3)
    (4.21, 0.007)
    >>> welch([60], [50, 51]).reason
    'a group has fewer than two values'
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    n = len(first) + len(second)
    if min(len(first), len(second)) < 2:
        return _undefined(comparison, n, "a group has fewer than two values")
    if np.ptp(first) == np.ptp(second) == 0:
        return _undefined(comparison, n, "the values of each group are all the same")
    result = ttest_ind(first, second, equal_var=False)
    return TestResult(
        comparison=comparison,
        statistic=float(result.statistic),
        degrees_of_freedom=float(result.df),
        p=float(result.pvalue),
        n=n,
    )


def mann_whitney(first: Sequence[float], second: Sequence[float], *, comparison: str = "") -> TestResult:
    """Return the two-sided Mann-Whitney U test of two independent groups; ties are corrected for.

    >>> result = mann_whitney([1, 2, 3, 4], [5, 6, 7, 8])
    >>> result.statistic, round(result.p, 4)
    (0.0, 0.0286)
    """
    n = len(first) + len(second)
    if not (len(first) and len(second)):
        return _undefined(comparison, n, "a group is empty")
    if len({*first, *second}) == 1:
        return _undefined(comparison, n, "all values are the same")
    result = mannwhitneyu(first, second, alternative="two-sided")
    return TestResult(
        comparison=comparison, statistic=float(result.statistic), degrees_of_freedom=None, p=float(result.pvalue), n=n
    )


def mcnemar(first_right: Sequence[bool], second_right: Sequence[bool], *, comparison: str = "") -> TestResult:
    """Return McNemar's exact test of two classifiers on the same images: only those where one of them errs count.

    `statistic` is the number of images that the first alone got right. Exact (binomial), since the images on which
    classifiers differ are few.

    >>> round(mcnemar([True] * 9 + [False], [False] * 8 + [True] * 2).p, 4)
    0.0391
    """
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return _undefined(comparison, len(first), "both are right and wrong on the same images")
    p = binomtest(only_first, only_first + only_second, 0.5).pvalue
    return TestResult(
        comparison=comparison, statistic=float(only_first), degrees_of_freedom=None, p=float(p), n=len(first)
    )


def bonferroni(values: Sequence[float | None]) -> list[float | None]:
    """Return p-values times the number of tests that were done, at most 1; undefined ones are no tests.

    >>> bonferroni([0.01, None, 0.6])
    [0.02, None, 1.0]
    """
    known = [None if value is None or np.isnan(value) else value for value in values]
    n = sum(value is not None for value in known)
    return [None if value is None else min(1.0, value * n) for value in known]


def kappa(counts: Sequence[Sequence[int]]) -> float | None:
    """Return Cohen's kappa of a square table of counts; None where chance alone would always agree.

    >>> round(kappa([[2033, 383], [987, 642]]), 4)
    0.2507
    """
    table = np.asarray(counts, dtype=float)
    n = table.sum()
    if not n:
        return None
    observed = np.trace(table) / n
    expected = (table.sum(axis=0) @ table.sum(axis=1)) / n**2
    return None if expected == 1 else float((observed - expected) / (1 - expected))


def smallest_difference(n_first: int, n_second: int, *, share: float, tests: int = 1) -> float | None:
    """Return the smallest difference of two shares that groups of these sizes would have shown, in 80% of studies.

    Two-sided at 0.05 divided by the number of `tests`, by the normal approximation around `share`. None for an empty
    group. A difference that was not found is no proof against one smaller than this.

    >>> round(smallest_difference(186, 186, share=0.9), 3)
    0.087
    """
    if not (n_first and n_second):
        return None
    quantiles = norm.ppf(1 - 0.05 / tests / 2) + norm.ppf(0.8)
    return float(quantiles * np.sqrt(share * (1 - share) * (1 / n_first + 1 / n_second)))


def _undefined(comparison: str, n: int, reason: str) -> TestResult:
    return TestResult(comparison=comparison, statistic=None, degrees_of_freedom=None, p=None, n=n, reason=reason)
