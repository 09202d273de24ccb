import json
import os
import shutil
import tarfile
import tracemalloc
import zipfile
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from qcbench.errors import UsageError
from qcbench.images import Volume
from qcbench.prepare import scan as room
from qcbench.prepare.dicom_series import write_series
from qcbench.prepare.invented import SCANNERS, Description, draw_patient
from qcbench.prepare.scan import scan

MPRAGE = Description(study="IRM cérébrale", series="T1 MPRAGE SAG", protocol="p", body_part="BRAIN")
SECONDARY_CAPTURE, REPORT = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.88.11"


def write(folder, *, n_slices=3, seed=1, scanner=SCANNERS[0], description=MPRAGE, **arguments):
    volume = Volume(data=np.full((6, 8, n_slices), 100, np.float32), affine=np.eye(4))
    patient = draw_patient(seed)
    return write_series(
        folder, volume, scanner=scanner, description=description, patient=patient, seed=seed, **arguments
    )


def quiet(source, **arguments):
    return scan(source, show_progress=False, **arguments)


def codes(found):
    counted = {}
    for reason, n in found.skipped.items():
        code = reason.partition(":")[0]
        counted[code] = counted.get(code, 0) + n
    return counted


@pytest.mark.parametrize("scanner", SCANNERS, ids=lambda scanner: scanner.model)
def test_a_series_of_any_scanner_is_one_row(tmp_path, scanner):
    files = write(tmp_path, scanner=scanner)
    found = quiet(tmp_path)
    assert found.series == [
        {
            "modality": "MR",
            "manufacturer": scanner.manufacturer,
            "study_description": "IRM cérébrale",
            "series_description": "T1 MPRAGE SAG",
            "model_name": scanner.model,
            "body_part": "BRAIN",
            "field_strength_t": round(scanner.field_strength_t, 1),
            "series_uid": str(pydicom.dcmread(files[0]).SeriesInstanceUID),
            "rows": 8,
            "columns": 6,
            "n_files": 3,
            "n_frames": 3,
            "sample_path": str(min(files)),
        }
    ]
    assert (found.n_files, found.n_read, found.skipped.total()) == (3, 3, 0)


def test_a_series_may_lie_in_several_folders_and_a_folder_hold_several(tmp_path):
    first = write(tmp_path / "a", seed=1)
    write(tmp_path / "a", seed=2, n_slices=5)
    (tmp_path / "b").mkdir()
    first[0].rename(tmp_path / "b" / "moved")
    assert sorted(row["n_files"] for row in quiet(tmp_path).series) == [3, 5]


def test_two_descriptions_under_one_uid_are_two_rows(tmp_path):
    files = write(tmp_path)
    edit(files[0], SeriesDescription="T1 other")
    rows = quiet(tmp_path).series
    assert {row["series_description"]: row["n_files"] for row in rows} == {"T1 MPRAGE SAG": 2, "T1 other": 1}
    assert len({row["series_uid"] for row in rows}) == 1


def edit(path, **elements):
    dataset = pydicom.dcmread(path)
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_encoding_of_the_header_is_read(tmp_path, syntax):
    source = pydicom.dcmread(write(tmp_path / "as_written")[0])
    expected = quiet(tmp_path / "as_written").series[0]
    source.decode()
    source.file_meta.TransferSyntaxUID = syntax
    (tmp_path / "other").mkdir()
    order = {"implicit_vr": syntax == ImplicitVRLittleEndian, "little_endian": syntax != ExplicitVRBigEndian}
    pydicom.dcmwrite(tmp_path / "other" / "one", source, force_encoding=True, **order)
    (row,) = quiet(tmp_path / "other").series
    unlike = {"n_files", "n_frames", "sample_path"}
    assert {key: row[key] for key in row if key not in unlike} == {
        key: expected[key] for key in expected if key not in unlike
    }


def test_frames_of_a_multi_frame_file_are_counted(tmp_path):
    edit(write(tmp_path, n_slices=1)[0], NumberOfFrames=160)
    (row,) = quiet(tmp_path).series
    assert (row["n_files"], row["n_frames"]) == (1, 160)


def test_a_file_without_preamble_is_read(tmp_path):
    (path,) = write(tmp_path, n_slices=1)
    path.write_bytes(path.read_bytes()[132:])
    assert len(quiet(tmp_path).series) == 1


def test_a_utf8_header_is_read_and_control_characters_become_spaces(tmp_path):
    description = Description(study="脳 MRI", series="T1\x1b[2J  3D", protocol="p", body_part="BRAIN")
    write(tmp_path, description=description, character_set="ISO_IR 192")
    (row,) = quiet(tmp_path).series
    assert (row["study_description"], row["series_description"]) == ("脳 MRI", "T1 [2J 3D")


def test_what_is_no_mr_image_is_counted_by_reason(tmp_path):
    write(tmp_path / "series")
    folder = tmp_path / "other"
    folder.mkdir()
    for name, sop_class in (("capture", SECONDARY_CAPTURE), ("report", REPORT)):
        (path,) = write(folder / name, n_slices=1)
        edit(path, SOPClassUID=sop_class)
    (path,) = write(folder / "no_uid", n_slices=1)
    edit(path, SeriesInstanceUID=None)
    (path,) = write(folder / "cut", n_slices=1)
    path.write_bytes(path.read_bytes()[:700])
    (folder / "notes.txt").write_text("no DICOM")
    (folder / "empty").touch()
    (folder / "inner.zip").touch()
    os.mkfifo(folder / "pipe")
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    write(outside, seed=9)
    (folder / "link").symlink_to(outside)
    (folder / "link_to_file").symlink_to(next(outside.iterdir()))
    found = quiet(tmp_path)
    assert [row["n_files"] for row in found.series] == [3]
    assert codes(found) == {
        "NOT_MR": 2,
        "NO_SERIES": 1,
        "TRUNCATED": 1,
        "NOT_DICOM": 2,
        "EXPORT": 1,
        "NOT_REGULAR": 1,
        "LINK": 2,
    }
    assert found.n_files == 13


def test_a_list_of_files_is_no_image(tmp_path):
    (path,) = write(tmp_path, n_slices=1)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.1.3.10"
    dataset.save_as(path)
    assert codes(quiet(tmp_path)) == {"DICOMDIR": 1}


def test_absurd_nesting_is_a_reason(tmp_path):
    (path,) = write(tmp_path, n_slices=1)
    content = path.read_bytes()
    at = content.index(b"\x08\x00\x60\x00CS")  # before Modality
    sequence = b"\x08\x00\x51\x00SQ\0\0"
    deep = (sequence + b"\xff" * 4 + b"\xfe\xff\x00\xe0" + b"\xff" * 4) * 10_000
    path.write_bytes(content[:at] + deep + content[at:])
    assert codes(quiet(tmp_path)) == {"NESTED": 1}


def test_a_deflated_bomb_is_not_blown_up(tmp_path):
    (path,) = write(tmp_path, n_slices=1)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    start = 132 + 12 + int.from_bytes(content[140:144], "little")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    huge = b"\x08\x00\x16\x00UI\x00\x00" + b"\x09\x00\x01\x10OB\x00\x00" + (1 << 28).to_bytes(4, "little")
    bomb = squeeze.compress(huge) + squeeze.compress(bytes(1 << 28)) + squeeze.flush()
    path.write_bytes(content[:start] + bomb)
    tracemalloc.start()
    try:
        assert codes(quiet(tmp_path)) == {"TRUNCATED": 1}
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_sequences_and_private_elements_before_the_picture_are_passed_over(tmp_path):
    (path,) = write(tmp_path, n_slices=1)
    item = Dataset()
    item.CodeMeaning = "x"
    dataset = pydicom.dcmread(path)
    dataset.ProcedureCodeSequence = Sequence([item])
    dataset["ProcedureCodeSequence"].is_undefined_length = True
    dataset.private_block(0x0009, "MAKER", create=True).add_new(1, "OB", b"\0" * 100_000)
    dataset.save_as(path)
    assert [row["series_description"] for row in quiet(tmp_path).series] == ["T1 MPRAGE SAG"]


def test_a_sequence_of_many_items_before_the_picture_is_passed_over(tmp_path):
    (path,) = write(tmp_path, n_slices=1)
    dataset = pydicom.dcmread(path)
    items = [Dataset() for _ in range(2_000)]
    for item in items:
        item.CodeMeaning = "of several kilobytes in all"
        item.is_undefined_length_sequence_item = True
    dataset.ProcedureCodeSequence = Sequence(items)
    dataset["ProcedureCodeSequence"].is_undefined_length = True
    dataset.save_as(path)
    assert [row["rows"] for row in quiet(tmp_path).series] == [8]
    path.write_bytes(path.read_bytes()[:60_000])
    assert codes(quiet(tmp_path)) == {"DAMAGED": 1}


def test_damaged_headers_never_stop_a_scan(tmp_path):
    (path,) = write(tmp_path / "whole", n_slices=1)
    content = path.read_bytes()[:1600]
    rng = np.random.default_rng(0)
    (tmp_path / "damaged").mkdir()
    for number in range(400):
        damaged = bytearray(content)
        for _ in range(rng.integers(1, 12)):
            damaged[rng.integers(132, len(damaged))] = rng.integers(256)
        (tmp_path / "damaged" / f"{number:03d}").write_bytes(damaged)
    found = quiet(tmp_path / "damaged")
    assert sum(row["n_files"] for row in found.series) + found.skipped.total() == 400
    assert "UNREADABLE" not in codes(found)


def test_a_second_scan_reads_new_and_changed_files_alone(tmp_path):
    files = write(tmp_path / "tree", seed=1)
    cache = tmp_path / "scan.jsonl"
    quiet(tmp_path / "tree", cache=cache)
    assert quiet(tmp_path / "tree", cache=cache).n_read == 0
    write(tmp_path / "tree", seed=2, n_slices=4)
    edit(files[1], SeriesDescription="changed since then")
    files[2].unlink()
    found = quiet(tmp_path / "tree", cache=cache)
    assert found.n_read == 5
    assert found.series == quiet(tmp_path / "tree").series
    assert (cache.stat().st_mode & 0o777) == 0o600


def test_a_scan_that_was_killed_goes_on_and_finds_the_same(tmp_path, monkeypatch):
    for seed in range(6):
        write(tmp_path / "tree", seed=seed)
    monkeypatch.setattr(room, "_BATCH_FILES", 4)
    cache = tmp_path / "scan.jsonl"
    expected = quiet(tmp_path / "tree", cache=cache)
    lines = cache.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6
    cache.write_bytes(b"".join(lines[:3]) + lines[3][: len(lines[3]) // 2])
    resumed = quiet(tmp_path / "tree", cache=cache)
    assert resumed.series == expected.series
    assert resumed.n_read == 18 - 2 * 4
    assert quiet(tmp_path / "tree", cache=cache).n_read == 0


def replace_text(path, old, new):
    """Change a file behind its size."""
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def test_a_changed_file_of_the_same_size_is_read_again(tmp_path):
    (path,) = write(tmp_path / "tree", n_slices=1)
    cache = tmp_path / "scan.jsonl"
    quiet(tmp_path / "tree", cache=cache)
    replace_text(path, b"MPRAGE SAG", b"MPRAGE COR")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert quiet(tmp_path / "tree", cache=cache).series[0]["series_description"] == "T1 MPRAGE COR"


def test_a_cache_of_another_source_is_not_used(tmp_path):
    (path,) = write(tmp_path / "a", n_slices=1)
    cache = tmp_path / "scan.jsonl"
    quiet(tmp_path / "a", cache=cache)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    replace_text(tmp_path / "b" / path.name, b"MPRAGE SAG", b"MPRAGE COR")
    shutil.copystat(path, tmp_path / "b" / path.name)
    assert quiet(tmp_path / "b", cache=cache).series[0]["series_description"] == "T1 MPRAGE COR"


@pytest.mark.parametrize("line", ["null", "[1]", '{"headers": [], "files": [["a", 1, 2, 0]]}', '{"headers": 3}', "{"])
def test_a_line_of_the_cache_that_makes_no_sense_is_passed_over(tmp_path, line):
    write(tmp_path / "a")
    cache = tmp_path / "scan.jsonl"
    quiet(tmp_path / "a", cache=cache)
    first, *_ = cache.read_text().splitlines()
    cache.write_text(f"{first}\n{line}\n")
    assert quiet(tmp_path / "a", cache=cache).n_read == 3


def test_a_file_that_could_not_be_opened_is_tried_again(tmp_path, monkeypatch):
    write(tmp_path / "a")
    cache = tmp_path / "scan.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(room.os, "open", refusing(room.os.open))
        assert codes(quiet(tmp_path / "a", cache=cache)) == {"UNREADABLE": 3}
    assert len(quiet(tmp_path / "a", cache=cache).series) == 1


def refusing(opened):
    def refuse(path, flags, mode=0o777, **more):
        if str(path).endswith(".dcm"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, flags, mode, **more)

    return refuse


def test_a_batch_that_fails_is_read_file_by_file(tmp_path, monkeypatch):
    write(tmp_path)
    monkeypatch.setattr(room.parallel, "map_rows", failing_once(room.parallel.map_rows))
    assert [row["n_files"] for row in quiet(tmp_path).series] == [3]


def failing_once(map_rows):
    calls = []

    def mapped(worker, rows, executor, *, key):
        calls.append(1)
        if len(calls) == 1:
            return ({key: row[key], "error": "the worker process died"} for row in rows)
        return map_rows(worker, rows, executor, key=key)

    return mapped


def test_processes_find_what_one_finds(tmp_path, monkeypatch):
    for seed in range(3):
        write(tmp_path, seed=seed)
    alone = quiet(tmp_path)
    monkeypatch.setattr(room, "_MANY_FILES", 1)
    monkeypatch.setattr(room, "_BATCH_FILES", 2)
    assert quiet(tmp_path, workers=2).series == alone.series


def packed(folder, target):
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, f"export/{path.name}")
    else:
        with tarfile.open(target, f"w:{target.suffix[1:]}" if target.suffix != ".tar" else "w") as archive:
            archive.add(folder, "export")
    return target


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz"])
def test_an_export_holds_what_its_folder_holds(tmp_path, suffix):
    write(tmp_path / "tree", seed=1)
    write(tmp_path / "tree", seed=2, n_slices=5)
    before = sorted(os.listdir(tmp_path))
    export = packed(tmp_path / "tree", tmp_path / f"export{suffix}")
    cache = tmp_path / "scan.jsonl"
    found = quiet(export, cache=cache)
    expected = quiet(tmp_path / "tree").series
    assert [row | {"sample_path": None} for row in found.series] == [row | {"sample_path": None} for row in expected]
    assert found.series[0]["sample_path"].startswith(f"{export}/export/")
    assert quiet(export, cache=cache).n_read == 0
    assert sorted(os.listdir(tmp_path)) == sorted([*before, export.name, cache.name])


def test_members_that_lead_out_of_an_archive_are_refused(tmp_path):
    (path,) = write(tmp_path / "tree", n_slices=1)
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        for name in ("../../evil.dcm", "/etc/evil.dcm", r"..\evil.dcm", "good.dcm"):
            archive.writestr(name, path.read_bytes())
    found = quiet(tmp_path / "slip.zip")
    assert (codes(found), [row["n_files"] for row in found.series]) == ({"BAD_NAME": 3}, [1])
    with tarfile.open(tmp_path / "slip.tar", "w") as archive:
        archive.add(path, "../evil.dcm")
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        pipe = tarfile.TarInfo("pipe")
        pipe.type = tarfile.FIFOTYPE
        archive.addfile(pipe)
        archive.add(path, "twice.dcm")
        archive.add(path, "twice.dcm")
    found = quiet(tmp_path / "slip.tar")
    assert codes(found) == {"BAD_NAME": 2, "NOT_REGULAR": 2}
    assert [row["n_files"] for row in found.series] == [1]


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.xz"])
def test_a_damaged_export_is_bad_use(tmp_path, suffix):
    write(tmp_path / "tree", n_slices=9)
    export = packed(tmp_path / "tree", tmp_path / f"export{suffix}")
    export.write_bytes(export.read_bytes()[: export.stat().st_size // 2])
    with pytest.raises(UsageError, match="as an archive"):
        quiet(export)


def test_a_damaged_or_encrypted_entry_of_a_zip_is_a_reason(tmp_path):
    write(tmp_path / "tree")
    export = packed(tmp_path / "tree", tmp_path / "export.zip")
    content = bytearray(export.read_bytes())
    with zipfile.ZipFile(export) as archive:
        first = archive.infolist()[0]
    body = first.header_offset + 30 + len(first.filename)
    content[body : body + 40] = b"\xff" * 40
    export.write_bytes(content)
    found = quiet(export)
    assert (codes(found), [row["n_files"] for row in found.series]) == ({"UNREADABLE": 1}, [2])


def test_nothing_is_written_into_the_source(tmp_path):
    write(tmp_path)
    with pytest.raises(UsageError, match="nothing is written"):
        quiet(tmp_path, cache=tmp_path / "sub" / "scan.jsonl")


@pytest.mark.parametrize("name", ["missing", "one.dcm"])
def test_a_source_is_a_folder_or_an_export(tmp_path, name):
    (tmp_path / "one.dcm").touch()
    with pytest.raises(UsageError, match="no folder and no export"):
        quiet(tmp_path / name)


def test_names_of_any_bytes_survive_the_cache(tmp_path):
    (path,) = write(tmp_path / "tree", n_slices=1)
    os.rename(path, os.fsencode(path.parent) + b"/na\xefve \n.dcm")
    cache = tmp_path / "scan.jsonl"
    rows = quiet(tmp_path / "tree", cache=cache).series
    assert os.path.exists(rows[0]["sample_path"])
    again = quiet(tmp_path / "tree", cache=cache)
    assert (again.series, again.n_read) == (rows, 0)
    assert all(json.loads(line) for line in cache.read_text().splitlines())


def listed(source, cache, **wanted):
    found = quiet(source, cache=cache)
    keys = {room.key(row) for row in found.series if all(row[name] == value for name, value in wanted.items())}
    return {key: [name for name, *_ in files] for key, files in room.files(source, cache, keys).items()}


def test_the_files_of_a_series_are_listed_and_no_others(tmp_path):
    first = write(tmp_path / "tree" / "a", seed=1)
    other = Description(study="s", series="T2", protocol="p", body_part="BRAIN")
    write(tmp_path / "tree" / "b", seed=2, description=other)
    found = listed(tmp_path / "tree", tmp_path / "scan.jsonl", series_description="T1 MPRAGE SAG")
    assert list(found.values()) == [sorted(f"a/{path.name}" for path in first)]


def test_files_that_have_gone_or_changed_since_are_not_listed(tmp_path):
    files = write(tmp_path / "tree")
    cache = tmp_path / "scan.jsonl"
    quiet(tmp_path / "tree", cache=cache)
    edit(files[0], SeriesDescription="another series")
    (old,) = {room.key(row) for row in quiet(tmp_path / "tree").series if row["n_files"] == 2}
    files[1].unlink()
    assert [name for name, *_ in room.files(tmp_path / "tree", cache, {old})[old]] == [files[2].name]
    (new,) = (names for names in listed(tmp_path / "tree", cache, series_description="another series").values())
    assert new == [files[0].name]


def test_the_members_of_a_series_are_listed(tmp_path):
    write(tmp_path / "tree", seed=1)
    export = packed(tmp_path / "tree", tmp_path / "export.tar.gz")
    (names,) = listed(export, tmp_path / "scan.jsonl").values()
    assert len(names) == 3
    assert all(name.startswith("export/") for name in names)
