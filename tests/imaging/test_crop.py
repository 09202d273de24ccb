import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_cubes_fill_the_same_field_of_view():
    fine = np.diag([0.5, 1.25, 1.0, 1.0])
    fine[:3, 3] = [-10, 5, 2]
    place = np.indices((40, 24, 20)).reshape(3, -1)
    x_mm, y_mm, _ = fine[:3, :3] @ place + fine[:3, 3:]
    data = (3 * x_mm - 2 * y_mm).reshape(40, 24, 20).astype(np.float32)
    cubes, affine = crop.isotropic(data, fine)
    assert cubes.shape == (20, 30, 20)
    assert np.allclose(np.linalg.norm(affine[:3, :3], axis=0), 1)
    inside = (slice(4, -4),) * 3
    x_mm, y_mm, _ = affine[:3, :3] @ np.indices(cubes.shape).reshape(3, -1) + affine[:3, 3:]
    expected = (3 * x_mm - 2 * y_mm).reshape(cubes.shape)
    assert np.allclose(cubes[inside], expected[inside], atol=0.05)


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


@settings(max_examples=30, deadline=None)
@given(shape=st.tuples(*[st.integers(1, 9)] * 3), factor=st.sampled_from([1, 2, 4]))
def test_block_averages_keep_the_sum_and_pad_at_the_front(shape, factor):
    data = np.random.default_rng(0).random(shape)
    coarse = crop.block_average(data, factor)
    assert coarse.shape == tuple(-(-size // factor) for size in shape)
    assert coarse.sum() * factor**3 == pytest.approx(data.sum())
    last = data[tuple(slice(max(0, size - factor), size) for size in shape)]
    assert coarse[-1, -1, -1] * factor**3 == pytest.approx(last.sum())


def test_min_max_uses_the_whole_range_of_the_image():
    scaled = crop.min_max(np.array([[-7.0, 3.0], [13.0, 0.0]]))
    assert (scaled.min(), scaled.max(), scaled.dtype) == (0, 1, np.float32)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_coarse_volume_gives_the_same_bytes_as_the_one_it_was_made_of(factor):
    volume = np.random.default_rng(0).gamma(2, 150, geometry.CANONICAL_SHAPE).astype(np.int16)
    from_fine = np.rint(255 * crop.block_average(crop.min_max(volume), factor))
    from_coarse = np.rint(255 * crop.from_coarse_int16(crop.to_coarse_int16(volume, factor)))
    assert np.abs(from_fine - from_coarse).max() <= 1
    assert (from_fine != from_coarse).mean() < 0.01


@pytest.mark.parametrize("factor", [2, 4])
def test_the_coarse_grid_lies_over_the_fine_one(factor):
    place = np.zeros(geometry.CANONICAL_SHAPE, np.float32)
    place[80:88, 100:108, 60:68] = 1
    fine = geometry.CANONICAL_AFFINE[:3, :3] @ np.argwhere(place).mean(axis=0) + geometry.CANONICAL_AFFINE[:3, 3]
    coarse = crop.block_average(place, factor)
    middle = (np.argwhere(coarse) * coarse[coarse > 0][:, None]).sum(axis=0) / coarse.sum()
    affine = crop.coarse_affine(factor)
    assert affine[:3, :3] @ middle + affine[:3, 3] == pytest.approx(fine, abs=1e-4)
