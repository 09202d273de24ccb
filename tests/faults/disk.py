"""A disk that is too small, for whoever may mount one."""

import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder, *, size_kb=100):
    """Mount a disk of some kilobytes at a folder; skip the test where that is not allowed."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k,mode=2750", "qcbench-test", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs the command mount")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here (only root may): {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder, *, free_kb):
    """Fill a small disk but for some kilobytes; return the file that takes the room."""
    ballast = Path(folder) / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            file.truncate(max(file.tell() - 1024 * free_kb, 0))
    return ballast
