"""Networks fitted to the consensus: one run a task, or one for all tasks; one network a fold."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch

import qcbench
from qcbench import parallel, store
from qcbench.errors import UsageError
from qcbench.learn import checkpoints, networks, objectives, pretraining, ranks, runs, tabular, weights
from qcbench.learn.datasets import VolumeCache, build_cache, coarse_shape, open_cache, serves
from qcbench.learn.fit import FittedFold, Machine
from qcbench.learn.fitting import Fitting
from qcbench.learn.objectives import Objective
from qcbench.learn.options import PRESETS, TrainOptions, train_options
from qcbench.learn.pretraining import Copies
from qcbench.learn.runs import Run, TaskData
from qcbench.learn.splits import refuse_leak
from qcbench.study import Study
from qcbench.summary import Summary

__all__ = ["PRESETS", "train", "train_options", "versions"]


def train(
    study: Study,
    *,
    task: str = "all",
    architecture: str = "conv5_fc3",
    preset: str = "paper-2022",
    folds: str | int | Sequence[int] = "all",
    spacing: int = 1,
    epochs: int | None = None,
    learning_rate: float | None = None,
    pretrain: str | None = None,
    voxels: str = "uint8",
    seed: int = 0,
    device: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    deterministic: bool = False,
    workers: int = 0,
    show_progress: bool = True,
) -> Summary:
    """Fit one network per task and fold into runs/<run-id>; return how many were fitted.

    ``architecture="multitask3d"`` is one network a fold for all tasks: task ``all`` or ``multitask``, one run.
    What is fitted already stays: a call that was stopped goes on after the last whole epoch. `spacing` is the voxel
    size in mm; `epochs` and `learning_rate` take the place of the preset's. ``pretrain="simulated"`` fits each network
    to simulated copies first. `voxels` is how the cache holds them, uint8 or uint16. `device` is auto, cpu or cuda;
    `devices` on each of `nodes` share each batch; `workers` are processes that read volumes; `deterministic` gives the
    same bits each time. A fold in which a class has no image is not fitted: `notes` and skipped.json say so.
    ``architecture="forest_25"`` fits the baseline without a network. Raises LeakError, UsageError, and TrainingError
    when a loss is no number.
    """
    if architecture == tabular.ARCHITECTURE:
        return tabular.forest(study, task=task, seed=seed, workers=workers, show_progress=show_progress)
    started = time.monotonic()
    study = Study.of(study)
    asked = _Asked(
        architecture=architecture,
        preset=preset,
        options=train_options(preset, epochs=epochs, learning_rate=learning_rate),
        spacing=spacing,
        voxels=voxels,
        seed=seed,
        folds=folds,
        pretrain=pretrain,
        machine=Machine(device=device, workers=workers, devices=devices, nodes=nodes, deterministic=deterministic),
    )
    tasks = objectives.chosen_runs(task, architecture)
    with torch.device("meta"):
        networks.build(
            architecture, coarse_shape(spacing), asked.objective.outputs
        )  # refuses a wrong name or spacing before any work
    refuse_leak(store.require(study, "splits", "split"))
    summary = Summary(stage="train", notes=_stale(study))
    cache = _whole_cache(study, asked, summary, workers=workers, show_progress=show_progress)
    plans = [_plan(study, name, cache, asked) for name in tasks]
    rounds = 2 if pretrain else 1
    total = rounds * asked.options.epochs * sum(len(plan.to_fit) for plan in plans)
    with parallel.progress("epochs", total, show=show_progress and total > 0) as advance:
        for plan in plans:
            _fit_run(plan, cache, summary, advance)
    summary.facts["runs"] = ", ".join(plan.run.run_id for plan in plans)
    summary.seconds = time.monotonic() - started
    return summary


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "qcbench": qcbench.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pytorch_lightning": pl.__version__,
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Asked:
    """What a call of `train` asks of each task."""

    architecture: str
    preset: str
    options: TrainOptions
    spacing: int
    voxels: str
    seed: int
    folds: str | int | Sequence[int]
    pretrain: str | None
    machine: Machine

    @property
    def objective(self) -> Objective:
        """What the network is asked."""
        return objectives.of_architecture(self.architecture)

    def __post_init__(self) -> None:
        pretraining.refuse_other_source(self.pretrain)
        if self.pretrain and self.objective is objectives.ALL_TASKS:
            raise UsageError(
                f"{self.architecture} cannot begin with simulated copies; leave pretrain out, or take lean3d, whose "
                "trunk is the same"
            )
        if self.machine.processes > self.options.batch_size:
            raise UsageError(
                f"a batch of {self.options.batch_size} images cannot be shared by {self.machine.processes} processes; "
                "use fewer devices or nodes, or a preset with larger batches"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Plan:
    """A run, its data, and its folds: to fit, there already, impossible."""

    run: Run
    data: TaskData
    copies: Copies | None
    asked: _Asked
    to_fit: list[int]
    fitted: list[int]
    skipped: dict[int, str]

    def fitting(self, fold: int, cache: VolumeCache) -> Fitting:
        """Return how a fold is fitted to the consensus."""
        fit, validation = self.data.parts(fold)
        counted = fit if self.asked.options.class_weights_of == "fit" else self.data.labels
        return Fitting(
            architecture=self.run.architecture,
            cache=cache,
            fit=fit,
            validation=validation,
            class_weights=self.asked.objective.weights(counted.values()),
            options=self.asked.options,
            seed=self.asked.seed * 1000 + fold,
            machine=self.asked.machine,
            checkpoint_folder=self.unfinished(fold) / "fitting",
            start_from=self.unfinished(fold) / "pretraining" if self.copies else None,
        )

    def pretraining(self, fold: int, cache: VolumeCache) -> Fitting | None:
        """Return how the network of a fold is fitted to simulated copies before, or None."""
        if self.copies is None:
            return None
        fit, validation = self.copies.parts(fold)
        return dataclasses.replace(
            self.fitting(fold, cache),
            fit=fit,
            validation=validation,
            class_weights=self.copies.class_weights(fold),
            checkpoint_folder=self.unfinished(fold) / "pretraining",
            start_from=None,
        )

    def unfinished(self, fold: int) -> Path:
        """Return the folder of the checkpoints of a fold; it goes when the fold is whole."""
        return self.run.fold_folder(fold) / "unfinished"


def _whole_cache(study: Study, asked: _Asked, summary: Summary, *, workers: int, show_progress: bool) -> VolumeCache:
    """Return the cache with every volume that the call may need, each checked; `summary` gets those that failed."""
    wanted = _cv_images(study)
    if asked.pretrain:
        stored = {row["image_id"] for row in store.rows(study, "preprocessed") if serves(row, asked.spacing)}
        wanted |= pretraining.copy_ids(study) & stored
    cached = build_cache(
        study,
        spacing=asked.spacing,
        voxels=asked.voxels,
        image_ids=wanted,
        check=True,
        workers=workers,
        show_progress=show_progress,
    )
    summary.failed = cached.failed
    if cached.failed:
        summary.notes.append(f"{len(cached.failed)} images have no volume that can be used; they were left out")
    return open_cache(study, spacing=asked.spacing, voxels=asked.voxels)


def _plan(study: Study, task: str, cache: VolumeCache, asked: _Asked) -> _Plan:
    data = runs.task_data(study, task, cache.rows)
    copies = pretraining.copies(study, task, cache.rows) if asked.pretrain else None
    chosen = _chosen_folds(asked.folds, data.folds)
    config = {
        "task": task,
        "architecture": asked.architecture,
        "preset": asked.preset,
        "options": dataclasses.asdict(asked.options),
        "spacing": asked.spacing,
        "voxels": asked.voxels,
        "seed": asked.seed,
        "folds": data.folds,
        "class_weights": asked.objective.weights(data.labels.values()),
        "images": data.counts(),
        "pretraining": copies.facts() if copies else None,
        "preprocessing": data.preprocessing,
        "versions": versions(),
        **runs.identity(study, data),
    }
    inputs = ("inputs_sha256", "splits_sha256", "options", "voxels", "pretraining")
    digest = runs.sha256_of([config[name] for name in inputs])[:8]
    begun = "-pretrained" if copies else ""
    run_id = f"{task}-{asked.architecture}-{asked.preset}{begun}-{asked.spacing}mm-s{asked.seed}-{digest}"
    run = Run(folder=study.runs / run_id, config=config)
    skipped = {fold: reason for fold in data.folds if (reason := _why_not(data, copies, fold))}
    fitted = [fold for fold in run.fitted_folds() if fold in chosen]
    return _Plan(
        run=run,
        data=data,
        copies=copies,
        asked=asked,
        to_fit=[fold for fold in chosen if fold not in fitted and fold not in skipped],
        fitted=fitted,
        skipped=skipped,
    )


def _why_not(data: TaskData, copies: Copies | None, fold: int) -> str | None:
    return data.why_not(fold) or (copies.why_not(fold) if copies else None)


def _fit_run(plan: _Plan, cache: VolumeCache, summary: Summary, advance: Callable[[], None]) -> None:
    run = plan.run
    summary.unchanged += len(plan.fitted)
    summary.notes += [f"{run.task} fold {fold} was not fitted: {why}" for fold, why in plan.skipped.items()]
    if not (run.folder / "config.json").exists():
        weights.save_architecture(run.folder, run.architecture, cache.shape, plan.asked.objective.outputs)
        run.save_skipped(plan.skipped)
        run.save_config()
    for fold in plan.to_fit:
        with checkpoints.claimed(plan.unfinished(fold)):
            _fit_fold(plan, fold, cache, advance)
            checkpoints.remove(plan.unfinished(fold))
        summary.done += 1


def _fit_fold(plan: _Plan, fold: int, cache: VolumeCache, advance: Callable[[], None]) -> None:
    """Fit one fold, to copies first where that is asked, and save it."""
    started = time.monotonic()
    before = plan.pretraining(fold, cache)
    begun = _fit(before, plan.run, fold, "pretraining_curves.csv", advance) if before else None
    fitting = plan.fitting(fold, cache)
    fitted = _fit(fitting, plan.run, fold, "curves.csv", advance)
    facts = {
        "n_fit": len(fitting.fit),
        "n_validation": len(fitting.validation),
        "class_weights": fitting.class_weights,
        "seconds": round(time.monotonic() - started, 1),
        "fitting": fitted.facts,
    }
    if begun:
        counts = {"n_fit": len(before.fit), "n_validation": len(before.validation)}
        facts["pretraining"] = {"best_epoch": begun.best_epoch, **counts, "fitting": begun.facts}
    plan.run.save_fold(fold, fitted.state, {**_best(fitted), **facts})


def _fit(fitting: Fitting, run: Run, fold: int, curves_name: str, advance: Callable[[], None]) -> FittedFold:
    """Fit, or go on where a fitting stopped, in this process or in several; the curves are there to be watched."""
    seen = 0

    def on_epoch(curves: list[dict]) -> None:
        nonlocal seen
        run.save_curves(fold, curves_name, curves)
        for _ in range(len(curves) - seen):
            advance()
        seen = len(curves)

    fitted = ranks.fit_together(fitting, on_epoch) if fitting.machine.processes > 1 else fitting.run(on_epoch)
    on_epoch(fitted.curves)
    for _ in range(fitting.options.epochs - seen):  # what early stopping spared
        advance()
    return fitted


def _best(fitted: FittedFold) -> dict[str, object]:
    row = fitted.curves[fitted.best_epoch]
    kept = ("validation_loss", "validation_balanced_accuracy")
    return {"best_epoch": fitted.best_epoch, **{name: row[name] for name in kept}}


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
