import re
import tempfile
import time
from pathlib import Path

import pytest

from qcbench import durable
from qcbench.annotate import disk
from qcbench.annotate.disk import Mount

MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
tmpfs /dev/shm tmpfs rw 0 0
server:/export /data nfs4 rw,hard 0 0
/dev/sdb1 /data/my\\040study xfs rw 0 0
/dev/sdc1 /data/old ext4 rw 0 0
overlay /data/old overlay rw,lowerdir=/x 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/study", "ext4"),
        ("/data", "nfs4"),
        ("/database/study", "ext4"),
        ("/data/my study/labels", "xfs"),
        ("/data/old/study", "overlay"),
    ],
)
def test_a_folder_lies_on_the_deepest_and_latest_mount_above_it(folder, kind):
    assert disk.mount_of(Path(folder), MOUNTS).kind == kind


@pytest.mark.parametrize(
    ("kind", "options", "state", "words"),
    [
        ("ext4", "rw", "ok", "a local disk"),
        ("tmpfs", "rw", "problem", "every label is gone after a restart"),
        ("overlay", "rw", "warning", "the layer of a container"),
        ("nfs4", "rw", "warning", "a network disk"),
        ("fuse.sshfs", "rw", "warning", "a network disk"),
        ("ext4", "ro", "problem", "read-only"),
        ("ext4", "barrier=0", "warning", "without write barriers"),
    ],
)
def test_what_a_filesystem_is_good_for(kind, options, state, words):
    found = disk.filesystem(Mount("device", "/data", kind, ("relatime", options)))
    assert found.state == state
    assert words in found.found
    assert kind in found.found
    assert bool(found.next_step) == (state != "ok")


def test_a_folder_in_memory_is_known_as_such():
    mounts = Path("/proc/mounts").read_text()
    assert disk.filesystem(disk.mount_of(Path("/dev/shm"), mounts)).state == "problem"


@pytest.mark.parametrize(
    ("free_bytes", "state", "words"),
    [
        (2**30, "ok", "1.0 GB"),
        (2**30 - 1, "warning", "1024 MB"),
        (50 * 2**20, "warning", "50 MB"),
        (1, "problem", "0 MB"),
    ],
)
def test_free_space_has_two_bounds(free_bytes, state, words):
    found = disk.free_space(free_bytes)
    assert (found.state, found.found.startswith(words)) == (state, True)


@pytest.mark.parametrize(
    ("seconds", "state"), [([0.05, 0.05, 9.0], "ok"), ([0.01, 0.06, 0.07], "warning"), ([1.1, 1.1, 0.1], "problem")]
)
def test_the_median_flush_decides_and_the_slowest_is_told(seconds, state):
    found = disk.flush(seconds)
    assert found.state == state
    assert f"slowest {max(seconds) * 1000:.1f} ms" in found.found


def test_a_disk_that_works_is_flushed_renamed_and_left_as_it_was(tmp_path):
    (tmp_path / "a label").write_text("kept")
    flush, rename = disk.writing(tmp_path)
    assert re.match(r"20 writes of 32 kB, each flushed: median [\d.]+ ms, slowest [\d.]+ ms", flush.found)
    assert rename.state == "ok"
    assert int(re.search(r"each of (\d+) readings", rename.found).group(1)) > 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["a label"]


def test_a_rename_that_is_no_single_step_is_found_out(tmp_path, monkeypatch):
    def copied(self, target):
        target.write_bytes(b"")
        time.sleep(0.01)
        target.write_bytes(self.read_bytes())

    monkeypatch.setattr(disk, "_RENAMES", 5)
    monkeypatch.setattr(durable, "write_bytes", lambda path, content: path.write_bytes(content))
    monkeypatch.setattr(type(tmp_path), "replace", copied)
    rename = disk.writing(tmp_path)[-1]
    assert (rename.name, rename.state) == ("rename", "problem")
    assert "in parts" in rename.found


def test_an_account_that_may_not_write_is_told_so(as_account):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (found,) = as_account(40_001, 40_001, lambda: disk.writing(Path(folder)))
    assert found.state == "problem"
    assert f"nothing can be written in {folder}: Permission denied" in found.found


def test_a_full_disk_is_a_problem_and_no_crash(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "write_bytes", full)
    (found,) = disk.writing(tmp_path)
    assert (found.state, "No space left on device" in found.found) == ("problem", True)
    assert list(tmp_path.iterdir()) == []


def test_the_clock_of_a_local_disk_is_that_of_the_machine(tmp_path):
    assert abs(disk.clock_skew_s(tmp_path)) < 1
    assert list(tmp_path.iterdir()) == []
