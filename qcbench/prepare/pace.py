"""How many images an hour this machine preprocesses: from what a study recorded, or from one synthetic head."""

from __future__ import annotations

import resource
import statistics
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qcbench import images, machine, store
from qcbench.findings import Finding, ok, warning
from qcbench.imaging import isolate
from qcbench.imaging.heads import synthetic_head
from qcbench.prepare import limits, one_image, presets
from qcbench.study import Study

#: The median of fewer says little of the images to come.
_FEWEST_RECORDED = 5


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What an image costs: CPU-seconds of one core, on how many at a time; `measured_on` says where that is from."""

    cpu_seconds: float
    workers: int
    measured_on: str

    @property
    def images_per_hour(self) -> int:
        """How many images all workers together do in an hour.

        >>> Pace(cpu_seconds=6.0, workers=2, measured_on="one synthetic head").images_per_hour
        1200
        """
        return round(3600 * self.workers / self.cpu_seconds)


def examine(study: Study | None = None, preset: str = "fast") -> list[Finding]:
    """Return how many images an hour can be expected; without recorded ones, one synthetic head is timed.

    Raises UsageError for an unknown preset, WorkerError when the head cannot be preprocessed here.
    """
    presets.by_name(preset)
    workers, note = machine.workers_that_fit(
        machine.usable_cores(),
        each_gb=limits.of(preset).need_gb,
        available_gb=machine.available_memory_gb(),
    )
    pace = recorded(store.rows(study, "preprocessed") if study else (), preset, workers) or timed(preset, workers)
    found = (
        f"about {pace.images_per_hour:,} with preset {preset}, {workers} at a time "
        f"({pace.cpu_seconds:.1f} CPU-seconds each, measured on {pace.measured_on})"
    )
    if note:
        return [warning("images per hour", f"{found}; {note}", "End something else on this machine, or use a cluster.")]
    return [ok("images per hour", found)]


def recorded(rows: Iterable[Mapping[str, object]], preset: str, workers: int) -> Pace | None:
    """Return the pace from rows of `preprocessed`; None when too few were made with the preset."""
    known = [
        row["cpu_seconds"]
        for row in rows
        if row["preprocessing_preset"] == preset and not row["error"] and row.get("cpu_seconds")
    ]
    if len(known) < _FEWEST_RECORDED:
        return None
    return Pace(cpu_seconds=statistics.median(known), workers=workers, measured_on=f"{len(known)} images of this study")


def timed(preset: str, workers: int) -> Pace:
    """Return the pace from preprocessing one synthetic head, in a process of its own.

    Raises UsageError for an unknown preset, WorkerError when that process fails.
    """
    bounds = limits.of(preset)
    isolate.preload(one_image.__name__, "qcbench.imaging.warm")
    cpu_seconds = isolate.call(
        _cpu_seconds, presets.by_name(preset), preset, timeout_s=bounds.timeout_s, memory_gb=bounds.most_gb
    )
    return Pace(cpu_seconds=cpu_seconds, workers=workers, measured_on="one synthetic head")


def _cpu_seconds(preset: presets.Preset, name: str) -> float:
    head = synthetic_head(seed=0)
    with tempfile.TemporaryDirectory(prefix="qcbench-") as folder:
        path = Path(folder) / "sub-1_T1w.nii.gz"
        images.save_volume(path, head.data.astype(np.int16), head.affine)
        before = _used_s()
        one_image.align_and_draw(path, Path(folder) / "derivatives", preset, name, "radiological")
        return _used_s() - before


def _used_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
