"""95% intervals of the metrics, by bootstrap over participants. Pure.

Images of one participant resemble each other, so participants are drawn, each with all their images. All networks
and raters are scored on the same draws: what one draw makes hard is hard for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

N_DRAWS = 1000
#: From fewer people the bootstrap's intervals are far too narrow: none is given.
LEAST_PARTICIPANTS = 10
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


def interval(draws: np.ndarray, n_participants: int) -> tuple[float | None, float | None]:
    """Return the 2.5th and the 97.5th percentile of a metric's draws, or (None, None) where they would mislead.

    >>> interval(np.linspace(0, 1, 1001), n_participants=40)
    (0.025, 0.975)
    >>> interval(np.linspace(0, 1, 1001), n_participants=3)
    (None, None)
    """
    undefined = np.isnan(draws)
    if n_participants < LEAST_PARTICIPANTS or undefined.mean() > _MOST_UNDEFINED:
        return None, None
    low, high = np.percentile(draws[~undefined], (2.5, 97.5))
    return float(low), float(high)


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
