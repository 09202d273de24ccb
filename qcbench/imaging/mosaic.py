"""Many slices of one volume in one picture: for a report, where three are too few."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from qcbench.imaging import screenshot

_GAP_PIXELS = 2
#: So much of the bright voxels lies beyond either end: what the outermost slices would show is skin and neck.
_LEFT_OUT = 0.02


def mosaic(
    volume: np.ndarray,
    *,
    axis: int = 2,
    rows: int = 4,
    columns: int = 6,
    spacing_mm: Sequence[float] = (1.0, 1.0, 1.0),
    convention: str = "radiological",
    pixels_a_mm: float = 1.0,
) -> np.ndarray:
    """Return rows x columns slices across an axis of a volume in RAS order as one picture (uint8).

    They are evenly spaced over the head, from the left, the back or the bottom on, a line after the other, and drawn
    as `screenshot` draws: upright, in true proportions, with one white for all. Raises ValueError for an axis that
    there is not, an empty grid or an unknown convention.
    """
    if axis not in (0, 1, 2) or rows < 1 or columns < 1:
        raise ValueError(f"axis is 0, 1 or 2 and rows and columns are 1 or more, got {axis}, {rows} and {columns}")
    white = screenshot.white_of(volume)
    height_mm, width_mm = (
        (spacing_mm[2], spacing_mm[1]),
        (spacing_mm[2], spacing_mm[0]),
        (spacing_mm[1], spacing_mm[0]),
    )[axis]
    panels = []
    for number in slice_numbers(volume, axis, rows * columns):
        plane = screenshot.upright(volume.take(number, axis), axis, convention)
        grey = np.clip(plane / white * 255, 0, 255).astype(np.float32)
        size = (
            max(1, round(grey.shape[1] * width_mm * pixels_a_mm)),
            max(1, round(grey.shape[0] * height_mm * pixels_a_mm)),
        )
        drawn = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR))
        panels.append(np.pad(np.rint(drawn).astype(np.uint8), ((0, _GAP_PIXELS), (0, _GAP_PIXELS))))
    lines = [np.hstack(panels[first : first + columns]) for first in range(0, rows * columns, columns)]
    return np.vstack(lines)[:-_GAP_PIXELS, :-_GAP_PIXELS]


def slice_numbers(volume: np.ndarray, axis: int, n: int) -> list[int]:
    """Return `n` indices along an axis, evenly spaced over the part where the head is; some repeat in a thin volume."""
    bright = volume > volume.mean(dtype=np.float64)
    counted = np.cumsum(bright.sum(axis=tuple(other for other in range(3) if other != axis)))
    if counted[-1] == 0:
        first, last = 0, volume.shape[axis] - 1
    else:
        first, last = np.searchsorted(counted, np.array([_LEFT_OUT, 1 - _LEFT_OUT]) * counted[-1])
    return np.rint(np.linspace(first, last, n)).astype(int).tolist()
