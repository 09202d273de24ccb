"""How far raters agree: with each other, with themselves, and with the consensus.

Grades are compared where both graded the image. Yes/no characteristics have one kappa; for grades
0 to 2 both usual weightings are given, as the paper does not say which it printed. Intervals are
the 2.5 and 97.5 percentiles over images drawn with replacement.
"""

from __future__ import annotations

import itertools
import json
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import krippendorff
import numpy as np
from sklearn.metrics import cohen_kappa_score

from qcbench import schema, store
from qcbench.study import Study
from qcbench.summary import Summary

CONSENSUS = "consensus"
_RESAMPLES = 500
_SEED = 0

#: What each rater noted, by rater and image.
Labels = dict[str, dict[str, dict]]
Statistic = Callable[[np.ndarray], float]


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


def balanced_accuracy(table: np.ndarray) -> float:
    """Return the mean, over the grades of the columns, of the share that the rows found (percent).

    Grades that never occur in the columns do not count.

    >>> balanced_accuracy(np.array([[8, 1], [2, 3]]))
    77.5
    """
    wanted = table.sum(axis=0)
    return 100 * float(np.mean(np.diag(table)[wanted > 0] / wanted[wanted > 0]))


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


def compare(first: Sequence[int], second: Sequence[int], characteristic: str) -> list[dict]:
    """Return rows of statistic, value, low, high, n and reason for one pair, and their table of counts."""
    table = _table(first, second, characteristic)
    weightings = {"kappa_linear": "linear", "kappa_quadratic": "quadratic"} if len(table) == 3 else {"kappa": None}
    statistics: dict[str, Statistic] = {"percent_agreement": _percent_agreement}
    statistics |= {name: partial(weighted_kappa, weights=weights) for name, weights in weightings.items()}
    return [_row_of_table(name, statistic, table) for name, statistic in statistics.items()]


def agreement(study: Study) -> Summary:
    """Write the table `agreement`: raters with each other, with themselves, with the consensus.

    `raters` reads ``alice,bob`` for two raters, ``alice,alice`` for a rater's hidden repeats, which
    were labelled later, and ``alice,consensus`` for the consensus; of more than two raters
    together there is Krippendorff's alpha. `counts` has the table behind a row as JSON, the first
    rater's grades as rows.
    """
    started = time.monotonic()
    labels = _by_rater(store.labels(study, study.consensus_raters))
    repeats = _by_rater(store.labels(study, study.consensus_raters, purpose="repeat"))
    decided = {row["image_id"]: row for row in store.rows(study, "consensus")}
    rows = [*_with_each_other(labels), *_with_themselves(labels, repeats), *_with_consensus(labels, decided)]
    rows += _together(labels)
    store.write(study, "agreement", rows)
    pairs = [row for row in rows if len(set(row["raters"].split(","))) == 2 and CONSENSUS not in row["raters"]]
    headline = {
        row["characteristic"]: "undefined" if row["value"] is None else round(row["value"], 3)
        for row in pairs
        if row["statistic"] in ("kappa", "kappa_linear")
    }
    return Summary(
        stage="agreement",
        done=len(rows),
        facts={f"kappa_{name}": value for name, value in headline.items()},
        notes=[] if pairs else ["Agreement needs images that two raters labelled; there is none yet."],
        seconds=time.monotonic() - started,
    )


def _by_rater(labels: Iterable[dict]) -> Labels:
    by_rater: Labels = {}
    for label in labels:
        by_rater.setdefault(label["rater"], {})[label["image_id"]] = label
    return by_rater


def _with_each_other(labels: Labels) -> Iterable[dict]:
    for first, second in itertools.combinations(sorted(labels), 2):
        for name in schema.CHARACTERISTICS:
            yield from _named(compare(*_graded(labels[first], labels[second], name), name), name, first, second)


def _with_themselves(labels: Labels, repeats: Labels) -> Iterable[dict]:
    for rater in sorted(repeats.keys() & labels.keys()):
        for name in schema.CHARACTERISTICS:
            yield from _named(compare(*_graded(labels[rater], repeats[rater], name), name), name, rater, rater)


def _with_consensus(labels: Labels, decided: dict[str, dict]) -> Iterable[dict]:
    if not decided:
        return
    for rater in sorted(labels):
        for name in schema.CHARACTERISTICS:
            table = _table(*_graded(labels[rater], decided, name), name)
            yield from _named([_row_of_table("balanced_accuracy", balanced_accuracy, table)], name, rater, CONSENSUS)


def _together(labels: Labels) -> Iterable[dict]:
    """More than two raters have one figure together; an image that one of them labelled alone does not count."""
    if len(labels) < 3:
        return
    for name in schema.CHARACTERISTICS:
        size = _n_grades(name)
        images = sorted(set().union(*labels.values()))
        counts = np.zeros((len(images), size), dtype=int)
        for row, image in enumerate(images):
            for noted in labels.values():
                grade = noted.get(image, {}).get(name)
                if grade is not None:
                    counts[row, int(grade)] += 1
        counts = counts[counts.sum(axis=1) >= 2]
        yield from _named([_row_of_images(counts, graded=size == 3)], name, *sorted(labels))


def _named(rows: Iterable[dict], characteristic: str, *raters: str) -> Iterable[dict]:
    return [{"characteristic": characteristic, "raters": ",".join(raters), **row} for row in rows]


def _graded(first: dict[str, dict], second: dict[str, dict], name: str) -> tuple[list[int], list[int]]:
    """Return the grades of the images that both noted."""
    common = sorted(first.keys() & second.keys())
    pairs = [(first[image][name], second[image][name]) for image in common]
    noted = [pair for pair in pairs if None not in pair]
    return [pair[0] for pair in noted], [pair[1] for pair in noted]


def _n_grades(characteristic: str) -> int:
    return 3 if characteristic in schema.GRADED else 2


def _table(first: Sequence[int], second: Sequence[int], characteristic: str) -> np.ndarray:
    size = _n_grades(characteristic)
    table = np.zeros((size, size), dtype=int)
    np.add.at(table, (np.asarray(first, dtype=int), np.asarray(second, dtype=int)), 1)
    return table


def _percent_agreement(table: np.ndarray) -> float:
    return 100 * float(np.trace(table) / table.sum())


def _row_of_table(name: str, statistic: Statistic, table: np.ndarray) -> dict:
    # Drawing images with replacement is drawing the cells of their table: the same bootstrap, faster.
    n = int(table.sum())

    def draws(rng: np.random.Generator) -> Iterable[float]:
        drawn = rng.multinomial(n, table.ravel() / n, size=_RESAMPLES)
        return (statistic(counts.reshape(table.shape)) for counts in drawn)

    row = _row(name, n, "no image was noted by both", "the same value was given throughout")
    return {**_with_interval(row, statistic(table) if n else None, draws), "counts": json.dumps(table.tolist())}


def _row_of_images(counts: np.ndarray, *, graded: bool) -> dict:
    n = len(counts)

    def draws(rng: np.random.Generator) -> Iterable[float]:
        return (alpha(counts[rng.integers(n, size=n)], graded=graded) for _ in range(_RESAMPLES))

    row = _row("krippendorff_alpha", n, "no image was noted by two raters", "the same value was given throughout")
    return _with_interval(row, alpha(counts, graded=graded) if n else None, draws)


def _row(name: str, n: int, nothing: str, undefined: str) -> dict:
    reason = undefined if n else nothing
    return {"statistic": name, "value": None, "low": None, "high": None, "n": n, "reason": reason}


def _with_interval(row: dict, value: float | None, draws: Callable) -> dict:
    if value is None or np.isnan(value):
        return row
    defined = [draw for draw in draws(np.random.default_rng(_SEED)) if not np.isnan(draw)]
    low, high = np.percentile(defined, [2.5, 97.5]) if defined else (None, None)
    return {**row, "value": value, "low": low, "high": high, "reason": None}
