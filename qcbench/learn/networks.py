"""The 3D networks, built by name.

Input: (images, 1, x, y, z) in [0, 1]; output: (images, classes) logits. Conv5_FC3 is the network
of Bottani et al. 2022 as ClinicaDL 0.0.3 defines it, with its dropout of 0.5.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from torch import Tensor, nn

from qcbench.errors import UsageError

#: Voxels of a preprocessed volume at 1 mm.
FULL_SHAPE = (169, 208, 179)
_CHANNELS = (8, 16, 32, 64, 128)


def build(name: str, shape: tuple[int, int, int] = FULL_SHAPE, outputs: int = 2) -> nn.Module:
    """Return the network of that name for volumes of `shape`, with plain PyTorch initial weights.

    Raises UsageError for a name that does not exist, listing those that do.
    """
    if name not in _BUILDERS:
        raise UsageError(f"there is no architecture {name!r}; there are: {', '.join(architectures())}")
    if len(shape) != 3 or min(shape) < 1 or outputs < 2:
        raise UsageError(f"a network needs three positive sizes and at least 2 outputs, got {shape} and {outputs}")
    return _BUILDERS[name](tuple(shape), outputs)


def architectures() -> tuple[str, ...]:
    """Return the names that `build` knows."""
    return tuple(_BUILDERS)


class PadMaxPool3d(nn.Module):
    """Max pooling by two; an odd axis first gets one zero plane at its front.

    This is not ``ceil_mode=True``, which pads at the end and so pairs other planes. The zeros
    are neutral as long as the input is not negative (after ReLU).
    """

    def forward(self, volumes: Tensor) -> Tensor:
        """Return (n, channels, ceil(x / 2), ceil(y / 2), ceil(z / 2))."""
        odd_x, odd_y, odd_z = (size % 2 for size in volumes.shape[2:])
        return F.max_pool3d(F.pad(volumes, (odd_z, 0, odd_y, 0, odd_x, 0)), kernel_size=2)


class Conv5FC3(nn.Module):
    """Five blocks of convolution, batch norm, ReLU and pooling, then three linear layers.

    42,293,972 trainable parameters at 169 x 208 x 179, of which the first linear layer has 99.1 %.
    Follows any input shape: the size of that layer is computed.
    """

    def __init__(self, shape: tuple[int, int, int] = FULL_SHAPE, outputs: int = 2) -> None:
        super().__init__()
        blocks = []
        channels_in = 1
        for channels in _CHANNELS:
            blocks += [
                nn.Conv3d(channels_in, channels, kernel_size=3, padding=1),
                nn.BatchNorm3d(channels),
                nn.ReLU(),
                PadMaxPool3d(),
            ]
            channels_in = channels
        self.convolutions = nn.Sequential(*blocks)
        n_features = _CHANNELS[-1] * math.prod(math.ceil(size / 2 ** len(_CHANNELS)) for size in shape)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(n_features, 1300),
            nn.ReLU(),
            nn.Linear(1300, 50),
            nn.ReLU(),
            nn.Linear(50, outputs),
        )

    def forward(self, volumes: Tensor) -> Tensor:
        """Return logits (n, outputs) of volumes (n, 1, x, y, z) in [0, 1]."""
        return self.classifier(self.convolutions(volumes))


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


_BUILDERS: dict[str, Callable[[tuple[int, int, int], int], nn.Module]] = {"conv5_fc3": Conv5FC3}
