"""The 3D Inception of Bottani et al. 2022: GoogLeNet in three dimensions, with two auxiliary heads.

Every convolution has a bias, batch norm and ReLU; the branch of 5 x 5 x 5 is two of 3 x 3 x 3.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from qcbench.errors import UsageError
from qcbench.learn.networks.batch_norm import BatchNorm3d

_HEAD_POOL = (2, 3, 2)


class Branches(NamedTuple):
    """Channels of the four branches of a module: 1, 3 (reduced, then), 5 (reduced, then), pool."""

    ones: int
    threes_reduced: int
    threes: int
    fives_reduced: int
    fives: int
    pool: int

    @property
    def out(self) -> int:
        """Channels of what leaves the module."""
        return self.ones + self.threes + self.fives + self.pool


A3, B3 = Branches(64, 96, 128, 16, 32, 32), Branches(128, 128, 192, 32, 96, 64)
A4, B4 = Branches(192, 96, 208, 16, 48, 64), Branches(160, 112, 224, 24, 64, 64)
C4, D4, E4 = (
    Branches(128, 128, 256, 24, 64, 64),
    Branches(112, 144, 288, 32, 64, 64),
    Branches(256, 160, 320, 32, 128, 128),
)
A5, B5 = Branches(256, 160, 320, 32, 128, 128), Branches(384, 192, 384, 48, 128, 128)


class Inception3D(nn.Module):
    """Stem, nine inception modules, average pooling, one linear layer; auxiliary heads while training.

    21,523,686 trainable parameters at 169 x 208 x 179, of which 7,217,924 belong to the auxiliary heads. In training
    mode it returns a tuple of three logits (main, and of both auxiliary heads), whose losses are added with equal
    weight; in evaluation the main ones. It needs volumes of 1 mm; `adaptive` pools whatever is left to 3 x 3 x 3 and
    takes 2 mm too. Raises UsageError for volumes that are too small.
    """

    def __init__(self, shape: tuple[int, int, int], outputs: int = 2, *, adaptive: bool = False) -> None:
        super().__init__()
        sizes = _size_of_last_modules(shape)
        head_pool: nn.Module = nn.AdaptiveAvgPool3d(3) if adaptive else nn.AvgPool3d(_HEAD_POOL, stride=1)
        pooled = (3, 3, 3) if adaptive else tuple(size - pool + 1 for size, pool in zip(sizes, _HEAD_POOL, strict=True))
        if min(*sizes, *pooled) < 1:
            name, instead = (
                ("inception3d_adaptive", "train it at 1 or 2 mm")
                if adaptive
                else ("inception3d", "train it at 1 mm, take inception3d_adaptive at 2 mm")
            )
            raise UsageError(f"{name} has nothing left of volumes of {shape}; {instead}, or take conv5_fc3 or lean3d")
        self.stem = nn.Sequential(
            _convolution(1, 64, kernel_size=7, stride=2, padding=1),
            nn.MaxPool3d(3, stride=2),
            _convolution(64, 64, kernel_size=1),
            _convolution(64, 192, kernel_size=3, padding=1),
            nn.MaxPool3d(3, stride=2),
        )
        self.threes = nn.Sequential(InceptionModule(192, A3), InceptionModule(A3.out, B3), nn.MaxPool3d(3, stride=2))
        self.first_four = InceptionModule(B3.out, A4)
        self.middle_fours = nn.Sequential(
            InceptionModule(A4.out, B4), InceptionModule(B4.out, C4), InceptionModule(C4.out, D4)
        )
        self.last_four = nn.Sequential(InceptionModule(D4.out, E4), nn.MaxPool3d(3, stride=2))
        self.fives = nn.Sequential(InceptionModule(E4.out, A5), InceptionModule(A5.out, B5))
        self.classifier = nn.Sequential(
            head_pool, nn.Dropout(0.4), nn.Flatten(), nn.Linear(B5.out * math.prod(pooled), outputs)
        )
        self.auxiliary = nn.ModuleList([_auxiliary_head(A4.out, outputs), _auxiliary_head(D4.out, outputs)])

    def forward(self, volumes: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return logits (n, outputs) of volumes (n, 1, x, y, z) in [0, 1]; in training mode three of them."""
        first = self.first_four(self.threes(self.stem(volumes)))
        middle = self.middle_fours(first)
        logits = self.classifier(self.fives(self.last_four(middle)))
        if not self.training:
            return logits
        return logits, *(head(seen) for head, seen in zip(self.auxiliary, (first, middle), strict=True))


class InceptionModule(nn.Module):
    """Four branches beside each other, their channels joined."""

    def __init__(self, channels_in: int, branches: Branches) -> None:
        super().__init__()
        self.ones = _convolution(channels_in, branches.ones, kernel_size=1)
        self.threes = nn.Sequential(
            _convolution(channels_in, branches.threes_reduced, kernel_size=1),
            _convolution(branches.threes_reduced, branches.threes, kernel_size=3, padding=1),
        )
        self.fives = nn.Sequential(
            _convolution(channels_in, branches.fives_reduced, kernel_size=1),
            _convolution(branches.fives_reduced, branches.fives, kernel_size=3, padding=1),
            _convolution(branches.fives, branches.fives, kernel_size=3, padding=1),
        )
        self.pool = nn.Sequential(
            nn.MaxPool3d(3, stride=1, padding=1), _convolution(channels_in, branches.pool, kernel_size=1)
        )

    def forward(self, volumes: Tensor) -> Tensor:
        """Return (n, channels of all branches, x, y, z)."""
        return torch.cat([branch(volumes) for branch in (self.ones, self.threes, self.fives, self.pool)], dim=1)


def _convolution(channels_in: int, channels: int, **options: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv3d(channels_in, channels, **options), BatchNorm3d(channels), nn.ReLU())


def _auxiliary_head(channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.AdaptiveAvgPool3d(3),
        _convolution(channels, 128, kernel_size=1),
        nn.Flatten(),
        nn.Linear(128 * 27, 1024),
        nn.ReLU(),
        nn.Dropout(0.7),
        nn.Linear(1024, outputs),
    )


def _size_of_last_modules(shape: tuple[int, int, int]) -> tuple[int, ...]:
    """Return the size of what reaches the last modules; 0 or less where nothing does."""
    sizes = tuple((size + 2 - 7) // 2 + 1 for size in shape)
    for _ in range(4):
        sizes = tuple((size - 3) // 2 + 1 if size >= 3 else 0 for size in sizes)
    return sizes
