import random

import numpy as np
import pytest
import torch

from qcbench.learn.samplers import ShuffledBatches, own_share, seed_epoch


def batches(epoch, rank=0, processes=1, n_images=10, batch_size=4):
    sampler = ShuffledBatches(n_images, batch_size=batch_size, seed=1, rank=rank, processes=processes)
    sampler.set_epoch(epoch)
    found = list(sampler)
    assert len(found) == len(sampler)
    return found


def test_each_epoch_shows_each_image_once_in_an_order_of_its_own():
    first, second = batches(0), batches(1)
    assert sorted(number for batch in first for number in batch) == list(range(10))
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert first != second
    assert batches(1) == second


def test_processes_share_the_batches_that_one_would_see():
    one, other = batches(3, 0, 2), batches(3, 1, 2)
    assert [sorted(mine + theirs) for mine, theirs in zip(one, other, strict=True)] == [sorted(b) for b in batches(3)]


def test_a_last_batch_that_not_all_processes_have_a_part_of_is_left_out():
    assert [len(batch) for batch in batches(0, 1, 2, n_images=9)] == [2, 2]
    assert [len(batch) for batch in batches(0, n_images=9)] == [4, 4, 1]


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_each_image_is_validated_by_one_process(processes):
    shares = [own_share(7, rank=rank, processes=processes) for rank in range(processes)]
    assert sorted(number for share in shares for number in share) == list(range(7))


def drawn():
    return float(torch.rand(())), float(np.random.rand()), random.random()


def test_the_chance_of_an_epoch_is_that_of_seed_epoch_and_process():
    found = []
    for seed, epoch, rank in [(0, 0, 0), (0, 1, 0), (1, 0, 0), (0, 0, 1)]:
        seed_epoch(seed, epoch, rank)
        found.append(drawn())
    assert len(set(found)) == 4
    seed_epoch(0, 1, 0)
    assert drawn() == found[1]
