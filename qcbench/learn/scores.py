"""How one classifier decides on one set of images, as rows of `metrics`.

A classifier is a fold's network, the ensemble of the folds, the forest, or a rater.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from qcbench import store
from qcbench.learn import predictions
from qcbench.learn.intervals import Draws, groups_of, interval, mean_of, metrics_of_draws
from qcbench.learn.metrics import (
    METRICS,
    metrics_from_decisions,
    metrics_from_probabilities,
    why_undefined,
)
from qcbench.learn.runs import Run
from qcbench.learn.tasks import task_labels
from qcbench.schema import TASKS
from qcbench.study import Study

Row = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What is known of one study: labels per task, splits, and which images rest on a simulation."""

    labels: Mapping[str, Mapping[str, int]]
    splits: Mapping[str, Row]
    simulated: frozenset[str]

    def members(self, task: str, *, set_: str, fold: int | None = None) -> dict[str, int]:
        """Return the labels of a task in a set, or in one fold of it."""
        return {
            image_id: label
            for image_id, label in self.labels[task].items()
            if image_id in self.splits
            and self.splits[image_id]["set"] == set_
            and fold in (None, self.splits[image_id]["fold"])
        }

    def rests_on_simulation(self, image_ids: Iterable[str]) -> bool:
        """Return whether one of the images, or its label, is simulated."""
        return not self.simulated.isdisjoint(image_ids)

    def owners(self, image_ids: Iterable[str]) -> list[str]:
        """Return the participant of each image."""
        return [self.splits[image_id]["participant_id"] for image_id in image_ids]

    def draws(self, set_: str, *, seed: int = 0) -> Draws:
        """Return the bootstrap's draws of the participants of a set; the same at every call with a seed."""
        return Draws([row["participant_id"] for row in self.splits.values() if row["set"] == set_], seed=seed)


@dataclass(frozen=True, kw_only=True)
class Score:
    """One classifier's rows of `metrics` (metric, value, low, high, n...), and what they were made from.

    Its metrics in each draw, the labels of the images that it decided, and whose they are (as `intervals.groups_of`).
    """

    rows: Sequence[dict]
    draws: Mapping[str, np.ndarray] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)


def truth_of(study: Study) -> Truth:
    """Return what the consensus and the splits say. Raises StudyError without a consensus."""
    consensus = store.require(study, "consensus", "consensus")
    simulated = {row["image_id"] for row in consensus if row["simulated"]}
    simulated |= {row["image_id"] for row in store.rows(study, "images") if row["simulated"]}
    return Truth(
        labels={task: task_labels(consensus, task) for task in TASKS},
        splits={row["image_id"]: row for row in store.rows(study, "splits")},
        simulated=frozenset(simulated),
    )


def predictions_of(
    study: Study, runs: Iterable[Run], image_ids: Collection[str]
) -> dict[tuple[str, str], dict[int, dict[str, float]]]:
    """Return (run_id, task) -> fold -> image_id -> probability, of the given runs and images."""
    names = ("run_id", "task", "fold", "image_id", "probability")
    found: dict[tuple[str, str], dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    run_ids = [run.run_id for run in runs]
    for run_id, task, fold, image_id, probability in predictions.of_runs(study, run_ids, names, image_ids=image_ids):
        if probability is not None:
            found[run_id, task][fold][image_id] = probability
    return found


def about(run: Run, task: str, truth: Truth, image_ids: Iterable[str] | None = None) -> dict[str, object]:
    """Return what every row of `metrics` says of a run and one of its tasks.

    `image_ids` are those it was fitted to and tried on, by default those of all its tasks and the test set of this one.
    """
    if image_ids is None:
        fitted_to = {image_id for each in run.tasks for image_id in truth.members(each, set_="cv")}
        image_ids = {*fitted_to, *truth.members(task, set_="test")}
    return {
        "task": task,
        "architecture": run.architecture,
        "training_preset": run.config["preset"],
        "run_id": run.run_id,
        "simulated": bool(run.config.get("pretraining")) or truth.rests_on_simulation(image_ids),
    }


def of_probabilities(
    truth: Truth, members: Mapping[str, int], probability_of: Mapping[str, float], draws: Draws
) -> Score:
    """Return the Score of probabilities of the positive class, decided at 0.5, on the members that have one."""
    seen = sorted(set(members) & set(probability_of))
    labels, probabilities = [members[i] for i in seen], [probability_of[i] for i in seen]
    decided = [int(probability >= 0.5) for probability in probabilities]
    values = metrics_from_probabilities(labels, probabilities)
    drawn = metrics_of_draws(labels, decided, probabilities, draws.of_images(truth.owners(seen)))
    return _score(truth, seen, labels, decided, values, drawn)


def of_decisions(truth: Truth, members: Mapping[str, int], decisions: Mapping[str, int], draws: Draws) -> Score:
    """Return the Score of decisions without probabilities, a rater's, on the members that were decided."""
    seen = sorted(set(members) & set(decisions))
    labels, decided = [members[i] for i in seen], [decisions[i] for i in seen]
    values = metrics_from_decisions(labels, decided)
    drawn = metrics_of_draws(labels, decided, None, draws.of_images(truth.owners(seen)))
    return _score(truth, seen, labels, decided, values, drawn)


def of_nothing(members: Mapping[str, int], reason: str) -> Score:
    """Return the Score of a network that could not be fitted: every metric null, with the reason."""
    return Score(rows=[{"metric": name, "value": None, "n": len(members), "reason": reason} for name in METRICS])


def ensemble(by_fold: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
    """Return the mean probability over the folds, of the images that every fold predicted.

    >>> ensemble({0: {"a": 0.2, "b": 0.9}, 1: {"a": 0.6}})
    {'a': 0.4}
    """
    everywhere = sorted(set.intersection(*(set(found) for found in by_fold.values()))) if by_fold else []
    return {image_id: float(np.mean([found[image_id] for found in by_fold.values()])) for image_id in everywhere}


def mean(scores: Sequence[Score], names: Sequence[str], truth: Truth) -> Score:
    """Return the mean over folds, hospitals or raters of each metric where it is defined, with sd and interval.

    `n` counts the images that any of them decided.
    """
    labels = {image_id: label for score in scores for image_id, label in score.labels.items()}
    groups = {
        name: frozenset().union(*(score.groups.get(name, ()) for score in scores))
        for name in ("positive", "negative", "decided positive", "decided negative")
    }
    counts = _counts(truth, labels, labels.values())
    new, drawn = [], {}
    for name in names:
        mine = [(row, score.draws) for score in scores for row in score.rows if row["metric"] == name]
        defined = [(row["value"], draws) for row, draws in mine if row["value"] is not None]
        if not defined:
            reasons = sorted({row["reason"] for row, _ in mine if row["reason"]}) or ["nothing was predicted"]
            new.append({"metric": name, "value": None, **counts, "reason": "; ".join(reasons)})
            continue
        values = [value for value, _ in defined]
        drawn[name] = mean_of([draws for _, draws in defined], name)
        low, high = interval(name, drawn[name], groups)
        left_out = len(mine) - len(values)
        new.append(
            {
                "metric": name,
                "value": float(np.mean(values)),
                "low": low,
                "high": high,
                "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
                "sd_population": float(np.std(values)),
                **counts,
                "reason": f"undefined in {left_out} of {len(mine)}, which are left out" if left_out else None,
            }
        )
    return Score(rows=new, draws=drawn, labels=labels, groups=groups)


def _score(
    truth: Truth,
    seen: Sequence[str],
    labels: Sequence[int],
    decided: Sequence[int],
    values: Mapping[str, float | None],
    drawn: Mapping[str, np.ndarray],
) -> Score:
    counts = _counts(truth, seen, labels)
    groups = groups_of(labels, decided, truth.owners(seen))
    rows = []
    for name, value in values.items():
        low, high = (None, None) if value is None else interval(name, drawn[name], groups)
        reason = why_undefined(name, labels, decided)
        rows.append({"metric": name, "value": value, "low": low, "high": high, **counts, "reason": reason})
    return Score(rows=rows, draws=drawn, labels=dict(zip(seen, labels, strict=True)), groups=groups)


def _counts(truth: Truth, image_ids: Collection[str], labels: Iterable[int]) -> dict[str, int]:
    return {"n": len(image_ids), "n_participants": len(set(truth.owners(image_ids))), "n_positive": sum(labels)}
