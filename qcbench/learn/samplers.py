"""Which images come in which batch, and what chance has to do with it: the seed, the epoch and the process alone.

So an epoch can be repeated exactly after a crash, and several processes share it without talking.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import Sampler


class ShuffledBatches(Sampler[list[int]]):
    """Yields this process's part of each batch of an epoch; all processes together see each image once.

    A last batch with fewer images than processes is left out: each epoch leaves out others.
    """

    def __init__(self, n_images: int, *, batch_size: int, seed: int, rank: int = 0, processes: int = 1) -> None:
        self.n_images, self.batch_size, self.seed = n_images, batch_size, seed
        self.rank, self.processes = rank, processes
        self.epoch = 0
        self.sampler = self  # where Lightning looks for set_epoch

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next pass is of."""
        self.epoch = epoch

    def __len__(self) -> int:
        whole, rest = divmod(self.n_images, self.batch_size)
        return whole + (rest >= self.processes)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(_mixed(self.seed, self.epoch, 0))
        order = torch.randperm(self.n_images, generator=generator).tolist()
        for number in range(len(self)):
            batch = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield batch[self.rank :: self.processes]


def own_share(n_images: int, *, rank: int = 0, processes: int = 1) -> Sequence[int]:
    """Return the images that a process validates: each image belongs to one of them.

    >>> list(own_share(5, rank=1, processes=2))
    [1, 3]
    """
    return range(rank, n_images, processes)


def seed_epoch(seed: int, epoch: int, rank: int = 0) -> None:
    """Seed every source of chance of this process for one epoch: torch on all devices, numpy, random."""
    mixed = _mixed(seed, epoch, 1 + rank)
    torch.manual_seed(mixed)
    np.random.seed(mixed)
    random.seed(mixed)


def _mixed(*parts: int) -> int:
    """Return 32 bits in which neighbouring seeds and epochs have nothing in common."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])
