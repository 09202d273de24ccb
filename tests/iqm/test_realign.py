"""Known motion is found again, to a hundredth of a millimetre where there is little noise."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from qcbench.iqm.realign import realigned
from qcbench.iqm.reasons import NotMeasurableError

SPACING_MM = (4.0, 4.0, 5.0)


def brain(shape=(32, 36, 24)):
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    distance = np.sqrt((x / 0.6) ** 2 + (y / 0.7) ** 2 + (z / 0.65) ** 2)
    folds = 1 + 0.3 * np.sin(7 * x + 3 * z) * np.cos(6 * y) + 0.2 * np.sin(5 * z - 4 * y)
    return ndimage.gaussian_filter(600 * (distance < 1) * folds, 0.7)


def moved(volume, shift_mm=(0, 0, 0), degrees=(0, 0, 0)):
    """Return the volume after the head went that way: up to `shift_mm` and turned about the middle."""
    spacing = np.array(SPACING_MM)
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    back = turn.T * spacing / spacing[:, None]
    centre = (np.array(volume.shape) - 1) / 2
    offset = centre - back @ centre - turn.T @ shift_mm / spacing
    return ndimage.affine_transform(volume, back, offset=offset, order=3)


def parameters_of(*volumes, noise=2.0):
    """Return the motion of volumes against the first of them, which is put in the middle."""
    ordered = [*volumes[1:], volumes[0], *[volumes[0]] * (len(volumes) - 2)]
    rng = np.random.default_rng(0)
    data = np.stack([each + rng.normal(0, noise, each.shape) for each in ordered], axis=3).astype(np.float32)
    corrected, parameters = realigned(data, SPACING_MM)
    return data, corrected, parameters[: len(volumes) - 1]


@pytest.mark.parametrize(
    ("shift_mm", "degrees"),
    [((0.2, 0, 0), (0, 0, 0)), ((0, -0.3, 1.5), (0, 0, 0)), ((9, -4, 6), (0, 0, 0)), ((1, 0, 0), (2, -3, 6))],
)
def test_motion_is_found_as_it_was_made(shift_mm, degrees):
    still = brain()
    _, _, (found, _) = parameters_of(still, moved(still, shift_mm, degrees), still)
    turn = Rotation.from_euler("xyz", degrees, degrees=True)
    assert found[:3] == pytest.approx(shift_mm, abs=0.05)
    assert found[3:] == pytest.approx(turn.as_euler("xyz"), abs=0.002)


def test_a_head_that_lay_still_has_not_moved():
    still = brain()
    _, _, found = parameters_of(still, still, still)
    assert np.abs(found[:, :3]).max() < 0.03 and np.abs(found[:, 3:]).max() < 0.001


def test_moved_volumes_are_brought_back_without_blur():
    still = brain()
    data, corrected, _ = parameters_of(still, moved(still, (3, 1, 0), (0, 0, 4)), still)
    inside = still > 300
    middle = data.shape[3] // 2
    assert np.array_equal(corrected[..., middle], data[..., middle])
    before = np.abs(data[..., 0] - data[..., middle])[inside].mean()
    after = np.abs(corrected[..., 0] - data[..., middle])[inside].mean()
    assert after < 0.1 * before


def test_the_same_series_has_the_same_motion():
    still = brain()
    volumes = (still, moved(still, (0.4, 0.1, 0)), still)
    assert np.array_equal(parameters_of(*volumes)[2], parameters_of(*volumes)[2])


def test_slices_at_the_edge_stay_as_they_are_where_nothing_moved():
    cut = brain()[8:24, 10:26, 9:15]
    data, corrected, found = parameters_of(cut, cut, cut, noise=20.0)
    assert np.abs(corrected - data)[:, :, [0, -1]].mean() < 8
    assert np.abs(found[:, :3]).max() < 0.5


def test_a_shift_that_changes_nothing_is_not_looked_for():
    column = np.repeat(brain()[:, :, 11:12], 6, axis=2)
    _, _, found = parameters_of(column, column, column)
    assert np.abs(found).max() < 0.05


def test_of_a_thin_slab_motion_is_not_told():
    slab = brain()[:, :, 9:14]
    with pytest.raises(NotMeasurableError, match="25 mm thick"):
        parameters_of(slab, slab, slab)


def test_a_volume_of_something_else_is_no_motion():
    still = brain()
    with pytest.raises(NotMeasurableError, match="volume 0 of the steady ones"):
        parameters_of(still, -40 * still[:, ::-1], still)
