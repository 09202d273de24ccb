"""The picture a rater judges: three central slices in a row, alike for every image.

From left to right: sagittal at MNI x = -5 mm (off the midline, to miss the falx), coronal at y = 0, axial at
z = 0 (Bottani et al. 2022). Upright; in the sagittal slice the front is on the right, in the axial slice at the top.
In the coronal and the axial slice the patient's right is on the left (radiological convention, as in the reading
room) unless the neurological one is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from qcbench.imaging.geometry import CANONICAL_SHAPE, canonical_index
from qcbench.schema import CONVENTIONS

#: The slices, in MNI millimetres.
CUTS_MM = (-5.0, 0.0, 0.0)
#: Black is 0, white this percentile of the whole volume: one hot voxel or vessel does not darken the brain.
WHITE_PERCENTILE = 99.8
#: Each voxel becomes so many pixels a side, once and for all, so that no browser smooths it in its own way.
PIXELS_A_VOXEL = 2
_GAP_PIXELS = 8


def screenshot(volume: np.ndarray, convention: str = "radiological") -> np.ndarray:
    """Return the picture (rows, columns) as uint8 of a volume on the canonical grid.

    Raises ValueError for a volume of another shape.
    """
    if volume.shape != CANONICAL_SHAPE:
        raise ValueError(f"a volume of {CANONICAL_SHAPE} is expected, got {volume.shape}")
    return side_by_side(central_slices(volume, convention), white_of(volume))


def side_by_side(slices: Sequence[np.ndarray], white: float) -> np.ndarray:
    """Return slices (rows from the top down, one pixel a voxel) as one picture; `white` is the value drawn white."""
    panels = [enlarged(panel, white) for panel in slices]
    height = max(panel.shape[0] for panel in panels)
    row = []
    for panel in panels:
        above = (height - panel.shape[0]) // 2
        row.append(np.pad(panel, ((above, height - panel.shape[0] - above), (0, 0))))
        row.append(np.zeros((height, _GAP_PIXELS), np.uint8))
    return np.hstack(row[:-1])


def central_slices(volume: np.ndarray, convention: str = "radiological") -> list[np.ndarray]:
    """Return the sagittal, coronal and axial slice as rows (from the top down) and columns, one pixel a voxel."""
    cuts = canonical_index(*CUTS_MM)
    return [upright(volume.take(number, axis), axis, convention) for axis, number in enumerate(cuts)]


def upright(plane: np.ndarray, axis: int, convention: str = "radiological") -> np.ndarray:
    """Return a slice across an axis of a volume in RAS order as it is looked at: rows from the top down.

    Raises ValueError for an unknown convention.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"a convention is one of {', '.join(CONVENTIONS)}, got {convention!r}")
    # Across x the plane comes as (forwards, upwards), across y and z its first axis goes to the patient's right.
    rows = plane.T[::-1]
    is_turned = convention == "radiological" and axis != 0
    return rows[:, ::-1] if is_turned else rows


def white_of(volume: np.ndarray) -> float:
    """Return the value that is drawn white; any, when nothing is above 0."""
    for value in (np.percentile(volume, WHITE_PERCENTILE), volume.max()):
        if value > 0:
            return float(value)
    return 1.0


def enlarged(panel: np.ndarray, white: float) -> np.ndarray:
    """Return a slice as uint8 with `PIXELS_A_VOXEL` pixels a voxel; `white` is the value drawn white."""
    grey = np.clip(panel / white * 255, 0, 255).astype(np.float32)
    size = (grey.shape[1] * PIXELS_A_VOXEL, grey.shape[0] * PIXELS_A_VOXEL)
    # Lanczos keeps nine tenths of the grain's height, cubic eight, bilinear less: noise is there to be judged.
    enlarged = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.LANCZOS))
    return np.clip(np.rint(enlarged), 0, 255).astype(np.uint8)
