"""Files that are on the disk, whole, when the call returns.

A reader sees the old content or the new one, never a part: the bytes go to a temporary file in
the same folder, are flushed to the disk, renamed over the old name, and the folder is flushed.
Nothing here retries a failed flush on the same descriptor: the kernel marks the pages clean
after a failed fsync (Rebello et al., USENIX ATC 2020), so a retry would report a success that
is none.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from qcbench.errors import StudyError

#: Whoever changes a table holds its lock for seconds, also with 100,000 rows.
_LOCK_TIMEOUT_S = 120.0


def write_bytes(path: Path, content: bytes, *, mode: int = 0o640) -> None:
    """Write `content` to `path` durably and atomically; folders that are missing are made.

    Raises OSError (disk full, read-only, no permission); the old content then still stands.
    """
    path = Path(path)
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    flush_folder(path.parent)


def write_text(path: Path, content: str, *, mode: int = 0o640) -> None:
    """Write text as UTF-8, durably and atomically."""
    write_bytes(path, content.encode(), mode=mode)


def make_folder(folder: Path, *, mode: int = 0o2750) -> None:
    """Make a folder and its missing parents, each flushed into its own parent.

    The group can read and new files inherit it; others see nothing.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process was faster
            new.mkdir(mode=mode)
            new.chmod(mode)  # mkdir leaves out the bit that lets new files inherit the group
        flush_folder(new.parent)


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, *, timeout_s: float = _LOCK_TIMEOUT_S) -> Iterator[None]:
    """Hold the lock of a file while it is read, changed and written again, against other processes and threads.

    The lock is the operating system's, on an empty hidden file beside it: it ends with its holder, and holds on NFS
    where locks are served. Raises StudyError when somebody else keeps it for longer than `timeout_s`.
    """
    # Not at the top: a labelling kernel appends to logs of its own and locks nothing.
    from filelock import FileLock, Timeout

    path = Path(path)
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=timeout_s, mode=0o660)
    make_folder(path.parent)
    try:
        lock.acquire()
    except Timeout as error:
        raise StudyError(
            f"{path} has been locked by another process for more than {timeout_s:.0f} s; see what runs on this study "
            f"(fuser {lock.lock_file}), and run this again when it has ended"
        ) from error
    try:
        yield
    finally:
        lock.release()
