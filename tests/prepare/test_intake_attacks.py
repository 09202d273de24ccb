"""Files made to write outside, to be read for ever, or to end the batch: each becomes a reason, the others go on."""

import io
import os
import tarfile
import zipfile

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from qcbench import store
from qcbench.images import load_volume
from qcbench.prepare import attributes, conversion, intake
from qcbench.prepare.invented import Description
from tests.prepare.synthetic_pacs import MIN_SLICES, N_SLICES, Pacs, add, edit, mark

T1 = Description(study="IRM", series="T1 3D", protocol="p", body_part="BRAIN")


@pytest.fixture
def pacs(tmp_path):
    """An archive with one series that must always arrive, in a folder that holds all a test may write."""
    made = Pacs(folder=tmp_path / "all" / "pacs")
    add(made, "good", 1, description=T1)
    return made


def ingest(study, pacs, source=None):
    """Take the archive in; return the images of others than the good one, and what was told."""
    folder = pacs.folder.parent
    source, marked = source or pacs.folder, folder / "list.csv"
    attributes.attributes(source, marked, show_progress=False)
    mark(marked, pacs.kept)
    before = everything(folder.parent, study)
    summary = intake.ingest(
        study, source, keep=marked, key=folder / "key", min_slices=MIN_SLICES, workers=2, show_progress=False
    )
    assert everything(folder.parent, study) - before <= {"key"}
    for path in study.folder.rglob("*"):
        assert path.resolve().is_relative_to(study.folder.resolve())
        assert not path.is_symlink()
    return store.rows(study, "images"), summary


def everything(folder, study):
    """Return the names of the files outside the study, and of what lies beside the test's own folder."""
    names = {path.name for path in folder.rglob("*") if not path.is_relative_to(study.folder) and path.is_file()}
    return names | {f"above: {name}" for name in os.listdir(folder.parent)}


def reasons(rows):
    return sorted(row["error"] or row["excluded_reason"] for row in rows if row["error"] or row["excluded_reason"])


def n_images(rows):
    return sum(row["bids_path"] is not None for row in rows)


@pytest.mark.parametrize(
    "name", ["../../x", "/etc/cron.d/x", "..", "a/b\\c", "\x1b]0;x\x07", "$(touch x)", "x\ny", "山田", "é" * 64, "-o"]
)
def test_no_value_of_a_header_becomes_a_path(study, pacs, name):
    for path in add(pacs, "evil", 2, description=T1, character_set="ISO_IR 192"):
        with pydicom.config.disable_value_validation():
            edit(path, PatientID=name, PatientName=name, StudyID=name, AccessionNumber=name, StationName=name)
    rows, summary = ingest(study, pacs)
    assert (n_images(rows), summary.failed) == (2, {})
    ids = {row["image_id"] for row in rows}
    assert all(image_id.replace("_", "").replace("-", "").isalnum() and image_id.isascii() for image_id in ids)


def test_pipes_devices_and_links_are_not_opened(study, pacs, tmp_path):
    outside = Pacs(folder=tmp_path / "outside")
    add(outside, "elsewhere", 3, description=T1)
    folder = pacs.folder / "odd"
    folder.mkdir()
    os.mkfifo(folder / "pipe.dcm")
    (folder / "tree").symlink_to(outside.folder)
    (folder / "zero.dcm").symlink_to("/dev/zero")
    (folder / "loop").symlink_to(folder)
    rows, summary = ingest(study, pacs)
    assert (n_images(rows), len(rows)) == (1, 1)
    assert "3 LINK" in summary.notes[-1]
    assert "1 NOT_REGULAR" in summary.notes[-1]


def test_a_file_that_becomes_a_link_after_it_was_listed_is_not_followed(study, pacs, monkeypatch, tmp_path):
    (tmp_path / "secret").write_bytes(b"\0" * 1000)
    listing = intake.scan.files

    def swapped(source, cache, wanted):
        found = listing(source, cache, wanted)
        target = pacs.folder / next(iter(found.values()))[0][0]
        target.unlink()
        target.symlink_to(tmp_path / "secret")
        return found

    monkeypatch.setattr(intake.scan, "files", swapped)
    rows, _ = ingest(study, pacs)
    assert reasons(rows) == ["UNREADABLE: a file cannot be opened: Too many levels of symbolic links"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_that_lead_out_of_an_export_are_refused(study, pacs, kind):
    export = pacs.folder.parent / f"export.{kind}"
    files = sorted((pacs.folder / "good").iterdir())
    names = ["../../evil.dcm", "/tmp/evil.dcm", "..\\evil.dcm"]
    if kind == "zip":
        with zipfile.ZipFile(export, "w") as archive:
            for number, path in enumerate(files):
                archive.write(path, f"good/{number}")
            for name in names:
                archive.writestr(name, files[0].read_bytes())
    else:
        with tarfile.open(export, "w") as archive:
            for number, path in enumerate(files):
                archive.add(path, f"good/{number}")
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.size = files[0].stat().st_size
                archive.addfile(entry, io.BytesIO(files[0].read_bytes()))
            link = tarfile.TarInfo("good/link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
    rows, summary = ingest(study, pacs, source=export)
    assert n_images(rows) == 1
    assert "3 BAD_NAME" in summary.notes[-1]


def nested(path, before, tag):
    """Put ten thousand sequences, one in the other and none closed, in front of an element."""
    content = path.read_bytes()
    at = content.index(before)
    deep = (tag + b"SQ\0\0" + b"\xff" * 4 + b"\xfe\xff\x00\xe0" + b"\xff" * 4) * 10_000
    path.write_bytes(content[:at] + deep + content[at:])


def test_ten_thousand_nested_sequences_are_a_reason(study, pacs):
    files = add(pacs, "deep", 2, description=T1)
    nested(files[3], b"\x08\x00\x60\x00CS", b"\x08\x00\x51\x00")
    rows, summary = ingest(study, pacs)
    assert (n_images(rows), reasons(rows)) == (1, ["INCOMPLETE: 1 of 14 slices are missing"])
    assert "1 NESTED" in summary.notes[-1]


def test_nested_sequences_behind_what_is_read_do_no_harm(study, pacs):
    files = add(pacs, "deep", 2, description=T1)
    nested(files[3], b"\xe0\x7f\x10\x00OW", b"\x40\x00\x75\x02")
    rows, summary = ingest(study, pacs)
    assert (n_images(rows), summary.failed) == (2, {})
    sums = {float(load_volume(study.folder / row["bids_path"]).data.sum()) for row in rows}
    assert sums == {float(volume.data.sum()) for volume in pacs.volumes.values()}


@pytest.mark.parametrize("rest", [-1, -200, 900, 140])
def test_a_truncated_file_is_a_reason(study, pacs, rest):
    files = add(pacs, "cut", 2, description=T1)
    files[5].write_bytes(files[5].read_bytes()[:rest])
    rows, _ = ingest(study, pacs)
    assert n_images(rows) == 1
    assert len(reasons(rows)) == 1
    assert reasons(rows)[0].partition(":")[0] in ("TRUNCATED", "NOT_CONVERTED", "INCOMPLETE")


def test_a_picture_that_claims_to_be_huge_is_a_reason(study, pacs):
    for path in add(pacs, "huge", 2, description=T1):
        edit(path, Rows=65535, Columns=65535)
    rows, _ = ingest(study, pacs)
    assert (n_images(rows), reasons(rows)) == (1, ["TRUNCATED: a file ends within its pixels"])


def test_jpeg_2000_is_unpacked_or_a_reason(study, pacs):
    for path in add(pacs, "packed", 2, description=T1):
        dataset = pydicom.dcmread(path)
        picture = io.BytesIO()
        Image.fromarray(dataset.pixel_array.astype(np.uint16)).save(picture, format="JPEG2000", irreversible=False)
        dataset.PixelData = encapsulate([picture.getvalue()])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
        dataset.save_as(path)
    rows, summary = ingest(study, pacs)
    assert (n_images(rows), summary.failed) == (2, {})
    assert {row["n_slices"] for row in rows} == {N_SLICES}


def test_the_preamble_is_neither_run_nor_kept(study, pacs):
    for path in add(pacs, "polyglot", 2, description=T1):
        content = path.read_bytes()
        path.write_bytes(b"MZ" + b"SECRETPREAMBLE" * 9 + content[128:])
    rows, _ = ingest(study, pacs)
    assert n_images(rows) == 2
    assert all(b"PREAMBLE" not in path.read_bytes() for path in study.folder.rglob("*") if path.is_file())


def test_two_patients_or_two_studies_under_one_uid_are_mixed_up_and_refused(study, pacs):
    for name, seed, change in (("two", 2, {"PatientID": "OTHER"}), ("days", 3, {"StudyInstanceUID": "1.2.3"})):
        files = add(pacs, name, seed, description=T1)
        edit(files[4], **change)
    rows, _ = ingest(study, pacs)
    assert n_images(rows) == 1
    assert [reason.partition(":")[0] for reason in reasons(rows)] == ["MIXED", "MIXED"]


@pytest.mark.parametrize("value", ["nan\\0\\0", "1e999\\0\\0", "a\\b\\c", ""])
def test_slices_that_do_not_say_where_they_lie_are_a_reason(study, pacs, value):
    for path in add(pacs, "lost", 2, description=T1):
        content = path.read_bytes()
        at = content.index(b"\x20\x00\x32\x00DS")
        length = int.from_bytes(content[at + 6 : at + 8], "little")
        text = value.encode().ljust(length)[:length]
        path.write_bytes(content[: at + 8] + text + content[at + 8 + length :])
    rows, _ = ingest(study, pacs)
    assert (n_images(rows), len(reasons(rows))) == (1, 1)
    assert reasons(rows)[0].startswith("NO_GEOMETRY")


def test_a_conversion_that_hangs_or_dies_is_a_reason_and_the_others_go_on(study, pacs, monkeypatch, tmp_path):
    add(pacs, "second", 2, description=T1)
    hangs = tmp_path / "hangs"
    hangs.write_text("#!/bin/sh\nexec sleep 60\n")
    hangs.chmod(0o755)
    monkeypatch.setattr(conversion, "binary", lambda: str(hangs))
    monkeypatch.setattr(conversion, "_TIMEOUT_S", 0.2)
    rows, _ = ingest(study, pacs)
    assert [reason.partition(":")[0] for reason in reasons(rows)] == ["TIMEOUT", "TIMEOUT"]
    monkeypatch.undo()
    rows, summary = ingest(study, pacs)
    assert (n_images(rows), summary.failed) == (2, {})


def test_random_damage_never_stops_a_batch(study, pacs):
    rng = np.random.default_rng(0)
    for seed in range(2, 8):
        for path in add(pacs, f"damaged{seed}", seed, description=T1)[::3]:
            content = bytearray(path.read_bytes())
            for _ in range(8):
                content[rng.integers(132, 1500)] = rng.integers(256)
            path.write_bytes(content)
    rows, _ = ingest(study, pacs)
    assert n_images(rows) >= 1
    assert all(row["error"] or row["excluded_reason"] or row["bids_path"] for row in rows)
