"""Networks fitted to the consensus: one run a task, or one for all tasks; one network a fold."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from qcbench import parallel, store
from qcbench.errors import TrainingError
from qcbench.learn import checkpoints, networks, objectives, pretraining, ranks, tabular, weights
from qcbench.learn.datasets import VolumeCache, build_cache, coarse_shape, made_anew, open_cache, serves, without_volume
from qcbench.learn.fit import FittedFold, Machine
from qcbench.learn.fitting import Fitting
from qcbench.learn.options import LAST_SEED, chosen_folds, train_options, whole_number
from qcbench.learn.plans import Asked, Plan, plan_of, refuse_few_images
from qcbench.learn.runs import Run
from qcbench.learn.task_data import sound_splits
from qcbench.study import Study
from qcbench.summary import Summary


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
    same bits each time. A fold in which a class has no image is not fitted: `notes` and skipped.json say so. Labelled
    images without a volume are in `failed`. ``architecture="forest_25"`` fits the baseline without a network. Raises
    LeakError, UsageError, OSError when the disk is full, and TrainingError when a loss is no number or volumes were
    preprocessed anew meanwhile.
    """
    seed = whole_number("seed", seed, most=LAST_SEED)
    workers = whole_number("workers", workers)
    if architecture == tabular.ARCHITECTURE:
        return tabular.forest(study, task=task, seed=seed, workers=workers, show_progress=show_progress)
    started = time.monotonic()
    study = Study.of(study)
    splits = sound_splits(study)
    asked = Asked(
        architecture=architecture,
        preset=preset,
        options=train_options(preset, epochs=epochs, learning_rate=learning_rate),
        spacing=whole_number("spacing", spacing, least=1),
        voxels=voxels,
        seed=seed,
        folds=chosen_folds(folds, sorted({row["fold"] for row in splits} - {None})),
        pretrain=pretrain,
        machine=Machine(
            device=device,
            workers=workers,
            devices=whole_number("devices", devices, least=1),
            nodes=whole_number("nodes", nodes, least=1),
            deterministic=bool(deterministic),
        ),
    )
    tasks = objectives.chosen_runs(task, architecture)
    with torch.device("meta"):  # refuses a wrong name or spacing before any work
        networks.build(architecture, coarse_shape(asked.spacing), asked.objective.outputs)
    summary = Summary(stage="train", notes=_stale(study))
    cache = _whole_cache(study, asked, summary, workers=workers, show_progress=show_progress)
    plans = [plan_of(study, name, cache, asked) for name in tasks]
    refuse_few_images(plans)
    rounds = 2 if pretrain else 1
    total = rounds * asked.options.epochs * sum(len(plan.to_fit) for plan in plans)
    with parallel.progress("epochs", total, show=show_progress and total > 0) as advance:
        for plan in plans:
            _fit_run(plan, cache, summary, advance)
    summary.facts["runs"] = ", ".join(plan.run.run_id for plan in plans)
    summary.seconds = time.monotonic() - started
    return summary


def _whole_cache(study: Study, asked: Asked, summary: Summary, *, workers: int, show_progress: bool) -> VolumeCache:
    """Return the cache with every volume that the call may need, each checked; `summary` gets those that failed."""
    wanted = _cv_images(study)
    if asked.pretrain:
        rows = store.rows(study, "preprocessed")
        stored = {row["image_id"] for row in rows if row["volume_path"] and serves(row, asked.spacing)}
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
    cache = open_cache(study, spacing=asked.spacing, voxels=asked.voxels)
    summary.failed = {**without_volume(study, wanted, cache), **cached.failed}
    if summary.failed:
        summary.notes.append(f"{len(summary.failed)} images have no volume that can be used; they were left out")
    return cache


def _fit_run(plan: Plan, cache: VolumeCache, summary: Summary, advance: Callable[[], None]) -> None:
    run = plan.run
    summary.unchanged += len(plan.fitted)
    summary.notes += [f"{run.task} fold {fold} was not fitted: {why}" for fold, why in plan.skipped.items()]
    if not (run.folder / "config.json").exists():
        weights.save_architecture(run.folder, run.architecture, cache.shape, plan.asked.objective.outputs)
        run.save_skipped(plan.skipped)
        run.save_fitted_to(plan.data.fitted_to(), plan.copies.fold_of if plan.copies else None)
        run.save_config()
    for fold in plan.to_fit:
        with checkpoints.claimed(plan.unfinished(fold)):
            # Another process may have fitted it since the plan was made.
            is_new = fold not in run.fitted_folds()
            if is_new:
                _fit_fold(plan, fold, cache, advance)
            checkpoints.remove(plan.unfinished(fold))
        summary.done, summary.unchanged = summary.done + is_new, summary.unchanged + (not is_new)


def _fit_fold(plan: Plan, fold: int, cache: VolumeCache, advance: Callable[[], None]) -> None:
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
    _refuse_other_volumes(plan, fold, cache)
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


def _refuse_other_volumes(plan: Plan, fold: int, cache: VolumeCache) -> None:
    """Raise TrainingError when volumes were made anew while the fold was fitted to them."""
    used = {*plan.data.labels, *(plan.copies.labels if plan.copies else ())}
    changed = made_anew(plan.study, cache) & used
    if changed:
        raise TrainingError(
            f"{len(changed)} volumes were preprocessed anew while {plan.run.task} fold {fold} was fitted to them, such "
            f"as {min(changed)}. Nothing was saved of it: train again when preprocessing has ended"
        )


def _cv_images(study: Study) -> set[str]:
    return {row["image_id"] for row in store.rows(study, "splits") if row["set"] == "cv"}


def _stale(study: Study) -> list[str]:
    n_stale = len(store.stale_consensus(study))
    return [f"{n_stale} consensus rows rest on labels revised since: run consensus again"] if n_stale else []
