"""Evidence of change: each full segment of a log is sealed, and each seal names the one before it.

A seal is a small JSON file beside its segment: the segment's SHA-256, and that of the seal before
it. Whoever edits or removes a sealed segment breaks the chain at that place. What is not covered:
the segment that is still open, and the end of a log when its last segments go together with their
seals.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path

from qcbench import durable

#: A coordinator who goes on without a lost segment says so by giving its seal this ending; one that
#: was never sealed gets an empty file of that name.
LOST = ".seal.lost"


def seal(segment: Path, content: bytes) -> None:
    """Seal a segment that will not be written again. Raises OSError when the disk refuses."""
    before = _file(segment.parent, _number(segment) - 1)
    claims = {
        "segment": segment.name,
        "sha256": _sha256(content),
        "previous": _sha256(before.read_bytes()) if before else None,
    }
    durable.write_text(segment.with_suffix(".seal"), json.dumps(claims, indent=1) + "\n")


def broken(folder: Path) -> list[str]:
    """Return what was changed or removed since it was sealed, a sentence for each; empty is well.

    A seal that ends in ``.seal.lost`` says that its segment is known to be gone.
    """
    found = []
    for path in sorted(folder.glob("seg-*.seal*")):
        segment = folder / f"{path.name.split('.')[0]}.parquet"
        if path.name.endswith(LOST) and path.stat().st_size == 0:
            continue  # it never had a seal
        try:
            claims = json.loads(path.read_bytes())
            sha256, previous = claims["sha256"], claims["previous"]
        except (OSError, ValueError, KeyError, TypeError):
            found.append(f"{path} cannot be read; whether {segment.name} was changed is not known")
            continue
        before = _file(folder, _number(segment) - 1)
        if previous != (_sha256(before.read_bytes()) if before else None):
            found.append(f"{path}: the seal before it was changed or removed")
        if not path.name.endswith(LOST):
            found += _differences(segment, sha256)
    return found


def missing(segments: Collection[Path], unfinished: Collection[Path]) -> list[str]:
    """Return which segments or seals should be there because later segments are, a sentence for each.

    `unfinished` are segments with room left: a log that is opened again begins a new segment, and
    such a one is never sealed.
    """
    found = []
    for segment in segments:
        number = _number(segment) - 1
        before = segment.with_name(f"seg-{number:06d}.parquet")
        if number < 0 or before in unfinished or _file(segment.parent, number) is not None:
            continue
        if not _admitted(segment.parent, number).exists():
            what = f"the seal of {before}" if before in segments else f"{before}"
            found.append(f"{what} was removed")
    return found


def _differences(segment: Path, sha256: str) -> list[str]:
    if not segment.exists():
        return [f"{segment} was removed after it was sealed"]
    if _sha256(segment.read_bytes()) != sha256:
        return [f"{segment} was changed after it was sealed"]
    return []


def _file(folder: Path, number: int) -> Path | None:
    """Return the seal of that number, or None where there is none; an empty one is none."""
    for path in (folder / f"seg-{number:06d}.seal", _admitted(folder, number)):
        if path.exists() and path.stat().st_size > 0:
            return path
    return None


def _admitted(folder: Path, number: int) -> Path:
    return folder / f"seg-{number:06d}{LOST}"


def _number(segment: Path) -> int:
    return int(segment.name[4:10])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
