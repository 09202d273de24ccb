"""Quartiles by group and values that stand apart, on numbers that can be checked by hand."""

import math

import numpy as np
import pytest

from qcbench import store
from qcbench.errors import StudyError, UsageError
from qcbench.iqm import distributions
from qcbench.iqm.norms import Quartiles

#: Median 5.5, median absolute deviation 2.5: the robust standard deviation is 2.5 / 0.6745 = 3.7064.
TEN = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)


def measured(study, *images, profile="qcbench"):
    """Write catalogue and metrics; an image is its columns, metrics and all, in one dictionary."""
    catalogue, metrics = [], []
    for number, image in enumerate(images):
        image_id = image.get("image_id", f"sub-{number:02d}_{image.get('modality', 'T1w')}")
        known = {name: image[name] for name in (*distributions.GROUPINGS, "excluded_reason") if name in image}
        others = {
            name: value for name, value in image.items() if name not in known and name not in ("image_id", "simulated")
        }
        catalogue.append(
            {
                "image_id": image_id,
                "participant_id": f"sub-{number:02d}",
                "source_path": "x.nii",
                "simulated": image.get("simulated", False),
                **known,
            }
        )
        metrics.append({"image_id": image_id, "modality": "T1w", "iqm_profile": profile, **others})
    store.write(study, "images", catalogue)
    store.upsert(study, "iqms", metrics)
    return distributions.read(study)


@pytest.fixture
def two_sites(study):
    """Ten images of North from 1 to 10, ten of South from 101 to 110 and one of 160, one of West; all values of cjv."""
    north = [{"hospital": "North", "cjv": value} for value in TEN]
    south = [{"hospital": "South", "cjv": 100 + value} for value in (*TEN, 60.0)]
    return measured(study, *north, *south, {"hospital": "West", "cjv": 50.0, "simulated": True})


def test_the_robust_z_is_the_distance_in_scaled_median_absolute_deviations():
    z = distributions.robust_z(np.array([*TEN[:9], 25.5]))
    assert z[-1] == pytest.approx(0.6745 * (25.5 - 5.5) / 2.5)
    assert z[0] == pytest.approx(-0.6745 * 4.5 / 2.5)


def test_where_most_values_are_the_same_the_mean_deviation_stands_in():
    z = distributions.robust_z(np.array([1.0] * 9 + [2.0]))
    assert list(z[:9]) == [0.0] * 9
    assert z[9] == pytest.approx(1.0 / (1.253314 * 0.1))


def test_equal_values_and_those_that_differ_by_rounding_are_no_distance():
    assert list(distributions.robust_z(np.full(12, 0.9375))) == [0.0] * 12
    rounded = np.array([1.0] * 9 + [1.0000001, 0.9999999, 1.0])
    assert list(distributions.robust_z(rounded)) == [0.0] * 12


def test_of_fewer_than_ten_values_nothing_is_said():
    assert np.isnan(distributions.robust_z(np.array([1.0] * 8 + [900.0, math.nan]))).all()


def test_a_null_has_no_distance_and_changes_that_of_no_other():
    with_null = distributions.robust_z(np.array([*TEN, math.nan]))
    assert math.isnan(with_null[-1])
    assert list(with_null[:-1]) == list(distributions.robust_z(np.array(TEN)))


def test_quartiles_by_hospital_the_largest_first(two_sites):
    table = distributions.by_group(two_sites, "cjv").set_index("group")
    assert list(table.index) == ["South", "North", "West"]
    assert list(table.loc["North", ["lower_quartile", "median", "upper_quartile"]]) == [3.25, 5.5, 7.75]
    assert list(table["n_images"]) == [11, 10, 1]
    assert list(table["n_simulated"]) == [0, 0, 1]
    assert list(table["n_worse"]) == [1, 0, 0]
    assert list(table.loc["West", ["usual_low", "usual_high"]]) == [0.361271, 0.598023]


def test_an_image_stands_apart_from_its_own_group_though_not_from_all(two_sites):
    [row] = distributions.outliers(two_sites, ["cjv"]).to_dict("records")
    assert (row["image_id"], row["group"], row["value"]) == ("sub-20_T1w", "South", 160.0)
    assert (row["side"], row["against"], row["simulated"]) == ("worse", "own group", False)
    # South's median is 106, its median absolute deviation 3; that of all is 76.5 and 30.
    assert row["z_group"] == row["z"] == pytest.approx(0.6745 * 54 / 3)
    assert row["why"].startswith("12.1 robust SD above South, ")
    assert row["usual"] == "worse than three quarters of public records"


def test_a_small_group_is_compared_with_all_images_alone(two_sites):
    row = distributions.scores(two_sites, "cjv").iloc[21]
    assert row["group"] == "West"
    assert math.isnan(row["z_group"])
    assert row["z"] == row["z_all"]
    assert distributions.distance_words(row).endswith("below all images, West has fewer than 10 values")


@pytest.mark.parametrize(
    ("metric", "value", "side"),
    [
        ("cjv", 90.0, "worse"),
        ("cjv", -90.0, "better"),
        ("cnr", 90.0, "better"),
        ("cnr", -90.0, "worse"),
        ("wm2max", 90.0, "apart"),
        ("wm2max", -90.0, "apart"),
    ],
)
def test_the_side_follows_the_direction_of_the_metric(study, metric, value, side):
    found = measured(study, *({metric: each} for each in (*TEN, value)))
    assert list(distributions.outliers(found, [metric])["side"]) == [side]


def test_outliers_are_listed_worst_first_over_all_metrics_that_have_a_direction(study):
    images = [{"cjv": value, "cnr": value, "wm2max": value} for value in TEN]
    apart = [{"cjv": 40.0, "wm2max": 80.0}, {"cnr": -60.0}, {"cnr": 900.0}, {"cjv": 50.0}]
    found = measured(study, *images, *apart)
    table = distributions.outliers(found)
    assert list(zip(table["image_id"], table["metric"], table["side"], strict=True)) == [
        ("sub-11_T1w", "cnr", "worse"),
        ("sub-13_T1w", "cjv", "worse"),
        ("sub-10_T1w", "cjv", "worse"),
        ("sub-12_T1w", "cnr", "better"),
    ]
    assert list(distributions.outliers(found, ["cnr", "wm2max"])["side"]) == ["worse", "apart", "better"]


def test_without_outliers_the_table_has_its_columns_and_no_rows(study):
    table = distributions.outliers(measured(study, {"cjv": 0.4}))
    assert len(table) == 0
    assert {"image_id", "metric", "value", "side", "against", "why"} <= set(table.columns)


def test_nulls_are_counted_by_their_reason_and_failures_by_their_kind(study):
    found = measured(
        study,
        {"cjv": 0.4, "qi_2": None, "reasons": '{"qi_2": "half of the air is zero"}'},
        {"cjv": 0.5, "qi_2": None, "reasons": '{"qi_2": "half of the air is zero"}'},
        {"error": "TRUNCATED: sub-02_T1w.nii.gz ends early"},
        {"cjv": 0.6},
    )
    assert distributions.null_reasons(found, "qi_2").to_numpy().tolist() == [
        ["half of the air is zero", 2],
        ["nothing was measured: TRUNCATED", 1],
        ["not measured", 1],
    ]
    assert distributions.null_reasons(found, "cjv")["n_images"].tolist() == [1]
    [row] = distributions.by_group(found, "qi_2").to_dict("records")
    assert (row["group"], row["n_images"], row["n_null"]) == ("not stated", 4, 4)
    assert math.isnan(row["median"])


@pytest.mark.parametrize(
    ("by", "name"),
    [
        ("hospital", "North"),
        ("manufacturer", "not stated"),
        ("model_name", "Prisma"),
        ("field_strength_t", "1.5 T"),
        (None, "all images"),
    ],
)
def test_groups_are_named_as_people_name_them(study, by, name):
    image = {"hospital": "North", "manufacturer": " ", "model_name": "Prisma ", "field_strength_t": 1.494, "cjv": 1.0}
    assert list(distributions.groups(measured(study, image).frame, by)) == [name]


def test_excluded_images_are_left_out(study):
    found = measured(study, {"cjv": 0.4}, {"cjv": 0.5, "excluded_reason": "fewer than 40 slices"})
    assert list(found.values("cjv")) == [0.4]


def test_the_commonest_modality_is_taken_and_of_two_profiles_ours(study):
    measured(study, {"cjv": 0.4}, {"cjv": 0.5}, profile="mriqc-24")
    bold = [{"image_id": "sub-07_bold", "modality": "bold", "tsnr": 40.0}]
    found = measured(study, {"cjv": 0.6}, {"cjv": 0.7}, *bold)
    assert (found.modality, found.profile, list(found.values("cjv"))) == ("T1w", "qcbench", [0.6, 0.7])
    assert list(distributions.read(study, profile="mriqc-24").values("cjv")) == [0.4, 0.5]
    assert list(distributions.read(study, "bold").values("tsnr")) == [40.0]
    assert distributions.read(study, profile="mriqc-24").usual("efc") == Quartiles(0.5038, 0.626083)
    assert found.usual("efc") is None  # our profile defines it in another way


def test_what_cannot_be_had_says_what_there_is(study):
    with pytest.raises(StudyError, match="Run first: qcbench iqm"):
        distributions.read(study)
    found = measured(study, {"cjv": 0.4})
    with pytest.raises(UsageError, match="has metrics of T1w under qcbench; got modality bold"):
        distributions.read(study, "bold")
    with pytest.raises(UsageError, match=r"'snr_totl' is no metric of T1w images; take e\.g\. snr_total"):
        distributions.scores(found, "snr_totl")
    with pytest.raises(UsageError, match="one of hospital, manufacturer, model_name, field_strength_t"):
        distributions.by_group(found, "cjv", "sex")


@pytest.mark.parametrize(
    ("value", "better", "words"),
    [
        (5.0, "low", "in the middle half of public records"),
        (9.0, "low", "worse than three quarters of public records"),
        (1.0, "low", "better than three quarters of public records"),
        (1.0, "high", "worse than three quarters of public records"),
        (1.0, "", "below three quarters of public records"),
        (math.nan, "low", ""),
    ],
)
def test_the_place_among_public_records_is_said_by_direction(value, better, words):
    assert distributions.usual_words(value, better, Quartiles(4.0, 6.0)) == words
    assert distributions.usual_words(value, better, None) == ""
