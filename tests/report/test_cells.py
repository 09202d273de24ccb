import pytest

from qcbench.errors import UsageError
from qcbench.report.cells import Report


@pytest.fixture(scope="module")
def report(filled_once):
    return Report(filled_once)


def test_a_cell_gets_one_table_figure_or_text_by_its_name(report):
    assert report.table("classes")["Images"].iloc[-1] == 6
    assert report.figure("workflow").get_figwidth() == 7.2
    assert report.text("methods").startswith("The catalogue held 12 images")
    names = report.names()
    assert {("table", "raters"), ("figure", "classes"), ("text", "methods")} <= set(
        names[["Kind", "Name"]].itertuples(index=False, name=None)
    )


def test_a_name_that_is_not_there_is_told_those_that_are(report):
    with pytest.raises(UsageError, match="has no figure 'learning-curves'; it has workflow,"):
        report.figure("learning-curves")


def test_nothing_is_written(study):
    before = sorted(study.folder.rglob("*"))
    Report(study).names()
    assert sorted(study.folder.rglob("*")) == before
