"""One network fitted to one fold, through Lightning; nothing of Lightning reaches the disk or the screen."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments import LightningEnvironment
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.seed import isolate_rng
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from qcbench.errors import UsageError
from qcbench.learn import checkpoints, precision, samplers, synchronised
from qcbench.learn.classifier import Classifier
from qcbench.learn.memory import kept_for_the_next_step
from qcbench.learn.objectives import ONE_TASK, Objective
from qcbench.learn.options import TrainOptions

_ACCELERATORS = ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a network is fitted on. Results depend on it by no more than rounding.

    `devices` are processes on each of `nodes`, which share each batch; `rank` is the number of this one. `workers`
    read volumes for each of them. With `deterministic`, the same call on the same machine gives the same bits.
    """

    device: str = "auto"
    workers: int = 0
    devices: int = 1
    nodes: int = 1
    rank: int = 0
    deterministic: bool = False

    def __post_init__(self) -> None:
        if self.device not in _ACCELERATORS:
            raise UsageError(f"device must be one of {', '.join(_ACCELERATORS)}, got {self.device!r}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UsageError("device cuda was asked for, but torch sees no GPU; use device auto or cpu")
        if self.nodes == 1 and self.accelerator == "cuda" and self.devices > torch.cuda.device_count():
            raise UsageError(f"{self.devices} devices were asked for, but torch sees {torch.cuda.device_count()} GPUs")
        if min(self.devices, self.nodes) < 1 or self.workers < 0:
            raise UsageError(
                f"devices and nodes must be 1 or more and workers 0 or more, "
                f"got {self.devices}, {self.nodes} and {self.workers}"
            )

    @property
    def processes(self) -> int:
        """How many share each batch."""
        return self.devices * self.nodes

    @property
    def accelerator(self) -> str:
        """``cpu`` or ``cuda``."""
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.device


@dataclass(kw_only=True)
class FittedFold:
    """The weights with the lowest validation loss, one row per epoch, and how it was done."""

    state: dict[str, Tensor]
    best_epoch: int
    curves: list[dict] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of_checkpoint(cls, content: Mapping) -> FittedFold:
        """Return what a checkpoint says, were it the last."""
        return cls(
            state=content["best_state"],
            best_epoch=content["best_epoch"],
            curves=content["curves"],
            facts=content["facts"],
        )


def fit_fold(
    make_network: Callable[[], nn.Module],
    fit: Dataset,
    validation: Dataset,
    *,
    class_weights: Sequence,
    options: TrainOptions,
    objective: Objective = ONE_TASK,
    seed: int = 0,
    machine: Machine | None = None,
    initial: Mapping[str, Tensor] | None = None,
    checkpoint_folder: Path | None = None,
    on_epoch: Callable[[list[dict]], None] = lambda curves: None,
) -> FittedFold:
    """Return the network's weights at its lowest validation loss.

    `initial` are weights to begin with. With a `checkpoint_folder` each epoch is kept there, and a call goes on after
    the last one kept; when there is nothing left to do it returns what is there. The caller removes it. `on_epoch` is
    given the rows of all epochs so far, after each of them. The global random state is left as it was.
    Raises TrainingError when the loss stops being a number.
    """
    machine = machine or Machine()
    kept = checkpoints.newest(checkpoint_folder) if checkpoint_folder else None
    with _quiet(), isolate_rng(), _interruptible(), _reproducible(machine, kept), kept_for_the_next_step():
        samplers.seed_epoch(seed, 0)  # initial weights: alike on every process
        network = make_network()
        if initial is not None:
            network.load_state_dict(initial)
        facts = kept.content["facts"] if kept else _facts(network, fit, options, machine, objective)
        if machine.processes > 1:
            network = synchronised.across_processes(network, machine.accelerator)
        loaders = _loaders(fit, validation, options, machine, seed)
        module = Classifier(
            network,
            class_weights=class_weights,
            options=options,
            objective=objective,
            seed=seed,
            steps_an_epoch=len(loaders[0]),
        )
        if kept:
            module.restore(kept.content)
        if not module.is_over():
            if kept:
                facts = _went_on(facts, kept.epoch, machine)
            trainer = _trainer(options, machine, facts, [_AfterEpoch(on_epoch, checkpoint_folder, facts)])
            if kept:
                trainer.fit_loop.epoch_progress.current.processed = kept.epoch + 1
                trainer.fit_loop.epoch_progress.current.completed = kept.epoch + 1
            precision.restore_scaler(trainer, facts)
            trainer.fit(module, *loaders)
    return FittedFold(state=module.best_state, best_epoch=module.best_epoch, curves=module.curves, facts=facts)


def _trainer(options: TrainOptions, machine: Machine, facts: dict, callbacks: list[Callback]) -> pl.Trainer:
    several = machine.processes > 1
    return pl.Trainer(
        accelerator=machine.accelerator,
        devices=machine.devices,
        num_nodes=machine.nodes,
        # Buffers need no broadcast: batch norm is synchronised, and validation may have unequal shares.
        strategy=DDPStrategy(broadcast_buffers=False) if several else "auto",
        # Said, not guessed: inside a SLURM job Lightning would take one process for the first of many.
        plugins=[LightningEnvironment()],
        precision=facts["precision"],
        max_epochs=options.epochs,
        gradient_clip_val=options.clip_norm or None,
        callbacks=callbacks,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _loaders(
    fit: Dataset, validation: Dataset, options: TrainOptions, machine: Machine, seed: int
) -> tuple[DataLoader, DataLoader]:
    among = {"rank": machine.rank, "processes": machine.processes}
    shared = {
        "num_workers": machine.workers,
        "persistent_workers": machine.workers > 0,
        "pin_memory": machine.accelerator == "cuda",
        "generator": torch.Generator(),  # a loader draws a number for its workers; not from the epoch's
    }
    batches = samplers.ShuffledBatches(len(fit), batch_size=options.batch_size, seed=seed, **among)
    own = Subset(validation, samplers.own_share(len(validation), **among))
    return (
        DataLoader(fit, batch_sampler=batches, **shared),
        DataLoader(own, batch_size=-(-options.batch_size // machine.processes), **shared),
    )


def _facts(
    network: nn.Module, fit: Dataset, options: TrainOptions, machine: Machine, objective: Objective
) -> dict[str, object]:
    """Return how the fitting is done here, for the run; the precision is chosen on a batch of it."""
    accelerator = machine.accelerator
    chosen, reason = "32-true", "float32 is asked for"
    if options.precision == "auto":
        volumes = torch.stack([torch.as_tensor(fit[number][0]) for number in range(min(options.batch_size, len(fit)))])
        labels = torch.stack([torch.as_tensor(fit[number][1]) for number in range(len(volumes))])
        chosen, reason = precision.choose(network, volumes, labels, accelerator, objective)
    return {
        **_machine_facts(machine),
        "precision": chosen,
        "precision_reason": reason,
        "went_on_after_epochs": [],
    }


def _machine_facts(machine: Machine) -> dict[str, object]:
    return {
        "device": torch.cuda.get_device_name() if machine.accelerator == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        **{name: value for name, value in asdict(machine).items() if name in ("devices", "nodes", "deterministic")},
    }


def _went_on(facts: dict, epoch: int, machine: Machine) -> dict[str, object]:
    """Return the facts of a fitting that goes on after an epoch, on another machine perhaps: all of it is told."""
    went_on = [*facts["went_on_after_epochs"], {"epoch": epoch, **_machine_facts(machine)}]
    is_deterministic = facts["deterministic"] and machine.deterministic
    return {**facts, "deterministic": is_deterministic, "went_on_after_epochs": went_on}


class _AfterEpoch(Callback):
    """Keeps the epoch, then tells of it; ends the fitting when it is over."""

    def __init__(self, call: Callable[[list[dict]], None], folder: Path | None, facts: dict) -> None:
        self._call, self._folder, self._facts = call, folder, facts

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Classifier) -> None:
        precision.note_scaler(trainer, self._facts)
        if self._folder and trainer.is_global_zero:
            checkpoints.save(self._folder, trainer.current_epoch, {**pl_module.content(), "facts": self._facts})
        self._call(pl_module.curves)
        trainer.should_stop = pl_module.is_over()


@contextmanager
def _reproducible(machine: Machine, kept: checkpoints.Checkpoint | None) -> Iterator[None]:
    """Choose algorithms by the clock, or, when asked, those that give the same bits, and as many threads as before."""
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.get_num_threads(),
    )
    try:
        if machine.deterministic:
            # On a GPU overlapping max pooling has no such algorithm: there it is as good as it gets.
            torch.use_deterministic_algorithms(True, warn_only=machine.accelerator == "cuda")
            if kept:
                torch.set_num_threads(kept.content["facts"]["threads"])
        torch.backends.cudnn.benchmark = not machine.deterministic
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = before[2]
        torch.set_num_threads(before[3])


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
