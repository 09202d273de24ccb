import gzip
import json
import os
import warnings
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qcbench import store
from qcbench.errors import UsageError
from qcbench.images import Volume
from qcbench.prepare import identity, warehouse
from qcbench.prepare.dicom_series import write_series
from qcbench.prepare.invented import SCANNERS, Description, draw_patient
from tests.prepare import canaries

KNOWN = "nom;prenom;ipp;naissance\nKOWALCZYK;Zbigniew;7781230;1938-11-03\nOE;Li;00045;1950-01-01\n"


def checked(target, **options):
    return identity.check_identity(target, workers=1, show_progress=False, **options)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The canaries and what was found among them."""
    folder = tmp_path_factory.mktemp("planted")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that break the standard are planted on purpose
        planted = canaries.plant(folder)
    return planted, checked(folder)


def is_found(canary, findings):
    if canary.place == "file name":
        folder = canary.path.rpartition("/")[0]
        return any(finding.place == "file name" and finding.file.startswith(f"{folder}/#") for finding in findings)
    if canary.place == "folder":
        return any(finding.place == "file name" and finding.file.startswith("names/folders/#") for finding in findings)
    return any(finding.file == canary.path and canary.place in finding.place for finding in findings)


def test_every_canary_is_found_at_its_place(planted):
    planted, found = planted
    assert len(planted) >= 200
    assert [canary for canary in planted if not is_found(canary, found.findings)] == []
    assert found.exit_status == 1


def test_no_report_quotes_what_was_found(planted):
    _, found = planted
    told = f"{found}{json.dumps(found.to_json())}".lower()
    for secret in ("dupont", "marie", "durand", "kowalski", "00812345", "812345", "1945", "20150312", "example.org"):
        assert secret not in told, secret
    assert canaries.MAKERS_UID not in told


def test_at_most_two_in_a_hundred_files_of_nobody_are_accused(tmp_path):
    paths = canaries.plant_nobody(tmp_path)
    found = checked(tmp_path)
    assert len(paths) > 150
    assert len({finding.file for finding in found.findings}) <= 0.02 * len(paths)


def test_what_ingest_makes_of_identifying_files_has_none(tmp_path, study):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(3):
        image = canaries.volume()
        path = source / f"sub-{number:02d}_ses-M00_T1w.nii.gz"
        path.write_bytes(gzip.compress(image.to_bytes(), mtime=0))
        sidecar = {"Modality": "MR", "PatientName": "DUPONT^MARIE", "SeriesDescription": "T1 MPRAGE SAG"}
        path.with_name(f"sub-{number:02d}_ses-M00_T1w.json").write_text(json.dumps(sidecar))
    warehouse.ingest(study, source, min_slices=10, show_progress=False)
    assert len(store.rows(study, "images")) == 3
    assert checked(study).findings == []


def test_raters_and_the_moments_of_their_labels_are_no_patients(study):
    folder = study.folder / "labels" / "rater=thierry" / "session"
    folder.mkdir(parents=True)
    events = {"rater": ["Thierry Durand"], "saved_at": [datetime(2026, 11, 22, 8, 49, tzinfo=UTC)], "comment": ["ok"]}
    pq.write_table(pa.table(events), folder / "seg-000000.parquet")
    assert checked(study).findings == []
    pq.write_table(pa.table({**events, "comment": ["as said by Mme Durand"]}), folder / "seg-000000.parquet")
    assert [finding.place for finding in checked(study).findings] == ["column 3, row 1"]


def test_a_raw_series_is_accused_slice_by_slice(tmp_path):
    volume = Volume(data=np.full((40, 42, 3), 100, np.float32), affine=np.eye(4))
    description = Description(study="IRM", series="T1", protocol="p", body_part="BRAIN")
    write_series(tmp_path, volume, scanner=SCANNERS[0], description=description, patient=draw_patient(3), seed=1)
    found = checked(tmp_path)
    assert found.n_files == 3
    places = {finding.place for finding in found.findings if finding.kind == "name" and finding.certainty == "certain"}
    assert places == {"(0010,0010)", "(0008,0090)", "(0008,1070)"}
    assert sum(finding.place == "(0010,0030)" for finding in found.findings) == 3


@pytest.mark.parametrize(
    ("writing", "kind"),
    [
        ("kowalczyk zbigniew", "name"),
        ("ZbigniewKowalczyk", "name"),
        ("zkowalczyk", "name"),
        ("x7781230y", "id"),
        ("0007-781-230", "id"),
        ("seen 3 nov 1938", "date"),
        ("03/11/1938", "date"),
    ],
)
def test_a_known_patient_is_certain_in_many_writings(tmp_path, writing, kind):
    (tmp_path / "known.csv").write_text(KNOWN)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "plain.bin").write_bytes(b"\0\1" + writing.encode("utf-16-le") + b"\0\2\3")
    found = checked(tmp_path / "data", known=tmp_path / "known.csv").findings
    assert (kind, "certain") in {(finding.kind, finding.certainty) for finding in found}


def test_names_that_are_no_ones_form_need_the_list(tmp_path):
    (tmp_path / "known.csv").write_text(KNOWN)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "job.log").write_text("done with kowalczyk, zbigniew\n")
    assert checked(tmp_path / "data").findings == []
    (finding,) = checked(tmp_path / "data", known=tmp_path / "known.csv").findings
    assert (finding.place, finding.kind, finding.certainty) == ("line 1", "name", "certain")


def test_a_name_in_a_path_is_told_by_its_number_in_its_folder(tmp_path):
    for name in ("a.txt", "DUPONT_Marie/b.log", "z.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("Mme Durand\n")
    assert {finding.file for finding in checked(tmp_path).findings} == {"#1", "#1/b.log", "a.txt", "z.txt"}


def test_a_link_is_not_followed_and_its_target_is_read(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "DUPONT_Marie.txt").write_text("x")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "DUPONT_Marie.txt")
    (tmp_path / "in" / "own").symlink_to("link")
    found = {(finding.file, finding.place, finding.kind) for finding in checked(tmp_path / "in").findings}
    assert ("link", "target of a link", "name") in found
    assert ("link", "a link out of the folder, not followed", "unreadable") in found


def test_a_file_that_cannot_be_read_may_hide_anything(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "cut.nii.gz").write_bytes(b"\x1f\x8b\x08\0" + b"\0" * 40)
    (tmp_path / "empty.nii").write_bytes(b"")
    found = {finding.file for finding in checked(tmp_path).findings if finding.kind == "unreadable"}
    assert found == {"pipe", "cut.nii.gz"}


def test_bytes_of_chance_crash_nothing(tmp_path):
    rng = np.random.default_rng(0)
    starts = (
        b"",
        b"\x89PNG\r\n",
        b"PK\3\4",
        b"PAR1",
        b"%PDF-",
        b"\x1f\x8b\x08\x1c",
        b"\0" * 128 + b"DICM",
        b"\\\1\0\0",
        b"{",
    )
    for number, start in enumerate(starts):
        for suffix in ("", ".json", ".nii", ".parquet", ".safetensors", ".zip", ".tar.gz", ".csv"):
            (tmp_path / f"{number}{suffix}").write_bytes(start + rng.bytes(900))
    assert checked(tmp_path).n_files == len(starts) * 8


def test_what_a_worker_stumbled_over_is_not_quoted():
    (outcome,) = identity._mapped(failing, {"a.txt": 1}, 1, False)
    assert outcome == ("a.txt", [("file", "unreadable", "possible")])


def failing(row):
    raise ValueError("DUPONT")


def test_alone_a_file_and_as_a_stream_the_same_is_found(tmp_path):
    (tmp_path / "a.json").write_text('{"EchoTime": 1, "PatientName": "Durand"}')
    assert list(identity.check(tmp_path / "a.json", show_progress=False, workers=1)) == checked(tmp_path).findings


@pytest.mark.parametrize("content", ["", "title\n", "title\nn/a\n"])
def test_a_list_that_names_nobody_is_refused(tmp_path, content):
    (tmp_path / "known.csv").write_text(content)
    with pytest.raises(UsageError, match=r"known\.csv"):
        checked(tmp_path, known=tmp_path / "known.csv")


def test_a_target_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is not there"):
        checked(Path(tmp_path) / "nowhere")


def test_a_date_that_was_moved_before_1900_accuses_nobody_and_one_of_birth_does(tmp_path):
    (tmp_path / "scans.tsv").write_text("image\tstudy_date\nsub-1\t1862-01-04\n")
    (tmp_path / "people.tsv").write_text("person\tbirth_date\nsub-1\t1922-01-04\n")
    assert {finding.file for finding in identity.check(tmp_path, show_progress=False)} == {"people.tsv"}


def test_a_damaged_entry_of_an_archive_hides_no_other(tmp_path):
    secret = json.dumps({"PatientName": "DUPONT^Marie"})
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for name, content in (("a.json", secret), ("b.gz", b"\x1f\x8b"), ("c.json", secret)):
            archive.writestr(name, content)
    for target, n_files in ((tmp_path / "export.zip", 4), (tmp_path, 1)):
        found = checked(target)
        assert (found.n_files, found.kinds["name"] >= 2, found.kinds["unreadable"]) == (n_files, True, 1)


def test_what_stands_before_the_damage_in_a_file_is_told_beside_it(tmp_path):
    header = bytearray(352)
    header[:4] = (348).to_bytes(4, "little")
    header[148:160] = b"DUPONT^Marie"
    header[108:112] = np.float32(np.nan).tobytes()  # where the voxels begin
    (tmp_path / "a.nii").write_bytes(header)
    found = {(finding.place, finding.kind) for finding in checked(tmp_path, with_pixels=False).findings}
    assert found == {("descrip", "name"), ("file", "unreadable")}


def test_a_file_that_is_named_by_a_link_is_looked_at(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"PatientName": "DUPONT^Marie"}))
    (tmp_path / "link.json").symlink_to("a.json")
    assert checked(tmp_path / "link.json").kinds["name"]


def test_a_folder_that_cannot_be_listed_is_a_finding(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)  # for root no folder is closed
    [finding] = checked(tmp_path).findings
    assert (finding.file, finding.place, finding.kind) == ("closed", "a folder that cannot be listed", "unreadable")


def test_a_list_of_patients_that_has_grown_is_read_again(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("Zbigniew Kowalczyk\n")
    known = tmp_path / "known.csv"
    known.write_text("nom;prenom\nOE;Li\n")
    assert checked(tmp_path / "in", known=known).exit_status == 0
    known.write_text(KNOWN)
    assert checked(tmp_path / "in", known=known).kinds == {"name": 1}


def test_a_known_patient_is_found_where_authors_sign(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "CHANGES").write_text("1.0 2026-01-05\n- Marie Martin took Zbigniew Kowalczyk out\n")
    (tmp_path / "known.csv").write_text(KNOWN)
    found = checked(tmp_path / "in", known=tmp_path / "known.csv").findings
    assert [(finding.place, finding.kind, finding.certainty) for finding in found] == [("line 2", "name", "certain")]
