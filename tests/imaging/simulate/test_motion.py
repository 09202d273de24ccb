"""The head moves without losing a voxel, and stays where it lay in the middle of the scan."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from qcbench.imaging.simulate import motion

SPACING_MM = np.array([1.0, 1.3, 1.7])


def blob(shape=(48, 40, 36), centre=(24.0, 20.0, 18.0), sd=(3.0, 4.0, 2.5)):
    grid = np.indices(shape).astype(float)
    return np.exp(-sum(((grid[a] - centre[a]) / sd[a]) ** 2 / 2 for a in range(3))).astype(np.float32)


def centre_mm(data):
    return np.array(ndimage.center_of_mass(data)) * SPACING_MM


def test_a_shift_moves_the_centre_by_that_many_millimetres():
    moved = motion.moved(blob(), SPACING_MM, np.zeros(3), np.array([2.5, -1.25, 3.4]))
    assert centre_mm(moved) - centre_mm(blob()) == pytest.approx([2.5, -1.25, 3.4], abs=0.01)


@pytest.mark.parametrize("about", [0, 1, 2])
def test_a_turn_is_a_rotation_in_millimetres_about_the_middle_of_the_array(about):
    angle = np.radians(9.0)
    first, second = (axis for axis in range(3) if axis != about)
    if about == 1:
        first, second = second, first
    middle_mm = (np.array((48, 40, 36)) - 1) / 2 * SPACING_MM
    source = blob(centre=(30.0, 24.0, 14.0))
    turn = np.zeros(3)
    turn[about] = 9.0
    before = centre_mm(source) - middle_mm
    after = centre_mm(motion.moved(source, SPACING_MM, turn, np.zeros(3))) - middle_mm
    expected = before.copy()
    expected[first] = np.cos(angle) * before[first] - np.sin(angle) * before[second]
    expected[second] = np.sin(angle) * before[first] + np.cos(angle) * before[second]
    assert after == pytest.approx(expected, abs=0.05)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2), st.floats(-8, 8), st.floats(-3, 3))
def test_turning_back_gives_the_same_voxels(about, turn, shift):
    turn_deg, shift_mm = np.zeros(3), np.zeros(3)
    turn_deg[about], shift_mm[about] = turn, shift
    source = blob()
    there = motion.moved(source, SPACING_MM, turn_deg, shift_mm)
    back = motion.moved(there, SPACING_MM, -turn_deg, -shift_mm)
    # An interpolation, even a cubic one, would lose a percent or more here.
    assert np.abs(back - source).max() < 2e-4


@pytest.mark.parametrize("artefact", [motion.abrupt, motion.slow])
@pytest.mark.parametrize("seed", range(4))
def test_a_moving_head_stays_where_its_source_is(head, artefact, seed):
    moved = artefact(head, 0.6, np.random.default_rng(seed))
    heavy = np.where(head.brain, head.data, 0)
    before = np.array(ndimage.center_of_mass(heavy))
    after = np.array(ndimage.center_of_mass(np.where(head.brain, moved, 0)))
    assert np.abs(after - before).max() * 2.5 < 1.0


def test_the_middle_of_k_space_is_acquired_halfway():
    for n_lines in (7, 8):
        time = motion._acquisition_time(n_lines)
        assert time[0] == 0.5
        assert np.all(np.diff(np.fft.fftshift(time)) > 0)


def test_ghosts_lie_along_one_axis_outside_the_head(head):
    body = ndimage.binary_dilation(head.data > 0.15 * head.levels[2], iterations=4)
    ghosted = motion.ghosting(head, 0.5, np.random.default_rng(0))
    added = np.where(body, 0, ghosted - head.data)
    assert added.sum() / head.data[body].sum() > 0.005


def test_what_a_small_field_of_view_leaves_out_comes_back_on_the_other_side(head):
    folded = motion.wrap_around(head, 0.8, np.random.default_rng(1))
    assert folded.sum() == pytest.approx(head.data.sum(), rel=0.02)
    assert (folded == 0).mean() > (head.data == 0).mean() + 0.1
    assert np.percentile(folded, 99.9) > 1.1 * np.percentile(head.data, 99.9)
