import numpy as np
import pytest
from scipy import stats

from qcbench.iqm import air
from qcbench.iqm.reasons import NotMeasurableError


def scanner(seed, n_voxels=20_000, whole=True):
    """Return the magnitude of complex noise."""
    parts = np.random.default_rng(seed).normal(0, 12, (2, n_voxels))
    noise = np.hypot(*parts)
    return np.rint(noise) if whole else noise


def everywhere(values):
    return np.ones(values.shape, bool)


def test_the_density_is_that_of_gaussian_kernels():
    values = np.array([10.0, 10.0, 30.0, 55.5, 80.0])
    distinct, counts = np.unique(values, return_counts=True)
    grid = np.linspace(0, 110, 1000)
    expected = np.mean([stats.norm.pdf(grid, value, 4) for value in values], axis=0)
    assert air._density(distinct, counts) == pytest.approx(expected, rel=1e-9)


def test_many_distinct_values_are_binned_without_a_trace():
    values = scanner(seed=1, n_voxels=6000, whole=False)
    distinct, counts = np.unique(values, return_counts=True)
    grid = np.linspace(0, 110, 1000)
    expected = np.exp(-0.5 * np.square((grid[:, None] - values) / 4)).sum(axis=1) / (
        len(values) * 4 * np.sqrt(2 * np.pi)
    )
    assert air._density(distinct, counts) == pytest.approx(expected, abs=1e-6 * expected.max())


def test_the_fit_is_that_of_scipy():
    values = scanner(seed=2, n_voxels=3000)
    distinct, counts = np.unique(values, return_counts=True)
    assert air._fit(distinct, counts, values) == pytest.approx(stats.chi2.fit(values, 32), rel=1e-6)


@pytest.mark.parametrize("whole", [True, False])
def test_noise_of_a_scanner_fits_better_than_noise_with_a_ghost_in_it(whole):
    clean = scanner(seed=3, whole=whole)
    ghost = clean.copy()
    ghost[::6] += 40
    measured = [air.qi2(values, everywhere(values), drawn=False) for values in (clean, ghost)]
    assert measured[1] > 2 * measured[0]


def test_drawing_leaves_the_callers_random_numbers_alone():
    values = scanner(seed=4, n_voxels=300_001)
    np.random.seed(5)
    expected = np.random.default_rng(0).random(), np.random.random()
    np.random.seed(5)
    air.qi2(values, everywhere(values), drawn=True)
    assert np.random.random() == expected[1]


def test_zeros_and_negative_values_are_no_noise():
    values = scanner(seed=6)
    with_zeros = np.concatenate([values, np.zeros(5000), np.full(5000, -3.0)])
    assert air.qi2(with_zeros, everywhere(with_zeros), drawn=False) == air.qi2(values, everywhere(values), drawn=False)


@pytest.mark.parametrize(
    ("values", "missing"),
    [(np.zeros(5000), "0 voxels"), (np.ones(999), "999 voxels"), (np.full(5000, 3.0), "same value")],
)
def test_air_without_noise_is_refused_with_a_reason(values, missing):
    for drawn in (True, False):
        with pytest.raises(NotMeasurableError, match=missing):
            air.qi2(values, everywhere(values), drawn=drawn)


def test_artefacts_are_a_share_of_the_air():
    hat = np.arange(10) < 8
    artefact = np.arange(10) < 2
    assert air.qi1(hat & ~artefact, artefact) == 0.25
    with pytest.raises(NotMeasurableError, match="no air"):
        air.qi1(np.zeros(10, bool), artefact)
