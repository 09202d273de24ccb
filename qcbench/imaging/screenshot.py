"""The picture a rater judges: three central slices in a row, alike for every image.

From left to right: sagittal at MNI x = -5 mm (off the midline, to miss the falx), coronal at y = 0, axial at
z = 0 (Bottani et al. 2022); of an image that lies in no template, through the middle of the head (`native`).
Upright; in the sagittal slice the front is on the right, in the axial slice at the top.
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
#: How grey values are chosen: black is 0 and white the percentile above, or the darkest and the brightest voxel.
WINDOWS = ("percentile", "min-max")
#: Each voxel of 1 mm becomes so many pixels a side, once and for all, so that no browser smooths it in its own way.
PIXELS_A_VOXEL = 2
_GAP_PIXELS = 8


def screenshot(volume: np.ndarray, convention: str = "radiological", window: str = "percentile") -> np.ndarray:
    """Return the picture (rows, columns) as uint8 of a volume on the canonical grid.

    Raises ValueError for a volume of another shape, an unknown convention or window.
    """
    if volume.shape != CANONICAL_SHAPE:
        raise ValueError(f"a volume of {CANONICAL_SHAPE} is expected, got {volume.shape}")
    black, white = grey_range(volume, window)
    return side_by_side(central_slices(volume, convention), white, black=black)


def native(
    volume: np.ndarray,
    spacing_mm: Sequence[float],
    convention: str = "radiological",
    window: str = "percentile",
) -> tuple[np.ndarray, dict]:
    """Return the picture of a volume in RAS order as it lies in the scanner, and how it was drawn.

    A millimetre has as many pixels as in every other picture, whatever the voxels are. Drawn are the slices through
    the middle of the head. Raises ValueError for an unknown convention or window.
    """
    cuts = middle_of_head(volume)
    black, white = grey_range(volume, window)
    planes = [upright(volume.take(number, axis), axis, convention) for axis, number in enumerate(cuts)]
    x_mm, y_mm, z_mm = spacing_mm
    picture = side_by_side(planes, white, black=black, pixels_mm=[(z_mm, y_mm), (z_mm, x_mm), (y_mm, x_mm)])
    return picture, {"SliceIndices": list(cuts), "Window": window, "Black": round(black, 6), "White": round(white, 6)}


def side_by_side(
    slices: Sequence[np.ndarray],
    white: float,
    *,
    black: float = 0.0,
    pixels_mm: Sequence[tuple[float, float]] | None = None,
) -> np.ndarray:
    """Return slices (rows from the top down) as one picture; `black` and `white` are the values drawn so.

    `pixels_mm` is the height and the width of a voxel of each slice, 1 mm unless given.
    """
    sizes = pixels_mm or [(1.0, 1.0)] * len(slices)
    panels = [enlarged(panel, white, black=black, pixel_mm=size) for panel, size in zip(slices, sizes, strict=True)]
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
    # Bytes are counted, not sorted: that is what makes pictures of cached volumes quick.
    percentile = _percentile_of_bytes if volume.dtype == np.uint8 else np.percentile
    white = percentile(volume, WHITE_PERCENTILE)
    return float(white if white > 0 else max(volume.max(), 0) or 1.0)


def grey_range(volume: np.ndarray, window: str = "percentile") -> tuple[float, float]:
    """Return the values that are drawn black and white, by one of `WINDOWS`. Raises ValueError for another."""
    if window not in WINDOWS:
        raise ValueError(f"a window is one of {', '.join(WINDOWS)}, got {window!r}")
    if window == "percentile":
        return 0.0, white_of(volume)
    darkest, brightest = float(volume.min()), float(volume.max())
    return darkest, brightest if brightest > darkest else darkest + 1.0


def middle_of_head(volume: np.ndarray) -> tuple[int, int, int]:
    """Return the index along each axis that has half of the bright voxels on either side.

    Bright is what is above the mean, and so head and no air. The median moves little when a neck is in the picture.
    """
    bright = volume > volume.mean(dtype=np.float64)
    middle = []
    for axis in range(3):
        counted = np.cumsum(bright.sum(axis=tuple(other for other in range(3) if other != axis)))
        middle.append(int(np.searchsorted(counted, counted[-1] / 2)))
    return tuple(middle)


def enlarged(
    panel: np.ndarray, white: float, *, black: float = 0.0, pixel_mm: tuple[float, float] = (1.0, 1.0)
) -> np.ndarray:
    """Return a slice as uint8 with `PIXELS_A_VOXEL` pixels a millimetre; `black` and `white` are values drawn so.

    `pixel_mm` is the height and the width of its voxels.
    """
    grey = np.clip((panel - black) / (white - black) * 255, 0, 255).astype(np.float32)
    rows, columns = (
        max(1, round(n_voxels * size * PIXELS_A_VOXEL)) for n_voxels, size in zip(grey.shape, pixel_mm, strict=True)
    )
    # Lanczos keeps nine tenths of the grain's height, cubic eight, bilinear less: noise is there to be judged.
    larger = np.asarray(Image.fromarray(grey).resize((columns, rows), Image.Resampling.LANCZOS))
    return np.clip(np.rint(larger), 0, 255).astype(np.uint8)


def _percentile_of_bytes(volume: np.ndarray, percent: float) -> float:
    """Return what np.percentile returns, of uint8 voxels in a tenth of the time."""
    plane = np.ascontiguousarray(volume).reshape(volume.shape[0], -1)
    reached = np.cumsum(Image.fromarray(plane).histogram())
    place = percent / 100 * (volume.size - 1)
    low, high = np.searchsorted(reached, [np.floor(place), np.ceil(place)], side="right")
    return float(low + (high - low) * (place - np.floor(place)))
