"""Which images came with this ingest, also when an earlier one was killed; copies among them are excluded.

An image that was there when raters may have begun stays as it is. What a killed ingest left was not yet compared, so
that killing it and running it again makes the same catalogue as one run.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qcbench import durable, store
from qcbench.study import Study

_MARKER = "ingest-began-with.json"
#: The names under which `durable` writes what is not whole yet.
_HALF_WRITTEN = re.compile(r"\..*\.(?P<pid>\d+)-[0-9a-f]{8}\.tmp")


@contextmanager
def compared(study: Study) -> Iterator[None]:
    """Run an ingest; at its end the copies among the images that are new are excluded."""
    marker = study.cache / _MARKER
    before = None
    with contextlib.suppress(OSError, ValueError):
        before = set(json.loads(marker.read_text(encoding="utf-8")))
        _sweep(study)
    if before is None:
        # A copy that is taken anew is compared anew: only what is in use stays as it is.
        before = {row["image_id"] for row in _usable(study) if row["excluded_reason"] is None}
        durable.write_text(marker, json.dumps(sorted(before)))
    yield
    _exclude_copies(study, before)
    marker.unlink(missing_ok=True)


def _sweep(study: Study) -> None:
    """Remove what processes that are no more have written in part."""
    for path in study.bids.rglob(".*.tmp"):
        found = _HALF_WRITTEN.fullmatch(path.name)
        if found and not Path(f"/proc/{found['pid']}").exists():
            path.unlink(missing_ok=True)


def _exclude_copies(study: Study, before: set[str]) -> None:
    """Exclude new images whose voxels another image has; the one catalogued first, then by source, stays."""
    first: dict[str, str] = {}
    originals: dict[str, str] = {}
    usable = sorted(
        _usable(study), key=lambda row: (row["image_id"] not in before, row["source_path"], row["image_id"])
    )
    for row in usable:
        original = first.setdefault(row["voxels_sha256"], row["image_id"])
        if original != row["image_id"] and row["image_id"] not in before and row["excluded_reason"] is None:
            originals[row["image_id"]] = original
    if originals:
        copies = [row for row in store.rows(study, "images") if row["image_id"] in originals]
        changed = [{**row, "excluded_reason": f"same voxels as {originals[row['image_id']]}"} for row in copies]
        store.upsert(study, "images", changed)


def _usable(study: Study) -> list[dict]:
    """Return what is compared of the images with voxels; the whole table may have 100,000 rows."""
    table = store.read(study, "images").select(["image_id", "source_path", "voxels_sha256", "excluded_reason"])
    return [row for row in table.to_pylist() if row["voxels_sha256"]]
