import numpy as np
import pytest

from qcbench.iqm import signal
from qcbench.iqm.reasons import NotMeasurableError


def test_the_entropy_of_a_point_is_0_and_that_of_a_uniform_image_1():
    point = np.zeros((5, 5, 5))
    point[2, 2, 2] = 40
    everywhere = np.ones(point.shape, bool)
    assert signal.efc(point, everywhere) == pytest.approx(0, abs=1e-12)
    assert signal.efc(everywhere * 3.0, everywhere) == pytest.approx(1)


def test_a_ghost_raises_the_entropy():
    ball = np.zeros((16, 16, 16))
    ball[4:8, 6:10, 6:10] = 100
    ghost = ball + 0.2 * np.roll(ball, 8, axis=0)
    everywhere = np.ones(ball.shape, bool)
    assert signal.efc(ghost, everywhere) > 1.1 * signal.efc(ball, everywhere)


def test_the_entropy_does_not_know_the_scale():
    image = np.arange(1000.0).reshape(10, 10, 10)
    everywhere = np.ones(image.shape, bool)
    assert signal.efc(image, everywhere) == pytest.approx(signal.efc(image * 1e-3, everywhere), rel=1e-12)


def test_energies_are_compared_by_mean_or_by_median():
    data = np.array([2.0, 2.0, 6.0, 1.0, 3.0])
    inside = np.array([True, True, True, False, False])
    assert signal.fber(data, inside, ~inside, of_medians=False) == pytest.approx((44 / 3) / 5)
    # Of two values, the median of the squares is 5 and not the square of 2.
    assert signal.fber(data, inside, ~inside, of_medians=True) == pytest.approx(4 / 5)


def test_the_airs_deviation_counts_above_1_and_its_standard_deviation_below():
    assert signal.snr_dietrich(100, air_stdv=4, air_mad=2) == pytest.approx(32.75682)
    assert signal.snr_dietrich(100, air_stdv=4, air_mad=1.0) == pytest.approx(16.37841)
    assert signal.snr_dietrich(100, air_stdv=4) == pytest.approx(16.37841)


def test_the_percentile_lies_between_two_voxels():
    values = np.arange(11.0)
    assert signal.wm2max(values, 5) == pytest.approx(5 / np.percentile(values, 99.95), rel=1e-14)


@pytest.mark.parametrize(
    ("formula", "missing"),
    [
        (lambda: signal.snr(100.0, 0.0, 50), "same value"),
        (lambda: signal.snr(100.0, 1.0, 1), "one voxel"),
        (lambda: signal.snr_dietrich(100.0, air_stdv=0.0, air_mad=0.0), "constant"),
        (lambda: signal.cjv(wm_median=5, gm_median=5, wm_mad=1, gm_mad=1), "same median"),
        (lambda: signal.cnr(wm_median=5, gm_median=4, wm_stdv=0, gm_stdv=0, air_stdv=0), "constant"),
        (lambda: signal.fber(np.ones(4), np.ones(4, bool), np.zeros(4, bool), of_medians=True), "outside"),
        (lambda: signal.fber(np.arange(4.0), np.arange(4) > 0, np.arange(4) < 1, of_medians=False), "zero"),
        (lambda: signal.efc(np.zeros(9), np.ones(9, bool)), "black"),
        (lambda: signal.wm2max(np.zeros(9), 5.0), "black"),
    ],
)
def test_a_division_by_nothing_is_refused_with_a_reason(formula, missing):
    with pytest.raises(NotMeasurableError, match=missing):
        formula()
