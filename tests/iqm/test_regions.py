import numpy as np
import pytest

from qcbench.iqm import regions
from qcbench.iqm.reasons import NotMeasurableError


def test_each_voxel_counts_as_much_as_belongs_to_the_region():
    found = regions.summary(np.array([10.0, 20.0, 1000.0]), np.array([0.75, 0.25, 0.0]))
    assert found["mean"] == 12.5
    assert found["stdv"] == pytest.approx(np.sqrt(0.75 * 2.5**2 + 0.25 * 7.5**2))
    assert (found["median"], found["p95"], found["n"]) == (10, 20, 1)


def test_a_quantile_that_meets_a_sum_is_the_mean_of_two_neighbours():
    assert regions.quantiles(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4), (0.5, 0.25, 0.3)) == (2.5, 1.5, 2.0)
    assert regions.quantiles(np.array([1.0, 4.0]), np.ones(2), (1.0,)) == (4.0,)


def test_mriqcs_rounding_takes_the_neighbour_from_outside_the_region():
    data, share = np.array([1.0, 3.0, 7.0, 9.0, 2.0]), np.array([1, 1, 1, 1, 0], float)
    assert regions.summary(data, share)["median"] == 5.0
    outside = np.array([1.0, 3.0, 7.0, 9.0, 4.0])
    assert regions.summary(outside, share, decimals=4)["median"] == 3.5
    assert regions.summary(outside, share)["median"] == 5.0


def test_whole_numbers_are_counted_and_others_sorted_to_the_same_quantiles():
    values = np.random.default_rng(0).integers(0, 500, 4000).astype(float)
    weights = np.random.default_rng(1).random(4000)
    counted = regions.quantiles(values, weights, (0.05, 0.5, 0.95))
    assert regions.quantiles(values + 0.25, weights, (0.05, 0.5, 0.95)) == tuple(value + 0.25 for value in counted)


def test_kurtosis_and_mad_are_those_of_the_core_of_the_region():
    data = np.array([1.0, 2.0, 3.0, 4.0, 100.0])
    found = regions.summary(data, np.array([1.0, 1.0, 1.0, 1.0, 0.4]))
    assert found["k"] == pytest.approx(-1.36)
    # The weighted median is 3, so the distances are 2, 1, 0 and 1.
    assert found["mad"] == pytest.approx(1 / 0.6744897501960817)


def test_one_value_everywhere_has_no_spread_and_no_kurtosis():
    found = regions.summary(np.full(30, 0.1), np.linspace(0.1, 1, 30))
    assert (found["stdv"], found["mad"], found["mean"]) == (0, 0, 0.1)
    assert np.isnan(found["k"])


def test_an_empty_region_is_refused():
    with pytest.raises(NotMeasurableError, match="empty"):
        regions.summary(np.ones(3), np.zeros(3))
    with pytest.raises(NotMeasurableError, match="empty"):
        regions.summary(np.ones(3), np.full(3, 0.0001), decimals=4)
