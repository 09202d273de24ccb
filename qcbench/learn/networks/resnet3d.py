"""The 3D ResNet of Bottani et al. 2022: five residual blocks, each followed by pooling.

Its blocks have no bias, its shortcuts no batch norm, and its activation is the ELU, as in the code
that the paper's networks were trained with.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from qcbench.errors import UsageError
from qcbench.learn.networks.batch_norm import BatchNorm3d

_CHANNELS = (8, 16, 32, 64, 128)


class ResNet3D(nn.Module):
    """Five residual blocks with pooling (3, stride 2, no padding), then two linear layers.

    3,517,314 trainable parameters at 169 x 208 x 179. Raises UsageError for volumes of fewer than 63 voxels a side,
    of which nothing would be left.
    """

    def __init__(self, shape: tuple[int, int, int], outputs: int = 2) -> None:
        super().__init__()
        sizes = shape
        for _ in _CHANNELS:
            sizes = tuple((size - 3) // 2 + 1 for size in sizes)
        if min(sizes) < 1:
            raise UsageError(
                f"resnet3d halves a volume five times and needs 63 voxels a side, got {shape}; "
                "train it at 1 or 2 mm (--spacing 2), or take conv5_fc3 or lean3d"
            )
        stages = []
        channels_in = 1
        for channels in _CHANNELS:
            stages += [ResidualBlock(channels_in, channels), nn.MaxPool3d(3, stride=2)]
            channels_in = channels
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(_CHANNELS[-1] * math.prod(sizes), 256),
            nn.ELU(),
            nn.Dropout(0.8),
            nn.Linear(256, outputs),
        )

    def forward(self, volumes: Tensor) -> Tensor:
        """Return logits (n, outputs) of volumes (n, 1, x, y, z) in [0, 1]."""
        return self.classifier(self.stages(volumes))


class ResidualBlock(nn.Module):
    """Two convolutions with batch norm beside a shortcut of one voxel; the ELU follows their sum."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv3d(channels_in, channels, kernel_size=3, padding=1, bias=False),
            BatchNorm3d(channels),
            nn.ELU(),
            nn.Conv3d(channels, channels, kernel_size=3, padding=1, bias=False),
            BatchNorm3d(channels),
        )
        self.shortcut = nn.Conv3d(channels_in, channels, kernel_size=1, bias=False)
        self.activation = nn.ELU()

    def forward(self, volumes: Tensor) -> Tensor:
        """Return (n, channels, x, y, z)."""
        return self.activation(self.convolutions(volumes) + self.shortcut(volumes))
