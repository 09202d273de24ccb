"""Whether a network may be fitted in half precision on this machine: only where it gives what float32 gives."""

from __future__ import annotations

import copy
import functools
import math
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from qcbench.learn.datasets import to_unit
from qcbench.learn.objectives import ONE_TASK, Objective

#: How far a logit may be from that of float32, in units of the spread of the logits; and the loss, in units of itself.
#: bfloat16 has 8 bits: an error of 0.4 % in each of ten layers. The spread of a fresh network is 0.08 to 0.5, and its
#: logits are off by 0.011 to 0.038 of it (conv5_fc3, lean3d and
#: multitask3d, 8 volumes at 4 mm).
LOGIT_TOLERANCE = 0.05
LOSS_TOLERANCE = 0.02
_NO_SPREAD = 1e-6
_NAMES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def choose(
    network: nn.Module, volumes: Tensor, labels: Tensor, accelerator: str, objective: Objective = ONE_TASK
) -> tuple[str, str]:
    """Return the precision in Lightning's words, and the reason in ours.

    Half precision is taken where the processor computes in it, and a real batch gives the logits and the loss of
    float32 within `LOGIT_TOLERANCE` and `LOSS_TOLERANCE`.
    """
    candidate, reason = _candidate(accelerator, _processor_flags())
    if candidate is None:
        return "32-true", reason
    logit_error, loss_error = difference(network.to(accelerator), volumes, labels, _NAMES[candidate], objective)
    network.to("cpu")
    found = f"logits differ from float32 by {logit_error:.2g}, the loss by {loss_error:.2g} of itself"
    if logit_error <= LOGIT_TOLERANCE and loss_error <= LOSS_TOLERANCE:
        return candidate, f"{reason}; {found}"
    return "32-true", f"{candidate} was refused: {found}"


def difference(
    network: nn.Module, volumes: Tensor, labels: Tensor, dtype: torch.dtype, objective: Objective = ONE_TASK
) -> tuple[float, float]:
    """Return how far half precision is from float32 on a batch: the worst logit, and the loss; nan counts as far.

    The network is left as it was; dropout is left out, batch norm is that of training.
    """
    device = next(network.parameters()).device
    trial = copy.deepcopy(network).train()
    for module in trial.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    unit, labels = to_unit(volumes.to(device)), labels.to(device)
    with torch.no_grad():
        exact = _main(trial(unit))
        with torch.autocast(device.type, dtype=dtype):
            rough = _main(trial(unit)).float()
        losses = [float(objective.loss(logits, labels)) for logits in (exact, rough)]
    logit_error = float((exact - rough).abs().max()) / max(_NO_SPREAD, float(exact.std()))
    loss_error = abs(losses[0] - losses[1]) / max(1e-6, losses[0])
    return _far_if_nan(logit_error), _far_if_nan(loss_error)


def note_scaler(trainer: pl.Trainer, facts: dict) -> None:
    """Keep how half precision scales its gradients, among the facts of a fitting."""
    state = trainer.precision_plugin.state_dict()
    if state:
        facts["gradient_scale"] = state


def restore_scaler(trainer: pl.Trainer, facts: dict) -> None:
    """Go on with the scale that `note_scaler` kept."""
    if "gradient_scale" in facts:
        trainer.precision_plugin.load_state_dict(facts["gradient_scale"])


def _candidate(accelerator: str, flags: frozenset[str]) -> tuple[str | None, str]:
    """Return the half precision that the processor has units for, if any, and why."""
    if accelerator == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16-mixed", "the GPU computes in bfloat16"
        return "16-mixed", "the GPU computes in float16, not in bfloat16"
    units = sorted(flags & {"avx512_bf16", "amx_bf16"})
    if units:
        return "bf16-mixed", f"the processor has {units[0]}"
    # Measured: without such units bfloat16 is ten times slower than float32.
    return None, "float32: the processor has neither avx512_bf16 nor amx_bf16"


@functools.cache
def _processor_flags() -> frozenset[str]:
    try:
        return frozenset(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return frozenset()


def _main(found: Tensor | tuple[Tensor, ...]) -> Tensor:
    return found[0] if isinstance(found, tuple) else found


def _far_if_nan(error: float) -> float:
    return error if not math.isnan(error) else math.inf
