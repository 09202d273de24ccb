"""What a call of `train` will do: the run of each task, its data, and which of its folds are to be fitted."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch

import qcbench
from qcbench.errors import UsageError
from qcbench.learn import objectives, pretraining, runs
from qcbench.learn.datasets import VolumeCache
from qcbench.learn.fit import Machine
from qcbench.learn.fitting import Fitting
from qcbench.learn.objectives import Objective
from qcbench.learn.options import TrainOptions
from qcbench.learn.pretraining import Copies
from qcbench.learn.runs import Run
from qcbench.learn.task_data import TaskData, identity, task_data
from qcbench.study import Study


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What a call of `train` asks of each task."""

    architecture: str
    preset: str
    options: TrainOptions
    spacing: int
    voxels: str
    seed: int
    folds: Sequence[int]
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
class Plan:
    """A run, its data, and its folds: to fit, there already, impossible."""

    run: Run
    study: Study
    data: TaskData
    copies: Copies | None
    asked: Asked
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


def plan_of(study: Study, task: str, cache: VolumeCache, asked: Asked) -> Plan:
    """Return what is to be done for one task; nothing is written yet."""
    data = task_data(study, task, cache.hashes)
    copies = pretraining.copies(study, task, cache.hashes) if asked.pretrain else None
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
        **identity(study, data),
    }
    inputs = ("inputs_sha256", "options", "voxels", "pretraining")
    digest = runs.sha256_of([config[name] for name in inputs])[:8]
    begun = "-pretrained" if copies else ""
    run_id = f"{task}-{asked.architecture}-{asked.preset}{begun}-{asked.spacing}mm-s{asked.seed}-{digest}"
    run = Run(folder=study.runs / run_id, config=config)
    skipped = {fold: reason for fold in data.folds if (reason := _why_not(data, copies, fold))}
    fitted = [fold for fold in run.fitted_folds() if fold in asked.folds]
    return Plan(
        run=run,
        study=study,
        data=data,
        copies=copies,
        asked=asked,
        to_fit=[fold for fold in asked.folds if fold not in fitted and fold not in skipped],
        fitted=fitted,
        skipped=skipped,
    )


def _why_not(data: TaskData, copies: Copies | None, fold: int) -> str | None:
    return data.why_not(fold) or (copies.why_not(fold) if copies else None)


def refuse_few_images(plans: Sequence[Plan]) -> None:
    """Raise UsageError where a process would have no image to fit on or to validate on."""
    for plan in plans:
        processes = plan.asked.machine.processes
        for fold in plan.to_fit:
            parts = [*plan.data.parts(fold), *(plan.copies.parts(fold) if plan.copies else ())]
            fewest = min(map(len, parts))
            if fewest < processes:
                raise UsageError(
                    f"{plan.run.task} fold {fold} has {fewest} images to fit on or to validate on, which "
                    f"{processes} processes cannot share; use fewer devices or nodes, or leave the fold out"
                )


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "qcbench": qcbench.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "pytorch_lightning": pl.__version__,
    }
