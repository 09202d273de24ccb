"""The metrics of one image as MRIQC 24 writes them: one JSON object, which its group tools and Web-API read.

At the top the metrics alone, then ``bids_meta`` (what name and sidecar say) and ``provenance`` (which file, which
program). What cannot be said with MRIQC's words stands in ``provenance``: our profile, and why a metric is null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import qcbench
from qcbench import images, iqm_keys
from qcbench.errors import ImageError, UsageError
from qcbench.iqm import names
from qcbench.iqm.motion import MOTION_MM

#: A metric that every image has whose tissues or brain were found: the others were then tried at least.
_TRIED = {"T1w": "summary_wm_median", "T2w": "summary_wm_median", "bold": "summary_fg_median"}
_GB = 2**30


def document(path: str | Path, row: Mapping[str, object], warnings: Mapping[str, bool]) -> dict[str, object]:
    """Return the object of an image from its row of `iqms`.

    Where MRIQC writes a number for "none", as -1 for `fber`, so does this; other nulls stay null.
    """
    modality = str(row["modality"])
    was_tried = row.get(_TRIED[modality]) is not None
    metrics: dict[str, object] = {}
    for key in iqm_keys.keys_of(modality):
        value = row.get(key.name)
        if value is None and was_tried and key.sentinels:
            value = key.sentinels[0]
        metrics[key.name] = value
    settings: dict[str, object] = {"testing": False} | ({"fd_thres": MOTION_MM} if modality == "bold" else {})
    provenance = _program() | {
        "md5sum": images.file_md5(Path(path)),
        "settings": settings,
        "iqm_profile": row["iqm_profile"],
        "reasons": json.loads(str(row["reasons"])) if row["reasons"] else {},
    }
    if warnings:
        provenance["warnings"] = dict(warnings)
    return {**dict(sorted(metrics.items())), "bids_meta": _metadata(path, row), "provenance": provenance}


def failure(path: str | Path, modality: str, reason: str) -> dict[str, object]:
    """Return the object of a file that could not be measured: no metrics, and the reason in `provenance`."""
    meta = {**names.entities(path), "modality": modality, "suffix": modality, "dataset": "<unset>"}
    return {"bids_meta": dict(sorted(meta.items())), "provenance": _program() | {"error": reason}}


def to_text(documents: object) -> str:
    """Return JSON with a line end. Raises ValueError for what JSON cannot hold, such as NaN."""
    return json.dumps(documents, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _program() -> dict[str, object]:
    return {"software": "qcbench", "version": qcbench.__version__}


def _metadata(path: str | Path, row: Mapping[str, object]) -> dict[str, object]:
    path, modality = Path(path), str(row["modality"])
    try:
        told = names.sidecar(path)
    except UsageError:
        # The metrics are good without it.
        told = {}
    if modality == "bold":
        # The Web-API takes no series without them.
        told.setdefault("TaskName", names.entities(path).get("task", "unknown"))
        if row.get("spacing_tr"):
            told.setdefault("RepetitionTime", row["spacing_tr"])
    meta = {
        **told,
        **names.entities(path),
        "FileSize": _size_bytes(path) / _GB,
        "FileSizeUnits": "GB",
        "NumberOfVolumes": row.get("size_t") or 1,
        "dataset": "<unset>",
        "datatype": names.datatype(modality),
        "extension": path.name[len(names.stem(path)) :],
        "modality": modality,
        "suffix": modality,
    }
    return dict(sorted(meta.items()))


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise ImageError("NOT_A_FILE", f"{path.name} cannot be read: {error.strerror}") from error
