import itertools

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench.report.suppression import HIDDEN, down_columns, hide_small, within_rows


def column(*values, **options):
    frame = pd.DataFrame({"Images": values})
    return hide_small(frame, ["Images"], down_columns(range(len(values)), ["Images"]), **options)["Images"].tolist()


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((3, 50, 12, 0), [HIDDEN, 50, HIDDEN, 0]),
        ((50, 12, 0), [50, 12, 0]),
        ((7, 8, 50), [HIDDEN, HIDDEN, 50]),  # their sum is 15: each may be 1 to 14
        ((1, 1, 40, 50), [HIDDEN, HIDDEN, HIDDEN, 50]),  # their sum alone would tell both
        ((1, 10, 40), [HIDDEN, HIDDEN, 40]),
    ],
)
def test_small_counts_are_hidden_and_with_them_what_tells_them(values, shown):
    assert column(*values) == shown


def test_a_total_is_a_cell_like_others():
    frame = pd.DataFrame({"F": [4, 30], "M": [0, 31], "Images": [4, 61], "Age": ["50", "60"]})
    sums = within_rows(frame, ["F", "M"], "Images")
    shown = hide_small(frame, ["F", "M", "Images"], sums, follows={"Age": ("Images",)})
    assert shown.iloc[0].tolist() == [HIDDEN, 0, HIDDEN, HIDDEN]
    assert shown.iloc[1].tolist() == [30, 31, 61, "60"]


def test_a_hidden_class_cannot_be_had_from_the_grades_of_another_row():
    """Of 319 images 4 are rejected: the grades of all others add up to 315, and so they tell them."""
    frame = pd.DataFrame(
        {"Images": [4, 40, 275, 319], "g0": [None, 40, 101, 141], "g1": [None, 0, 105, 105], "g2": [None, 0, 69, 69]}
    )
    grades = ["g0", "g1", "g2"]
    sums = [
        *within_rows(frame.iloc[:3], grades, "Images")[1:],
        *down_columns([0, 1, 2], ["Images"], 3),
        *down_columns([1, 2], grades, 3),
    ]
    assert answers(hide_small(frame, ["Images", *grades], sums), frame, sums, (0, "Images")) >= 8


def answers(shown, frame, sums, cell):
    """By how much the values of a cell can differ that fit what is shown, found by trying them."""
    hidden = [(row, name) for name in shown for row in range(len(shown)) if shown[name].iloc[row] == HIDDEN]
    seen = set()
    values = {(row, name): frame[name].iloc[row] for name in frame for row in range(len(frame))}
    for guess in itertools.product(range(60), repeat=len(hidden)) if len(hidden) <= 2 else ():
        tried = {**values, **dict(zip(hidden, guess, strict=True))}
        if all(total_of(each, tried, values) == sum(tried[part] for part in each.parts) for each in sums):
            seen.add(tried[cell])
    return max(seen) - min(seen) if seen else 99


def total_of(each, tried, values):
    return tried[each.total] if each.total else sum(values[part] for part in each.parts)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), min_size=2, max_size=3), min_size=2, max_size=4).filter(
        lambda rows: len({len(row) for row in rows}) == 1
    )
)
def test_no_small_count_is_shown_and_none_can_be_computed(rows):
    names = [f"c{number}" for number in range(len(rows[0]))]
    frame = pd.DataFrame(rows, columns=names)
    sums = [*within_rows(frame, names), *down_columns(range(len(rows)), names)]
    shown = hide_small(frame, names, sums)
    for row, name in itertools.product(range(len(rows)), names):
        if 0 < frame[name].iloc[row] < 10:
            assert shown[name].iloc[row] == HIDDEN
            assert answers(shown, frame, sums, (row, name)) >= 8
