import numpy as np
import pytest
from scipy import stats

from qcbench.iqm import series
from qcbench.iqm.reasons import NotMeasurableError


def autoregressive(coefficient, n_voxels=400, n_volumes=300, seed=0):
    """Return series of 1000 with a spread of 10 and a known correlation from volume to volume."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (n_voxels, n_volumes))
    found = [noise[:, 0]]
    for column in noise.T[1:]:
        found.append(coefficient * found[-1] + np.sqrt(1 - coefficient**2) * column)
    return 1000 + 10 * np.stack(found, axis=1)


@pytest.mark.parametrize("coefficient", [0.0, 0.4, 0.8])
def test_a_steady_series_changes_as_much_as_expected(coefficient):
    found = series.dvars(autoregressive(coefficient))
    assert found["nstd"] == pytest.approx(10 * np.sqrt(2 * (1 - coefficient)), rel=0.03)
    assert found["std"] == pytest.approx(1, rel=0.03)
    assert found["vstd"] == pytest.approx(1, rel=0.06)


def test_a_spike_of_the_whole_brain_adds_its_height_twice():
    # 5 volumes of 1000 and of 1010 by turns: each step is 10. A spike of 100 makes two of 4 steps 110 and 100 - 10.
    calm = np.tile([1000.0, 1010.0, 1000.0, 1010.0, 1000.0], (6, 1))
    spiked = calm + np.array([0, 0, 100.0, 0, 0])
    assert series.dvars(calm)["nstd"] == pytest.approx(10)
    median = 1010.0
    assert series.dvars(spiked)["nstd"] == pytest.approx((10 + 90 + 90 + 10) / 4 * 1000 / median)


def test_dvars_do_not_know_the_scale_and_leave_out_what_never_changes():
    voxels = autoregressive(0.3, n_voxels=50)
    still = np.concatenate([voxels, np.full((10, voxels.shape[1]), 1000.0)])
    assert series.dvars(voxels * 7) == pytest.approx(series.dvars(voxels))
    assert series.dvars(still)["std"] == pytest.approx(series.dvars(voxels)["std"], rel=0.01)


def test_a_drift_lowers_the_temporal_signal_to_noise_ratio_by_its_own_spread():
    ramp = np.linspace(-1, 1, 101)
    noise = np.tile([3.0, -3.0], 51)[:101]
    voxels = np.tile(1000 + 20 * ramp + noise, (5, 1))
    # A ramp from -20 to 20 in 101 steps has a variance of 400 * 34 / 100 = 136, the noise has 9 (but for its mean).
    assert series.tsnr(voxels, with_constant=False) == pytest.approx(1000 / np.sqrt(136 + 9), rel=1e-3)


def test_voxels_that_never_change_count_as_0_in_mriqcs_profile_only():
    voxels = np.array([[9.0, 11.0], [5.0, 5.0], [5.0, 5.0]])
    assert series.tsnr(voxels, with_constant=True) == 0
    assert series.tsnr(voxels, with_constant=False) == 10


def test_global_correlation_is_the_mean_of_all_pairs():
    voxels = autoregressive(0.2, n_voxels=20, n_volumes=30) + np.sin(np.arange(30)) * 10
    assert series.gcor(voxels) == pytest.approx(np.corrcoef(voxels).mean(), rel=1e-9)
    assert series.gcor(np.tile(np.arange(5.0), (4, 1))) == pytest.approx(1)


def test_outliers_are_counted_by_voxel_and_volume():
    voxels = np.tile([100.0, 101.0, 99.0, 102.0, 98.0], (4, 8))
    voxels[0, 7] = 400
    voxels[1, 7] = -400
    voxels[3, 20] = 400
    assert series.aor(voxels) == pytest.approx(3 / voxels.size)


def test_an_outlier_is_further_than_its_published_bound():
    # Median 0 and deviation 1 over 25 volumes: the bound is the normal quantile of 0.001/25 times sqrt(pi/2).
    row = np.array([-1.0, 0.0, 1.0] * 8 + [0.0])
    bound = stats.norm.isf(0.001 / 25) * np.sqrt(np.pi / 2)
    assert bound == pytest.approx(4.943, abs=1e-3)
    below, above = row.copy(), row.copy()
    below[24], above[24] = bound - 0.01, bound + 0.01
    assert series.aor(below[None]) == 0
    assert series.aor(above[None]) == 1 / 25


def test_the_quality_index_is_1_minus_the_rank_correlation_with_the_median_volume():
    base = np.arange(50.0)
    voxels = np.stack([base, base, base, base * 2 + 5, base[::-1]], axis=1)
    # Four volumes are in the median's order, the last is in the opposite one.
    assert series.aqi(voxels) == pytest.approx((0 + 0 + 0 + 0 + 2) / 5)
    noisy = np.stack([base, base, np.random.default_rng(0).permutation(base)], axis=1)
    median = np.median(noisy, axis=1)
    expected = np.mean([1 - stats.spearmanr(column, median)[0] for column in noisy.T])
    assert series.aqi(noisy) == pytest.approx(expected)


def test_a_ghost_half_a_field_away_is_seen_on_its_axis_only():
    brain = np.zeros((12, 16, 4), bool)
    brain[4:8, 2:6] = True
    mean = np.where(brain, 100.0, 10.0)
    mean[4:8, 10:14] += 25
    assert series.gsr(mean, brain, axis=1) == pytest.approx(0.25)
    # Along x the ghost's place is dark, and what is elsewhere holds 64 of 576 voxels that are 25 too bright.
    n_elsewhere = brain.size - 2 * brain.sum()
    assert series.gsr(mean, brain, axis=0) == pytest.approx(-25 * 64 / n_elsewhere / 100)


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        ([100, 101, 99, 100, 102, 98], 0),
        ([150, 101, 99, 100, 102, 98, 100], 1),
        ([150, 100, 99, 140, 102, 98, 100], 1),
        ([150, 130, 120, 100, 101, 99, 100, 101, 99], 3),
        ([5, 5, 5, 5], 0),
    ],
)
def test_volumes_that_are_not_steady_are_counted_from_the_start(signal, expected):
    assert series.dummy_trs(np.array(signal, float)) == expected


@pytest.mark.parametrize(
    ("formula", "missing"),
    [
        (lambda: series.dvars(np.full((5, 9), 100.0)), "no voxel changes"),
        (lambda: series.dvars(np.zeros((5, 9))), "black"),
        (lambda: series.dvars(np.ones((5, 2))), "at least 3 volumes"),
        (lambda: series.tsnr(np.full((5, 9), 100.0), with_constant=True), "no voxel changes"),
        (lambda: series.gcor(np.zeros((0, 9))), "brain mask is empty"),
        (lambda: series.aor(np.zeros((0, 9))), "brain mask is empty"),
        (lambda: series.aqi(np.ones((5, 9))), "same value"),
        (lambda: series.gsr(np.ones((4, 4, 4)), np.ones((4, 4, 4), bool), axis=0), "no room"),
    ],
)
def test_a_series_that_cannot_be_measured_is_refused_with_a_reason(formula, missing):
    with pytest.raises(NotMeasurableError, match=missing):
        formula()
