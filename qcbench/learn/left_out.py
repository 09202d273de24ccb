"""How a network does at a hospital that it never saw: each hospital in turn is left out of training.

Scores within the hospitals of the training say little of another one. For each hospital (or manufacturer, or model of
scanner) a variant of the study is fitted on the cross-validation images of the others and tried on all images of the
one left out, which takes no part in choosing the epoch either. The study's own test set stays unseen by every fit.
"""

from __future__ import annotations

import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from qcbench import store
from qcbench.errors import UsageError
from qcbench.learn import infer, runs, scores, tabular, variants
from qcbench.learn.metrics import METRICS
from qcbench.learn.runs import Run
from qcbench.learn.scores import Score, Truth
from qcbench.learn.splits import folds_left
from qcbench.learn.task_data import sound_splits
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
    folds: str | int | Sequence[int] = "first",
    spacing: int = 1,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    least_images: int = 20,
    show_progress: bool = True,
) -> Summary:
    """Fit a network without each hospital and predict its images; return how many hospitals, and which were too small.

    `evaluate` makes the metrics of it. `folds` of the others' cross-validation are fitted, by default the first that
    is left: a network a hospital and task. Hospitals with fewer than `least_images` labelled images are not left out.
    What is there already stays. Raises UsageError when fewer than two hospitals are known.
    """
    started = time.monotonic()
    study = Study.of(study)
    splits = sound_splits(study)
    place_of = _places(study, by)
    summary = Summary(stage="leave-one-out", facts={"by": by})
    for place, n_images in sorted(_sizes(splits, place_of, by).items()):
        if n_images < least_images:
            summary.notes.append(f"{place} is not left out: {n_images} labelled images, {least_images} are asked for")
            continue
        new = splits_without(splits, place_of, place)
        mine = folds_left(new, folds)
        if len(folds_left(new, "all")) < 2 or not mine:
            summary.notes.append(
                f"{place} is not left out: without its people too few folds are left to fit and validate"
            )
            continue
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
                folds=mine,
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
    mean over the places of networks fitted in one way has a run_id that begins with ``mean over places`` and ends with
    the way (`recipe`). Of several such networks at a place, fitted to other labels or volumes, all have rows and the
    last fitted is in the mean. Variants of earlier splits are named in `notes`.
    """
    new = []
    for by in ATTRIBUTES:
        groups: dict[tuple[str, str], dict[str, _Tried]] = defaultdict(dict)
        for place, variant in _present(study, by, notes):
            for tried in _tried(variant):
                new += [{**tried.about, "set": f"left-out {by}", "left_out": place, **row} for row in tried.score.rows]
                mine = groups[tried.about["task"], recipe(tried.run)]
                if place not in mine or mine[place].fitted_at < tried.fitted_at:
                    mine[place] = tried
        for (_, way), of_place in groups.items():
            found = [tried for _, tried in sorted(of_place.items())]
            together = scores.mean([tried.score for tried in found], METRICS, truth)
            about = {
                **found[0].about,
                "run_id": f"mean over places {way}",
                "set": f"left-out {by}",
                "left_out": None,
                "simulated": any(tried.about["simulated"] for tried in found),
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


def recipe(run: Run) -> str:
    """Return how a run was fitted, whatever it was fitted to: what runs over several places have in common."""
    digest = runs.sha256_of([run.config.get("options"), run.config.get("pretraining")])
    return f"{run.architecture}-{run.config['preset']}-{run.spacing}mm-s{run.config['seed']}-{digest[:8]}"


@dataclass(frozen=True, kw_only=True)
class _Tried:
    """A run of a variant in one of its tasks: what is said of it, and the mean of its folds on the place left out."""

    run: Run
    about: dict
    score: Score
    fitted_at: float


def _tried(variant: Variant) -> Iterator[_Tried]:
    """Yield each run and task of a variant."""
    truth = scores.truth_of(variant)
    present, _ = runs.of_these_splits(variant, runs.find(variant))
    present, _ = runs.closest(variant, present)
    predictions = scores.predictions_of(variant, present, truth.splits)
    # A seed of its own: with one seed, the first of every place would be drawn together.
    draws = truth.draws("test", seed=zlib.crc32(variant.name.encode()))
    for run, task in [(each, task) for each in present for task in each.tasks]:
        members = truth.members(task, set_="test")
        found = [
            scores.of_probabilities(truth, members, probability_of, draws)
            for _, probability_of in sorted(predictions[run.run_id, task].items())
        ]
        found = found or [scores.of_nothing(members, _why_nothing(run))]
        yield _Tried(
            run=run,
            about={**scores.about(run, task, truth), "fold": None},
            score=scores.mean(found, METRICS, truth),
            fitted_at=(run.folder / "config.json").stat().st_mtime,
        )


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
