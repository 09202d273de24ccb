"""95% intervals of the metrics, by bootstrap over participants. Pure.

Images of one participant resemble each other, so participants are drawn, each with all their images. All networks
and raters are scored on the same draws: what one draw makes hard is hard for each of them.

What no draw can show is an error that the sample has none of: where all decisions are right, or all wrong, each draw
says so again. Shares then have the exact interval of Clopper and Pearson (1934), of people instead of images.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from scipy.stats import binomtest

N_DRAWS = 1000
#: From fewer people of a group that a metric rests on, the bootstrap's intervals are far too narrow: none is given.
LEAST_PARTICIPANTS = 10
#: The shares, and of which images each is one.
SHARES = {"sensitivity": "positive", "specificity": "negative", "ppv": "decided positive", "npv": "decided negative"}
#: A metric that is undefined in a larger share of the draws has no interval.
_MOST_UNDEFINED = 0.05


class Draws:
    """How often each participant counts in each of the draws.

    >>> draws = Draws(["a", "b", "c"], n_draws=500)
    >>> draws.of_images(["a", "a", "c"]).shape
    (500, 3)
    """

    def __init__(self, participants: Sequence[str], *, n_draws: int = N_DRAWS, seed: int = 0) -> None:
        names = sorted(set(participants))
        self._position = {name: number for number, name in enumerate(names)}
        generator = np.random.default_rng(seed)
        shares = np.full(len(names), 1 / max(1, len(names)))
        self._counts = generator.multinomial(len(names), shares, size=n_draws).astype(np.float64)

    def of_images(self, participants: Sequence[str]) -> np.ndarray:
        """Return (draws, images): how often each image counts, given whose it is."""
        return self._counts[:, [self._position[name] for name in participants]]


def metrics_of_draws(
    labels: Sequence[int], decided: Sequence[int], probabilities: Sequence[float] | None, counts: np.ndarray
) -> dict[str, np.ndarray]:
    """Return each metric of `metrics.METRICS` in each draw (draws,); not a number where it is undefined.

    `counts` is what `Draws.of_images` gives for these images. Without probabilities there is no ``auc``.
    """
    labels, decided = np.asarray(labels, dtype=bool), np.asarray(decided, dtype=bool)
    cells = np.stack([labels & decided, labels & ~decided, ~labels & decided, ~labels & ~decided], axis=1)
    found = _of_cells(*(counts @ cells).T)
    if probabilities is not None:
        found["auc"] = _auc(labels, np.asarray(probabilities, dtype=float), counts)
    return found


def groups_of(labels: Sequence[int], decided: Sequence[int], participants: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return the participants of the images that are positive, negative, decided positive and decided negative.

    >>> groups_of([1, 0], [1, 1], ["a", "b"])["decided positive"] == {"a", "b"}
    True
    """
    sides = {"positive": (labels, 1), "negative": (labels, 0)}
    sides |= {"decided positive": (decided, 1), "decided negative": (decided, 0)}
    return {
        name: frozenset(who for who, value in zip(participants, values, strict=True) if value == side)
        for name, (values, side) in sides.items()
    }


def interval(
    metric: str, draws: np.ndarray, groups: Mapping[str, Collection[str]]
) -> tuple[float | None, float | None]:
    """Return the 95% interval of a metric from its draws, or (None, None) where it would mislead.

    `groups` is what `groups_of` gives: a share rests on one of them, the other metrics on the positive and the
    negative. Where a metric is the same in every draw, a share and the balanced accuracy have an exact interval, which
    takes each participant as one image and is therefore wide; the others have none.

    >>> people = {"positive": range(20), "negative": range(20)}
    >>> interval("auc", np.linspace(0, 1, 1001), people)
    (0.025, 0.975)
    >>> low, high = interval("sensitivity", np.ones(1000), people)
    >>> round(low, 3), high
    (0.832, 1.0)
    """
    rests_on = [groups[name] for name in ([SHARES[metric]] if metric in SHARES else ("positive", "negative"))]
    undefined = np.isnan(draws)
    if min(map(len, rests_on)) < LEAST_PARTICIPANTS or undefined.mean() > _MOST_UNDEFINED:
        return None, None
    found = draws[~undefined]
    if np.ptp(found) > 0:
        low, high = np.percentile(found, (2.5, 97.5))
        return float(low), float(high)
    if metric not in (*SHARES, "balanced_accuracy", "auc_hard") or found[0] not in (0, 1):
        return None, None
    exact = [binomtest(int(found[0]) * len(people), len(people)).proportion_ci(0.95) for people in rests_on]
    return float(np.mean([each.low for each in exact])), float(np.mean([each.high for each in exact]))


def _of_cells(hits: np.ndarray, misses: np.ndarray, false_alarms: np.ndarray, passes: np.ndarray) -> dict:
    """Return the metrics of decisions from the four cells of the confusion table, each (draws,)."""
    positives, negatives = hits + misses, passes + false_alarms
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity, specificity = hits / positives, passes / negatives
        balanced = (sensitivity + specificity) / 2
        f1 = np.where(positives > 0, 2 * hits / (positives + hits + false_alarms), np.nan)
        f1_negative = 2 * passes / (negatives + passes + misses)
        product = np.sqrt(positives * negatives * (hits + false_alarms) * (misses + passes))
        # As in `metrics`: 0 when all decisions are one class, undefined when all images are.
        mcc = np.where(product > 0, (hits * passes - misses * false_alarms) / product, 0.0)
        f1_weighted = (positives * f1 + negatives * f1_negative) / (positives + negatives)
        has_both = (positives > 0) & (negatives > 0)
        return {
            "balanced_accuracy": balanced,
            "f1_weighted": np.where(has_both, f1_weighted, np.nan),
            "f1": f1,
            "mcc": np.where(has_both, mcc, np.nan),
            "auc_hard": balanced,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "ppv": hits / (hits + false_alarms),
            "npv": passes / (passes + misses),
        }


def _auc(labels: np.ndarray, probabilities: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return in each draw the chance that a positive image has the higher probability; a tie counts half."""
    if not len(labels):
        return np.full(len(counts), np.nan)
    order = np.argsort(probabilities, kind="stable")
    starts = np.flatnonzero(np.diff(probabilities[order], prepend=-np.inf) > 0)
    positives = np.add.reduceat(counts[:, order] * labels[order], starts, axis=1)
    negatives = np.add.reduceat(counts[:, order] * ~labels[order], starts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return (positives * below).sum(axis=1) / (positives.sum(axis=1) * negatives.sum(axis=1))


def mean_of(draws: Sequence[Mapping[str, np.ndarray]], metric: str) -> np.ndarray:
    """Return the mean of a metric over folds, hospitals or raters in each draw (draws,)."""
    return np.mean([each[metric] for each in draws], axis=0)
