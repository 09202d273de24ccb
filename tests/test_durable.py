import os
import stat
import subprocess
import sys

import pytest

from qcbench import durable
from qcbench.errors import StudyError


def test_a_file_holds_what_was_written_and_missing_folders_are_made(tmp_path):
    durable.write_bytes(tmp_path / "a" / "b" / "file", b"content")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"content"


def test_a_failed_write_leaves_the_old_content_and_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    durable.write_bytes(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        durable.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_the_file_is_flushed_before_it_is_renamed_and_the_folder_after(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, type(tmp_path).replace

    def watched_fsync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        calls.append(f"flush {kind}")
        fsync(descriptor)

    def watched_replace(self, target):
        calls.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(type(tmp_path), "replace", watched_replace)
    durable.write_bytes(tmp_path / "file", b"content")
    assert calls == ["flush file", "rename", "flush folder"]


def test_others_can_read_neither_files_nor_folders(tmp_path):
    durable.write_bytes(tmp_path / "new" / "file", b"content")
    assert (tmp_path / "new" / "file").stat().st_mode & 0o007 == 0
    assert (tmp_path / "new").stat().st_mode & 0o007 == 0


def test_a_lock_is_waited_for_no_longer_than_asked_and_the_message_names_the_file(tmp_path):
    path = tmp_path / "table.parquet"
    with (
        durable.locked(path),
        pytest.raises(StudyError, match=r"table\.parquet has been locked"),
        durable.locked(path, timeout_s=0.1),
    ):
        pass
    with durable.locked(path, timeout_s=0.1):
        path.write_bytes(b"free again")


def test_a_lock_ends_with_the_process_that_held_it(tmp_path):
    path = tmp_path / "table.parquet"
    holder = (
        "import sys, time; from qcbench import durable\n"
        "with durable.locked(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", holder, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StudyError), durable.locked(path, timeout_s=0.1):
            pass
        process.kill()
    with durable.locked(path, timeout_s=5):
        pass
