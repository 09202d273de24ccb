import pandas as pd
import pytest

from qcbench.report import figures, raters
from qcbench.report.inputs import read_tables


@pytest.fixture(scope="module")
def labels(filled_once):
    return read_tables(filled_once).labels


REPEATS = pd.DataFrame(
    {
        "raters": ["alice,alice", "alice,alice", "alice,bob"],
        "characteristic": ["straight_reject", "motion", "straight_reject"],
        "statistic": ["kappa", "kappa_linear", "kappa"],
        "value": [0.9, 0.6, 0.1],
        "low": [0.8, 0.5, 0.0],
        "high": [1.0, 0.7, 0.2],
        "n": [30, 28, 7],
    }
)


def test_each_rater_has_images_comments_and_own_repeats(labels):
    table = raters.rater_table(labels, REPEATS).set_index("Rater")
    assert table["Images"].to_dict() == {"alice": 8, "bob": 7}
    assert table["With a comment"].to_dict() == {"alice": 1, "bob": 0}
    assert table.loc["alice", ["Own repeats", "Kappa with oneself, straight reject"]].tolist() == [30, 0.9]
    assert table.loc["bob", ["Own repeats", "Kappa with oneself, straight reject"]].isna().all()
    assert table.loc["alice", "Straight reject, %"] == 25


def test_seconds_are_a_median_with_quartiles(labels):
    timed = labels.assign(seconds=[float(n) for n in range(len(labels))])
    alice = timed.loc[timed["rater"] == "alice", "seconds"]
    words = raters.rater_table(timed, REPEATS).set_index("Rater").loc["alice", "Seconds an image: median [quartiles]"]
    assert words.startswith(f"{alice.median():.1f} [")


def test_own_repeats_are_a_row_a_characteristic():
    assert raters.repeats_table(REPEATS, "alice")[["Characteristic", "Value", "Images"]].to_numpy().tolist() == [
        ["straight reject", 0.9, 30],
        ["motion", 0.6, 28],
    ]
    assert raters.repeats_table(REPEATS, "bob").empty


def test_shares_of_a_rater_add_up_and_count_only_what_was_noted(labels):
    shares = raters.grade_shares(labels)
    assert shares.groupby(["rater", "characteristic"])["share"].sum().round(9).eq(1).all()
    noise = shares[(shares["rater"] == "alice") & (shares["characteristic"] == "noise")].set_index("value")
    assert noise["share"].round(3).to_dict() == {0: 0.667, 1: 0.167, 2: 0.167}
    assert set(noise["images"]) == {6}


def test_the_pace_of_a_rater_is_by_successive_hundreds():
    n = 150
    labels = pd.DataFrame(
        {
            "rater": "alice",
            "image_id": [f"{number:03d}" for number in range(n)],
            "saved_at": pd.date_range("2026-01-01", periods=n, freq="min", tz="UTC")[::-1],
            "seconds": [float(number) for number in range(n)],
            "straight_reject": [number < 50 for number in range(n)],
            **dict.fromkeys(("motion", "contrast", "noise"), 0),
        }
    )
    table = raters.pace(labels, "alice")
    assert table["Images"].tolist() == ["1 to 100", "101 to 150"]
    assert table["Seconds an image, median"].tolist() == [99.5, 24.5]  # the last of the table were labelled first
    assert table["Straight reject, %"].tolist() == [0, 100]


def test_the_figure_has_a_bar_a_rater_and_value(labels):
    first = figures.rater_grades(raters.grade_shares(labels)).axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == ["alice", "bob"]
    assert [text.get_text() for text in first.texts] == ["75", "25", "86", "14"]
