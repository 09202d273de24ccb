"""Where DICOM files wait for their conversion: a private folder outside the study, gone when the work is.

What waits there has the patients' names in it. A folder that a killed process left is removed by the next one.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from qcbench.errors import ImageError
from qcbench.prepare import exports
from qcbench.prepare.stacks import File

_NAME = re.compile(r"qcbench-intake-(?P<user>\d+)-(?P<pid>\d+)-[0-9a-f]{8}")
_CHUNK_BYTES = 2**20


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder that its owner alone can read, in the system's temporary folder ($TMPDIR moves it)."""
    place = Path(tempfile.gettempdir())
    for path in place.glob("qcbench-intake-*"):
        found = _NAME.fullmatch(path.name)
        if found and int(found["user"]) == os.getuid() and not Path(f"/proc/{found['pid']}").exists():
            shutil.rmtree(path, ignore_errors=True)
    folder = place / f"qcbench-intake-{os.getuid()}-{os.getpid()}-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def listed(path: str) -> File:
    """Return a regular file as it is now."""
    status = os.lstat(path)
    return File(path=path, size=status.st_size, changed_ns=status.st_mtime_ns)


def extracted(export: Path, wanted: Collection[str], folder: Path) -> dict[str, File]:
    """Return the members `wanted` of an archive as files in `folder`, whose names are numbers; one pass.

    A member that cannot be read to its announced end is written as far as it goes, and found to be cut later.
    """
    files: dict[str, File] = {}
    for member in exports.members(export):
        if len(files) == len(wanted):
            break
        if member.name not in wanted or member.name in files:
            continue
        path = folder / f"{len(files):08d}.dcm"
        with path.open("xb") as file:
            # No more than announced: what an entry unpacks to may be made to fill the disk.
            left = member.size
            try:
                while left > 0 and (content := member.read(min(left, _CHUNK_BYTES))):
                    file.write(content)
                    left -= len(content)
            except ImageError:
                file.truncate(0)
        files[member.name] = listed(str(path))
    return files
