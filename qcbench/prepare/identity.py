"""What of a person is left in a study, a BIDS dataset, a tree of DICOM files or an archive of them.

Every file is looked at by its content: headers and what is nested in them, sidecars, tables, logs, notebooks, pixels,
and the names of files and folders. By place (what the Basic Profile of DICOM PS3.15 removes, what is on no list of a
sidecar), by form (dates, numbers, addresses, names), and for patients who are known. A finding tells where, not what.
Some places are no finding by design: a study's raters, moments noted by programs, sex, and ages up to 89.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from qcbench import parallel
from qcbench.errors import UsageError
from qcbench.prepare import exports, identity_files, identity_known, identity_text
from qcbench.prepare.identity_findings import POSSIBLE, UNREADABLE, Checked, Finding, Trace, surest
from qcbench.prepare.identity_text import PATH
from qcbench.study import Study

#: Small files are sent to a process so many at a time, as long as they are no more than so large together.
_BATCH_FILES, _BATCH_BYTES = 64, 1 << 24
#: From so many bytes on, starting processes pays.
_MUCH_BYTES = 1 << 26
#: The report's figures have words by design, and show no picture that is not looked at elsewhere in the study.
_FIGURES = ("reports", "figures")
_NO_FILE = "not a regular file"


def check_identity(
    target: Study | str | Path,
    *,
    known: str | Path | None = None,
    workers: int | None = None,
    with_pixels: bool = True,
    show_progress: bool = True,
) -> Checked:
    """Return where something of a person may be left in a study, a folder, a file or an archive; nothing is changed.

    `known` is a CSV file of patients (a line of titles, then names, ids, UIDs or days of birth), looked for
    everywhere. Raises UsageError when there is nothing at `target`, or `known` names nobody.
    """
    began = time.monotonic()
    checked = Checked()
    files: set[str] = set()
    for name, found in _outcomes(target, known, workers, with_pixels, show_progress):
        files.add(name)
        checked.add(found)
    checked.n_files = len(files)
    if known is None:
        checked.notes.append("No list of patients was given: rare names without a title or a comma are not found.")
    if not with_pixels:
        checked.notes.append("Pixels were not looked at.")
    checked.seconds = time.monotonic() - began
    return checked


def check(target: Study | str | Path, *, known: str | Path | None = None, **options: object) -> Iterator[Finding]:
    """Yield the findings of `check_identity` as they come; `options` are workers, with_pixels, show_progress."""
    settings = {"workers": None, "with_pixels": True, "show_progress": True, **options}
    for _, found in _outcomes(target, known, **settings):
        yield from found


def check_batch(row: dict, *, root: str, known: str | None, with_pixels: bool) -> dict:
    """Return the traces of the files of a batch: the worker. `files` are paths relative to `root`."""
    kinds = partial(_kinds, known=known)
    return {"traces": [list(_of_file(Path(root), name, kinds, with_pixels)) for name in row["files"]]}


def _outcomes(
    target: Study | str | Path, known: str | Path | None, workers: int | None, with_pixels: bool, show_progress: bool
) -> Iterator[tuple[str, list[Finding]]]:
    """Yield a file's number among all and its findings, names first."""
    # A link that is named is followed; those below a folder are not.
    target = target.folder if isinstance(target, Study) else Path(target).resolve()
    known = str(Path(known).absolute()) if known is not None else None
    if known is not None:
        identity_known.load.cache_clear()  # the list may have grown since it was read
        identity_known.load(known)
    kinds = partial(_kinds, known=known)
    if not target.exists():
        raise UsageError(
            f"{target} is not there; give a study, a folder, a file or an archive (*.zip, *.tar, *.tar.gz)"
        )
    if target.is_file() and exports.is_export(target):
        yield from _of_export(target, kinds, with_pixels)
        return
    root = target if target.is_dir() else target.parent
    closed: list[str] = []
    entries = list(_below(root, closed)) if target.is_dir() else [(target.name, target.lstat())]
    shown, named = _shown_paths([name for name, _ in entries], kinds)
    for name in closed:
        yield name, [_finding(shown.get(name, "."), Trace("a folder that cannot be listed", UNREADABLE, POSSIBLE))]
    for name, traces in named.items():
        yield name, [_finding(shown[name], trace) for trace in traces]
    sizes = {name: status.st_size for name, status in entries if stat.S_ISREG(status.st_mode)}
    for name, status in entries:
        if name not in sizes and not stat.S_ISDIR(status.st_mode):
            found = _of_no_file(root, name, status, kinds)
            yield name, [_finding(shown[name], trace) for trace in found]
    worker = partial(check_batch, root=str(root), known=known, with_pixels=with_pixels)
    for name, traces in _mapped(worker, sizes, workers, show_progress):
        yield name, [_finding(shown[name], Trace(*trace)) for trace in traces]


def _mapped(
    worker: parallel.Worker, sizes: dict[str, int], workers: int | None, show_progress: bool
) -> Iterator[tuple[str, list]]:
    """Yield each file and its traces; the files of a batch that fails are looked at one by one."""
    batches = [{"batch": number, "files": files} for number, files in enumerate(_batches(sizes))]
    workers = (workers or os.cpu_count() or 1) if sum(sizes.values()) >= _MUCH_BYTES else 1
    lost: list[str] = []
    with (
        parallel.local_executor(workers) as executor,
        parallel.progress("check identity", len(sizes), show=show_progress) as advance,
    ):
        for row in parallel.map_rows(worker, batches, executor, key="batch"):
            files = batches[row["batch"]]["files"]
            if row["error"]:
                lost += files
                continue
            yield from zip(files, row["traces"], strict=True)
            for _ in files:
                advance()
    if lost:
        alone = [{"batch": number, "files": [name]} for number, name in enumerate(lost)]
        with parallel.local_executor(2) as executor:
            for row in parallel.map_rows(worker, alone, executor, key="batch"):
                # What went wrong may quote the file, and is not told.
                yield lost[row["batch"]], [("file", UNREADABLE, POSSIBLE)] if row["error"] else row["traces"][0]


def _batches(sizes: dict[str, int]) -> Iterator[list[str]]:
    batch: list[str] = []
    n_bytes = 0
    for name in sorted(sizes):
        if batch and (len(batch) >= _BATCH_FILES or n_bytes + sizes[name] > _BATCH_BYTES):
            yield batch
            batch, n_bytes = [], 0
        batch.append(name)
        n_bytes += sizes[name]
    if batch:
        yield batch


def _of_file(root: Path, name: str, kinds: identity_files.Kinds, with_pixels: bool) -> Iterator[Trace]:
    path = root / name
    with_pixels = with_pixels and not set(_FIGURES) <= set(PurePosixPath(name).parts)
    try:
        if exports.is_export(name):
            for number, found in enumerate(_members(path, kinds, with_pixels), start=1):
                yield from (trace._replace(place=f"entry {number}, {trace.place}") for trace in found)
            return
        # A tree may change after it was listed: a link is not followed, and a pipe does not make us wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(identity_files.MOST_BYTES + 1)
    except (OSError, UsageError):
        yield Trace("file", UNREADABLE, POSSIBLE)
        return
    if len(content) > identity_files.MOST_BYTES:
        yield Trace("file, after its first 1 GiB", UNREADABLE, POSSIBLE)
    seen: set[Trace] = set()
    try:
        for trace in identity_files.traces(content, path.name, kinds, path=str(path), with_pixels=with_pixels):
            # One trace a place and kind, the surest: a file may hold a name in many ways at one place.
            if trace not in seen:
                seen.add(trace)
                yield trace
    except Exception:  # whatever a damaged file makes its reader stumble over; what was found before stays found
        yield Trace("file", UNREADABLE, POSSIBLE)


def _of_export(path: Path, kinds: identity_files.Kinds, with_pixels: bool) -> Iterator[tuple[str, list[Finding]]]:
    yield path.name, [_finding("archive", Trace("file name", *found)) for found in kinds(path.name, PATH).items()]
    members = _members(path, kinds, with_pixels)
    number = 0
    try:
        for number, found in enumerate(members, start=1):
            yield f"{number}", [_finding(f"entry {number}", trace) for trace in found]
    except UsageError:
        yield f"{number + 1}", [_finding(f"archive, after entry {number}", Trace("file", UNREADABLE, POSSIBLE))]


def _members(path: Path, kinds: identity_files.Kinds, with_pixels: bool) -> Iterator[list[Trace]]:
    for member in exports.members(path):
        found = [Trace("file name", *pair) for pair in kinds(member.name, PATH).items()]
        try:
            content = member.read(identity_files.MOST_BYTES)
            name = PurePosixPath(member.name).name
            # What is found before the damage stays in the list.
            found += identity_files.traces(content, name, kinds, path=None, with_pixels=with_pixels, depth=1)
        except Exception:  # a damaged entry raises whatever its reader stumbles over, and hides no other
            found.append(Trace("file", UNREADABLE, POSSIBLE))
        yield list(dict.fromkeys(found))


def _of_no_file(root: Path, name: str, status: os.stat_result, kinds: identity_files.Kinds) -> Iterator[Trace]:
    if not stat.S_ISLNK(status.st_mode):
        yield Trace(_NO_FILE, UNREADABLE, POSSIBLE)
        return
    target = identity_text.decoded(os.fsencode((root / name).readlink()))
    yield from (Trace("target of a link", *found) for found in kinds(target, PATH).items())
    if not (root / name).resolve().is_relative_to(root.resolve()):
        yield Trace("a link out of the folder, not followed", UNREADABLE, POSSIBLE)


def _below(root: Path, closed: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every entry below a folder with its status; links are not followed. Folders that refuse go to `closed`."""

    def note(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # it went while the tree was being read
            closed.append(str(Path(error.filename).relative_to(root)))

    for folder, folders, files in os.walk(root, onerror=note, followlinks=False):
        for name in sorted(folders) + sorted(files):
            path = Path(folder, name)
            with contextlib.suppress(OSError):  # it went while the folder was being read
                yield str(path.relative_to(root)), path.lstat()


def _shown_paths(names: Iterable[str], kinds: identity_files.Kinds) -> tuple[dict[str, str], dict[str, list[Trace]]]:
    """Return each path as it may be shown, and the traces in its last part."""
    shown, found = {}, {}
    entries: dict[str, list[str]] = {}
    for name in names:
        folder, entry = os.path.split(name)
        entries.setdefault(folder, []).append(entry)
    numbers = {
        folder: {entry: number for number, entry in enumerate(sorted(inside, key=os.fsencode), start=1)}
        for folder, inside in entries.items()
    }
    for name in sorted(names, key=lambda name: name.count(os.sep)):
        folder, entry = os.path.split(name)
        text = identity_text.decoded(os.fsencode(entry))
        traces = [Trace("file name", *pair) for pair in kinds(text, PATH).items()]
        part = f"#{numbers[folder][entry]}" if traces else "".join(c if c.isprintable() else "?" for c in text)
        shown[name] = f"{shown.get(folder, folder)}/{part}" if folder else part
        if traces:
            found[name] = traces
    return shown, found


def _kinds(text: str, manner: str, *, known: str | None) -> dict[str, str]:
    found = identity_text.kinds(text, manner)
    return surest(found, identity_known.load(known).kinds(text, manner)) if known else found


def _finding(shown: str, trace: Trace) -> Finding:
    return Finding(file=shown, place=trace.place, kind=trace.kind, certainty=trace.certainty)
