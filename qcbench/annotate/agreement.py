"""How far raters agree: with each other, with themselves, and with the consensus.

Answers are compared where both gave one. Yes and no have one kappa; for grades both usual
weightings are given, as the paper does not say which it printed; each flag is a yes or no; levels
have the intraclass correlation. Intervals are the 2.5 and 97.5 percentiles over images drawn with
replacement.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from qcbench import schema, store
from qcbench.annotate.reliability import alpha, balanced_accuracy, icc, percent_agreement, weighted_kappa
from qcbench.criteria import Criterion
from qcbench.protocol import Protocol
from qcbench.study import Study
from qcbench.summary import Summary

CONSENSUS = "consensus"
#: Follows a rater's name where they had the whole volume before them.
FROM_VOLUME = " (volume)"
_RESAMPLES = 500
_SEED = 0
_NOTHING, _CONSTANT = "no image was noted by both", "the same value was given throughout"

#: What each rater noted: by rater, image and characteristic.
Noted = dict[str, dict[str, dict[str, object]]]
#: Of tables of counts, one or many; or of the images of a level.
Statistic = Callable[[np.ndarray], np.ndarray | float]


@dataclass(frozen=True)
class Characteristic:
    """Something that can be compared: `n_grades` possible values from 0, or None for a level."""

    name: str
    n_grades: int | None

    @property
    def is_graded(self) -> bool:
        """Whether there are more values than yes and no."""
        return self.n_grades is not None and self.n_grades > 2


def characteristics(protocol: Protocol) -> list[Characteristic]:
    """Return what raters of a protocol can agree on; each flag of a list counts for itself."""
    found = []
    for criterion in protocol.criteria:
        if criterion.kind == "flags":
            found += [Characteristic(f"{criterion.name}:{flag}", 2) for flag in criterion.values]
        elif criterion.kind != "text":
            sizes = {"yes_no": 2, "grade": len(criterion.choices), "level": None}
            found.append(Characteristic(criterion.name, sizes[criterion.kind]))
    return found


def compare(first: Sequence[float], second: Sequence[float], characteristic: Characteristic) -> list[dict]:
    """Return rows of statistic, value, low, high, n, reason and counts for one pair."""
    if characteristic.n_grades is None:
        return [_row_of_levels(np.column_stack([first, second]) if len(first) else np.empty((0, 2)))]
    table = _table(first, second, characteristic.n_grades)
    statistics: dict[str, Statistic] = {"percent_agreement": percent_agreement}
    if characteristic.is_graded:
        for weights in ("linear", "quadratic"):
            statistics[f"kappa_{weights}"] = partial(weighted_kappa, weights=weights)
    else:
        statistics["kappa"] = weighted_kappa
    return [_row_of_table(name, statistic, table) for name, statistic in statistics.items()]


def agreement(study: Study) -> Summary:
    """Write the table `agreement`: raters with each other, with themselves, with the consensus.

    `raters` reads ``alice,bob`` for two raters, ``alice,alice`` for a rater's hidden repeats, which
    were labelled later, ``alice,alice (volume)`` for the same rater's labels from three slices and
    from the whole volume, and ``alice,consensus`` for the consensus; of more than two raters
    together there is Krippendorff's alpha, and for levels the intraclass correlation. `counts` has
    the table behind a row as JSON, the first rater's grades as rows.
    """
    started = time.monotonic()
    wanted = characteristics(study.protocol)
    labels = _by_rater(study, store.labels(study, study.consensus_raters))
    again = {
        name: _by_rater(study, store.labels(study, study.consensus_raters, purpose=purpose))
        for purpose, name in (("repeat", ""), ("volume", FROM_VOLUME))
    }
    decided = {row["image_id"]: row for row in store.rows(study, "consensus")}
    rows = [*_with_each_other(labels, wanted), *_with_themselves(labels, again, wanted)]
    rows += [*_with_consensus(labels, decided, wanted), *_together(labels, wanted)]
    store.write(study, "agreement", rows)
    pairs = [row for row in rows if is_of_two_raters(row["raters"])]
    return Summary(
        stage="agreement",
        done=len(rows),
        facts=_headline(pairs),
        notes=[] if pairs else ["Agreement needs images that two raters labelled; there is none yet."],
        seconds=time.monotonic() - started,
    )


def _headline(pairs: list[dict]) -> dict[str, float | str]:
    """Return one figure a characteristic and pair; the pair is named where there are several."""
    of_several = len({row["raters"] for row in pairs}) > 1
    return {
        f"{'icc' if row['statistic'] == 'icc' else 'kappa'}_{row['characteristic']}"
        + (f" ({row['raters']})" if of_several else ""): "undefined" if row["value"] is None else round(row["value"], 3)
        for row in pairs
        if row["statistic"] in ("kappa", "kappa_linear", "icc") and ":" not in row["characteristic"]
    }


def _by_rater(study: Study, labels: Iterable[dict]) -> Noted:
    noted: Noted = {}
    for label in labels:
        noted.setdefault(label["rater"], {})[label["image_id"]] = _answers(study.protocol.criteria, label)
    return noted


def _answers(criteria: Iterable[Criterion], label: dict) -> dict[str, object]:
    """Return the answers of a label by characteristic; each flag is noted or not."""
    more = json.loads(label["answers"] or "{}")
    answers: dict[str, object] = {}
    for criterion in criteria:
        value = label[criterion.name] if criterion.name in schema.CHARACTERISTICS else more.get(criterion.name)
        if criterion.kind == "flags":
            answers |= {
                f"{criterion.name}:{flag}": None if value is None else flag in value for flag in criterion.values
            }
        else:
            answers[criterion.name] = value
    return answers


def _with_each_other(labels: Noted, wanted: list[Characteristic]) -> Iterable[dict]:
    for first, second in itertools.combinations(sorted(labels), 2):
        for each in wanted:
            yield from _named(compare(*_both(labels[first], labels[second], each.name), each), each, first, second)


def is_of_two_raters(raters: str) -> bool:
    """Return whether a cell `raters` of the table names two people who looked at the same three slices."""
    names = set(raters.split(","))
    return len(names) == 2 and CONSENSUS not in names and not raters.endswith(FROM_VOLUME)


def _with_themselves(labels: Noted, again: dict[str, Noted], wanted: list[Characteristic]) -> Iterable[dict]:
    for name, noted in again.items():
        for rater in sorted(noted.keys() & labels.keys()):
            for each in wanted:
                pair = _both(labels[rater], noted[rater], each.name)
                yield from _named(compare(*pair, each), each, rater, f"{rater}{name}")


def _with_consensus(labels: Noted, decided: dict[str, dict], wanted: list[Characteristic]) -> Iterable[dict]:
    known = [each for each in wanted if each.name in schema.CHARACTERISTICS]
    for rater in sorted(labels) if decided else ():
        for each in known:
            table = _table(*_both(labels[rater], decided, each.name), each.n_grades)
            yield from _named([_row_of_table("balanced_accuracy", balanced_accuracy, table)], each, rater, CONSENSUS)


def _together(labels: Noted, wanted: list[Characteristic]) -> Iterable[dict]:
    """More than two raters have one figure together; an image that one of them noted alone does not count."""
    if len(labels) < 3:
        return
    images = sorted(set().union(*labels.values()))
    for each in wanted:
        noted = [[labels[rater].get(image, {}).get(each.name) for rater in sorted(labels)] for image in images]
        if each.n_grades is None:
            whole = [values for values in noted if None not in values]
            row = _row_of_levels(np.array(whole, dtype=float).reshape(len(whole), len(labels)))
        else:
            counts = np.array([[values.count(grade) for grade in range(each.n_grades)] for values in noted])
            row = _row_of_counts(counts[counts.sum(axis=1) >= 2], graded=each.is_graded)
        yield from _named([row], each, *sorted(labels))


def _named(rows: Iterable[dict], characteristic: Characteristic, *raters: str) -> Iterable[dict]:
    return [{"characteristic": characteristic.name, "raters": ",".join(raters), **row} for row in rows]


def _both(first: dict[str, dict], second: dict[str, dict], name: str) -> tuple[list, list]:
    """Return the values of the images for which both gave one."""
    pairs = [(first[image][name], second[image][name]) for image in sorted(first.keys() & second.keys())]
    noted = [pair for pair in pairs if None not in pair]
    return [pair[0] for pair in noted], [pair[1] for pair in noted]


def _table(first: Sequence[int], second: Sequence[int], size: int) -> np.ndarray:
    table = np.zeros((size, size), dtype=int)
    np.add.at(table, (np.asarray(first, dtype=int), np.asarray(second, dtype=int)), 1)
    return table


def _row_of_table(name: str, statistic: Statistic, table: np.ndarray) -> dict:
    # Drawing images with replacement is drawing the cells of their table: the same bootstrap, faster.
    n = int(table.sum())

    def draws(rng: np.random.Generator) -> np.ndarray:
        return statistic(rng.multinomial(n, table.ravel() / n, size=_RESAMPLES).reshape(-1, *table.shape))

    value = float(statistic(table)) if n else None
    return {**_row(name, n, value, draws), "counts": json.dumps(table.tolist())}


def _row_of_counts(counts: np.ndarray, *, graded: bool) -> dict:
    return _row_of_images("krippendorff_alpha", partial(alpha, graded=graded), counts)


def _row_of_levels(ratings: np.ndarray) -> dict:
    return _row_of_images("icc", icc, ratings)


def _row_of_images(name: str, statistic: Statistic, values: np.ndarray) -> dict:
    n = len(values)

    def draws(rng: np.random.Generator) -> np.ndarray:
        return np.array([statistic(values[rng.integers(n, size=n)]) for _ in range(_RESAMPLES)])

    return _row(name, n, statistic(values) if n else None, draws)


def _row(name: str, n: int, value: float | None, draws: Callable[[np.random.Generator], np.ndarray]) -> dict:
    row = {"statistic": name, "value": None, "low": None, "high": None, "n": n, "counts": None}
    if value is None or np.isnan(value):
        return {**row, "reason": _CONSTANT if n else _NOTHING}
    drawn = draws(np.random.default_rng(_SEED))
    defined = drawn[~np.isnan(drawn)]
    low, high = np.percentile(defined, [2.5, 97.5]) if defined.size else (None, None)
    return {**row, "value": value, "low": low, "high": high, "reason": None}
