import os
import subprocess
import tempfile
import zipfile

import pytest

from qcbench.prepare import staging


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The temporary folder of the system, for these tests."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_is_private_and_gone_afterwards(place):
    with staging.scratch() as folder:
        assert (folder.stat().st_mode & 0o777, folder.parent) == (0o700, place)
    assert os.listdir(place) == []


def test_it_is_gone_after_an_error(place):
    with pytest.raises(ValueError, match="x"), staging.scratch() as folder:
        (folder / "IM1").touch()
        raise ValueError("x")
    assert os.listdir(place) == []


def test_what_a_killed_process_left_is_removed_and_what_lives_stays(place):
    process = subprocess.Popen(["true"])
    process.wait()
    left = place / f"qcbench-intake-{os.getuid()}-{process.pid}-0123abcd"
    living = place / f"qcbench-intake-{os.getuid()}-{os.getpid()}-0123abcd"
    other = place / "qcbench-intake-notes"
    for folder in (left, living, other):
        folder.mkdir()
        (folder / "file").touch()
    with staging.scratch():
        pass
    assert sorted(os.listdir(place)) == sorted([living.name, other.name])


def test_members_are_unpacked_under_numbers_and_no_further_than_announced(place):
    with zipfile.ZipFile(place / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/IM1", "../IM2", "IM3"):
            archive.writestr(name, name * 100)
    (place / "here").mkdir()
    files = staging.extracted(place / "export.zip", {"a/IM1", "../IM2"}, place / "here")
    assert {name: (file.path, file.size) for name, file in files.items()} == {
        "a/IM1": (f"{place}/here/00000000.dcm", 500),
        "../IM2": (f"{place}/here/00000001.dcm", 0),
    }
    assert sorted(os.listdir(place)) == ["export.zip", "here"]
