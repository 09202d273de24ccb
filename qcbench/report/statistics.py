"""Significance tests of the report: numbers in, numbers out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2_contingency


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """One test: its statistic, degrees of freedom, p-value and sample size.

    When the test is undefined the first three are None and `reason` says why; otherwise `reason`
    may hold a caution.
    """

    __test__ = False  # pytest would take the name for a test class

    comparison: str
    statistic: float | None
    degrees_of_freedom: int | None
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
        return TestResult(
            comparison=comparison,
            statistic=None,
            degrees_of_freedom=None,
            p=None,
            n=n,
            reason="a row or a column has no image",
        )
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
