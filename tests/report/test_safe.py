import re

import pytest

from qcbench import store
from qcbench.errors import QcbenchError, UsageError
from qcbench.report import safe
from qcbench.report.inputs import read_tables
from qcbench.report.leaks import leaks
from qcbench.study import Study
from tests.report.conftest import fill


@pytest.fixture
def identifying(filled):
    """A study whose catalogue and labels say a lot about people."""
    return identified(filled)


@pytest.fixture(scope="module")
def identifying_once(tmp_path_factory):
    """The same study for tests that only read it, with its tables and the files that may leave."""
    study = identified(fill(Study.create(tmp_path_factory.mktemp("safe") / "study", raters=["alice", "bob"])))
    return study, read_tables(study), files_of(study)


def identified(filled):
    rows = store.rows(filled, "images")
    for number, row in enumerate(rows):
        row["hospital"] = f"Clinique Sainte-Planted {number % 3}"
        row["source_path"] = f"/pacs/DUPONT^JEAN/{1900 + number}-01-02/scan{number}.nii.gz"
        row["series_description"] = "T1 MPRAGE for Mme Martin"
        row["diagnosis"] = "planted diagnosis"
    store.write(filled, "images", rows)
    return filled


def files_of(study, **options):
    return safe.made(study, read_tables(study), **options)


def test_nothing_of_anybody_is_in_it(identifying):
    files = files_of(identifying, compare="paper")
    whole = "\n".join(content.decode() for content in files.values())
    for planted in ("DUPONT", "Planted", "Martin", "planted", "sub-", "tilted", "alice", "bob", "2026-", "<img"):
        assert planted not in whole, planted
    assert "Task sr" not in whole  # its test set has two images
    assert "rater 1" not in whole  # agreement rests on fewer than 10 images here
    assert "hidden" in whole


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        (b"<p>sub-05_T1w</p>", "a value of image_id"),
        (b"<p>Clinique Sainte-Planted 1</p>", "a value of hospital"),
        (b"<p>12/03/2021</p>", "a date"),
        (b"<p title='2024-05-06'></p>", "a date"),
        (b"<p>rater ALICE</p>", "the name of a rater"),
        (b"<p>tilted</p>", "a comment of a rater"),
        (b"<img src='x.png'>", "a picture"),
        (b"<table><tr><th>Images</th></tr><tr><td>7</td></tr></table>", "a count under 10 in row 1, column 'Images'"),
    ],
)
def test_the_checker_finds_what_is_planted_back(identifying_once, planted, found):
    study, data, files = identifying_once
    assert leaks(files, study, data) == []
    page = files["report.html"].replace(b"</main>", planted + b"</main>")
    assert [what for what in leaks({**files, "report.html": page}, study, data) if found in what]


def test_a_small_count_in_a_csv_file_is_found(identifying_once):
    study, data, files = identifying_once
    files = {**files, "tables/classes.csv": b"Class,Images\nSR,3\n"}
    assert "tables/classes.csv: a count under 10" in leaks(files, study, data)[0]


@pytest.mark.parametrize("heading", ["Difference", "This study", "Table", "p, corrected"])
def test_whole_numbers_that_count_nobody_are_no_leak(identifying_once, heading):
    study, data, files = identifying_once
    files = {**files, "tables/x.csv": f'"{heading}"\n4.0\n'.encode()}
    assert leaks(files, study, data) == []


def test_it_is_not_written_when_the_checker_finds_something(identifying, monkeypatch):
    monkeypatch.setattr(safe, "leaks", lambda *arguments, **options: ["report.html: a date"])
    with pytest.raises(QcbenchError, match=r"report\.html: a date"):
        safe.report_that_may_leave(identifying)
    assert not (identifying.reports / "safe").exists()


def test_it_lies_beside_the_report_and_an_old_table_does_not_stay(identifying):
    old = identifying.reports / "safe" / "tables" / "old.csv"
    old.parent.mkdir(parents=True)
    old.write_text("x")
    summary = safe.report_that_may_leave(identifying)
    assert (identifying.reports / "safe" / "report.html").is_file()
    assert not old.exists()
    assert summary.facts["hidden under"] == 10
    with pytest.raises(UsageError, match="under 3 hides nobody"):
        safe.report_that_may_leave(identifying, threshold=1)


def test_ages_of_single_people_are_not_in_it(identifying_once):
    *_, files = identifying_once
    page = files["report.html"].decode()
    assert not re.search(r"± [\d.]+ \[", page)


def test_short_names_of_raters_are_no_hindrance_and_former_raters_are_not_named(identifying):
    text = (identifying.folder / "study.toml").read_text()
    (identifying.folder / "study.toml").write_text(text.replace('["alice", "bob"]', '["x", "max"]'))
    rows = [
        {"characteristic": "motion", "statistic": "kappa_linear", "raters": raters, "value": 0.5, "n": 40}
        for raters in ("x,max", "x,carol", "max,max (volume)")
    ]
    study = Study(identifying.folder)
    store.write(study, "agreement", rows)
    page = files_of(study)["report.html"].decode()
    assert "rater 1, rater 2" in page
    assert "carol" not in page


def test_what_is_simulated_is_said_without_its_counts(filled, simulate):
    simulate(filled)
    page = files_of(filled)["report.html"].decode()
    assert "Simulated images and simulated raters: the numbers say nothing about real scans." in page
    assert "1 of 12" not in page


def test_a_comparison_with_the_paper_is_not_refused_for_the_numbers_of_its_tables(identifying):
    rows = store.rows(identifying, "agreement")
    store.write(identifying, "agreement", [{**row, "n": 40} for row in rows])
    assert "tables/beside-the-paper.csv" in files_of(identifying, compare="paper", threshold=3)
