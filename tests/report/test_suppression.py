import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from qcbench.report.suppression import HIDDEN, hide_small


def test_a_cell_that_is_hidden_alone_takes_the_smallest_other_with_it():
    frame = pd.DataFrame({"Class": list("abcd"), "Images": [3, 50, 12, 0]})
    assert hide_small(frame, ["Images"])["Images"].tolist() == ["<10", 50, HIDDEN, 0]


def test_two_hidden_cells_need_no_third():
    frame = pd.DataFrame({"Images": [3, 4, 50]})
    assert hide_small(frame, ["Images"])["Images"].tolist() == ["<10", "<10", 50]


def test_cells_that_add_up_within_a_row_are_hidden_too_and_what_follows_them():
    frame = pd.DataFrame({"F": [4, 30], "M": [40, 31], "unknown": [20, 32], "Images": [64, 93], "Age": ["50", "60"]})
    shown = hide_small(frame, ["F", "M", "unknown"], adds_up=[("F", "M", "unknown")], follows={"Age": "F"})
    assert shown["F"].tolist() == ["<10", HIDDEN]
    assert shown["unknown"].tolist()[0] == HIDDEN
    assert shown["Age"].tolist() == [HIDDEN, HIDDEN]


@given(st.lists(st.lists(st.integers(0, 40), min_size=3, max_size=3), min_size=2, max_size=6))
def test_no_small_count_is_shown_and_none_can_be_computed_from_a_total(rows):
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    shown = hide_small(frame, ["a", "b", "c"], adds_up=[("a", "b", "c")])
    is_number = shown.map(lambda cell: isinstance(cell, int | np.integer))
    assert not any(0 < cell < 10 for cell in shown.to_numpy()[is_number.to_numpy()])
    hidden = ~is_number.to_numpy()
    values = frame.to_numpy()
    for lines, cells in ((hidden, values), (hidden.T, values.T)):
        for line, mine in zip(lines, cells, strict=True):
            # One hidden cell can only stand alone where all others of its line are zero.
            assert line.sum() != 1 or not mine[~line].any()
