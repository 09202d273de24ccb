import pytest

from qcbench.errors import UsageError
from qcbench.prepare import marking
from qcbench.prepare.attributes import read_list

LIST = (
    "attribute,value,n_series,n_files,suggestion,keep,who\n"
    'SeriesDescription,"T1, sag",3,9,likely,,\n'
    "SeriesDescription,'=1+1,2,4,,no,Dr A\n"
)


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(LIST)
    return path


def test_one_mark_changes_and_the_rest_of_the_file_does_not(listed):
    marking.mark(listed, {("SeriesDescription", "T1, sag"): "yes"})
    assert listed.read_text() == LIST.replace("likely,,", "likely,yes,")
    marking.mark(listed, {("SeriesDescription", "T1, sag"): "", ("SeriesDescription", "=1+1"): "yes"})
    assert listed.read_text() == LIST.replace("no,Dr A", "yes,Dr A")


@pytest.mark.parametrize(
    ("key", "mark", "told"),
    [
        (("SeriesDescription", "T2"), "yes", "no such value of SeriesDescription"),
        (("SeriesDescription", "=1+1"), "maybe", "got 'maybe'"),
    ],
)
def test_nothing_is_written_where_one_of_the_marks_cannot_be(listed, key, mark, told):
    with pytest.raises(UsageError, match=told):
        marking.mark(listed, {("SeriesDescription", "T1, sag"): "yes", key: mark})
    assert listed.read_text() == LIST


def test_marks_of_two_people_are_both_kept(listed):
    marking.mark(listed, {("SeriesDescription", "T1, sag"): "yes"})
    marking.mark(listed, {("SeriesDescription", "=1+1"): ""})
    assert [row["keep"] for row in read_list(listed)] == ["yes", ""]
