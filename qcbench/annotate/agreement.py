"""How far raters agree: Cohen's kappa per characteristic with a bootstrap interval.

Grades are compared where both raters graded the image. Binary characteristics have one kappa;
for grades 0 to 2 both usual weightings are given, as the paper does not say which it printed.
"""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.metrics import cohen_kappa_score

from qcbench import schema, store
from qcbench.study import Study
from qcbench.summary import Summary

_RESAMPLES = 500


def weighted_kappa(table: np.ndarray, weights: str | None = None) -> float:
    """Return Cohen's kappa of a square table of counts: 1 is full agreement, 0 is chance.

    It is NaN where it is undefined: both raters gave one and the same grade throughout.
    `weights` is None, "linear" or "quadratic".

    >>> round(weighted_kappa(np.array([[5, 1, 0], [0, 4, 1], [0, 2, 3]]), "linear"), 3)
    0.709
    """
    first, second = (axis.ravel() for axis in np.indices(table.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sklearn warns of the division that we report as undefined
        return float(cohen_kappa_score(first, second, weights=weights, sample_weight=table.ravel()))


def compare(first: Sequence[int], second: Sequence[int], characteristic: str, *, seed: int = 0) -> list[dict]:
    """Return rows of statistic, value, low, high, n and reason for one pair of raters.

    The interval is that of the 2.5 and 97.5 percentiles over images drawn with replacement.
    """
    size = 3 if characteristic in schema.GRADED else 2
    table = np.zeros((size, size), dtype=int)
    np.add.at(table, (np.asarray(first, dtype=int), np.asarray(second, dtype=int)), 1)
    statistics = {"percent_agreement": lambda counts: 100 * float(np.trace(counts) / counts.sum())}
    weightings = {"kappa": None} if size == 2 else {"kappa_linear": "linear", "kappa_quadratic": "quadratic"}
    for name, weights in weightings.items():
        statistics[name] = lambda counts, weights=weights: weighted_kappa(counts, weights)
    return [_row(name, statistic, table, seed) for name, statistic in statistics.items()]


def agreement(study: Study) -> Summary:
    """Write the table `agreement`: each pair of raters, each characteristic."""
    started = time.monotonic()
    by_rater: dict[str, dict[str, dict]] = {}
    for label in store.labels(study, study.consensus_raters):
        by_rater.setdefault(label["rater"], {})[label["image_id"]] = label
    rows = []
    for first, second in itertools.combinations(sorted(by_rater), 2):
        common = sorted(by_rater[first].keys() & by_rater[second].keys())
        for name in schema.CHARACTERISTICS:
            pairs = [(by_rater[first][image][name], by_rater[second][image][name]) for image in common]
            graded = [pair for pair in pairs if None not in pair]
            values = ([pair[0] for pair in graded], [pair[1] for pair in graded])
            rows += [{"characteristic": name, "raters": f"{first},{second}", **row} for row in compare(*values, name)]
    store.write(study, "agreement", rows)
    headline = {
        row["characteristic"]: "undefined" if row["value"] is None else round(row["value"], 3)
        for row in rows
        if row["statistic"] in ("kappa", "kappa_linear")
    }
    notes = [] if rows else ["Agreement needs images that two raters labelled; there is none yet."]
    return Summary(
        stage="agreement",
        done=len(rows),
        facts={f"kappa_{name}": value for name, value in headline.items()},
        notes=notes,
        seconds=time.monotonic() - started,
    )


def _row(name: str, statistic, table: np.ndarray, seed: int) -> dict:
    n = int(table.sum())
    row = {"statistic": name, "value": None, "low": None, "high": None, "n": n, "reason": None}
    if n == 0:
        return {**row, "reason": "no image was noted by both raters"}
    value = statistic(table)
    if np.isnan(value):
        return {**row, "reason": "both raters gave the same value throughout"}
    # Drawing images with replacement is drawing the cells of their table: the same bootstrap, faster.
    drawn = np.random.default_rng(seed).multinomial(n, table.ravel() / n, size=_RESAMPLES)
    defined = [draw for draw in (statistic(counts.reshape(table.shape)) for counts in drawn) if not np.isnan(draw)]
    low, high = np.percentile(defined, [2.5, 97.5]) if defined else (None, None)
    return {**row, "value": value, "low": low, "high": high}
