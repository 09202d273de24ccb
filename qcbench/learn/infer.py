"""Fitted networks over the volumes of a study: each volume is read once, all networks look at it."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from qcbench import parallel, store
from qcbench.errors import StudyError, UsageError, WeightsError
from qcbench.learn import objectives, predictions, runs, tabular, weights
from qcbench.learn.datasets import VolumeCache, build_cache, coarse_shape, open_cache, to_unit, without_volume
from qcbench.learn.objectives import ONE_TASK, Objective
from qcbench.learn.runs import Run
from qcbench.study import Study
from qcbench.summary import Summary

#: Voxels in one batch. A processor is three times faster when the activations stay in its cache (4
#: volumes at 4 mm); a GPU takes 5 volumes at 1 mm, with about 0.5 GB of activations each.
_VOXELS_A_BATCH = {"cpu": 2**19, "cuda": 2**25}
_MOST_IN_A_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class _Model:
    run: Run
    fold: int
    network: nn.Module
    weights_sha256: str


def predict(
    study: Study,
    *,
    task: str = "all",
    architecture: str = "conv5_fc3",
    device: str = "auto",
    workers: int = 0,
    image_ids: Collection[str] | None = None,
    show_progress: bool = True,
) -> Summary:
    """Write `predictions` of every fitted fold for every preprocessed image; return how many are new.

    With `image_ids`, only for those. `probability` is that of the positive class, `decision` yes
    from 0.5 on; the network for all tasks gives a row a task. Runs that the present splits allow are
    used, of runs asked for alike the closest to today's data; those of earlier splits only when there are no
    others. `notes` say which were fitted to other labels or volumes than today's. What was predicted with the
    same weights from the same bytes stays. Labelled images without a volume are in `failed`. Raises
    StudyError when nothing was trained and WeightsError when weights are damaged or no safetensors.
    """
    if architecture == tabular.ARCHITECTURE:
        options = {"workers": workers, "image_ids": image_ids, "show_progress": show_progress}
        return tabular.forest(study, task=task, seed=None, **options)
    started = time.monotonic()
    study = Study.of(study)
    objectives.chosen_runs(task, architecture)
    target = _device(device)
    summary = Summary(stage="predict")
    labelled = {row["image_id"] for row in store.rows(study, "splits")}
    labelled = labelled if image_ids is None else labelled & set(image_ids)
    by_cache: dict[tuple[int, str], list[_Model]] = defaultdict(list)
    for model in _models(study, task, architecture, summary):
        by_cache[model.run.spacing, model.run.config.get("voxels", "uint8")].append(model)
    for (spacing, voxels), models in sorted(by_cache.items()):
        cached = build_cache(
            study, spacing=spacing, voxels=voxels, image_ids=image_ids, workers=workers, show_progress=show_progress
        )
        cache = open_cache(study, spacing=spacing, voxels=voxels)
        summary.failed |= {**without_volume(study, labelled, cache), **cached.failed}
        wanted = set(cache.rows) if image_ids is None else set(cache.rows) & set(image_ids)
        _predict_with(study, models, cache, wanted, target, summary, show_progress=show_progress)
    _note_outdated(study, [model.run for models in by_cache.values() for model in models], summary)
    summary.facts["device"] = str(target)
    summary.seconds = time.monotonic() - started
    return summary


def probabilities(
    network: nn.Module, volumes: torch.Tensor, objective: Objective = ONE_TASK
) -> list[tuple[float, ...]]:
    """Return the probability of the positive class of each task, for volumes of bytes (images, 1, x, y, z)."""
    with torch.inference_mode():
        found = objective.probabilities(network(to_unit(volumes)))
        return [tuple(of_image) for of_image in torch.stack(found, dim=1).tolist()]


def _models(study: Study, task: str, architecture: str, summary: Summary) -> Iterator[_Model]:
    everything = runs.find(study, task=task, architecture=architecture)
    current, earlier = runs.of_these_splits(study, everything)
    if current and earlier:
        summary.notes.append(f"not used, fitted on earlier splits: {', '.join(earlier)}")
    chosen, passed_over = runs.closest(study, current or everything)
    if passed_over:
        summary.notes.append(f"not used, others are fitted to data closer to today's: {', '.join(passed_over)}")
    if not any(run.fitted_folds() or run.skipped() for run in chosen):
        raise StudyError(
            f"{study.folder} has no fitted {architecture} for task {task}. "
            f"Run first: qcbench train {study.folder} --architecture {architecture}"
        )
    for run in chosen:
        expected = coarse_shape(run.spacing)
        for fold in run.fitted_folds():
            network = weights.load_network(run.folder, run.fold_folder(fold))
            _refuse_other_shape(run, expected)
            fitted = weights.read_json(run.fold_folder(fold) / "fold.json")
            yield _Model(run=run, fold=fold, network=network, weights_sha256=fitted["weights_sha256"])


def _note_outdated(study: Study, used: Sequence[Run], summary: Summary) -> None:
    for run_id, changes in runs.outdated(study, used).items():
        summary.notes.append(f"{run_id} was fitted to other data than today's ({changes}): train again to use them")


def _refuse_other_shape(run: Run, expected: tuple[int, int, int]) -> None:
    shape = tuple(weights.read_json(run.folder / "architecture.json")["shape"])
    if shape != expected:
        raise WeightsError(f"{run.folder}: the network is for {shape}, volumes at {run.spacing} mm are {expected}")


def _predict_with(
    study: Study,
    models: Sequence[_Model],
    cache: VolumeCache,
    wanted: Collection[str],
    device: torch.device,
    summary: Summary,
    *,
    show_progress: bool,
) -> None:
    for model in models:
        model.network.to(device, memory_format=torch.channels_last_3d)
    preset_of = {row["image_id"]: row["preprocessing_preset"] for row in store.rows(study, "preprocessed")}
    image_ids = sorted(set(wanted) & set(preset_of))
    missing = _missing(study, models, image_ids, preset_of, cache.hashes)
    summary.unchanged += sum(len(model.run.tasks) for model in models) * len(image_ids)
    summary.unchanged -= sum(len(models[number].run.tasks) for numbers in missing.values() for number in numbers)
    waiting = [image_id for image_id in image_ids if image_id in missing]
    size = max(1, min(_MOST_IN_A_BATCH, _VOXELS_A_BATCH[device.type] // math.prod(cache.shape)))
    with (
        store.collect(study, "predictions") as found,
        parallel.progress("images", len(waiting), show=show_progress and bool(waiting)) as advance,
    ):
        for start in range(0, len(waiting), size):
            batch = waiting[start : start + size]
            volumes = cache.volumes(batch).to(device)
            for number, model in enumerate(models):
                if not any(number in missing[image_id] for image_id in batch):
                    continue
                objective = objectives.of_architecture(model.run.architecture)
                for image_id, of_tasks in zip(batch, probabilities(model.network, volumes, objective), strict=True):
                    if number in missing[image_id]:
                        about = {"preprocessing_preset": preset_of[image_id], "volume_hash": cache.hashes[image_id]}
                        for row in _predictions(model, image_id, of_tasks):
                            found.append({**row, **about})
                            summary.done += 1
            for _ in batch:
                advance()


def _missing(
    study: Study,
    models: Sequence[_Model],
    image_ids: Sequence[str],
    preset_of: Mapping[str, str],
    hashes: Mapping[str, str],
) -> dict[str, set[int]]:
    """Return image_id -> the models (by position) that have not seen it as it is now."""
    names = ("image_id", "task", "run_id", "fold", "weights_sha256", "preprocessing_preset", "volume_hash")
    there = set(predictions.of_runs(study, {model.run.run_id for model in models}, names))
    missing: dict[str, set[int]] = defaultdict(set)
    for image_id in image_ids:
        for number, model in enumerate(models):
            key = (model.run.run_id, model.fold, model.weights_sha256, preset_of[image_id], hashes[image_id])
            if any((image_id, task, *key) not in there for task in model.run.tasks):
                missing[image_id].add(number)
    return missing


def _predictions(model: _Model, image_id: str, of_tasks: Sequence[float]) -> list[dict]:
    return [
        {
            "image_id": image_id,
            "task": task,
            "architecture": model.run.architecture,
            "run_id": model.run.run_id,
            "fold": model.fold,
            "probability": probability,
            "probability_calibrated": None,
            "decision": "yes" if probability >= 0.5 else "no",
            "weights_sha256": model.weights_sha256,
        }
        for task, probability in zip(model.run.tasks, of_tasks, strict=True)
    ]


def _device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda"):
        raise UsageError(f"device must be auto, cpu or cuda, got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("device cuda was asked for, but torch sees no GPU; use device auto or cpu")
    return torch.device(device)
