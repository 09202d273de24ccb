"""Metrics of files that belong to no study."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from qcbench import parallel
from qcbench.errors import ImageError, UsageError
from qcbench.iqm import apart, motion, mriqc_json, names, profiles

#: What a person asks first of an image.
_SHOWN = {
    "T1w": ("cjv", "cnr", "snr_total", "efc"),
    "T2w": ("cjv", "cnr", "snr_total", "efc"),
    "bold": ("tsnr", "fd_mean", "dvars_std", "efc"),
}


@dataclass(kw_only=True)
class FileMetrics:
    """The metrics of some files, in the order in which they were named.

    `rows` are those of the table `iqms`, `documents` MRIQC's objects; a file that failed is in both, with its reason,
    and in `failed`. `cards` are the pages, where a folder was given.
    """

    rows: list[dict] = field(default_factory=list)
    documents: list[dict] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    cards: list[Path] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """0 when everything was measured, 1 when some files failed."""
        return 1 if self.failed else 0

    def to_json(self) -> dict | list[dict]:
        """Return one object for one file, a list for several."""
        return self.documents[0] if len(self.documents) == 1 else self.documents

    def __str__(self) -> str:
        lines = []
        for row in self.rows:
            if row["error"]:
                lines.append(f"FAILED {row['path']}: {row['error']}")
                continue
            shown = _SHOWN[row["modality"]]
            numbers = "  ".join(f"{key} {'-' if row[key] is None else format(row[key], '.4g')}" for key in shown)
            lines.append(f"{row['image_id']} ({row['modality']}, {row['iqm_profile']}): {numbers}")
            if row["reasons"]:
                lines.append(f"  null: {_commonest_reason(row)}")
        return "\n".join([*lines, *(f"card: {path}" for path in self.cards)])

    __repr__ = __str__


def iqm_of_files(
    paths: Sequence[str | Path],
    *,
    profile: str = profiles.QCBENCH.name,
    modality: str | None = None,
    motion_file: str | Path | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    show_progress: bool = True,
) -> FileMetrics:
    """Measure NIfTI files that belong to no study; with a folder `out`, JSON, mosaic and card of each go there.

    `modality` is that of all files, by default what each name says, else bold for a series and T1w for a volume.
    `motion_file` holds the motion of the one bold file that is named. Raises UsageError before anything is measured
    when that cannot be.
    """
    profile = profiles.by_name(profile).name
    if modality is not None:
        names.modality_of("", modality)
    if motion_file is not None:
        if len(paths) != 1:
            raise UsageError(f"motion parameters belong to one series, got {len(paths)} files; measure them one by one")
        motion.read_parameters(motion_file)
    if out is not None:
        _refuse_same_names(paths)
    worker = partial(measure_file, profile=profile, modality=modality, motion_file=motion_file, out=out)
    found: dict[str, dict] = {}
    todo = [{"path": path} for path in dict.fromkeys(str(path) for path in paths)]
    with (
        parallel.pool(None, workers, len(todo), threads=True) as pool,
        parallel.progress("iqm", len(todo), show=show_progress) as advance,
    ):
        for row in parallel.map_rows(worker, todo, pool, key="path"):
            found[row["path"]] = row
            advance()
    return _in_order([found[row["path"]] for row in todo], modality, out)


def measure_file(
    row: dict, *, profile: str, modality: str | None, motion_file: str | Path | None, out: str | Path | None
) -> dict:
    """Return the row of `iqms` of one file, with its `document` for other programs.

    Where neither the caller nor the name says what it is, a series is bold and a volume T1w.
    """
    path = Path(row["path"])
    if modality is None and names.suffix_of(path) is None:
        try:
            return _measured(path, "T1w", profile, motion_file, out)
        except ImageError as error:
            if error.code != "NOT_3D":
                raise
        modality = "bold"
    return _measured(path, names.modality_of(path, modality), profile, motion_file, out)


def _measured(path: Path, modality: str, profile: str, motion_file: str | Path | None, out: str | Path | None) -> dict:
    outputs = None if out is None else apart.output_paths(names.stem(path), modality, Path(out).absolute())
    made, document = apart.measure_apart(path, modality, profile, motion_file=motion_file, outputs=outputs)
    return {**made, "document": document}


def _refuse_same_names(paths: Sequence[str | Path]) -> None:
    counts = Counter(names.stem(path).lower() for path in {str(Path(path).absolute()) for path in paths})
    if double := sorted(name for name, count in counts.items() if count > 1):
        raise UsageError(f"two files are called {double[0]}, and the cards of one would replace those of the other")


def _in_order(rows: list[dict], modality: str | None, out: str | Path | None) -> FileMetrics:
    metrics = FileMetrics()
    for row in rows:
        if row["error"]:
            metrics.failed[row["path"]] = row["error"]
            called = _called(row["path"], modality)
            metrics.documents.append(mriqc_json.failure(row["path"], called, row["error"]))
        else:
            metrics.documents.append(row.pop("document"))
            if out is not None:
                paths = apart.output_paths(row["image_id"], row["modality"], Path(out).absolute())
                metrics.cards.append(paths["card"])
        metrics.rows.append(row)
    return metrics


def _called(path: str, asked: str | None) -> str:
    """Return what an image is said to be, whether that can be measured or not."""
    return asked or names.suffix_of(path) or "T1w"


def _commonest_reason(row: dict) -> str:
    reasons = Counter(json.loads(row["reasons"]).values())
    reason, count = reasons.most_common(1)[0]
    return f"{sum(reasons.values())} metrics, {count} of them because {reason}"
