import csv
import os
import subprocess
import sys

import numpy as np
import pytest

from qcbench.errors import UsageError
from qcbench.images import Volume
from qcbench.prepare import scan
from qcbench.prepare.attributes import attributes, read_list
from qcbench.prepare.dicom_series import write_series
from qcbench.prepare.invented import SCANNERS, Description, draw_patient


def write(folder, series, *, seed, n_slices=2, study="IRM cérébrale", body_part="BRAIN"):
    volume = Volume(data=np.full((4, 4, n_slices), 100, np.float32), affine=np.eye(4))
    description = Description(study=study, series=series, protocol="p", body_part=body_part)
    write_series(
        folder,
        volume,
        scanner=SCANNERS[seed % len(SCANNERS)],
        description=description,
        patient=draw_patient(seed),
        seed=seed,
    )


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    write(folder / "1", "T1 MPRAGE SAG", seed=1)
    write(folder / "2", "T1 MPRAGE SAG", seed=2, n_slices=3)
    write(folder / "3", "AX T2 FLAIR", seed=3)
    write(folder / "4", "=HYPERLINK(1)", seed=4, study="IRM du genou", body_part="")
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "list.csv"


def make(source, out):
    return attributes(source, out, workers=1, show_progress=False)


def lines(out):
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def mark(out, value, keep, **more):
    """Mark a value as a radiologist does in a spreadsheet."""
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["value"] == value:
            row |= {"keep": keep, **more}
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(column for row in rows for column in row))
        writer.writeheader()
        writer.writerows(rows)


def marks(out):
    return {row["value"]: row["keep"] for row in read_list(out) if row["keep"]}


def test_values_are_listed_by_attribute_and_falling_count(archive, out):
    summary = make(archive, out)
    assert lines(out) == [
        ["attribute", "value", "n_series", "n_files", "suggestion", "keep"],
        ["BodyPartExamined", "BRAIN", "3", "7", "likely", ""],
        ["BodyPartExamined", "", "1", "2", "", ""],
        ["SeriesDescription", "T1 MPRAGE SAG", "2", "5", "likely", ""],
        ["SeriesDescription", "'=HYPERLINK(1)", "1", "2", "", ""],
        ["SeriesDescription", "AX T2 FLAIR", "1", "2", "unlikely", ""],
        ["StudyDescription", "IRM cérébrale", "3", "7", "likely", ""],
        ["StudyDescription", "IRM du genou", "1", "2", "unlikely", ""],
    ]
    assert (summary.done, summary.unchanged, summary.exit_status) == (7, 0, 0)
    assert summary.facts["series"] == 4


def test_marks_are_kept_counts_renewed_and_new_values_added(archive, out):
    make(archive, out)
    mark(out, "T1 MPRAGE SAG", "yes")
    mark(out, "'=HYPERLINK(1)", "no")
    write(archive / "5", "T1 MPRAGE SAG", seed=5)
    write(archive / "6", "3D BRAVO", seed=6)
    summary = make(archive, out)
    rows = {row["value"]: row for row in read_list(out)}
    assert (rows["T1 MPRAGE SAG"]["n_series"], rows["T1 MPRAGE SAG"]["keep"]) == ("3", "yes")
    assert rows["=HYPERLINK(1)"]["keep"] == "no"
    assert (rows["3D BRAVO"]["n_series"], rows["3D BRAVO"]["keep"]) == ("1", "")
    assert (summary.done, summary.unchanged, summary.facts["marked"]) == (1, 7, 2)
    assert summary.facts["files read now"] == 4


def test_a_marked_value_that_is_gone_stays_and_an_unmarked_one_goes(archive, out):
    make(archive, out)
    mark(out, "T1 MPRAGE SAG", "yes")
    for folder in ("1", "2", "3"):
        for path in (archive / folder).iterdir():
            path.unlink()
    summary = make(archive, out)
    rows = {row["value"]: row for row in read_list(out)}
    assert (rows["T1 MPRAGE SAG"]["n_series"], rows["T1 MPRAGE SAG"]["keep"]) == ("0", "yes")
    assert "AX T2 FLAIR" not in rows
    assert summary.facts["marked, and no longer there"] == 1


def test_a_column_of_one_s_own_stays(archive, out):
    make(archive, out)
    mark(out, "AX T2 FLAIR", "", comment="ask Dr Simulé")
    make(archive, out)
    make(archive, out)
    assert {row["value"]: row["comment"] for row in read_list(out) if row["comment"]} == {
        "AX T2 FLAIR": "ask Dr Simulé"
    }


@pytest.mark.parametrize(("encoding", "separator"), [("utf-8-sig", ","), ("cp1252", ";"), ("utf-8", "\t")])
def test_a_list_that_a_spreadsheet_saved_is_understood(archive, out, encoding, separator):
    make(archive, out)
    mark(out, "IRM cérébrale", "x")
    saved = "\r\n".join(separator.join(row) for row in lines(out))
    out.write_bytes(saved.encode(encoding))
    make(archive, out)
    assert marks(out) == {"IRM cérébrale": "x"}


def test_a_list_is_the_same_whoever_reads_it_again(archive, out):
    make(archive, out)
    first = out.read_bytes()
    make(archive, out)
    assert out.read_bytes() == first


def test_another_file_is_not_overwritten(archive, out):
    out.write_text("patient,age\n1,2\n")
    with pytest.raises(UsageError, match="lacks the column 'attribute'"):
        make(archive, out)
    assert out.read_text() == "patient,age\n1,2\n"


def test_a_damaged_list_is_not_overwritten(archive, out):
    content = "attribute,value,keep\nSeriesDescription," + 200_000 * "x" + ",yes\n"
    out.write_text(content)
    with pytest.raises(UsageError, match="damaged after line 1"):
        make(archive, out)
    assert out.read_text() == content


def test_two_marks_of_one_value_are_not_chosen_between(archive, out):
    out.write_text("attribute,value,keep\nSeriesDescription,DUPONT T1,yes\nSeriesDescription,DUPONT T1,no\n")
    with pytest.raises(UsageError, match="line 3") as caught:
        make(archive, out)
    assert "DUPONT" not in str(caught.value)


def test_marks_made_during_the_scan_are_kept(archive, out, monkeypatch):
    make(archive, out)
    scanned = scan.scan

    def scan_and_mark(*arguments, **options):
        mark(out, "AX T2 FLAIR", "no")
        return scanned(*arguments, **options)

    monkeypatch.setattr(scan, "scan", scan_and_mark)
    make(archive, out)
    assert marks(out) == {"AX T2 FLAIR": "no"}


def test_the_summary_counts_and_quotes_no_value(archive, out):
    (archive / "DUPONT_MARIE.txt").write_text("DUPONT")
    summary = make(archive, out)
    assert "1 NOT_DICOM" in str(summary)
    for text in ("DUPONT", "MPRAGE", "HYPERLINK", "genou"):
        assert text not in str(summary)


def test_a_folder_without_series_is_bad_use_and_writes_no_list(tmp_path, out):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("x")
    with pytest.raises(UsageError, match=r"no MR series.*NOT_DICOM"):
        make(tmp_path / "empty", out)
    assert not out.exists()


def test_the_list_may_not_lie_in_the_source(archive):
    with pytest.raises(UsageError, match="nothing is written"):
        make(archive, archive / "list.csv")
    assert sorted(os.listdir(archive)) == ["1", "2", "3", "4"]


def test_a_scan_killed_in_the_middle_ends_as_one_that_was_not(archive, out, tmp_path):
    make(archive, tmp_path / "whole.csv")
    code = f"""
import os
from qcbench.prepare import attributes, scan
scan._BATCH_FILES = 2
added = scan._Cache.add
def add(cache, outcome):
    added(cache, outcome)
    os._exit(9)
scan._Cache.add = add
attributes.attributes({str(archive)!r}, {str(out)!r}, workers=1, show_progress=False)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    assert not out.exists()
    assert make(archive, out).facts["files read now"] == 7
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
