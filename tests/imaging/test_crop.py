import numpy as np
import pytest

from qcbench.imaging import crop, geometry
from tests.imaging.conftest import MARKER_MM, paint


def test_an_image_on_the_canonical_grid_stays_as_it_is():
    data = np.random.default_rng(0).random(geometry.CANONICAL_SHAPE).astype(np.float32)
    assert np.allclose(crop.to_canonical(data, geometry.CANONICAL_AFFINE, np.eye(4)), data, atol=1e-6)


def test_the_marker_stays_on_the_left_however_the_file_is_stored(layout):
    shape, affine = layout
    data, affine = geometry.to_ras(paint(shape, affine), affine)
    cropped = crop.to_canonical(data, affine, np.eye(4))
    bright = np.argwhere(cropped > 1200).mean(axis=0)
    found = (geometry.CANONICAL_AFFINE @ [*bright, 1])[:3]
    assert cropped.shape == (169, 208, 179)
    assert found == pytest.approx(MARKER_MM, abs=3)


def test_the_transform_leads_from_the_template_to_the_image():
    data = np.zeros((50, 50, 50), np.float32)
    data[30, 20, 10] = 1
    shift = np.eye(4)
    shift[:3, 3] = [30, 20, 10]  # template (0, 0, 0) lies on that voxel
    cropped = crop.to_canonical(data, np.eye(4), shift)
    assert tuple(np.argwhere(cropped == 1)[0]) == geometry.canonical_index(0, 0, 0)


def test_outside_the_field_of_view_there_is_nothing():
    cropped = crop.to_canonical(np.ones((10, 10, 10), np.float32), np.eye(4), np.eye(4))
    assert cropped.sum() == 1000


def test_whole_numbers_keep_a_thousand_steps_and_hot_voxels():
    volume = np.linspace(0, 1, 100_000, dtype=np.float32).reshape(100, 100, 10)
    volume[0, 0, 0] = 20.0
    volume[0, 0, 1] = 1e6
    whole, scale = crop.to_int16(volume)
    assert whole.dtype == np.int16
    assert np.abs(whole.ravel()[2:] / scale - volume.ravel()[2:]).max() < 0.0006
    assert whole[0, 0, 0] == pytest.approx(20 * scale, abs=0.5)
    assert whole[0, 0, 1] == 32767


def test_a_volume_of_few_bright_voxels_does_not_divide_by_zero():
    volume = np.zeros((20, 20, 20), np.float32)
    volume[1, 1, 1] = 5
    assert crop.to_int16(volume)[0].max() == 1000
