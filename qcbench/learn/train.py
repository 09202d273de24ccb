"""Networks fitted to the consensus: one run a task, one network a fold."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence

import pytorch_lightning as pl
import torch

import qcbench
from qcbench import durable, parallel, store
from qcbench.errors import UsageError
from qcbench.learn import networks, runs, tabular, weights
from qcbench.learn.datasets import VolumeCache, VolumeDataset, build_cache, coarse_shape, open_cache
from qcbench.learn.fit import FittedFold, TrainOptions, fit_fold
from qcbench.learn.runs import Run, TaskData
from qcbench.learn.splits import refuse_leak
from qcbench.learn.tasks import chosen_tasks, class_weights
from qcbench.study import Study
from qcbench.summary import Summary

#: Bottani et al. 2022, section 2.6, with the weight decay of the code they trained with.
PAPER_2022 = TrainOptions()
#: For demonstrations and tests: shows that the path works, not what a network can do.
QUICK = TrainOptions(learning_rate=1e-3, batch_size=4, epochs=6, patience=0, loss_norm="images", channels_last=True)
PRESETS = {"paper-2022": PAPER_2022, "quick": QUICK}


def train(
    study: Study,
    *,
    task: str = "all",
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
    """Fit one network per task and fold into runs/<run-id>; return how many were fitted.

    What is fitted already stays: a call that was stopped goes on with the next fold. `spacing`
    is the voxel size in mm; `epochs` takes the place of the preset's; `device` is auto, cpu or
    cuda; `workers` are processes that read volumes. A fold in which a class has no image is not
    fitted: `notes` and skipped.json say so. ``architecture="forest_25"`` fits the baseline
    without a network. Raises LeakError, UsageError, and TrainingError when a loss is no number.
    """
    if architecture == tabular.ARCHITECTURE:
        return tabular.forest(study, task=task, seed=seed, workers=workers, show_progress=show_progress)
    started = time.monotonic()
    study = Study.of(study)
    options = train_options(preset, epochs=epochs)
    with torch.device("meta"):
        networks.build(architecture, coarse_shape(spacing))  # refuses a wrong name or spacing before any work
    refuse_leak(store.require(study, "splits", "split"))
    cached = build_cache(
        study, spacing=spacing, image_ids=_cv_images(study), workers=workers, show_progress=show_progress
    )
    cache = open_cache(study, spacing=spacing)
    data = [runs.task_data(study, name, cache.rows) for name in chosen_tasks(task)]
    plans = [_plan(study, part, architecture, preset, options, spacing, seed, folds) for part in data]
    summary = Summary(stage="train", failed=cached.failed, notes=_stale(study))
    total = options.epochs * sum(len(plan.to_fit) for plan in plans)
    with parallel.progress("epochs", total, show=show_progress and total > 0) as advance:
        for plan in plans:
            _fit_run(plan, cache, summary, device=device, workers=workers, advance=advance)
    summary.facts["runs"] = ", ".join(plan.run.run_id for plan in plans)
    summary.seconds = time.monotonic() - started
    return summary


def train_options(preset: str, *, epochs: int | None = None) -> TrainOptions:
    """Return the options of a preset, with another number of epochs if one is given."""
    if preset not in PRESETS:
        raise UsageError(f"there is no training preset {preset!r}; choose one of {', '.join(PRESETS)}")
    if epochs is None:
        return PRESETS[preset]
    if epochs < 1:
        raise UsageError(f"epochs must be at least 1, got {epochs}")
    return dataclasses.replace(PRESETS[preset], epochs=epochs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Plan:
    """A run, its data, and its folds: to fit, there already, impossible."""

    run: Run
    data: TaskData
    options: TrainOptions
    seed: int
    to_fit: list[int]
    fitted: list[int]
    skipped: dict[int, str]


def _plan(
    study: Study,
    data: TaskData,
    architecture: str,
    preset: str,
    options: TrainOptions,
    spacing: int,
    seed: int,
    folds: str | int | Sequence[int],
) -> _Plan:
    chosen = _chosen_folds(folds, data.folds)
    config = {
        "task": data.task,
        "architecture": architecture,
        "preset": preset,
        "options": dataclasses.asdict(options),
        "spacing": spacing,
        "seed": seed,
        "folds": data.folds,
        "class_weights": class_weights(data.labels.values()),
        "images": {str(label): count for label, count in sorted(Counter(data.labels.values()).items())},
        "preprocessing": data.preprocessing,
        "versions": versions(),
        **runs.identity(study, data),
    }
    digest = runs.sha256_of([config["inputs_sha256"], config["splits_sha256"], config["options"]])[:8]
    run_id = f"{data.task}-{architecture}-{preset}-{spacing}mm-s{seed}-{digest}"
    run = Run(folder=study.runs / run_id, config=config)
    skipped = {fold: reason for fold in data.folds if (reason := data.why_not(fold))}
    fitted = [fold for fold in run.fitted_folds() if fold in chosen]
    return _Plan(
        run=run,
        data=data,
        options=options,
        seed=seed,
        to_fit=[fold for fold in chosen if fold not in fitted and fold not in skipped],
        fitted=fitted,
        skipped=skipped,
    )


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "qcbench": qcbench.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pytorch_lightning": pl.__version__,
    }


def _fit_run(
    plan: _Plan, cache: VolumeCache, summary: Summary, *, device: str, workers: int, advance: Callable[[], None]
) -> None:
    run = plan.run
    summary.unchanged += len(plan.fitted)
    summary.notes += [f"{plan.data.task} fold {fold} was not fitted: {why}" for fold, why in plan.skipped.items()]
    if not (run.folder / "config.json").exists():
        weights.save_architecture(run.folder, run.architecture, cache.shape)
        run.save_skipped(plan.skipped)
        run.save_config()
    for fold in plan.to_fit:
        started = time.monotonic()
        fit, validation = plan.data.parts(fold)
        epochs_seen = Counter()

        def on_epoch(curves: list[dict], seen: Counter = epochs_seen, fold: int = fold) -> None:
            seen.update(["epoch"])
            _save_curves(run, fold, curves)  # so that a job can be watched
            advance()

        fitted = fit_fold(
            functools.partial(networks.build, run.architecture, cache.shape),
            VolumeDataset(cache, fit),
            VolumeDataset(cache, validation),
            class_weights=class_weights(plan.data.labels.values()),
            options=plan.options,
            seed=plan.seed * 1000 + fold,
            device=device,
            workers=workers,
            on_epoch=on_epoch,
        )
        for _ in range(plan.options.epochs - epochs_seen.total()):  # what early stopping spared
            advance()
        _save_fold(run, fold, fitted, n_fit=len(fit), n_validation=len(validation), seconds=time.monotonic() - started)
        summary.done += 1


def _save_fold(run: Run, fold: int, fitted: FittedFold, *, n_fit: int, n_validation: int, seconds: float) -> None:
    folder = run.fold_folder(fold)
    _save_curves(run, fold, fitted.curves)
    best = next(row for row in fitted.curves if row["epoch"] == fitted.best_epoch)
    document = {
        "fold": fold,
        "best_epoch": fitted.best_epoch,
        "validation_loss": best["validation_loss"],
        "validation_balanced_accuracy": best["validation_balanced_accuracy"],
        "n_fit": n_fit,
        "n_validation": n_validation,
        "seconds": round(seconds, 1),
        "weights_sha256": weights.save_weights(folder, fitted.state),
    }
    durable.write_text(folder / "fold.json", json.dumps(document, indent=1) + "\n")


def _save_curves(run: Run, fold: int, curves: list[dict]) -> None:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(curves[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(curves)
    durable.write_text(run.fold_folder(fold) / "curves.csv", buffer.getvalue())


def _chosen_folds(folds: str | int | Sequence[int], existing: Sequence[int]) -> list[int]:
    if folds == "all":
        return list(existing)
    chosen = [folds] if isinstance(folds, int) else list(folds)
    for fold in chosen:
        if fold not in existing:
            raise UsageError(f"there is no fold {fold!r}; the splits have {', '.join(map(str, existing))}, or say all")
    return chosen


def _cv_images(study: Study) -> set[str]:
    return {row["image_id"] for row in store.rows(study, "splits") if row["set"] == "cv"}


def _stale(study: Study) -> list[str]:
    n_stale = len(store.stale_consensus(study))
    return [f"{n_stale} consensus rows rest on labels revised since: run consensus again"] if n_stale else []
