"""Images measured each in a process of its own, and what is written for each: JSON, a mosaic of masks, a card."""

from __future__ import annotations

from pathlib import Path

from qcbench import durable, images
from qcbench.imaging import isolate
from qcbench.iqm import card, mosaic, motion, mriqc_json, names
from qcbench.iqm.anatomical import Anatomy
from qcbench.iqm.measure import Measured, measured, warnings_of

#: A head takes a minute and 2 GB, a series a quarter of a second a volume; these are for files that are neither.
TIMEOUT_S = {"T1w": 1200.0, "T2w": 1200.0, "bold": 7200.0}
MEMORY_GB = 12.0


def measure_apart(path: Path, modality: str, profile: str, **how: object) -> tuple[dict, dict]:
    """Return what `measure_and_write` returns, from a process with a limit of time and memory.

    Raises ImageError or WorkerError, also when that process crashes, hangs or outgrows its memory.
    """
    isolate.preload(__name__, "qcbench.imaging.warm")
    return isolate.call(
        measure_and_write, path, modality, profile, timeout_s=TIMEOUT_S[modality], memory_gb=MEMORY_GB, **how
    )


def measure_and_write(
    path: Path,
    modality: str,
    profile: str,
    *,
    motion_file: Path | None = None,
    outputs: dict[str, Path] | None = None,
    convention: str = "radiological",
) -> tuple[dict, dict]:
    """Return the row of an image and its object for other programs; write JSON, mosaic and card to `outputs`."""
    found = measured(path, modality, profile, motion_file=motion_file)
    document = mriqc_json.document(path, found.row, warnings_of(found.arrays))
    if outputs is not None:
        _draw(found, outputs, convention)
        # Last, for a row is settled when its JSON is there.
        durable.write_text(outputs["json"], mriqc_json.to_text(document))
    return found.row, document


def output_paths(image_id: str, modality: str, folder: Path) -> dict[str, Path]:
    """Return where the files of an image lie: ``json`` as MRIQC names it, ``masks`` (a mosaic) and ``card``."""
    beside = folder / names.folder_of(image_id, modality)
    return {
        "json": beside / f"{image_id}.json",
        "masks": beside / f"{image_id}_masks.png",
        "card": beside / f"{image_id}.html",
    }


def _draw(found: Measured, outputs: dict[str, Path], convention: str) -> None:
    if isinstance(found.arrays, Anatomy):
        panels, displacement_mm = mosaic.of_anatomy(found.arrays, convention), None
    else:
        panels = mosaic.of_run(found.arrays, convention)
        parameters = found.arrays.parameters
        displacement_mm = None if parameters is None else motion.framewise_displacement(parameters)
    images.save_png(outputs["masks"], mosaic.stacked(panels))
    durable.write_text(outputs["card"], card.html(found.row, panels, displacement_mm))
