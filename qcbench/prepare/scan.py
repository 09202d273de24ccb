"""From a tree of DICOM files, or an export of one, to one row a series: headers only, in parallel, to be gone on with.

The source is only read, and only its regular files are opened. What was read is kept in a file of JSON lines, so
that a second scan opens new files alone. Rows hold free text of hospitals, in which a name may stand: neither rows
nor paths belong in a log.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from qcbench import durable, parallel
from qcbench.errors import ImageError, UsageError
from qcbench.prepare import dicom_header, exports

#: A batch keeps a process busy for some 50 ms: sending it costs little, and a stopped scan loses little.
_BATCH_FILES = 256
#: From so many new files on, starting processes pays: one process reads some 5,000 a second from a local disk.
_MANY_FILES = 5_000
#: Changes when a line of the cache means something else; older caches are then read anew.
_CACHE_FORM = 1
#: What a first look at a file tells, and by which it is known again.
Stamp = tuple[int, int]
#: What makes a series: the values of KEY_COLUMNS.
Key = tuple
KEY_COLUMNS = tuple(column for column in dicom_header.COLUMNS if column != "n_frames")
#: A reason that may pass: such files are opened again next time.
_TRIED_AGAIN = "UNREADABLE"
_KILLED = f"{_TRIED_AGAIN}: reading it failed, or killed its process"
_LINK = "LINK: a link, which is not followed"
_NOT_REGULAR = "NOT_REGULAR: no regular file (a pipe, a device)"
_INNER_EXPORT = "EXPORT: an archive inside the folder; scan it by itself"
_SAME_NAME = "BAD_NAME: an entry with the name of another one of its archive"


@dataclass(kw_only=True)
class Scan:
    """What a scan found: `series` are rows with the columns of `dicom_header.COLUMNS`, n_files and sample_path.

    `skipped` counts the files that are no part of a series by reason; `n_read` are those opened this time.
    """

    series: list[dict] = field(default_factory=list)
    skipped: Counter = field(default_factory=Counter)
    n_files: int = 0
    n_read: int = 0


def scan(source: str | Path, *, cache: Path | None = None, workers: int = 1, show_progress: bool = True) -> Scan:
    """Return the MR series of a folder, a ZIP or a tar file.

    Files of one SeriesInstanceUID whose descriptions, scanner or picture size differ are series of their own.
    With `cache`, a file outside the source, what was read is kept there as it comes, readable by its owner alone.
    Raises UsageError when there is no such source, or an archive is damaged.
    """
    source = Path(source).resolve()
    if cache is not None and cache.resolve().is_relative_to(source):
        raise UsageError(f"{cache} lies inside the source, where nothing is written; choose a place outside {source}")
    found, stamps, known = Scan(), {}, _Cache(cache, source)
    if source.is_dir():
        _list(source, stamps, found.skipped)
        outcomes = _read(
            source, [path for path in stamps if known.lacks(path, stamps[path])], stamps, workers, show_progress
        )
    elif source.is_file() and exports.is_export(source):
        outcomes = _read_export(source, known, stamps, found.skipped)
    else:
        raise UsageError(f"{source} is no folder and no export (*.zip, *.tar, *.tar.gz, *.tar.xz); give one of them")
    for outcome in outcomes:
        found.n_read += len(outcome["files"])
        known.add(outcome)
    found.n_files = len(stamps) + found.skipped.total()
    found.skipped.update(reason for path in stamps if (reason := known.reason(path)))
    found.series = known.series(stamps, source)
    return found


def key(series: Mapping) -> Key:
    """Return what a series is known by, from its row in a Scan."""
    return tuple(series[column] for column in KEY_COLUMNS)


def files(source: str | Path, cache: Path, wanted: Collection[Key]) -> dict[Key, list[tuple[str, int, int]]]:
    """Return the files of the series `wanted` as (path inside the source, size, time of last change), by path.

    From the cache of a scan that has just ended, in one pass: memory holds the files asked for and no others. Files
    of a folder that have gone or changed since are left out.
    """
    source = Path(source).resolve()
    named: dict[str, tuple[Key, int, int]] = {}
    with cache.open(encoding="ascii", errors="replace") as lines:
        next(lines)
        for line in lines:
            with contextlib.suppress(LookupError, TypeError, ValueError):
                _pick(json.loads(line), wanted, named)
    changed_ns = None if source.is_dir() else source.stat().st_mtime_ns
    found: dict[Key, list[tuple[str, int, int]]] = {}
    for path, (series, *stamp) in sorted(named.items()):
        if tuple(stamp) == (_stamp(f"{source}/{path}") if changed_ns is None else (stamp[0], changed_ns)):
            found.setdefault(series, []).append((path, *stamp))
    return found


def _pick(outcome: dict, wanted: Collection[Key], named: dict[str, tuple[Key, int, int]]) -> None:
    """Add the files of a batch that belong to a series wanted; what a later batch says of a file counts."""
    keys = [key(header) for header in outcome["headers"]]
    for path, size, changed_ns, number in outcome["files"]:
        named.pop(path, None)
        if isinstance(number, int) and keys[number] in wanted:
            named[path] = (keys[number], size, changed_ns)


def _stamp(path: str) -> Stamp | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def read_batch(row: dict) -> dict:
    """Return what the files of a batch hold: the distinct `headers`, and for each file a number of one or a reason.

    `row` has the folder `source` and `files`, a list of relative path, size and time of last change.
    """
    distinct: dict[dicom_header.Raw, int] = {}
    with silence():
        files = [[*stamped, _look(f"{row['source']}/{stamped[0]}", distinct)] for stamped in row["files"]]
        return {"headers": [dicom_header.decoded(raw) for raw in distinct], "files": files}


def _look(path: str, distinct: dict[dicom_header.Raw, int]) -> int | str:
    try:
        # A tree may change after it was listed: a link is not followed, and a pipe does not make us wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return _NOT_REGULAR
            return _number_or_reason(file.read, distinct)
    except OSError as error:
        return f"{_TRIED_AGAIN}: {error.strerror}"


def _number_or_reason(read: Callable[[int], bytes], distinct: dict[dicom_header.Raw, int]) -> int | str:
    try:
        return distinct.setdefault(dicom_header.read_raw(read), len(distinct))
    except ImageError as error:
        return str(error)


@contextmanager
def silence() -> Iterator[None]:
    """Run without warnings: pydicom warns of values that do not keep to the standard, and quotes them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _list(source: Path, stamps: dict[str, Stamp], skipped: Counter) -> None:
    """Fill in the regular files below `source`, by relative path, and count what else lies there."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(source / folder) as entries:
                for entry in entries:
                    path = f"{folder}{entry.name}"
                    if entry.is_symlink():
                        skipped[_LINK] += 1
                    elif entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{path}/")
                    elif not entry.is_file(follow_symlinks=False):
                        skipped[_NOT_REGULAR] += 1
                    elif exports.is_export(entry.name):
                        skipped[_INNER_EXPORT] += 1
                    else:
                        status = entry.stat(follow_symlinks=False)
                        stamps[path] = (status.st_size, status.st_mtime_ns)
        except OSError as error:
            skipped[f"{_TRIED_AGAIN}: {error.strerror}"] += 1


def _read(
    source: Path, paths: list[str], stamps: dict[str, Stamp], workers: int, show_progress: bool
) -> Iterator[dict]:
    """Yield what the files hold, a batch at a time; the files of a batch that fails are read one by one."""
    # In the order of the disk's folders: neighbours share a series, and its header is sent once.
    files = [[path, *stamps[path]] for path in sorted(paths)]
    starts = range(0, len(files), _BATCH_FILES)
    batches = [
        {"batch": start, "source": str(source), "files": files[start : start + _BATCH_FILES]} for start in starts
    ]
    lost = []
    with (
        parallel.local_executor(workers if len(files) >= _MANY_FILES else 1) as executor,
        parallel.progress(f"scan, {_BATCH_FILES} files at a time", len(batches), show=show_progress) as advance,
    ):
        for row in parallel.map_rows(read_batch, batches, executor, key="batch"):
            if row["error"]:
                lost += files[row["batch"] : row["batch"] + _BATCH_FILES]
            else:
                yield row
            advance()
    if lost:
        alone = [{"batch": number, "source": str(source), "files": [file]} for number, file in enumerate(lost)]
        with parallel.local_executor(2) as executor:
            for row in parallel.map_rows(read_batch, alone, executor, key="batch"):
                ended = {"headers": [], "files": [[*lost[row["batch"]], _KILLED]]}
                yield ended if row["error"] else row


def _read_export(source: Path, known: _Cache, stamps: dict[str, Stamp], skipped: Counter) -> Iterator[dict]:
    """Yield what the files of an archive hold, and fill in `stamps` on the way; one process, from front to back."""
    changed_ns = source.stat().st_mtime_ns
    distinct: dict[dicom_header.Raw, int] = {}
    files: list[list] = []
    for member in exports.members(source):
        if member.name in stamps:
            skipped[_SAME_NAME] += 1
            continue
        stamps[member.name] = (member.size, changed_ns)
        if known.lacks(member.name, stamps[member.name]):
            with silence():
                files.append([member.name, member.size, changed_ns, _number_or_reason(member.read, distinct)])
        if len(files) == _BATCH_FILES:
            yield {"headers": [dicom_header.decoded(raw) for raw in distinct], "files": files}
            distinct, files = {}, []
    if files:
        yield {"headers": [dicom_header.decoded(raw) for raw in distinct], "files": files}


class _Cache:
    """What is known of files, in memory and as JSON lines: one says whose they are, the others hold a batch each."""

    def __init__(self, path: Path | None, source: Path) -> None:
        self._path = path
        self._files: dict[str, tuple[int, int, int | str]] = {}
        self._headers: dict[tuple, int] = {}
        if path is None:
            return
        first = json.dumps({"form": _CACHE_FORM, "source": str(source), "columns": dicom_header.COLUMNS})
        lines = path.read_text(encoding="ascii", errors="replace").split("\n") if path.is_file() else []
        if lines[:1] != [first]:
            durable.write_text(path, f"{first}\n", mode=0o600)
            return
        for line in lines[1:]:
            # The last line of a scan that was killed, or that filled the disk, may be half a line.
            with contextlib.suppress(LookupError, TypeError, ValueError):
                self._remember(json.loads(line))
        if lines[-1]:
            self._append("\n")

    def lacks(self, path: str, stamp: Stamp) -> bool:
        """Return whether a file has to be read: it is new or has changed, or could not be opened before."""
        *before, found = self._files.get(path, (None, None, None))
        return tuple(before) != stamp or (isinstance(found, str) and found.startswith(_TRIED_AGAIN))

    def add(self, outcome: dict) -> None:
        """Keep the outcome of a batch."""
        kept = {"headers": outcome["headers"], "files": outcome["files"]}
        self._remember(kept)
        if self._path is not None:
            self._append(json.dumps(kept, separators=(",", ":")) + "\n")

    def reason(self, path: str) -> str | None:
        """Return why a file is no part of a series; None when it is one."""
        found = self._files[path][2]
        return found if isinstance(found, str) else None

    def series(self, paths: Iterable[str], source: Path) -> list[dict]:
        """Return one row a series of those files, in the order of SeriesInstanceUID."""
        headers = [dict(zip(dicom_header.COLUMNS, values, strict=True)) for values in self._headers]
        rows: dict[tuple, dict] = {}
        for path in sorted(paths):
            number = self._files[path][2]
            if isinstance(number, str):
                continue
            told = key(headers[number])
            if told not in rows:
                rows[told] = {**headers[number], "n_files": 0, "n_frames": 0, "sample_path": f"{source}/{path}"}
            rows[told]["n_files"] += 1
            rows[told]["n_frames"] += headers[number]["n_frames"]
        return sorted(rows.values(), key=lambda row: (row["series_uid"], str(row)))

    def _remember(self, outcome: dict) -> None:
        headers = [tuple(header[column] for column in dicom_header.COLUMNS) for header in outcome["headers"]]
        for path, size, changed_ns, found in outcome["files"]:
            if isinstance(found, int):
                found = self._headers.setdefault(headers[found], len(self._headers))
            self._files[path] = (size, changed_ns, found)

    def _append(self, text: str) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("ascii"))
