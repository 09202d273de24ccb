"""Straight rejects are what their names say."""

import numpy as np
import pytest

from qcbench.errors import UsageError
from qcbench.imaging import heads, simulate

SEEDS = (0, 1, 2)


def brain_correlation(head, reject):
    return np.corrcoef(head.data[head.brain], reject.data[head.brain])[0, 1]


def test_a_tissue_map_is_nearly_empty(head):
    for seed in range(6):
        data = simulate.straight_reject(head, kind="tissue_map", seed=seed).data
        assert 0.003 < (data > 0.5 * data.max()).mean() < 0.15
        assert (data < 0.25 * data.max()).mean() > 0.8


def test_a_skull_stripped_image_has_a_brain_and_no_scalp(head):
    stripped = simulate.straight_reject(head, kind="skull_stripped", seed=1)
    assert (stripped.data[head.brain] > 0).mean() > 0.95
    assert (stripped.data[~head.brain] > 0).mean() < 0.05


def test_heads_are_truncated_from_every_side_and_keep_forty_slices():
    head = heads.synthetic_head(seed=1, spacing_mm=(1.6, 2.0, 2.0))
    sides = set()
    for seed in range(40):
        cut = simulate.straight_reject(head, kind="truncated", seed=seed)
        axis = int(np.argmin(np.array(cut.data.shape) / head.data.shape))
        kept = np.flatnonzero(cut.brain.any(axis=tuple(a for a in range(3) if a != axis)))
        whole = np.flatnonzero(head.brain.any(axis=tuple(a for a in range(3) if a != axis)))
        assert len(kept) < 0.8 * len(whole)
        assert min(cut.data.shape) >= 40
        sides.add((axis, np.allclose(cut.affine, head.affine)))
    assert len(sides) == 6


def test_a_head_of_few_thick_slices_still_loses_brain(head):
    thick = heads.synthetic_head(seed=2, spacing_mm=(4.0, 2.5, 2.5))
    for seed in range(12):
        cut = simulate.straight_reject(thick, kind="truncated", seed=seed)
        assert cut.brain.sum() < 0.8 * thick.brain.sum()


@pytest.mark.parametrize("kind", ["melon", "bottle", "t2_like", "truncated"])
def test_a_scan_of_anything_has_noise_in_its_air(head, kind):
    data = simulate.straight_reject(head, kind=kind, seed=0).data
    assert (data == 0).mean() < 0.01


def test_what_is_left_of_a_truncated_head_stays_at_its_place(head):
    cut = simulate.straight_reject(head, kind="truncated", seed=3)
    index = np.array([5, 6, 7, 1])
    there = np.linalg.inv(head.affine) @ cut.affine @ index
    i, j, k = np.rint(there[:3]).astype(int)
    assert cut.data[5, 6, 7] == head.data[i, j, k]


@pytest.mark.parametrize("seed", SEEDS)
def test_other_sequences_turn_the_tissues_round(head, seed):
    fluid, grey, white = head.levels
    near = 0.06 * white

    def levels(kind):
        data = simulate.straight_reject(head, kind=kind, seed=seed).data
        return [data[head.brain & (np.abs(head.data - level) < near)].mean() for level in (fluid, grey, white)]

    t2_fluid, t2_grey, t2_white = levels("t2_like")
    assert t2_fluid > t2_grey > t2_white
    flair_fluid, flair_grey, flair_white = levels("flair_like")
    assert flair_grey > flair_white > flair_fluid
    pd_fluid, pd_grey, pd_white = levels("pd_like")
    assert min(pd_fluid, pd_grey) > pd_white


@pytest.mark.parametrize("kind", ["melon", "bottle"])
def test_a_fruit_or_a_phantom_is_no_brain(head, kind):
    for seed in SEEDS:
        assert abs(brain_correlation(head, simulate.straight_reject(head, kind=kind, seed=seed))) < 0.5


@pytest.mark.parametrize("kind", simulate.KINDS)
def test_the_same_seed_gives_the_same_bytes(another, kind):
    first, second = (simulate.straight_reject(another, kind=kind, seed=2) for _ in range(2))
    assert first.data.tobytes() == second.data.tobytes()
    assert np.isfinite(first.data).all()
    assert first.data.min() >= 0


def test_an_unknown_kind_is_refused(head):
    with pytest.raises(UsageError, match="tissue_map, skull_stripped"):
        simulate.straight_reject(head, kind="banana", seed=0)
