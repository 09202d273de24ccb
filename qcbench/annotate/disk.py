"""Whether the disk below a study keeps what it confirmed: its type, its flush, its rename, its space, its time.

Probes write into a hidden folder of their own, which is gone at the end.
"""

from __future__ import annotations

import re
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from qcbench import durable
from qcbench.findings import Finding, ok, problem, warning

#: A full segment of 256 labels has 21 kB; comments make it more.
_SEGMENT = bytes(range(256)) * 128
_WRITES, _RENAMES = 20, 100
#: A rater commits every few seconds; above the first the confirmation lags behind, above the second labels pile up.
_SLOW_S, _TOO_SLOW_S = 0.05, 1.0
_WARN_BYTES, _STOP_BYTES = 2**30, 50 * 2**20

_IN_MEMORY = ("tmpfs", "ramfs")
_OF_A_CONTAINER = ("overlay", "aufs")
_NETWORK = re.compile(r"nfs|cifs|smb|fuse\.|lustre|gpfs|beegfs|ceph|gluster|afs|9p")


class Mount(NamedTuple):
    """What a folder lies on: device, mount point, type of filesystem, mount options."""

    device: str
    place: str
    kind: str
    options: tuple[str, ...]


def mount_of(folder: Path, mounts: str) -> Mount:
    """Return the mount that holds a folder; `mounts` is the text of /proc/mounts.

    >>> mount_of(Path("/data/study"), "/dev/sda1 / ext4 rw 0 0\\nhost:/x /data nfs4 rw,hard 0 0").kind
    'nfs4'
    """
    found: Mount | None = None
    for line in mounts.splitlines():
        device, place, kind, options = (_unescaped(word) for word in line.split(" ")[:4])
        deeper = found is None or len(Path(place).parts) >= len(Path(found.place).parts)
        if deeper and folder.is_relative_to(place):
            found = Mount(device, place, kind, tuple(options.split(",")))
    if found is None:
        raise ValueError(f"no mount holds {folder}")
    return found


def filesystem(mount: Mount) -> Finding:
    """Return whether labels on such a filesystem outlive a restart."""
    what = f"{mount.kind} ({mount.device} at {mount.place})"
    name = "filesystem"
    if "ro" in mount.options:
        return problem(name, f"{what} is read-only", "Have it mounted for writing, or move the study.")
    if mount.kind in _IN_MEMORY:
        return problem(
            name,
            f"{what} lies in memory: every label is gone after a restart",
            "Move the study folder to a disk; it can be moved as it is.",
        )
    if mount.kind in _OF_A_CONTAINER:
        return warning(
            name,
            f"{what} is the layer of a container and goes with it",
            "Move the study to a volume that outlives the container.",
        )
    if _NETWORK.match(mount.kind):
        return warning(
            name,
            f"{what} is a network disk: whether its server has on disk what it confirms cannot be seen from here, "
            "and others may see a label up to a minute late",
            'Ask who runs the server whether the export is "sync" (usual for NFS); then all is well.',
        )
    if "nobarrier" in mount.options or "barrier=0" in mount.options:
        return warning(
            name,
            f"{what} is mounted without write barriers: a power cut may take labels that were confirmed",
            "Have it mounted without nobarrier, unless its cache has a battery.",
        )
    return ok(name, f"{what}, a local disk")


def free_space(free_bytes: int) -> Finding:
    """Return whether there is room for labels; a study of 5,500 images makes some 10 MB of them."""
    found = f"{free_bytes / 2**30:.1f} GB" if free_bytes >= _WARN_BYTES else f"{free_bytes / 2**20:.0f} MB"
    if free_bytes < _STOP_BYTES:
        return problem("free space", f"{found} left: labels will soon be refused", "Free some space now.")
    if free_bytes < _WARN_BYTES:
        return warning("free space", f"{found} left", "Free some space before raters begin.")
    return ok("free space", f"{found} left")


@contextmanager
def probe_folder(place: Path) -> Iterator[Path]:
    """Yield a hidden folder in `place` that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as probe:
        yield Path(probe)


def writing(place: Path) -> list[Finding]:
    """Return whether files in a folder can be flushed, how fast, and whether a rename replaces them whole."""
    try:
        with probe_folder(place) as probe:
            seconds = [_write_s(probe / "segment") for _ in range(_WRITES)]
            if (probe / "segment").read_bytes() != _SEGMENT:
                return [problem("flush", f"what was written in {place} reads back different", "Replace this disk.")]
            return [flush(seconds), _rename(probe)]
    except OSError as error:
        return [
            problem(
                "flush",
                f"nothing can be written in {place}: {error.strerror or error}",
                "Labels would be refused for this account. See to its permission, its quota and the free space.",
            )
        ]


def flush(seconds: list[float]) -> Finding:
    """Return whether labels are confirmed in time, given how long durable writes took."""
    median_s, slowest_s = statistics.median(seconds), max(seconds)
    found = (
        f"{len(seconds)} writes of {len(_SEGMENT) >> 10} kB, each flushed: median {1000 * median_s:.1f} ms, "
        f"slowest {1000 * slowest_s:.1f} ms"
    )
    if median_s > _TOO_SLOW_S:
        return problem("flush", f"{found}: slower than raters work", "Move the study to a faster disk.")
    if median_s > _SLOW_S:
        return warning("flush", f"{found}: pages will show labels as not saved yet", "A faster disk would help.")
    return ok("flush", found)


def clock_skew_s(place: Path) -> float:
    """Return how many seconds the clock that stamps files is ahead of this machine's."""
    with probe_folder(place) as probe:
        before = time.time()
        (probe / "stamped").write_bytes(_SEGMENT)
        after = time.time()
        stamp = (probe / "stamped").stat().st_mtime
    return stamp - min(max(stamp, before), after)


def _write_s(path: Path) -> float:
    began = time.perf_counter()
    durable.write_bytes(path, _SEGMENT)
    return time.perf_counter() - began


def _rename(probe: Path) -> Finding:
    """Read a file in a thread while it is replaced: each time it must be there, and whole."""
    path, contents = probe / "renamed", (_SEGMENT, _SEGMENT[::-1])
    path.write_bytes(contents[0])
    faults: list[str] = []
    n_read = 0
    replaced = threading.Event()

    def read() -> None:
        nonlocal n_read
        while not replaced.is_set():
            try:
                if path.read_bytes() not in contents:
                    faults.append("in parts")
            except OSError as error:
                faults.append(error.strerror or "unreadable")
            n_read += 1

    reader = threading.Thread(target=read, name="qcbench-doctor", daemon=True)
    reader.start()
    try:
        for number in range(_RENAMES):
            (probe / "new").write_bytes(contents[(number + 1) % 2])
            (probe / "new").replace(path)
    finally:
        replaced.set()
        reader.join()
    if faults:
        return problem(
            "rename",
            f"a file that was replaced {_RENAMES} times was found {faults[0]}",
            "This filesystem does not replace files as one step; move the study to one that does.",
        )
    return ok("rename", f"a file was replaced {_RENAMES} times, and whole in each of {n_read} readings meanwhile")


def _unescaped(word: str) -> str:
    """Return a word of /proc/mounts as it is meant: a space is written as backslash 040."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), word)
