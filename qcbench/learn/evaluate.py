"""Metrics of every run and of the annotators against the consensus.

Rows of `metrics`, for each task, architecture and run:

- ``set`` is ``test`` (each fold's model on the whole test set), ``validation`` (each fold's model
  on its own fold), for annotators ``test`` and ``cv``, or ``left-out hospital`` (see `left_out`).
- ``fold`` 0-4: the metric of that fold's model. ``fold`` null: the mean over the folds, with the
  empirical standard deviation in ``sd`` (divided by n - 1) and ``sd_population`` (divided by n; the
  paper does not say which).
- Architecture ``<name>-ensemble``, set ``test``: the mean probability of all folds, decided at 0.5.
- Architecture ``annotators``: the mean over the raters of the rater's decisions against the
  consensus (run_id ``annotators``, fold null, sd over raters); one rater has run_id ``rater:<id>``.
- ``low`` and ``high`` are the ends of the 95% interval, by bootstrap over participants (`intervals`);
  null with fewer than ten participants. In rows of means it is the mean's.
- What is not defined has a null ``value`` and a ``reason``; a fold that could not be fitted has
  all its rows, with the reason.
- ``simulated`` is true when an image or label that the number rests on, training included, is simulated.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping

from qcbench import parallel, store
from qcbench.errors import StudyError
from qcbench.learn import left_out, model_card, runs, scores, tabular
from qcbench.learn.intervals import Draws
from qcbench.learn.metrics import DECISION_METRICS, METRICS
from qcbench.learn.runs import Run
from qcbench.learn.scores import Score, Truth
from qcbench.learn.task_data import sound_splits
from qcbench.learn.tasks import rater_decisions
from qcbench.schema import TASKS
from qcbench.study import Study
from qcbench.summary import Summary

Row = Mapping[str, object]


def evaluate(study: Study, *, show_progress: bool = True) -> Summary:
    """Write the table `metrics` of all runs on the present splits and of the annotators, and each run's model card.

    Raises StudyError when nothing was trained, LeakError when the splits leak. Runs of earlier
    splits are not evaluated (the test set may have been theirs to train on) but named in `notes`.
    """
    started = time.monotonic()
    study = Study.of(study)
    sound_splits(study)
    truth = scores.truth_of(study)
    present, earlier = runs.of_these_splits(study, runs.find(study))
    if not present:
        raise StudyError(f"{study.folder} has no run on its present splits. Run first: qcbench train {study.folder}")
    present, passed_over = runs.closest(study, present)
    predictions = scores.predictions_of(study, present, truth.splits)
    summary = Summary(stage="evaluate", notes=_without_baseline(study, present))
    if passed_over:
        summary.notes.append(f"not evaluated, others are fitted to data closer to today's: {', '.join(passed_over)}")
    for run_id, changes in runs.outdated(study, present).items():
        summary.notes.append(f"{run_id} was fitted to other data than today's ({changes}): train again to use them")
    if earlier:
        summary.notes.append(f"not evaluated, fitted on earlier splits: {', '.join(earlier)}")
    draws = {set_: truth.draws(set_) for set_ in ("test", "cv")}
    new = [*_annotator_rows(study, truth, draws), *left_out.metric_rows(study, truth, summary.notes)]
    with parallel.progress("runs", len(present), show=show_progress) as advance:
        for run in present:
            for task in run.tasks:
                new += _run_rows(run, task, predictions[run.run_id, task], truth, draws, summary)
            advance()
    old = store.rows(study, "metrics")
    store.write(study, "metrics", new)
    written = store.rows(study, "metrics")
    summary.done, summary.unchanged = (0, len(new)) if written == old else (len(new), 0)
    for run in present:
        model_card.write(study, run, written)
    summary.facts["undefined"] = sum(row["value"] is None for row in new)
    summary.seconds = time.monotonic() - started
    return summary


def _without_baseline(study: Study, present: list[Run]) -> list[str]:
    """Return a sentence on the tasks that have a network and nothing to compare it with."""
    with_baseline = {run.task for run in present if run.architecture == tabular.ARCHITECTURE}
    tasks = {task for run in present for task in run.tasks} - with_baseline
    if not tasks:
        return []
    return [
        f"no baseline without a network beside {', '.join(sorted(tasks))}. "
        f"Run: qcbench predict {study.folder} --architecture {tabular.ARCHITECTURE}"
    ]


def _run_rows(
    run: Run,
    task: str,
    by_fold: Mapping[int, Mapping[str, float]],
    truth: Truth,
    draws: Mapping[str, Draws],
    summary: Summary,
) -> list[dict]:
    about = scores.about(run, task, truth)
    skipped = run.skipped()
    waiting = [fold for fold in run.config["folds"] if fold not in by_fold and fold not in skipped]
    of_task = f" for {task}" if len(run.tasks) > 1 else ""
    if waiting:
        folds = ", ".join(map(str, waiting))
        summary.notes.append(f"{run.run_id}: no predictions of fold {folds}{of_task}; run train, then predict")
    new = []
    for set_, place in (("test", "test"), ("validation", "cv")):
        found: list[Score] = []
        for fold in sorted({*skipped, *by_fold}):
            members = truth.members(task, set_=place, fold=fold if place == "cv" else None)
            found.append(
                scores.of_nothing(members, f"not fitted: {skipped[fold]}")
                if fold in skipped
                else scores.of_probabilities(truth, members, by_fold[fold], draws[place])
            )
            new += [{**about, "set": set_, "fold": fold, **row} for row in found[-1].rows]
        if lacking := _lacking(truth, task, place, by_fold):
            summary.notes.append(
                f"{run.run_id}: {lacking} {set_} images{of_task} have no prediction and are not in its metrics. "
                f"Run: qcbench predict"
            )
        means = scores.mean(found, METRICS, truth)
        new += [{**about, "set": set_, "fold": None, **row} for row in means.rows]
    if len(by_fold) > 1:
        members = truth.members(task, set_="test")
        together = scores.of_probabilities(truth, members, scores.ensemble(by_fold), draws["test"])
        about["architecture"] = f"{run.architecture}-ensemble"
        new += [{**about, "set": "test", "fold": None, **row} for row in together.rows]
    return new


def _lacking(truth: Truth, task: str, place: str, by_fold: Mapping[int, Mapping[str, float]]) -> int:
    """Return how many images of a set a fold that has predictions should have one of, and has not."""
    lacking = set()
    for fold, found in by_fold.items():
        lacking |= set(truth.members(task, set_=place, fold=fold if place == "cv" else None)) - set(found)
    return len(lacking)


def _annotator_rows(study: Study, truth: Truth, draws: Mapping[str, Draws]) -> list[dict]:
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
            found = {
                rater: scores.of_decisions(truth, members, rater_decisions(labels, members, task), draws[set_])
                for rater, labels in sorted(by_rater.items())
            }
            new += [
                {**about, "run_id": f"rater:{rater}", **row} for rater, score in found.items() for row in score.rows
            ]
            if found:
                means = scores.mean(list(found.values()), DECISION_METRICS, truth)
                new += [{**about, "run_id": "annotators", **row} for row in means.rows]
    return new
