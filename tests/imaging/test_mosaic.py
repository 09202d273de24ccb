import numpy as np
import pytest

from qcbench.imaging import mosaic


def head(value=lambda x, y, z: 100):
    """Return a volume of 40 x 50 x 60 with a bright block from 10 to 30, 10 to 40, 10 to 50."""
    volume = np.zeros((40, 50, 60), np.float32)
    for z in range(10, 50):
        volume[10:30, 10:40, z] = value(0, 0, z)
    return volume


def test_slices_are_spread_over_the_head_and_leave_the_air_out():
    assert mosaic.slice_numbers(head(), 2, 4) == [10, 23, 36, 49]
    assert mosaic.slice_numbers(head(), 0, 2) == [10, 29]


def test_the_grid_is_read_line_after_line_from_the_bottom_up():
    picture = mosaic.mosaic(head(lambda x, y, z: 4 * z), rows=2, columns=2)
    assert picture.shape == (2 * 50 + 2, 2 * 40 + 2)
    middles = [picture[25 + down * 52, 20 + right * 42] for down in (0, 1) for right in (0, 1)]
    assert middles == sorted(middles)
    assert middles[0] < 0.3 * 255
    assert middles[3] == 255


def test_proportions_follow_the_voxel_size():
    picture = mosaic.mosaic(head(), axis=1, rows=1, columns=3, spacing_mm=(1.0, 1.0, 2.0), pixels_a_mm=0.5)
    assert picture.shape == (60, 3 * 20 + 2 * 2)


@pytest.mark.parametrize(("convention", "is_left"), [("radiological", False), ("neurological", True)])
def test_the_patients_left_lies_where_the_convention_says(convention, is_left):
    volume = head()
    volume[10:15] = 400  # on the left: x grows to the right
    picture = mosaic.mosaic(volume, rows=1, columns=1, convention=convention)
    assert (np.argwhere(picture > 200)[:, 1].mean() < 20) == is_left


def test_an_empty_volume_is_black():
    assert mosaic.mosaic(np.zeros((8, 8, 8), np.float32), rows=2, columns=2).max() == 0


def test_an_axis_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="axis is 0, 1 or 2"):
        mosaic.mosaic(head(), axis=3)
