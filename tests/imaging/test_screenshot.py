import numpy as np
import pytest

from qcbench.imaging import screenshot
from qcbench.imaging.geometry import CANONICAL_SHAPE, canonical_index


def lit(*places_mm, value=100.0):
    """Return a volume with a bright block of 5 mm at each place."""
    volume = np.zeros(CANONICAL_SHAPE, np.float32)
    for place in places_mm:
        i, j, k = canonical_index(*place)
        volume[i - 2 : i + 3, j - 2 : j + 3, k - 2 : k + 3] = value
    return volume


def brightest(panel):
    """Return the row and column of the middle of what is lit."""
    return np.argwhere(panel > panel.max() / 2).mean(axis=0)


def test_the_slices_are_cut_where_the_protocol_says():
    assert [plane.max() for plane in screenshot.central_slices(lit((-5, 50, 50)))] == [100, 0, 0]
    assert [plane.max() for plane in screenshot.central_slices(lit((40, 0, 50)))] == [0, 100, 0]
    assert [plane.max() for plane in screenshot.central_slices(lit((40, 50, 0)))] == [0, 0, 100]


@pytest.mark.parametrize(("convention", "column_of_the_left"), [("radiological", 144), ("neurological", 24)])
def test_left_and_right_follow_the_convention_in_coronal_and_axial_slices_alone(convention, column_of_the_left):
    sagittal, _, _ = screenshot.central_slices(lit((-5, 60, 70)), convention)
    _, coronal, _ = screenshot.central_slices(lit((-60, 0, 70)), convention)
    _, _, axial = screenshot.central_slices(lit((-60, 60, 0)), convention)
    assert brightest(sagittal)[1] > 150  # the front is on the right
    assert brightest(coronal)[1] == brightest(axial)[1] == column_of_the_left


def test_an_unknown_convention_is_refused():
    with pytest.raises(ValueError, match="radiological, neurological"):
        screenshot.screenshot(lit((0, 0, 0)), "surgical")


def test_the_right_is_on_the_left_the_front_on_the_right_and_the_top_above():
    sagittal, _, _ = screenshot.central_slices(lit((-5, 60, 70)))
    _, coronal, _ = screenshot.central_slices(lit((60, 0, 70)))
    _, _, axial = screenshot.central_slices(lit((60, 60, 0)))
    assert sagittal.shape, coronal.shape == ((179, 208), (179, 169))
    assert brightest(sagittal)[0] < 60 and brightest(sagittal)[1] > 150  # up, in front
    assert brightest(coronal)[0] < 60 and brightest(coronal)[1] < 60  # up, left
    assert brightest(axial)[0] < 60 and brightest(axial)[1] < 60  # front above, left


def test_every_picture_has_one_size_and_is_grey():
    picture = screenshot.screenshot(lit((0, 0, 0)))
    assert picture.shape == (2 * 208, 2 * (208 + 169 + 169) + 2 * 8)
    assert picture.dtype == np.uint8


def test_one_hot_voxel_does_not_darken_the_brain():
    volume = np.full(CANONICAL_SHAPE, 100.0, np.float32)
    calm = screenshot.screenshot(volume)
    volume[100, 100, 100] = 1e6
    assert np.array_equal(screenshot.screenshot(volume), calm)


def test_enlarging_keeps_the_noise_that_is_to_be_judged():
    noise = np.random.default_rng(0).normal(100, 10, CANONICAL_SHAPE).astype(np.float32)
    white = np.percentile(noise, screenshot.WHITE_PERCENTILE)
    native = screenshot.central_slices(noise)[0] / white * 255
    panel = screenshot.screenshot(noise)[29 * 2 - 29 : 29 * 2 - 29 + 2 * 179, : 2 * 208].astype(float)
    assert panel.std() > 0.85 * native.std()


def test_an_empty_volume_is_black_and_no_division_by_zero():
    assert screenshot.screenshot(np.zeros(CANONICAL_SHAPE, np.float32)).max() == 0


def test_a_volume_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="169, 208, 179"):
        screenshot.screenshot(np.zeros((169, 205, 179), np.float32))
