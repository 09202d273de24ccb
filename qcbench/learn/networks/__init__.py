"""The 3D networks, built by name.

Input: (images, 1, x, y, z) in [0, 1]; output: (images, classes) logits. ``conv5_fc3``, ``inception3d`` and
``resnet3d`` are those of Bottani et al. 2022 as they were trained; ``inception3d_adaptive`` takes 2 mm as well;
``lean3d`` is our own, a third of the operations of Conv5_FC3 and a fiftieth of its parameters; ``multitask3d`` is
the same with an output for all that raters note (its outputs are no classes: see its module).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from qcbench.errors import UsageError
from qcbench.learn.networks.conv5_fc3 import FULL_SHAPE, Conv5FC3, PadMaxPool3d
from qcbench.learn.networks.inception3d import Inception3D
from qcbench.learn.networks.lean3d import Lean3D
from qcbench.learn.networks.multitask import NAME as MULTITASK
from qcbench.learn.networks.multitask import Multitask3D
from qcbench.learn.networks.resnet3d import ResNet3D

__all__ = ["FULL_SHAPE", "PadMaxPool3d", "architectures", "build", "count_parameters", "layers", "multiply_adds"]


def build(name: str, shape: tuple[int, int, int] = FULL_SHAPE, outputs: int = 2) -> nn.Module:
    """Return the network of that name for volumes of `shape`, with plain PyTorch initial weights.

    Raises UsageError for a name that does not exist, listing those that do, and for volumes that are too small
    for the network.
    """
    if name not in _BUILDERS:
        raise UsageError(f"there is no architecture {name!r}; there are: {', '.join(architectures())}")
    if len(shape) != 3 or min(shape) < 1 or outputs < 2:
        raise UsageError(f"a network needs three positive sizes and at least 2 outputs, got {shape} and {outputs}")
    return _BUILDERS[name](tuple(shape), outputs)


def architectures() -> tuple[str, ...]:
    """Return the names that `build` knows."""
    return tuple(_BUILDERS)


def count_parameters(network: nn.Module) -> int:
    """Return how many numbers are fitted."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def layers(network: nn.Module, shape: tuple[int, int, int]) -> list[dict]:
    """Return one row per layer: name, kind, shape of what leaves it (channels first), parameters.

    A copy is run on the meta device, where tensors have shapes and no values: nothing is computed.
    """
    rows: list[dict] = []
    with torch.device("meta"):
        probe = torch.zeros((1, 1, *shape))
    sketch = copy.deepcopy(network).to("meta")
    hooks = [
        module.register_forward_hook(_record(rows, name))
        for name, module in sketch.named_modules()
        if not list(module.children())
    ]
    with torch.no_grad():
        sketch.eval()(probe)
    for hook in hooks:
        hook.remove()
    return rows


def multiply_adds(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """Return how many multiplications and additions one volume costs in convolutions and linear layers."""
    counted = 0
    kinds = {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv3d | nn.Linear)}
    for row in layers(network, shape):
        module = kinds.get(row["layer"])
        if isinstance(module, nn.Conv3d):
            counted += module.weight.numel() * math.prod(row["output_shape"][1:])
        elif module is not None:
            counted += module.weight.numel()
    return counted


def _record(rows: list[dict], name: str) -> Callable:
    def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        rows.append(
            {
                "layer": name,
                "kind": type(module).__name__,
                "output_shape": list(output.shape[1:]),
                "parameters": count_parameters(module),
            }
        )

    return hook


_BUILDERS: dict[str, Callable[[tuple[int, int, int], int], nn.Module]] = {
    "conv5_fc3": Conv5FC3,
    "inception3d": Inception3D,
    "inception3d_adaptive": partial(Inception3D, adaptive=True),
    "resnet3d": ResNet3D,
    "lean3d": Lean3D,
    MULTITASK: Multitask3D,
}
