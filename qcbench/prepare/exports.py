"""The files inside a ZIP or tar export, read in place: nothing is extracted and no member's name becomes a path."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from qcbench.errors import ImageError, UsageError

_DAMAGE = (EOFError, OSError, LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error)
_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")


@dataclass(frozen=True, kw_only=True)
class Member:
    """One entry of an export; `read` returns its next bytes, or raises ImageError saying why it cannot be read."""

    name: str
    size: int
    read: Callable[[int], bytes]


def is_export(path: str | Path) -> bool:
    """Return whether a file's name is that of an export.

    >>> is_export("PACS/2019.TAR.XZ"), is_export("IM0001.dcm")
    (True, False)
    """
    return str(path).lower().endswith(_SUFFIXES)


def members(path: Path) -> Iterator[Member]:
    """Yield the entries of a ZIP or tar file that are no folders; each is to be read before the next is asked for.

    Entries that are links or devices, are encrypted, or whose name leads out of the archive refuse to be read.
    Raises UsageError when the export is damaged.
    """
    try:
        yield from _zipped(path) if path.name.lower().endswith(".zip") else _taped(path)
    except _DAMAGE as error:
        raise UsageError(
            f"{path} cannot be read to its end as an archive ({type(error).__name__}). "
            "Fetch it again, or unpack what is left of it and give the folder."
        ) from error


def _zipped(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            mode = entry.external_attr >> 16
            regular = stat.S_IFMT(mode) in (0, stat.S_IFREG)
            if entry.is_dir():
                continue
            reason = _refusal(entry.filename, regular)
            if reason is None and entry.flag_bits & 1:
                reason = ImageError("UNREADABLE", "an encrypted entry of an archive")
            if reason is not None:
                yield Member(name=entry.filename, size=entry.file_size, read=_refusing(reason))
                continue
            try:
                content = archive.open(entry)
            except (NotImplementedError, zipfile.BadZipFile):
                reason = ImageError("UNREADABLE", "a damaged entry of an archive")
                yield Member(name=entry.filename, size=entry.file_size, read=_refusing(reason))
                continue
            with content:
                yield Member(name=entry.filename, size=entry.file_size, read=_careful(content.read))


def _taped(path: Path) -> Iterator[Member]:
    # As a stream: a compressed tape is read once, from its beginning to its end.
    with tarfile.open(path, mode="r|*") as archive:
        for entry in archive:
            archive.members = []  # or it would remember every entry it has passed
            if entry.isdir():
                continue
            reason = _refusal(entry.name, entry.isreg())
            content = archive.extractfile(entry) if reason is None else None
            read = _refusing(reason) if content is None else _careful(content.read)
            yield Member(name=entry.name, size=entry.size, read=read)


def _refusal(name: str, regular: bool) -> ImageError | None:
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or "\0" in name:
        return ImageError("BAD_NAME", "an entry whose name leads out of its archive")
    if not regular:
        return ImageError("NOT_REGULAR", "no regular file (a link, a pipe, a device)")
    return None


def _refusing(reason: ImageError) -> Callable[[int], bytes]:
    def read(length: int) -> bytes:
        raise reason

    return read


def _careful(read: Callable[[int], bytes]) -> Callable[[int], bytes]:
    def careful(length: int) -> bytes:
        try:
            return read(length)
        except _DAMAGE:
            raise ImageError("UNREADABLE", "a damaged entry of an archive") from None

    return careful
