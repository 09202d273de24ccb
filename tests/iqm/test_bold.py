import numpy as np
import pytest
from scipy import ndimage

from qcbench.iqm import bold, functional
from qcbench.iqm.profiles import QCBENCH


def head(shape=(32, 36, 24)):
    """Return the mean volume of an invented head with a rim of scalp, eyes and folds."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    distance = np.sqrt((x / 0.7) ** 2 + (y / 0.75) ** 2 + (z / 0.8) ** 2)
    folds = 1 + 0.2 * np.sin(7 * x + 3 * z) * np.cos(6 * y)
    eye = (x - 0.35) ** 2 + (y - 0.95) ** 2 + (z + 0.2) ** 2 < 0.015
    return 600 * (distance < 1) * folds + 250 * eye + 10, distance < 1


def shifted(volume, shift_voxels, degrees):
    turned = ndimage.rotate(volume, degrees, axes=(0, 1), reshape=False, order=1, mode="nearest")
    return ndimage.shift(turned, shift_voxels, order=1, mode="nearest")


def test_brain_and_air_of_a_mean_volume():
    mean, brain = head()
    found, air = bold.masks_of(mean + np.random.default_rng(0).uniform(0, 20, mean.shape), (4.0, 4.0, 4.0))
    assert 2 * (found & brain).sum() / (found.sum() + brain.sum()) > 0.95
    assert not (air & brain).any() and air.sum() > 1000


def test_known_motion_is_estimated_and_undone():
    still, brain = head()
    rng = np.random.default_rng(0)
    moved = shifted(still, (1, 0, 0), 0), shifted(still, (0, 0, 0), 3)
    volumes = [still, moved[0], still, moved[1]]
    data = np.stack([volume + rng.normal(0, 3, volume.shape) for volume in volumes], axis=3).astype(np.float32)
    run = bold.run_of(data, np.diag([4.0, 4, 4, 1]), 2.0)
    relative = run.parameters - run.parameters[2]
    # A voxel of 4 mm to the right, then 3 degrees about the vertical axis.
    assert abs(relative[1, 0]) == pytest.approx(4.0, abs=0.3)
    assert np.abs(relative[1, 3:]).max() < 0.01
    assert abs(relative[3, 5]) == pytest.approx(np.radians(3), abs=0.01)
    before = np.abs(data[brain, 1] - data[brain, 2]).mean()
    after = np.abs(run.data[brain, 1] - run.data[brain, 2]).mean()
    assert after < 0.5 * before


def test_volumes_that_are_not_steady_are_dropped_and_given_parameters_are_used():
    still, _ = head()
    rng = np.random.default_rng(0)
    data = np.stack([still + rng.normal(0, 3, still.shape) for _ in range(12)], axis=3).astype(np.float32)
    data[..., :2] *= 1.4
    parameters = np.zeros((12, 6))
    parameters[7:, 1] = 0.5
    run = bold.run_of(data, np.diag([-4.0, 4, 4, 1]), 2.0, parameters=parameters)
    found = functional.metrics(run, QCBENCH)
    assert found.reasons == {}
    assert (found.values["dummy_trs"], found.values["size_t"]) == (2, 10)
    assert (found.values["fd_num"], found.values["fd_mean"]) == (1, pytest.approx(0.5 / 9))
    assert found.values["tsnr"] == pytest.approx(600 / 3, rel=0.1)
    # Turned to the right, nothing interpolated.
    assert np.array_equal(run.data, data[::-1, :, :, 2:])


def test_a_dark_series_is_a_reason():
    run = bold.run_of(np.full((12, 12, 12, 5), 7, np.float32), np.eye(4), 2.0, correct=False)
    found = functional.metrics(run, QCBENCH)
    assert "no bright piece" in found.reasons["tsnr"]
    assert found.values["size_t"] == 5


def test_a_field_inside_the_head_is_brain_throughout_and_has_no_air():
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in (16, 18, 12)), indexing="ij")
    tissue = 700 + 100 * np.sin(5 * x + 3 * z) * np.cos(4 * y)
    noise = np.random.default_rng(0).normal(0, 5, (*tissue.shape, 6))
    run = bold.run_of((tissue[..., None] + noise).astype(np.float32), np.diag([4.0, 4, 4, 1]), 2.0)
    found = functional.metrics(run, QCBENCH)
    assert run.brain.all() and "lies inside the head" in found.reasons["summary_bg_mean"]
    assert found.values["tsnr"] == pytest.approx(700 / 5, rel=0.2)


def test_a_thin_slab_has_reasons_for_its_motion_and_numbers_for_the_rest():
    still, _ = head()
    noise = np.random.default_rng(0).normal(0, 3, (32, 36, 6, 6))
    data = (still[:, :, 9:15, None] + noise).astype(np.float32)
    found = functional.metrics(bold.run_of(data, np.diag([4.0, 4, 4, 1]), 2.0), QCBENCH)
    assert "24 mm thick" in found.reasons["fd_mean"] and found.values["dvars_nstd"] > 0
