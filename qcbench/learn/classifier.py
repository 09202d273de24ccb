"""The network with its loss, optimiser and running sums, as Lightning runs it on one process or on several."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from qcbench.errors import TrainingError
from qcbench.learn import samplers
from qcbench.learn.augment import augmented
from qcbench.learn.datasets import to_unit
from qcbench.learn.objectives import ONE_TASK, Costs, Objective, mean_over_terms
from qcbench.learn.options import LAST_SHARE, TrainOptions

Batch = tuple[Tensor, Tensor]


class Classifier(pl.LightningModule):
    """A network, its best weights so far (in memory) and one row per epoch.

    The loss of a batch is that of all its images, whatever process they are on, and so is what is
    told of an epoch; each process must have images of each batch (`samplers.ShuffledBatches`).
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        class_weights: Sequence,
        options: TrainOptions,
        objective: Objective = ONE_TASK,
        seed: int = 0,
        steps_an_epoch: int = 1,
    ) -> None:
        super().__init__()
        self.memory_format = torch.channels_last_3d if options.channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.memory_format)
        self.options, self.seed, self.steps_an_epoch = options, seed, steps_an_epoch
        self.objective = objective
        weights = torch.tensor(class_weights, dtype=torch.float32).reshape(objective.terms, 2)
        self.register_buffer("class_weights", weights, persistent=False)
        self.best_loss, self.best_epoch, self.best_state = math.inf, -1, {}
        self.curves: list[dict] = []
        self._training: list[Tensor] = []
        self._validation: list[Tensor] = []
        self._optimiser_state: Mapping | None = None
        self._schedule_state: Mapping | None = None

    def forward(self, volumes: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the logits of volumes as the cache holds them."""
        return self.network(to_unit(volumes).contiguous(memory_format=self.memory_format))

    def is_over(self) -> bool:
        """Return whether no epoch is left, or patience has run out."""
        done, patience = len(self.curves), self.options.patience
        return done >= self.options.epochs or 0 < patience <= done - 1 - self.best_epoch

    def on_train_epoch_start(self) -> None:
        """Make the chance of this epoch its own, so that it can be repeated."""
        samplers.seed_epoch(self.seed, self.current_epoch, self.global_rank)

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """Return the loss of a batch: of the main output and, with equal weight, of auxiliary ones."""
        volumes, labels = batch
        unit = to_unit(volumes)
        if self.options.augment:
            unit = augmented(unit)
        found = self.network(unit.contiguous(memory_format=self.memory_format))
        heads = found if isinstance(found, tuple) else (found,)
        costs = [self.objective.costs(logits, labels, self.class_weights) for logits in heads]
        self._training.append(costs[0].sums())
        loss = sum(self._share_of_loss(each) for each in costs)
        # Looked at before the step is made: afterwards the weights would be no numbers either.
        if not torch.isfinite(loss):
            raise TrainingError(self._why_no_number(unit, labels, number))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Add a batch to the sums of the epoch."""
        volumes, labels = batch
        self._validation.append(self.objective.costs(self(volumes), labels, self.class_weights).sums())

    def on_validation_epoch_end(self) -> None:
        """Write the row of the epoch, and keep the weights if they are the best so far."""
        train_loss, _ = self._loss_and_balanced_accuracy(self._training)
        validation_loss, balanced_accuracy = self._loss_and_balanced_accuracy(self._validation)
        self._training, self._validation = [], []
        if not math.isfinite(validation_loss):
            raise TrainingError(
                f"the validation loss is not a number at epoch {self.current_epoch}, though the training loss is "
                f"{train_loss:.4g}: {self._too_high()}"
            )
        self.curves.append(
            {
                "epoch": self.current_epoch,
                "train_loss": train_loss,
                "validation_loss": validation_loss,
                "validation_balanced_accuracy": balanced_accuracy,
            }
        )
        if validation_loss < self.best_loss:
            self.best_loss, self.best_epoch = validation_loss, self.current_epoch
            self.best_state = {
                name: value.detach().to("cpu", memory_format=torch.contiguous_format, copy=True)
                for name, value in self.network.state_dict().items()
            }

    def configure_optimizers(self) -> object:
        """Return the optimiser, and the schedule where there is one, in the state of the checkpoint if there is one."""
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[self.options.optimiser]
        # One pass over weights, gradients and moments instead of ten. Lightning clips no gradients of a fused optimiser
        # in half precision.
        is_fused = self.device.type == "cpu" and self.trainer.precision == "32-true"
        optimiser = kind(
            self.parameters(),
            lr=self.options.learning_rate,
            weight_decay=self.options.weight_decay,
            fused=is_fused or None,
        )
        schedule = None
        if self.options.schedule == "cosine":
            schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._share_of_rate)
        if self._optimiser_state is not None:
            optimiser.load_state_dict(self._optimiser_state)
            _lay_out_as_weights(optimiser)
        if schedule is None:
            return optimiser
        if self._schedule_state is not None:
            schedule.load_state_dict(self._schedule_state)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def content(self) -> dict:
        """Return what a checkpoint must hold, for `restore`."""
        schedule = self.lr_schedulers()
        return {
            "curves": self.curves,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "best_state": self.best_state,
            "network": self.network.state_dict(),
            "optimiser": self.optimizers(use_pl_optimizer=False).state_dict(),
            "schedule": None if schedule is None else schedule.state_dict(),
        }

    def restore(self, content: Mapping) -> None:
        """Take the state of a checkpoint; the optimiser takes its own when it is made."""
        self.curves = list(content["curves"])
        self.best_epoch, self.best_loss = content["best_epoch"], content["best_loss"]
        self.best_state = dict(content["best_state"])
        self.network.load_state_dict(content["network"])
        self._optimiser_state, self._schedule_state = content["optimiser"], content["schedule"]

    def _share_of_rate(self, step: int) -> float:
        """Return the share of the learning rate at a step: a straight rise, then a cosine."""
        warm_up = self.options.warm_up_epochs * self.steps_an_epoch
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        done = (step - warm_up) / max(1.0, self.options.epochs * self.steps_an_epoch - warm_up)
        return LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi * min(1.0, done))) / 2

    def _share_of_loss(self, costs: Costs) -> Tensor:
        """Return the loss of the batch; on several processes, what averages to it over them."""
        processes = self.trainer.world_size
        divisors = costs.divisors(self.options.loss_norm)
        if processes > 1:
            divisors = self.trainer.strategy.reduce(divisors, reduce_op="sum")
        return processes * mean_over_terms(costs.losses.sum(dim=0), divisors)

    def _loss_and_balanced_accuracy(self, sums: list[Tensor]) -> tuple[float, float]:
        """Return the weighted mean loss over all images of an epoch, whatever its batches, and balanced accuracy.

        The latter is the mean over the terms of which images of both classes were seen.
        """
        nothing = torch.zeros((self.objective.terms, 6), dtype=torch.double, device=self.device)
        mine = torch.stack(sums).double().sum(dim=0) if sums else nothing
        everyones = self.trainer.strategy.reduce(mine, reduce_op="sum") if self.trainer.world_size > 1 else mine
        losses, weights, n_no, hits_no, n_yes, hits_yes = everyones.unbind(dim=1)
        balanced = (hits_no / n_no + hits_yes / n_yes) / 2
        return mean_over_terms(losses, weights).item(), balanced[(n_no > 0) & (n_yes > 0)].mean().item()

    def _why_no_number(self, unit: Tensor, labels: Tensor, batch: int) -> str:
        """Return a sentence: that the loss is no number, and the first cause that explains it."""
        where = f"the loss is not a number at epoch {self.current_epoch}, batch {batch}: "
        bad = (~torch.isfinite(unit)).flatten(1).any(dim=1)
        if bad.any():
            return where + f"{int(bad.sum())} of its {len(bad)} volumes have voxels that are no numbers; look at them"
        if not all(torch.isfinite(value).all() for value in self.network.parameters()):
            return where + f"weights are none either: {self._too_high()}"
        with torch.no_grad(), torch.autocast(unit.device.type, enabled=False):
            found = self.network(unit.contiguous(memory_format=self.memory_format))
        logits = found[0] if isinstance(found, tuple) else found
        if torch.isfinite(self.objective.loss(logits, labels)):
            precision = self.trainer.precision
            return where + f"half precision ({precision}) is the cause, in float32 it is one. Train with float32."
        if self.current_epoch == 0 and batch == 0:
            return where + "no step was made yet, so it is not the learning rate; the network does not give numbers"
        return where + self._too_high()

    def _too_high(self) -> str:
        rate = self.options.learning_rate
        weights = torch.cat([value.detach().abs().flatten() for value in self.network.parameters()])
        finite = weights[torch.isfinite(weights)]
        seen = f"the largest weight is {float(finite.max()):.3g}" if len(finite) else "no weight is a number"
        return (
            f"the steps were too long ({seen}). Lower the learning rate, now {rate:g}, for instance to {rate / 10:g}."
        )


def _lay_out_as_weights(optimiser: torch.optim.Optimizer) -> None:
    """Give what the optimiser remembers of each weight the memory format of the weight.

    A checkpoint holds it in the plain order, and a fused optimiser takes the n-th number in memory for that of the
    n-th weight there.
    """
    for weight, remembered in optimiser.state.items():
        for name, value in remembered.items():
            if value.shape == weight.shape:
                remembered[name] = torch.empty_like(weight).copy_(value)
