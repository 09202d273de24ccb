import csv
import errno
import gzip
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile

import nibabel as nib
import numpy as np
import pydicom
import pytest

from qcbench import store
from qcbench.errors import UsageError
from qcbench.prepare import attributes, identity, intake, scan
from qcbench.prepare import series as room
from qcbench.prepare.invented import Description, draw_patient
from qcbench.study import Study
from tests.prepare.synthetic_pacs import MIN_SLICES, N_SLICES, Pacs, add, build, edit, mark

T1 = Description(study="IRM", series="T1 3D", protocol="p", body_part="BRAIN")


def listed(pacs, path):
    attributes.attributes(pacs.folder, path, show_progress=False)
    mark(path, pacs.kept)
    return path


def ingest(study, pacs, marked, **options):
    options = {"min_slices": MIN_SLICES, "key": marked.with_name("key"), **options}
    return intake.ingest(study, options.pop("source", pacs.folder), keep=marked, show_progress=False, **options)


def catalogue(study):
    return {row["image_id"]: row for row in store.rows(study, "images")}


def told(study):
    """Return every file of a study by its path; hidden and temporary ones too."""
    return {
        str(path.relative_to(study.folder)): path.read_bytes()
        for path in study.folder.rglob("*")
        if path.is_file() and path.name != "study.toml"
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The archive, its marked list, and a study that has taken it in."""
    folder = tmp_path_factory.mktemp("whole")
    pacs = build(folder / "pacs")
    before = {path: path.stat().st_mtime_ns for path in pacs.folder.rglob("*")}
    marked = listed(pacs, folder / "list.csv")
    study = Study.create(folder / "study", raters=["alice"])
    summary = ingest(study, pacs, marked)
    assert before == {path: path.stat().st_mtime_ns for path in pacs.folder.rglob("*")}
    return pacs, marked, study, summary


def three_series(folder):
    """Return an archive of three series of two patients, and its marked list."""
    pacs = Pacs(folder=folder / "few")
    add(pacs, "a", 1)
    add(pacs, "b", 2)
    add(pacs, "b2", 4, patient=draw_patient(2), description=T1)
    return pacs, listed(pacs, folder / "few.csv")


@pytest.fixture
def few(tmp_path):
    """A small archive and its marked list."""
    return three_series(tmp_path)


def test_every_usable_series_is_an_image_and_every_other_has_a_reason(whole):
    pacs, _, study, summary = whole
    rows = catalogue(study).values()
    reasons = [row["excluded_reason"] for row in rows if row["excluded_reason"]]
    usable = [row for row in rows if row["excluded_reason"] is None]
    assert {text: sum(text in reason for reason in reasons) for text in pacs.excluded} == pacs.excluded
    assert len(reasons) == sum(pacs.excluded.values())
    assert (len(usable), summary.facts["images"], summary.failed) == (pacs.n_usable, pacs.n_usable, {})
    assert all(row["bids_path"] and (study.folder / row["bids_path"]).is_file() for row in usable)
    assert {row["manufacturer"] for row in usable} == {"Siemens", "GE", "Philips", "Canon"}
    assert {row["field_strength_t"] for row in usable} == {1.5, 3.0}
    assert {row["n_slices"] for row in usable} == {N_SLICES}
    assert all(row["simulated"] and row["age_years"] >= 18 for row in usable)
    assert summary.facts["participants"] == len({row["participant_id"] for row in usable}) == pacs.n_usable - 2


def test_images_arrive_intact_where_they_lie_in_the_patient(whole):
    pacs, marked, study, _ = whole
    compared = 0
    for row in catalogue(study).values():
        if not row["bids_path"]:
            continue
        (first, *_) = intake.where(study, pacs.folder, row["image_id"], keep=marked, key=marked.with_name("key"))
        source = pacs.volumes.get(str(first.parent.relative_to(pacs.folder)))
        if source is None:  # a copy that lies elsewhere
            continue
        compared += 1
        made = nib.as_closest_canonical(nib.load(study.folder / row["bids_path"]))
        given = nib.as_closest_canonical(nib.Nifti1Image(source.data, source.affine))
        np.testing.assert_array_equal(np.asarray(made.dataobj), np.asarray(given.dataobj))
        np.testing.assert_allclose(made.affine, given.affine, atol=1e-3)
        if compared == 8:
            return
    raise AssertionError("too few images were found again")


def test_nothing_in_the_study_says_who_anybody_is(whole):
    pacs, _, study, _ = whole
    content = b"\n".join(
        [name.encode() for name in told(study)]
        + [gzip.decompress(raw) if name.endswith(".gz") else raw for name, raw in told(study).items()]
        + [json.dumps(store.rows(study, "images"), ensure_ascii=False).encode()]
    )
    assert len(pacs.secrets) > 100
    assert [secret for secret in pacs.secrets if secret.encode() in content] == []
    image = next(study.bids.rglob("*.nii.gz"))
    header = nib.load(image).header
    assert [bytes(header[name]).strip(b"\0") for name in ("descrip", "aux_file", "db_name", "intent_name")] == [b""] * 4


def test_the_official_validator_finds_no_error(whole):
    pytest.importorskip("bids_validator_deno", reason="needs the validator: pip install bids-validator-deno")
    study = whole[2]
    program = shutil.which("bids-validator-deno", path=os.path.dirname(sys.executable))
    run = subprocess.run([program, study.bids, "--format", "json"], capture_output=True, text=True, check=False)
    issues = json.loads(run.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_running_again_changes_nothing(whole):
    pacs, marked, study, _ = whole
    before = told(study)
    again = ingest(study, pacs, marked)
    assert (again.done, again.unchanged) == (0, len(pacs.volumes) + 11)
    assert told(study) == before


@pytest.mark.parametrize("kind", ["zip", "tar.xz"])
def test_an_export_gives_what_its_folder_gives(few, tmp_path, kind, monkeypatch):
    pacs, marked = few
    export = tmp_path / f"export.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(export, "w") as archive:
            for path in sorted(path for path in pacs.folder.rglob("*") if path.is_file()):
                archive.write(path, f"x/{path.relative_to(pacs.folder)}")
    else:
        with tarfile.open(export, "w:xz") as archive:
            archive.add(pacs.folder, "x")
    monkeypatch.setattr(intake, "_BATCH_BYTES", 1)  # one series unpacked at a time
    studies = [Study.create(tmp_path / name, raters=["alice"]) for name in ("one", "two")]
    ingest(studies[0], pacs, marked)
    ingest(studies[1], pacs, marked, source=export)
    assert told(studies[0]).keys() == told(studies[1]).keys()
    assert catalogue(studies[0]) == catalogue(studies[1])


def test_echoes_in_one_series_are_images_of_their_own(study, tmp_path):
    pacs = Pacs(folder=tmp_path / "pacs")
    add(pacs, "echo1", 1, description=T1)
    for path in (pacs.folder / "echo1").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.EchoTime, dataset.SOPInstanceUID = 30, f"{dataset.SOPInstanceUID[:-3]}.9"
        dataset.PixelData = bytes(reversed(dataset.PixelData[::-1][:2] + dataset.PixelData[2:]))
        dataset.save_as(path.with_name(f"second-{path.name}"))
    summary = ingest(study, pacs, listed(pacs, tmp_path / "list.csv"))
    rows = list(catalogue(study).values())
    assert (summary.facts["images"], len({row["source_path"] for row in rows}), len(rows)) == (2, 1, 2)


def test_fewer_than_forty_slices_are_excluded_by_default(study, tmp_path):
    pacs = Pacs(folder=tmp_path / "pacs")
    add(pacs, "39", 1, n_slices=39, description=T1)
    add(pacs, "40", 2, n_slices=40, description=T1)
    marked = listed(pacs, tmp_path / "list.csv")
    intake.ingest(study, pacs.folder, keep=marked, key=tmp_path / "key", show_progress=False)
    rows = {row["n_slices"]: row["excluded_reason"] for row in catalogue(study).values()}
    assert rows == {39: "39 slices, fewer than 40", 40: None}


def test_a_second_table_tells_what_headers_do_not(study, few, tmp_path):
    pacs, marked = few
    for path in pacs.folder.rglob("IM*"):
        edit(path, PatientAge="", PatientBirthDate="", PatientSex="", StudyDate="20150601")
    ingest(study, pacs, marked)
    rows = catalogue(study).values()
    assert {row["age_years"] for row in rows} == {None}
    (two,) = {row["participant_id"] for row in rows if row["series_description"] == "T1 3D"}
    table = tmp_path / "people.tsv"
    table.write_text(
        f"patient_id\tparticipant_id\tage_years\tsex\tdiagnosis\nsim00000001\t\t17\tF\tn/a\n\t{two}\t67.5\tmale\tG30\n"
    )
    fresh = Study.create(tmp_path / "fresh", raters=["alice"])
    ingest(fresh, pacs, marked, participants=table)
    rows = catalogue(fresh).values()
    people = {row["participant_id"]: [row[name] for name in ("age_years", "sex", "diagnosis")] for row in rows}
    assert sorted(people.values()) == [[17.0, "F", None], [67.5, "M", "G30"]]
    assert people[two] == [67.5, "M", "G30"]
    assert "17 years old, under 18" in {row["excluded_reason"] for row in rows}


def test_a_patient_named_in_a_description_is_not_named_in_the_study(study, few):
    pacs, marked = few
    for path in (pacs.folder / "a").iterdir():
        edit(
            path, PatientName="DÜPONT^ANNE", ContrastBolusAgent="Dotarem Mme Dupont", SpecificCharacterSet="ISO_IR 100"
        )
    ingest(study, pacs, marked)
    assert "Dotarem Mme ***" in {row["contrast_agent"] for row in catalogue(study).values()}


def test_a_worker_that_fails_is_a_row_with_an_error(study, few, monkeypatch):
    pacs, marked = few
    monkeypatch.setattr(room.conversion, "convert", failing(room.conversion.convert))
    summary = ingest(study, pacs, marked, workers=1)
    assert list(summary.failed.values()) == ["UNREADABLE: the disk refused: No space left; ingest again"]
    assert [row["participant_id"][:12] for row in catalogue(study).values() if row["error"]] == ["sub-excluded"]
    again = ingest(study, pacs, marked, workers=1)
    assert (again.failed, again.done) == ({}, 1)  # there is room now


def failing(convert):
    calls = []

    def once(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise OSError(errno.ENOSPC, "No space left", "/archive/DUPONT^ANNE/IM1")
        return convert(*arguments)

    return once


def test_another_key_or_none_is_refused_and_nothing_changes(study, few, tmp_path):
    pacs, marked = few
    ingest(study, pacs, marked)
    before = told(study)
    (tmp_path / "other").write_text("ab" * 32)
    (tmp_path / "other").chmod(0o600)
    with pytest.raises(UsageError, match="not the key"):
        ingest(study, pacs, marked, key=tmp_path / "other")
    with pytest.raises(UsageError, match="is missing"):
        ingest(study, pacs, marked, key=tmp_path / "lost")
    for inside in (study.folder / "key", pacs.folder / "key"):
        with pytest.raises(UsageError, match="lie inside"):
            ingest(study, pacs, marked, key=inside)
    assert told(study) == before


def test_a_source_without_series_is_bad_use(study, few, tmp_path):
    pacs, marked = few
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no MR series"):
        ingest(study, pacs, marked, source=tmp_path / "empty")


def test_what_was_read_is_kept_outside_the_study(study, few):
    pacs, marked = few
    inside = shutil.copy(marked, study.folder / "list.csv")
    intake.ingest(study, pacs.folder, keep=inside, key=marked.with_name("key"), min_slices=12, show_progress=False)
    assert [path.name for path in study.folder.rglob("*.jsonl")] == []
    assert marked.with_name("key.scan.jsonl").is_file()


def test_many_series_are_catalogued_in_seconds(study, tmp_path, monkeypatch):
    header = dict.fromkeys(scan.KEY_COLUMNS, "x") | {"rows": 256, "columns": 256, "n_files": 160, "n_frames": 160}
    many = [{**header, "series_uid": f"1.2.{n}", "series_description": f"FLAIR {n % 3000}"} for n in range(20_000)]
    monkeypatch.setattr(intake.scan, "scan", lambda *_, **__: scan.Scan(series=many, n_files=160 * 20_000))
    rows = [["attribute", "value", "keep"], *(["SeriesDescription", f"T1 {n}", "x"] for n in range(3_000))]
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    began = time.process_time()
    intake.ingest(study, tmp_path / "source", keep=tmp_path / "list.csv", key=tmp_path / "key", show_progress=False)
    seconds = time.process_time() - began
    assert store.read(study, "images").num_rows == 20_000
    assert seconds < 4  # of the processor; measured: 1.4 s, and 7 s for 100,000


def test_the_melon_passes_and_arrives_intact(study, real_data, tmp_path):
    source = real_data / "dicom" / "melon_GE.tar.xz"
    marked = tmp_path / "list.csv"
    attributes.attributes(source, marked, show_progress=False)
    mark(marked, {"Accelerated SAG IR-SPGR"})
    intake.ingest(study, source, keep=marked, key=tmp_path / "key", show_progress=False)
    (row,) = catalogue(study).values()
    assert (row["n_slices"], row["excluded_reason"], row["error"], row["simulated"]) == (196, None, None, False)
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path / "melon", filter="data")
    stored = pydicom.dcmread(tmp_path / "melon" / "melon_GE" / "00100.dcm")
    image = nib.load(study.folder / row["bids_path"])
    place = np.linalg.inv(image.affine) @ [*(np.array(stored.ImagePositionPatient) * [-1, -1, 1]), 1]
    plane = np.asarray(image.dataobj)[round(place[0])]
    np.testing.assert_array_equal(np.sort(plane, axis=None), np.sort(stored.pixel_array, axis=None))


def test_a_field_map_and_stumps_of_real_scanners_are_no_images(study, real_data, tmp_path):
    for name, kept in (("dcm_qa_enh", {"REST1 w SMS PF7-8"}), ("dicom2nifti_tiny", {""})):
        source, marked = real_data / "dicom" / f"{name}.tar.xz", tmp_path / f"{name}.csv"
        attributes.attributes(source, marked, show_progress=False)
        mark(marked, kept)
        summary = intake.ingest(study, source, keep=marked, key=tmp_path / "key", show_progress=False)
        assert (summary.facts["images"], summary.failed) == (0, {})
    reasons = [row["excluded_reason"] for row in catalogue(study).values()]
    assert sum("fewer than 40" in reason for reason in reasons) == 10
    assert sum(reason.startswith("not kept") for reason in reasons) == 1
    assert len(reasons) == 11


def test_nobody_is_found_in_the_study_that_ingest_made(whole):
    _, _, study, _ = whole
    assert list(identity.check(study.folder, show_progress=False)) == []
