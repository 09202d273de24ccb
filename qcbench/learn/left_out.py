"""How a network does at a hospital that it never saw: each hospital in turn is left out of training.

Scores within the hospitals of the training say little of another one. For each hospital (or manufacturer, or model of
scanner) a variant of the study is fitted on the cross-validation images of the others and tried on all images of the
one left out, which takes no part in choosing the epoch either. The study's own test set stays unseen by every fit.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from qcbench import store
from qcbench.errors import UsageError
from qcbench.learn import infer, runs, scores, tabular, variants
from qcbench.learn.metrics import METRICS
from qcbench.learn.runs import Run
from qcbench.learn.scores import Score, Truth
from qcbench.learn.splits import refuse_leak
from qcbench.learn.train import train
from qcbench.learn.variants import Variant
from qcbench.study import Study
from qcbench.summary import Summary

Row = Mapping[str, object]

#: Columns of `images` by which images may be left out.
ATTRIBUTES = ("hospital", "manufacturer", "model_name")


def leave_one_out(
    study: Study,
    *,
    by: str = "hospital",
    task: str = "all",
    architecture: str = "conv5_fc3",
    preset: str = "paper-2022",
    folds: str | int | Sequence[int] = 0,
    spacing: int = 1,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    least_images: int = 20,
    show_progress: bool = True,
) -> Summary:
    """Fit a network without each hospital and predict its images; return how many hospitals, and which were too small.

    `evaluate` makes the metrics of it. `folds` of the others' cross-validation are fitted, by default one: a network a
    hospital and task. Hospitals with fewer than `least_images` labelled images are not left out. What is there already
    stays. Raises UsageError when fewer than two hospitals are known.
    """
    started = time.monotonic()
    study = Study.of(study)
    splits = store.require(study, "splits", "split")
    refuse_leak(splits)
    place_of = _places(study, by)
    summary = Summary(stage="leave-one-out", facts={"by": by})
    for place, n_images in sorted(_sizes(splits, place_of, by).items()):
        if n_images < least_images:
            summary.notes.append(f"{place} is not left out: {n_images} labelled images, {least_images} are asked for")
            continue
        new = splits_without(splits, place_of, place)
        variant = variants.prepare(study, _name(by, place), new)
        tested = {row["image_id"] for row in new if row["set"] == "test"}
        if architecture == tabular.ARCHITECTURE:
            part = tabular.forest(variant, task=task, seed=seed, image_ids=tested, show_progress=show_progress)
        else:
            part = train(
                variant,
                task=task,
                architecture=architecture,
                preset=preset,
                folds=folds,
                spacing=spacing,
                epochs=epochs,
                seed=seed,
                device=device,
                workers=workers,
                show_progress=show_progress,
            )
            options = {"device": device, "workers": workers, "image_ids": tested, "show_progress": show_progress}
            found = infer.predict(variant, task=task, architecture=architecture, **options)
            part.done, part.failed = part.done + found.done, {**part.failed, **found.failed}
        summary.done, summary.unchanged = summary.done + (part.done > 0), summary.unchanged + (part.done == 0)
        summary.failed.update(part.failed)
        summary.notes += [f"without {place}: {note}" for note in part.notes]
    summary.seconds = time.monotonic() - started
    return summary


def splits_without(splits: Sequence[Row], place_of: Mapping[str, str | None], place: str) -> list[dict]:
    """Return splits whose test set is all images of a place; its people are in no fold. Pure.

    Folds are the study's, of its cross-validation images of other places. Images of an unknown place are left out of
    training: they may be of this one.
    """
    away = {row["participant_id"] for row in splits if place_of.get(row["image_id"]) == place}
    new = []
    for row in splits:
        here = place_of.get(row["image_id"])
        if here == place:
            new.append({**row, "set": "test", "fold": None})
        elif here is not None and row["set"] == "cv" and row["participant_id"] not in away:
            new.append(dict(row))
    return new


def metric_rows(study: Study, truth: Truth, notes: list[str]) -> list[dict]:
    """Return the rows of `metrics` of every place that was left out, and their mean over the places.

    ``set`` is ``left-out hospital`` (manufacturer, model_name), column ``left_out`` names it, ``fold`` is null, and the
    mean over the places has the run_id ``mean over places``. Variants of earlier splits are named in `notes`.
    """
    new = []
    for by in ATTRIBUTES:
        groups: dict[tuple, list[tuple[str, Score, dict]]] = defaultdict(list)
        for place, variant in _present(study, by, notes):
            own = scores.truth_of(variant)
            for about, members, score in _scored(variant, own):
                about = {**about, "set": f"left-out {by}", "fold": None, "left_out": place}
                new += [{**about, **row} for row in score.rows]
                key = about["task"], about["architecture"], about["training_preset"]
                groups[key].append((place, score, members, about["simulated"]))
        for (task, architecture, preset), found in groups.items():
            everybody = {image_id: label for _, _, members, _ in found for image_id, label in members.items()}
            together = scores.mean([score for _, score, _, _ in found], METRICS, everybody, truth)
            about = {
                "task": task,
                "architecture": architecture,
                "training_preset": preset,
                "run_id": "mean over places",
                "set": f"left-out {by}",
                "fold": None,
                "left_out": None,
                "simulated": any(simulated for *_, simulated in found),
            }
            new += [{**about, **row} for row in together.rows]
    return new


def _present(study: Study, by: str, notes: list[str]) -> Iterator[tuple[str, Variant]]:
    """Yield the places whose variant is that of the present splits."""
    found = variants.find(study, _prefix(by))
    if not found:
        return
    splits, place_of = store.rows(study, "splits"), _places(study, by)
    expected = {_name(by, place): place for place in sorted({*place_of.values()} - {None})}
    for variant in found:
        place = expected.get(variant.name)
        if place and store.rows(variant, "splits") == splits_without(splits, place_of, place):
            yield place, variant
        else:
            notes.append(f"not evaluated, left out of earlier splits: {variant.name}; run leave-one-out again")


def _scored(variant: Variant, truth: Truth) -> Iterator[tuple[dict, dict[str, int], Score]]:
    """Yield, for each run and task of a variant, what is said of it, the images of the place, and its folds' mean."""
    present, _ = runs.of_these_splits(variant, runs.find(variant))
    predictions = scores.predictions_of(variant, present, truth.splits)
    draws = truth.draws("test")
    for run, task in [(each, task) for each in present for task in each.tasks]:
        members = truth.members(task, set_="test")
        found = [
            scores.of_probabilities(truth, members, probability_of, draws)
            for _, probability_of in sorted(predictions[run.run_id, task].items())
        ]
        found = found or [scores.of_nothing(members, _why_nothing(run))]
        yield scores.about(run, task, truth), members, scores.mean(found, METRICS, members, truth)


def _why_nothing(run: Run) -> str:
    reasons = sorted(set(run.skipped().values()))
    return f"not fitted: {'; '.join(reasons)}" if reasons else "nothing was predicted"


def _places(study: Study, by: str) -> dict[str, str | None]:
    if by not in ATTRIBUTES:
        raise UsageError(f"images are left out by {', '.join(ATTRIBUTES)}; got {by!r}")
    return {row["image_id"]: row[by] for row in store.rows(study, "images")}


def _sizes(splits: Sequence[Row], place_of: Mapping[str, str | None], by: str) -> Counter:
    sizes = Counter(place_of.get(row["image_id"]) for row in splits)
    unknown = sizes.pop(None, 0)
    if len(sizes) < 2:
        raise UsageError(
            f"to leave one {by} out, labelled images of at least two must be there; got {', '.join(sizes) or 'none'}"
            f" and {unknown} images whose {by} is not known. Label images of more, or leave out by another of "
            f"{', '.join(ATTRIBUTES)}."
        )
    return sizes


def _name(by: str, place: str) -> str:
    return _prefix(by) + variants.as_name(place)


def _prefix(by: str) -> str:
    return f"left-out-{by.replace('_', '-')}--"
