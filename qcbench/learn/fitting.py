"""One fitting in plain values, so that another process can be told to do it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from qcbench.learn import checkpoints, networks, objectives
from qcbench.learn.datasets import VolumeCache, VolumeDataset
from qcbench.learn.fit import FittedFold, Machine, fit_fold
from qcbench.learn.objectives import Label
from qcbench.learn.options import TrainOptions


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """A network, the volumes and labels it is fitted to, how, where, and where it is kept until it is done.

    `start_from` is the checkpoint folder of another fitting, whose best weights this one begins with.
    """

    architecture: str
    cache: VolumeCache
    fit: Mapping[str, Label]
    validation: Mapping[str, Label]
    class_weights: Sequence
    options: TrainOptions
    seed: int
    machine: Machine
    checkpoint_folder: Path
    start_from: Path | None = None

    def run(self, on_epoch: Callable[[list[dict]], None] = lambda curves: None, *, rank: int = 0) -> FittedFold:
        """Fit in this process, as one of `machine.processes`; return what was fitted."""
        start = checkpoints.newest(self.start_from) if self.start_from else None
        objective = objectives.of_architecture(self.architecture)
        return fit_fold(
            functools.partial(networks.build, self.architecture, self.cache.shape, objective.outputs),
            VolumeDataset(self.cache, self.fit),
            VolumeDataset(self.cache, self.validation),
            class_weights=self.class_weights,
            options=self.options,
            objective=objective,
            seed=self.seed,
            machine=replace(self.machine, rank=rank),
            initial=start.content["best_state"] if start else None,
            checkpoint_folder=self.checkpoint_folder,
            on_epoch=on_epoch,
        )

    def to_json(self) -> dict:
        """Return plain values; `of_json` makes the same fitting of them."""
        used = {*self.fit, *self.validation}
        rows = {image_id: row for image_id, row in self.cache.rows.items() if image_id in used}
        return {
            "architecture": self.architecture,
            "cache": {**asdict(replace(self.cache, rows=rows)), "path": str(self.cache.path)},
            "fit": dict(self.fit),
            "validation": dict(self.validation),
            "class_weights": list(self.class_weights),
            "options": asdict(self.options),
            "seed": self.seed,
            "machine": asdict(self.machine),
            "checkpoint_folder": str(self.checkpoint_folder),
            "start_from": str(self.start_from) if self.start_from else None,
        }

    @classmethod
    def of_json(cls, document: Mapping) -> Fitting:
        """Return the fitting that `to_json` wrote."""
        cache = document["cache"]
        start_from = document["start_from"]
        return cls(
            architecture=document["architecture"],
            cache=VolumeCache(**{**cache, "path": Path(cache["path"])}),
            fit=document["fit"],
            validation=document["validation"],
            class_weights=tuple(document["class_weights"]),
            options=TrainOptions(**document["options"]),
            seed=document["seed"],
            machine=Machine(**document["machine"]),
            checkpoint_folder=Path(document["checkpoint_folder"]),
            start_from=Path(start_from) if start_from else None,
        )
