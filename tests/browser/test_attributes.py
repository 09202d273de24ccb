"""A radiologist goes through the descriptions of a warehouse by keyboard."""

import csv
import json

import pytest

from qcbench.prepare.attributes import COLUMNS, read_list
from qcbench.widgets.attributes import AttributeMarks
from tests.browser.bare_page import bare, bench  # noqa: F401

pytestmark = pytest.mark.browser
SERIES = ["3D T1 MPRAGE SAG", "AX T2 FLAIR", "SAG T1 BRAVO", "T2 FLAIR COR", "LOCALIZER", ""]


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "list.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "who"])
        for number, value in enumerate(SERIES):
            writer.writerow(
                ["SeriesDescription", value, 900 - 100 * number, 9000, "likely" if "T1" in value else "", "", ""]
            )
        writer.writerow(["BodyPartExamined", "BRAIN", 1200, 9000, "likely", "yes", "Dr A"])
    return path


class Kernel:
    """Answers the page as the widget does in a kernel."""

    def __init__(self, path):
        self.widget = AttributeMarks(path)

    def receive(self, text):
        return [list(each) for each in self.widget.receive(json.loads(text))]


@pytest.fixture
def page(bench, listed):  # noqa: F811
    bench.widget = AttributeMarks
    bench.begin(Kernel(listed))
    bench.sees(".qc-value", SERIES[0])
    return bench


def marks(path):
    return {row["value"]: row["keep"] for row in read_list(path)}


def test_marks_are_in_the_file_before_the_page_says_saved_and_other_columns_stay(page, listed):
    page.press("k", "n", "k")
    page.sees(".qc-saved", "all saved")
    assert list(marks(listed).values()) == ["yes", "no", "yes", "", "", "", "yes"]
    assert read_list(listed)[-1]["who"] == "Dr A"
    page.sees(".qc-told", "those without a mark stand in 1500 series")
    page.picture("attributes-1280")
    page.press("z")
    page.press("ArrowUp", "ArrowUp", "u")
    page.sees(".qc-saved", "all saved")
    assert list(marks(listed).values())[:3] == ["", "no", ""]


def test_what_a_search_leaves_is_marked_at_once_and_undone_at_once(page, listed):
    page.press("N")  # not without a search
    page.sees(".qc-told", "Search first")
    page.press("/")
    page.page.keyboard.type("flair")
    page.press("Enter", "N")
    page.sees(".qc-saved", "all saved")
    assert [value for value, keep in marks(listed).items() if keep == "no"] == ["AX T2 FLAIR", "T2 FLAIR COR"]
    page.press("z")
    page.sees(".qc-told", "those without a mark stand in 1400 series")
    page.sees(".qc-saved", "all saved")
    assert "no" not in marks(listed).values()


def test_the_keys_of_the_search_field_mark_nothing(page, listed):
    page.press("/")
    page.page.keyboard.type("knee")
    page.sees(".qc-told", "0 values")
    page.press("Escape")
    page.sees(".qc-told", "6 values")
    assert set(marks(listed).values()) == {"", "yes"}


def test_a_list_that_is_gone_is_told_and_not_called_saved(page, listed):
    listed.unlink()
    page.press("k")
    page.sees(".qc-told", "Not saved:")


def test_a_missing_list_says_what_to_do(bench, tmp_path):  # noqa: F811
    bench.widget = AttributeMarks
    bench.begin(Kernel(tmp_path / "list.csv"))
    bench.sees(".qc-problem-words", "qcbench attributes SOURCE LIST.csv")
