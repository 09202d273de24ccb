"""How good a network is with fewer labels: nested subsets of the cross-validation images, one test set.

The subset of a size holds every smaller one, so that a curve shows what more labels brought and not who was drawn.
Subsets are of whole participants, and take the same share of every fold. An image counts whether it was fitted on or
chose the epoch: raters had to label both.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from qcbench import parallel, schema, store
from qcbench.errors import UsageError
from qcbench.learn import infer, objectives, runs, scores, tabular, variants
from qcbench.learn.runs import Run
from qcbench.learn.scores import Truth
from qcbench.learn.splits import folds_left
from qcbench.learn.task_data import sound_splits
from qcbench.learn.tasks import chosen_tasks
from qcbench.learn.train import train
from qcbench.learn.variants import Variant
from qcbench.study import Study
from qcbench.summary import Summary

Row = Mapping[str, object]
_N_SIZES = 5


def learning_curve(
    study: Study,
    *,
    task: str = "all",
    sizes: Sequence[int] | None = None,
    architecture: str = "conv5_fc3",
    preset: str = "paper-2022",
    folds: str | int | Sequence[int] = "all",
    spacing: int = 1,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    show_progress: bool = True,
) -> Summary:
    """Write the table `learning_curve`, a row a size and fold; return how many rows are new.

    `sizes` are numbers of labelled images of the task in cross-validation; whole participants come closest to them. By
    default all of them, half, and so on, five sizes. Fits of a size lie in variants/: a call that was stopped goes on,
    and what is fitted already stays. Rows of earlier splits or labels are replaced when their size is run again.
    """
    started = time.monotonic()
    study = Study.of(study)
    names = _tasks(task, architecture)
    splits = sound_splits(study)
    preset = f"{tabular.N_TREES} trees" if architecture == tabular.ARCHITECTURE else preset
    spacing = tabular.SPACING if architecture == tabular.ARCHITECTURE else spacing
    truth = scores.truth_of(study)
    summary = Summary(stage="learning-curve")
    about = {"architecture": architecture, "training_preset": preset, "spacing_mm": spacing, "seed": seed}
    about["epochs"] = None if architecture == tabular.ARCHITECTURE else epochs
    options = {"preset": preset, "spacing": spacing, "epochs": epochs}
    options |= {"device": device, "workers": workers}
    subsets = [(name, *subset) for name in names for subset in _subsets(truth, name, sizes, seed)]
    with parallel.progress("subsets", len(subsets), show=show_progress) as advance:
        for name, size, members in subsets:
            kept = {truth.splits[image_id]["participant_id"] for image_id in members}
            new = [row for row in splits if row["set"] == "test" or row["participant_id"] in kept]
            mine = folds_left(new, folds)
            if mine:
                variant = variants.prepare(study, f"curve-{name}-{size}-s{seed}", new)
                run = _fit(variant, name, architecture, seed, {**options, "folds": mine}, summary)
                more = {**about, "task": name, "n_asked": size, "n_images": len(members), "n_participants": len(kept)}
                _keep(study, [{**more, **row} for row in _fold_rows(variant, run, truth, members)], summary)
            else:
                summary.notes.append(f"{name} with {size} images: nobody of the folds asked for is among them")
            advance()
    summary.seconds = time.monotonic() - started
    return summary


def nested_order(fold_of: Mapping[str, int], seed: int = 0) -> list[str]:
    """Return the participants in the order in which subsets take them: at random, folds in step. Pure.

    >>> order = nested_order({"a": 0, "b": 0, "c": 1, "d": 1})
    >>> {"a", "b"} == set(order[:2]), {"c", "d"} == set(order[:2])
    (False, False)
    """
    generator = np.random.default_rng(seed)
    by_fold: dict[int, list[str]] = defaultdict(list)
    for who in sorted(fold_of):
        by_fold[fold_of[who]].append(who)
    places = []
    for fold, people in sorted(by_fold.items()):
        for rank, number in enumerate(generator.permutation(len(people))):
            places.append(((rank + 0.5) / len(people), fold, people[number]))
    return [who for _, _, who in sorted(places)]


def default_sizes(n_images: int, n_folds: int) -> list[int]:
    """Return all images, half of them, a quarter... five sizes, of which none leaves a fold under two images.

    >>> default_sizes(3660, 5)
    [229, 458, 915, 1830, 3660]
    >>> default_sizes(30, 5)
    [15, 30]
    """
    sizes = [math.ceil(n_images / 2**halvings) for halvings in reversed(range(_N_SIZES))]
    return [size for size in sizes if size >= 2 * n_folds]


def _tasks(task: str, architecture: str) -> tuple[str, ...]:
    if objectives.of_architecture(architecture) is objectives.ALL_TASKS:
        raise UsageError(
            f"a learning curve counts the images of one task, and {architecture} is fitted to those of all; "
            "take lean3d, whose trunk is the same"
        )
    return chosen_tasks(task)


def _subsets(truth: Truth, task: str, sizes: Sequence[int] | None, seed: int) -> Iterator[tuple[int, dict[str, int]]]:
    """Yield each size with its images, the smallest first."""
    everything = truth.members(task, set_="cv")
    fold_of = {truth.splits[i]["participant_id"]: truth.splits[i]["fold"] for i in everything}
    owned: dict[str, dict[str, int]] = defaultdict(dict)
    for image_id, label in everything.items():
        owned[truth.splits[image_id]["participant_id"]][image_id] = label
    order = nested_order(fold_of, seed)
    reached = np.cumsum([len(owned[who]) for who in order])
    asked = default_sizes(len(everything), len(set(fold_of.values()))) if sizes is None else sorted(set(sizes))
    for size in asked:
        if not 1 <= size <= len(everything):
            raise UsageError(
                f"task {task} has {len(everything)} labelled images in cross-validation; a size must be from 1 to "
                f"that, got {size}"
            )
        n_people = int(np.abs(reached - size).argmin()) + 1
        yield size, {image_id: label for who in order[:n_people] for image_id, label in owned[who].items()}


def _fit(variant: Variant, task: str, architecture: str, seed: int, options: dict, summary: Summary) -> Run:
    """Fit and predict the test set; return the run, whose folds may have been impossible."""
    tested = {row["image_id"] for row in store.rows(variant, "splits") if row["set"] == "test"}
    shown = {"workers": options["workers"], "show_progress": False}
    if architecture == tabular.ARCHITECTURE:
        part = tabular.forest(variant, task=task, seed=seed, image_ids=tested, **shown)
    else:
        part = train(variant, task=task, architecture=architecture, seed=seed, show_progress=False, **options)
        found = infer.predict(
            variant, task=task, architecture=architecture, device=options["device"], image_ids=tested, **shown
        )
        part.failed.update(found.failed)
    summary.failed.update(part.failed)
    summary.notes += [f"{variant.name}: {note}" for note in part.notes]
    return next(run for run in runs.find(variant) if run.run_id == part.facts["runs"])


def _fold_rows(variant: Variant, run: Run, truth: Truth, members: Mapping[str, int]) -> list[dict]:
    """Return the balanced accuracy of each fold on the study's test set, or why it has none."""
    test = truth.members(run.task, set_="test")
    by_fold = scores.predictions_of(variant, [run], test)[run.run_id, run.task]
    draws = truth.draws("test")
    skipped = run.skipped()
    about = scores.about(run, run.task, truth, {**test, **members})
    rows = []
    for fold in sorted({*by_fold, *skipped}):
        score = (
            scores.of_nothing(test, f"not fitted: {skipped[fold]}")
            if fold in skipped
            else scores.of_probabilities(truth, test, by_fold[fold], draws)
        )
        found = next(row for row in score.rows if row["metric"] == "balanced_accuracy")
        rows.append(
            {
                "fold": fold,
                "n_fit": sum(truth.splits[image_id]["fold"] != fold for image_id in members),
                "balanced_accuracy": found["value"],
                "n_test": found["n"],
                "simulated": about["simulated"],
                "run_id": run.run_id,
                "reason": found["reason"],
            }
        )
    return rows


def _keep(study: Study, rows: Sequence[Row], summary: Summary) -> None:
    """Write the rows of one size, so that a call that is stopped has shown what it found."""
    names = schema.LEARNING_CURVE.key
    old = {tuple(row[name] for name in names): row for row in store.rows(study, "learning_curve")}
    same = sum(old.get(tuple(row[name] for name in names)) == dict(row) for row in rows)
    summary.unchanged += same
    summary.done += len(rows) - same
    if same < len(rows):
        store.upsert(study, "learning_curve", rows)
