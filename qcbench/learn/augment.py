"""Volumes as they might as well have been, made on the device that trains.

What a rater would grade otherwise is left alone: there is no noise, no blur, no movement and no bias field here, for
those are what the network is to see. A side, a place and a brightness say nothing of a grade.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Of the extent of each axis: more than the alignment errs by, less than would cut the head.
_FARTHEST_SHIFT = 0.04
#: Exponents from 0.87 to 1.15 leave grey and white matter as far apart as scanners do.
_LOG_GAMMA = 0.14
_SCALE = 0.1


def augmented(volumes: Tensor) -> Tensor:
    """Return volumes (n, 1, x, y, z) in [0, 1], each mirrored in half of all cases, moved, and of other brightness.

    x is left-right. The voxels that a move lays bare are 0. Chance is that of torch on the CPU.
    """
    changed = torch.empty_like(volumes)
    for number, volume in enumerate(volumes):
        if torch.rand(()) < 0.5:
            volume = volume.flip(1)
        changed[number] = _moved(volume)
    gamma = torch.exp(_LOG_GAMMA * _between(volumes))
    scale = 1 + _SCALE * _between(volumes)
    return changed.pow_(gamma).mul_(scale).clamp_(0, 1)


def _between(volumes: Tensor) -> Tensor:
    """Return one number from -1 to 1 for each volume, where the volumes are."""
    return (2 * torch.rand(len(volumes), 1, 1, 1, 1) - 1).to(volumes.device)


def _moved(volume: Tensor) -> Tensor:
    """Return the volume (1, x, y, z), moved by whole voxels."""
    for axis, size in enumerate(volume.shape[1:], start=1):
        farthest = int(_FARTHEST_SHIFT * size)
        shift = int(torch.randint(-farthest, farthest + 1, ()))
        volume = volume.roll(shift, axis)
        bare = slice(0, shift) if shift >= 0 else slice(size + shift, size)
        volume.movedim(axis, 0)[bare] = 0
    return volume
