"""Conv5_FC3, the network of Bottani et al. 2022, as ClinicaDL 0.0.3 defines it, with its dropout of 0.5."""

from __future__ import annotations

import math

from torch import Tensor, nn

from qcbench.learn.networks.batch_norm import BatchNorm3d
from qcbench.learn.networks.pooled_blocks import max_pool, may_be_one_step, one_step

#: Voxels of a preprocessed volume at 1 mm.
FULL_SHAPE = (169, 208, 179)
_CHANNELS = (8, 16, 32, 64, 128)


class PadMaxPool3d(nn.Module):
    """Max pooling by two; an odd axis is taken to have one plane more, at its front, that is never the largest.

    This is not ``ceil_mode=True``, which pads at the end and so pairs other planes. What is not negative (after ReLU)
    is pooled as by the original, which puts a plane of zeros there.
    """

    def forward(self, volumes: Tensor) -> Tensor:
        """Return (n, channels, ceil(x / 2), ceil(y / 2), ceil(z / 2))."""
        return max_pool(volumes)


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
                BatchNorm3d(channels),
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
        layers = iter(self.convolutions)
        for convolution, norm, relu, pool in zip(layers, layers, layers, layers, strict=True):
            if may_be_one_step(convolution, norm, volumes):
                volumes = one_step(convolution, norm, volumes)
            else:
                volumes = pool(relu(norm(convolution(volumes))))
        return self.classifier(volumes)
