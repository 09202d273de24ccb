"""The picture of a T2w or bold image as it lies in the scanner: three central slices, nothing aligned.

Those are the images that MRIQC's rating is made for. Of a series the mean volume is drawn.
"""

from __future__ import annotations

import resource
from importlib import metadata
from pathlib import Path

import numpy as np

import qcbench
from qcbench import durable, images
from qcbench.errors import ImageError
from qcbench.imaging import geometry, screenshot
from qcbench.prepare import bids

#: What stands in the place of a preset beside images that are only drawn.
PRESET = "slices"
MODALITIES = ("T2w", "bold")


def draw(path: Path, derivatives: Path, modality: str, convention: str, window: str = "percentile") -> dict:
    """Write the picture of a raw image, and the sidecar that says how it was drawn; return their row.

    There is no volume and no alignment. Same file, same bytes. Raises ImageError for a file that cannot be used.
    """
    volume, n_volumes = _still(path, modality)
    data, affine = geometry.to_ras(volume.data, volume.affine)
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    picture, drawn = screenshot.native(data, spacing_mm, convention, window)
    target = output_path(path, derivatives)
    sidecar = {
        "Description": f"{modality}: three slices through the middle of the head, as it lies in the scanner",
        "Sources": [f"bids:raw:{bids.parse(bids.stem(path)).folder}/{path.name}"],
        "PreprocessingPreset": PRESET,
        "VolumesAveraged": n_volumes,
        "SpacingMm": [round(size, 4) for size in spacing_mm],
        "PixelsAMm": screenshot.PIXELS_A_VOXEL,
        "Convention": convention,
        **drawn,
        "Versions": {
            "qcbench": qcbench.__version__,
            **{name: metadata.version(name) for name in ("nibabel", "numpy", "pillow")},
        },
    }
    durable.write_text(target.with_suffix(".json"), bids.to_json(sidecar))
    sha256 = images.save_png(target, picture)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "volume_path": None,
        "screenshot_path": target,
        "screenshot_sha256": sha256,
        "convention": convention,
        "slice_indices": drawn["SliceIndices"],
        "black": drawn["Black"],
        "white": drawn["White"],
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_memory_gb": round(usage.ru_maxrss / 2**20, 2),
    }


def output_path(raw: str | Path, derivatives: Path) -> Path:
    """Return where the picture of a raw BIDS image lies; its sidecar lies beside it."""
    name = bids.parse(bids.stem(raw)).without_derived().with_entities(desc="slices")
    return derivatives / name.folder / f"{name}.png"


def _still(path: Path, modality: str) -> tuple[images.Volume, int]:
    """Return one volume of an image, the mean of a series', and how many it was made of."""
    try:
        return images.load_volume(path), 1
    except ImageError as error:
        if modality != "bold" or error.code != "NOT_3D":
            raise
    series = images.load_series(path)
    mean = series.data.mean(axis=3, dtype=np.float64).astype(np.float32)
    return images.Volume(data=mean, affine=series.affine), series.data.shape[3]
