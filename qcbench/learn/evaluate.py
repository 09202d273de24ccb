"""Metrics of every run and of the annotators against the consensus.

Rows of `metrics`, for each task, architecture and run:

- ``set`` is ``test`` (each fold's model on the whole test set), ``validation`` (each fold's model
  on its own fold) or, for annotators, ``test`` and ``cv``.
- ``fold`` 0-4: the metric of that fold's model. ``fold`` null: the mean over the folds in
  ``value``, mean - sd and mean + sd in ``low`` and ``high``, the empirical standard deviation in
  ``sd`` (divided by n - 1) and ``sd_population`` (divided by n; the paper does not say which).
- Architecture ``annotators``: the mean over the raters of the rater's decisions against the
  consensus (run_id ``annotators``, fold null, sd over raters); one rater has run_id ``rater:<id>``.
- What is not defined has a null ``value`` and a ``reason``; a fold that could not be fitted has
  all its rows, with the reason.
- ``simulated`` is true when an image or label that the number rests on, training included, is simulated.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qcbench import parallel, store
from qcbench.errors import StudyError
from qcbench.learn import runs
from qcbench.learn.metrics import (
    DECISION_METRICS,
    METRICS,
    metrics_from_decisions,
    metrics_from_probabilities,
    why_undefined,
)
from qcbench.learn.runs import Run
from qcbench.learn.splits import refuse_leak
from qcbench.learn.tasks import rater_decisions, task_labels
from qcbench.schema import TASKS
from qcbench.study import Study
from qcbench.summary import Summary

Row = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class _Truth:
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
        return not self.simulated.isdisjoint(image_ids)


def evaluate(study: Study, *, show_progress: bool = True) -> Summary:
    """Write the table `metrics` of all runs on the present splits and of the annotators.

    Raises StudyError when nothing was trained, LeakError when the splits leak. Runs of earlier
    splits are not evaluated (the test set may have been theirs to train on) but named in `notes`.
    """
    started = time.monotonic()
    study = Study.of(study)
    refuse_leak(store.require(study, "splits", "split"))
    truth = _truth(study)
    present, earlier = runs.of_these_splits(study, runs.find(study))
    if not present:
        raise StudyError(f"{study.folder} has no run on its present splits. Run first: qcbench train {study.folder}")
    predictions = _predictions(study, present)
    summary = Summary(stage="evaluate")
    if earlier:
        summary.notes.append(f"not evaluated, fitted on earlier splits: {', '.join(earlier)}")
    new = _annotator_rows(study, truth)
    with parallel.progress("runs", len(present), show=show_progress) as advance:
        for run in present:
            new += _run_rows(run, predictions[run.run_id], truth, summary)
            advance()
    old = store.rows(study, "metrics")
    store.write(study, "metrics", new)
    unchanged = store.rows(study, "metrics") == old
    summary.done, summary.unchanged = (0, len(new)) if unchanged else (len(new), 0)
    summary.facts["undefined"] = sum(row["value"] is None for row in new)
    summary.seconds = time.monotonic() - started
    return summary


def _truth(study: Study) -> _Truth:
    consensus = store.require(study, "consensus", "consensus")
    simulated = {row["image_id"] for row in consensus if row["simulated"]}
    simulated |= {row["image_id"] for row in store.rows(study, "images") if row["simulated"]}
    return _Truth(
        labels={task: task_labels(consensus, task) for task in TASKS},
        splits={row["image_id"]: row for row in store.rows(study, "splits")},
        simulated=frozenset(simulated),
    )


def _predictions(study: Study, present: Sequence[Run]) -> dict[str, dict[int, dict[str, float]]]:
    """Return run_id -> fold -> image_id -> probability, of the given runs."""
    wanted = {run.run_id for run in present}
    found: dict[str, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in store.rows(study, "predictions"):
        if row["run_id"] in wanted and row["probability"] is not None:
            found[row["run_id"]][row["fold"]][row["image_id"]] = row["probability"]
    return found


def _run_rows(run: Run, by_fold: Mapping[int, Mapping[str, float]], truth: _Truth, summary: Summary) -> list[dict]:
    skipped = run.skipped()
    about = {
        "task": run.task,
        "architecture": run.architecture,
        "training_preset": run.config["preset"],
        "run_id": run.run_id,
        "simulated": truth.rests_on_simulation(
            truth.members(run.task, set_="test") | truth.members(run.task, set_="cv")
        ),
    }
    waiting = [fold for fold in run.config["folds"] if fold not in by_fold and fold not in skipped]
    if waiting:
        summary.notes.append(
            f"{run.run_id}: no predictions of fold {', '.join(map(str, waiting))}; run train, then predict"
        )
    new = []
    for set_ in ("test", "validation"):
        rows = []
        for fold in sorted({*skipped, *by_fold}):
            members = (
                truth.members(run.task, set_="test")
                if set_ == "test"
                else truth.members(run.task, set_="cv", fold=fold)
            )
            rows += [
                {**about, "set": set_, "fold": fold, **row}
                for row in _fold_rows(members, by_fold.get(fold, {}), skipped.get(fold))
            ]
        n_images = len(truth.members(run.task, set_="test" if set_ == "test" else "cv"))
        new += rows + [{**about, "set": set_, "fold": None, **row} for row in _summary_rows(rows, METRICS, n_images)]
    return new


def _fold_rows(members: Mapping[str, int], probability_of: Mapping[str, float], skipped: str | None) -> list[dict]:
    if skipped:
        return [
            {"metric": name, "value": None, "n": len(members), "reason": f"not fitted: {skipped}"} for name in METRICS
        ]
    seen = sorted(set(members) & set(probability_of))
    labels = [members[image_id] for image_id in seen]
    probabilities = [probability_of[image_id] for image_id in seen]
    decided = [int(probability >= 0.5) for probability in probabilities]
    return [
        {"metric": name, "value": value, "n": len(seen), "reason": why_undefined(name, labels, decided)}
        for name, value in metrics_from_probabilities(labels, probabilities).items()
    ]


def _summary_rows(rows: Sequence[Row], names: Sequence[str], n_images: int) -> list[dict]:
    """Return mean and standard deviation per metric over the folds (or raters) where it is defined."""
    new = []
    for name in names:
        mine = [row for row in rows if row["metric"] == name]
        values = [row["value"] for row in mine if row["value"] is not None]
        if not values:
            reasons = sorted({row["reason"] for row in mine if row["reason"]}) or ["nothing was predicted"]
            new.append({"metric": name, "value": None, "n": n_images, "reason": "; ".join(reasons)})
            continue
        mean, sd = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
        left_out = len(mine) - len(values)
        new.append(
            {
                "metric": name,
                "value": mean,
                "low": None if sd is None else mean - sd,
                "high": None if sd is None else mean + sd,
                "sd": sd,
                "sd_population": float(np.std(values)),
                "n": n_images,
                "reason": f"undefined in {left_out} of {len(mine)}, which are left out" if left_out else None,
            }
        )
    return new


def _annotator_rows(study: Study, truth: _Truth) -> list[dict]:
    by_rater: dict[str, list[Row]] = defaultdict(list)
    simulated_label = set()
    for label in store.labels(study, study.consensus_raters):
        by_rater[label["rater"]].append(label)
        if label["source"] == "simulated":
            simulated_label.add(label["image_id"])
    new = []
    for task in TASKS:
        for set_ in ("test", "cv"):
            members = truth.members(task, set_=set_)
            about = {
                "task": task,
                "architecture": "annotators",
                "training_preset": None,
                "set": set_,
                "fold": None,
                "simulated": truth.rests_on_simulation(members) or not simulated_label.isdisjoint(members),
            }
            rows = [
                {**about, "run_id": f"rater:{rater}", **row}
                for rater, labels in sorted(by_rater.items())
                for row in _rater_rows(rater_decisions(labels, members, task), members)
            ]
            means = _summary_rows(rows, DECISION_METRICS, len(members)) if rows else []
            new += rows + [{**about, "run_id": "annotators", **row} for row in means]
    return new


def _rater_rows(decisions: Mapping[str, int], members: Mapping[str, int]) -> list[dict]:
    seen = sorted(decisions)
    labels, decided = [members[image_id] for image_id in seen], [decisions[image_id] for image_id in seen]
    return [
        {"metric": name, "value": value, "n": len(seen), "reason": why_undefined(name, labels, decided)}
        for name, value in metrics_from_decisions(labels, decided).items()
    ]
