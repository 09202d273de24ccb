"""Margins, wedge, background and gain differ from copy to copy and spare the brain."""

from dataclasses import replace

import numpy as np
import pytest

from qcbench.imaging import heads, simulate

SEEDS = range(24)


def test_the_brain_is_kept_voxel_for_voxel_but_for_gain_and_floor(head):
    for seed in SEEDS:
        copy = simulate.surrounded(head, seed=seed)
        assert copy.brain.sum() == head.brain.sum()
        offset = np.rint((np.linalg.inv(head.affine) @ copy.affine)[:3, 3]).astype(int)
        same = head.data[tuple(slice(o, o + n) for o, n in zip(offset, copy.data.shape, strict=True))]
        inside = copy.brain & (copy.data > 0)
        before, after = same[inside][::50], copy.data[inside][::50]
        assert np.allclose(after, np.polyval(np.polyfit(before, after, 1), before), rtol=1e-3)


def test_margins_gain_and_background_differ(head):
    copies = [simulate.surrounded(head, seed=seed) for seed in SEEDS]
    assert len({copy.data.shape for copy in copies}) > 10
    white = [copy.levels[2] for copy in copies]
    assert max(white) > 3 * min(white)
    air = [(copy.data == 0).mean() for copy in copies]
    assert max(air) - min(air) > 0.05


def test_some_faces_are_removed_and_no_brain_is(head):
    faceless = 0
    for seed in SEEDS:
        copy = simulate.surrounded(head, seed=seed)
        in_mni = np.linalg.inv(head.template_to_scanner) @ copy.affine
        index = np.argwhere(np.ones(copy.data.shape, bool))
        y, z = (in_mni[axis, :3] @ index.T + in_mni[axis, 3] for axis in (1, 2))
        face = ((y > 70) & (y < 85) & (z < -40) & (z > -60)).reshape(copy.data.shape)
        faceless += copy.data[face].max() == 0
        assert copy.data[copy.brain].min() >= 0
        assert np.median(copy.data[copy.brain]) > 0.5 * copy.levels[2]
    assert 0.2 * len(SEEDS) < faceless < 0.7 * len(SEEDS)


@pytest.mark.parametrize("strengths", [{"mixing": 0.6}, {"noise": 0.6}, {"abrupt": 0.5}])
def test_what_was_measured_is_still_there(head, strengths):
    masked = replace(head, data=np.where(head.data > 0.15 * head.levels[2], head.data, 0))
    for source in (head, masked):
        copy = simulate.with_strengths(source, strengths, seed=1)
        (characteristic,) = (name for name, severity in copy.severity.items() if severity)
        for seed in range(6):
            both = [simulate.surrounded(each, seed=seed) for each in (source, copy.head)]
            seen = simulate.Sight(both[0])
            measure = getattr(seen, simulate.grades.scales()[characteristic].measure)
            after = measure(seen.untouched, seen.cut(both[1].data))
            assert after == pytest.approx(copy.severity[characteristic], rel=0.15)


@pytest.mark.parametrize("seed", (0, 2, 6))  # one of each storage order
def test_a_marker_on_the_left_stays_on_the_left(seed):
    source = heads.synthetic_head(seed=seed, spacing_mm=(4, 4, 4))
    place = np.einsum("ij,jklm->iklm", source.affine[:3, :3], np.indices(source.data.shape))
    place += source.affine[:3, 3, None, None, None]
    inside = place[:, source.brain].mean(axis=1)
    near = np.linalg.norm(place - (inside - (45, 0, 0))[:, None, None, None], axis=0) < 12
    marked = replace(source, data=np.where(near, 20 * source.data.max(), source.data).astype(np.float32))
    copy = simulate.surrounded(marked, seed=seed)
    index = np.argwhere(copy.data > 0.5 * copy.data.max()).mean(axis=0)
    found = copy.affine[:3, :3] @ index + copy.affine[:3, 3]
    assert found == pytest.approx(inside - (45, 0, 0), abs=6)
