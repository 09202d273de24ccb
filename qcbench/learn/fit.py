"""One network fitted to one fold, through Lightning; nothing of Lightning reaches the disk or the screen."""

from __future__ import annotations

import logging
import math
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytorch_lightning as pl
import torch
import torch.nn.functional as F  # noqa: N812
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.utilities.seed import isolate_rng
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from torch import Tensor, nn
from torch.utils.data import DataLoader

from qcbench.errors import TrainingError, UsageError
from qcbench.learn.datasets import VolumeDataset, to_unit

_ACCELERATORS = {"auto": "auto", "cpu": "cpu", "cuda": "cuda"}


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How one network is fitted; stored beside its weights.

    `patience`: epochs without a lower validation loss after which fitting ends (0: never).
    `loss_norm`: ``batch`` divides by the weights in the batch, as torch and the paper do, so that
    with two images of one class the class weights cancel; ``images`` divides by their number.
    """

    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    batch_size: int = 2
    epochs: int = 50
    patience: int = 10
    loss_norm: str = "batch"
    channels_last: bool = False


@dataclass(kw_only=True)
class FittedFold:
    """The weights with the lowest validation loss, and one row per epoch."""

    state: dict[str, Tensor]
    best_epoch: int
    curves: list[dict] = field(default_factory=list)


def fit_fold(
    make_network: Callable[[], nn.Module],
    fit: VolumeDataset,
    validation: VolumeDataset,
    *,
    class_weights: tuple[float, float],
    options: TrainOptions,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    on_epoch: Callable[[list[dict]], None] = lambda curves: None,
) -> FittedFold:
    """Return the network's weights at its lowest validation loss.

    `on_epoch` is given the rows of all epochs so far, after each of them.
    The global random state is left as it was. Raises TrainingError when the loss stops being a
    number, UsageError when the device is not there.
    """
    accelerator = _accelerator(device)
    with _quiet(), isolate_rng(), _interruptible():
        torch.manual_seed(seed)  # initial weights and dropout; the order of images has a generator of its own
        module = _Classifier(make_network(), class_weights=class_weights, options=options)
        trainer = pl.Trainer(
            accelerator=accelerator,
            devices=1,
            max_epochs=options.epochs,
            callbacks=[_OnEpoch(on_epoch), *_early_stopping(options)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        shuffled = torch.Generator().manual_seed(seed)
        loader_options = {"batch_size": options.batch_size, "num_workers": workers, "persistent_workers": workers > 0}
        trainer.fit(
            module,
            DataLoader(fit, shuffle=True, generator=shuffled, **loader_options),
            DataLoader(validation, **loader_options),
        )
    return FittedFold(state=module.best_state, best_epoch=module.best_epoch, curves=module.curves)


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor, *, norm: str = "batch") -> Tensor:
    """Return the mean cross-entropy, each image weighted by its class.

    ``batch``: divided by the sum of the weights in the batch; ``images``: by the number of images.

    >>> logits, labels = torch.tensor([[0.0, 0.0], [0.0, 0.0]]), torch.tensor([1, 1])
    >>> [round(float(weighted_cross_entropy(logits, labels, torch.tensor([1.0, 3.0]), norm=norm)), 4)
    ...  for norm in ("batch", "images")]
    [0.6931, 2.0794]
    """
    losses = F.cross_entropy(logits, labels, weight=weights, reduction="none")
    return losses.sum() / (weights[labels].sum() if norm == "batch" else len(labels))


class _Classifier(pl.LightningModule):
    """The network with its loss, optimiser and running sums; keeps the best weights in memory."""

    def __init__(self, network: nn.Module, *, class_weights: tuple[float, float], options: TrainOptions) -> None:
        super().__init__()
        self.memory_format = torch.channels_last_3d if options.channels_last else torch.contiguous_format
        self.network = network.to(memory_format=self.memory_format)
        self.options = options
        self.register_buffer("class_weights", torch.tensor(class_weights, dtype=torch.float32), persistent=False)
        self.best_loss, self.best_epoch, self.best_state = math.inf, -1, {}
        self.curves: list[dict] = []
        self._training: list[Tensor] = []
        self._validation: list[Tensor] = []

    def forward(self, volumes: Tensor) -> Tensor:
        return self.network(to_unit(volumes).contiguous(memory_format=self.memory_format))

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        volumes, labels = batch
        found = self(volumes)
        # Auxiliary heads add their losses with equal weight; what is told of an epoch is the main one.
        heads = found if isinstance(found, tuple) else (found,)
        self._training.append(self._sums(heads[0].detach(), labels))
        norm = self.options.loss_norm
        return sum(weighted_cross_entropy(logits, labels, self.class_weights, norm=norm) for logits in heads)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        volumes, labels = batch
        self._validation.append(self._sums(self(volumes), labels))

    def on_validation_epoch_end(self) -> None:
        train_loss, _ = _loss_and_balanced_accuracy(self._training)
        validation_loss, balanced_accuracy = _loss_and_balanced_accuracy(self._validation)
        self._training, self._validation = [], []
        if not (math.isfinite(train_loss) and math.isfinite(validation_loss)):
            raise TrainingError(
                f"the loss is not a number at epoch {self.current_epoch} (training {train_loss}, validation "
                f"{validation_loss}); lower the learning rate (now {self.options.learning_rate:g})"
            )
        self.curves.append(
            {
                "epoch": self.current_epoch,
                "train_loss": train_loss,
                "validation_loss": validation_loss,
                "validation_balanced_accuracy": balanced_accuracy,
            }
        )
        self.log("validation_loss", validation_loss)
        if validation_loss < self.best_loss:
            self.best_loss, self.best_epoch = validation_loss, self.current_epoch
            self.best_state = {
                name: value.detach().to("cpu", memory_format=torch.contiguous_format, copy=True)
                for name, value in self.network.state_dict().items()
            }

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            self.parameters(), lr=self.options.learning_rate, weight_decay=self.options.weight_decay
        )

    def _sums(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return on the device: weighted loss, weights, then images and hits of class 0 and of class 1."""
        losses = F.cross_entropy(logits, labels, weight=self.class_weights, reduction="sum")
        sums = [losses, self.class_weights[labels].sum()]
        for label in (0, 1):
            mine = labels == label
            sums += [mine.sum(), (mine & (logits.argmax(dim=1) == label)).sum()]
        return torch.stack([value.to(torch.float32) for value in sums])


def _loss_and_balanced_accuracy(sums: list[Tensor]) -> tuple[float, float]:
    """Return the weighted mean loss over all images of an epoch, whatever its batches, and the balanced accuracy."""
    loss, weight, n_0, hits_0, n_1, hits_1 = torch.stack(sums).double().sum(dim=0).tolist()
    return loss / weight, (hits_0 / n_0 + hits_1 / n_1) / 2


class _OnEpoch(Callback):
    def __init__(self, call: Callable[[list[dict]], None]) -> None:
        self._call = call

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._call(pl_module.curves)


def _early_stopping(options: TrainOptions) -> list[Callback]:
    if options.patience == 0:
        return []
    # A loss that is no number is refused by the module itself, with a sentence.
    return [EarlyStopping("validation_loss", patience=options.patience, min_delta=0.0, check_finite=False)]


def _accelerator(device: str) -> str:
    if device not in _ACCELERATORS:
        raise UsageError(f"device must be one of {', '.join(_ACCELERATORS)}, got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError("device cuda was asked for, but torch sees no GPU; use device auto or cpu")
    return _ACCELERATORS[device]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning: its hints on workers and loggers are decided here already."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            # Lightning 2.6 calls a tree class that torch 2.13 renames.
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let an interrupt be a KeyboardInterrupt: Lightning turns it into an exit and ignores all later ones."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as exit_:
        if isinstance(exit_.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, before)
