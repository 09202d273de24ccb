import pytest

from qcbench.report.statistics import chi_squared, gadolinium_by_tier


def test_the_published_p_is_the_corrected_test_of_tier_1_against_tier_2():
    result = chi_squared([[358, 515], [812, 721]])
    assert result.statistic == pytest.approx(31.373, abs=5e-4)
    assert result.p == pytest.approx(2.1290e-8, rel=1e-4)
    assert (result.degrees_of_freedom, result.n, result.reason) == (1, 2406, "")


def test_all_tiers_come_first_and_then_each_pair():
    results = gadolinium_by_tier({"tier 1": (358, 515), "tier 2": (812, 721), "tier 3": (1246, 393)})
    assert [result.comparison for result in results] == [
        "tier 1, tier 2, tier 3",
        "tier 1, tier 2",
        "tier 1, tier 3",
        "tier 2, tier 3",
    ]
    assert results[0].statistic == pytest.approx(337.2, abs=0.05)
    assert [f"{result.p:.1e}" for result in results] == ["5.9e-74", "2.1e-08", "2.0e-67", "7.3e-42"]


@pytest.mark.parametrize("counts", [[[3, 0], [5, 0]], [[0, 0], [5, 1]], [[3, 4]], []])
def test_a_test_without_images_in_a_row_or_column_is_undefined_with_a_reason(counts):
    result = chi_squared(counts)
    assert result.p is None
    assert result.statistic is None
    assert result.reason


def test_few_images_give_a_caution_beside_the_p():
    result = chi_squared([[1, 4], [3, 2]])
    assert result.p is not None
    assert "smallest expected count 2.0" in result.reason
