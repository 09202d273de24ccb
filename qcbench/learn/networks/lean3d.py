"""Our own network: few parameters, few operations, any size of volume.

Conv5_FC3 has 99 % of its parameters in one linear layer that sees where in the head something is. The quality of an
image is mostly the same everywhere, so here each channel is summed up over the whole volume, by its mean and, because
noise and contrast are spread, by its standard deviation. Strided convolutions leave the full resolution at once, which
is where Conv5_FC3 spends its operations.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qcbench.learn.networks.batch_norm import BatchNorm3d

_CHANNELS = (8, 16, 32, 64, 128)


class Lean3D(nn.Module):
    """A strided stem and four residual stages, each at half the size of the one before; mean and spread; one layer.

    0.9 M trainable parameters whatever the shape of the volumes.
    """

    def __init__(self, shape: tuple[int, int, int], outputs: int = 2) -> None:
        super().__init__()
        stem, *others = _CHANNELS
        stages = [nn.Conv3d(1, stem, kernel_size=3, stride=2, padding=1, bias=False), BatchNorm3d(stem), nn.ReLU()]
        channels_in = stem
        for channels in others:
            stages.append(_Stage(channels_in, channels))
            channels_in = channels
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Sequential(MeanAndSpread(), nn.Dropout(0.2), nn.Linear(2 * channels_in, outputs))

    def forward(self, volumes: Tensor) -> Tensor:
        """Return logits (n, outputs) of volumes (n, 1, x, y, z) in [0, 1]."""
        return self.classifier(self.stages(volumes))


class _Stage(nn.Module):
    """Two convolutions, the first with stride 2, beside a shortcut of every second voxel."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv3d(channels_in, channels, kernel_size=3, stride=2, padding=1, bias=False),
            BatchNorm3d(channels),
            nn.ReLU(),
            nn.Conv3d(channels, channels, kernel_size=3, padding=1, bias=False),
            BatchNorm3d(channels),
        )
        self.shortcut = nn.Conv3d(channels_in, channels, kernel_size=1, stride=2, bias=False)
        self.activation = nn.ReLU()

    def forward(self, volumes: Tensor) -> Tensor:
        return self.activation(self.convolutions(volumes) + self.shortcut(volumes))


class MeanAndSpread(nn.Module):
    """Sums up each channel: its mean over the volume, then its standard deviation."""

    def forward(self, volumes: Tensor) -> Tensor:
        """Return (n, 2 x channels) of (n, channels, x, y, z)."""
        flat = volumes.flatten(start_dim=2)
        # A small number under the root: its slope at 0 has no end.
        return torch.cat([flat.mean(dim=2), (flat.var(dim=2, correction=0) + 1e-6).sqrt()], dim=1)
