import numpy as np
import pytest
from scipy import ndimage

from qcbench.iqm.reasons import NotMeasurableError
from qcbench.iqm.smoothness import fwhm


def noise(*sigmas, shape=(64, 64, 64), seed=0):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, shape), sigmas, mode="wrap")


@pytest.mark.parametrize("sigma", [0.8, 1.2, 2.0])
def test_the_width_of_blurred_noise_is_that_of_its_blur(sigma):
    data = noise(sigma, sigma, sigma)
    region = np.ones(data.shape, bool)
    for axis in range(3):
        assert fwhm(data, region, axis) == pytest.approx(2.3548 * sigma, rel=0.05)


def test_each_axis_has_its_own_width():
    data = noise(2.0, 1.0, 1.5)
    found = [fwhm(data, np.ones(data.shape, bool), axis) for axis in range(3)]
    assert found == pytest.approx([4.71, 2.35, 3.53], rel=0.06)


def test_only_neighbours_within_the_region_are_compared():
    data = noise(1.0, 1.0, 1.0)
    region = np.zeros(data.shape, bool)
    region[10:50, 10:50, 10:50] = True
    inside = fwhm(data, region, 0)
    data[~region] = 1e6
    assert fwhm(data, region, 0) == inside


def test_a_ramp_up_and_down_has_the_width_that_the_formula_gives_by_hand():
    # The values have a variance of 7/6 and the steps one of 1: neighbours correlate by 1 - 1 / (2 * 7/6) = 4/7.
    ramp = np.array([0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0, 1.0, 2.0, 3.0]).reshape(10, 1, 1)
    assert fwhm(ramp, np.ones(ramp.shape, bool), 0) == pytest.approx(1.57392, abs=1e-5)


def test_white_noise_a_constant_and_a_thin_region_have_no_width():
    stripes = np.indices((10, 10, 10)).sum(axis=0) % 2 * 1.0
    everywhere = np.ones(stripes.shape, bool)
    with pytest.raises(NotMeasurableError, match="along x are no more alike"):
        fwhm(stripes, everywhere, 0)
    with pytest.raises(NotMeasurableError, match="same value"):
        fwhm(everywhere * 5.0, everywhere, 1)
    with pytest.raises(NotMeasurableError, match="0 pairs of neighbours along z"):
        fwhm(stripes[:, :, :1], everywhere[:, :, :1], 2)
