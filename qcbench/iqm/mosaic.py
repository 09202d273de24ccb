"""Pictures of what an image was measured on: slices of it, and the masks on them.

A row of slices a picture, sagittal, coronal and three axial ones through the brain, one pixel a millimetre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from qcbench.imaging import screenshot
from qcbench.iqm.anatomical import Anatomy
from qcbench.iqm.functional import Run

#: Axial slices at these shares of the brain's height.
_HEIGHTS = (0.25, 0.5, 0.75)
_GAP_PIXELS = 4
#: An image is darkened to this share under an outline, which is white.
_UNDER_OUTLINE = 0.7
#: The grey of a voxel that is fluid, grey or white matter alone.
_TISSUE_GREY = {"csf": 70, "gm": 150, "wm": 255}


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """One picture (rows, columns; uint8) and what it shows; None where there is none, then the caption says why."""

    name: str
    caption: str
    picture: np.ndarray | None


def of_anatomy(anatomy: Anatomy, convention: str = "radiological") -> list[Panel]:
    """Return the pictures of an anatomical image: as stored, brain, tissues, head, and the air brightened."""
    cuts = _Cuts(anatomy.raw.shape, anatomy.spacing_mm, anatomy.brain, convention)
    panels = [Panel(name="image", caption="The image as stored", picture=cuts.grey(anatomy.stored))]
    wanted = {
        "brain": ("Brain mask, on the image without its bias field", ("harmonised", "brain")),
        "tissues": ("Tissues: fluid dark, grey matter grey, white matter white", ("maps",)),
        "head": ("Head mask, and its part above nose and nape", ("head", "crown")),
        "air": ("The air, brightened: its outline, artefacts white", ("hat", "artefact")),
    }
    for name, (caption, parts) in wanted.items():
        missing = [part for part in parts if getattr(anatomy, part) is None]
        picture = None if missing else _ANATOMICAL[name](anatomy, cuts)
        reason = anatomy.failures.get(missing[0], "it was not made") if missing else ""
        panels.append(_panel(name, caption, picture, reason))
    return panels


def of_run(run: Run, convention: str = "radiological") -> list[Panel]:
    """Return the pictures of a series: its mean volume, brain, air brightened, and signal over its change in time."""
    cuts = _Cuts(run.mean.shape, run.spacing_mm, run.brain, convention)
    brain = None if run.brain is None else cuts.outlined(run.mean, run.brain)
    air = None if run.air is None else _bright_air(run.mean, run.air, cuts)
    not_made = {name: run.failures.get(name, "it was not made") for name in ("brain", "air")}
    return [
        Panel(name="mean", caption="The mean volume, motion corrected", picture=cuts.grey(run.mean)),
        _panel("brain", "Brain mask", brain, not_made["brain"]),
        _panel("air", "The air, brightened: its outline", air, not_made["air"]),
        _panel("tsnr", "Mean over standard deviation in time, 0 to 100", _tsnr(run, cuts), "a single volume"),
    ]


def stacked(panels: Sequence[Panel]) -> np.ndarray:
    """Return the pictures one above the other."""
    pictures = [panel.picture for panel in panels if panel.picture is not None]
    width = max(picture.shape[1] for picture in pictures)
    return np.vstack([np.pad(each, ((0, _GAP_PIXELS), (0, width - each.shape[1]))) for each in pictures])


class _Cuts:
    """Where a volume is cut, and how its slices are drawn."""

    def __init__(
        self,
        shape: tuple[int, ...],
        spacing_mm: tuple[float, float, float],
        brain: np.ndarray | None,
        convention: str,
    ) -> None:
        low, high = _extent(brain, shape)
        middle = [(first + last) // 2 for first, last in zip(low, high, strict=True)]
        axial = [round(low[2] + share * (high[2] - low[2])) for share in _HEIGHTS]
        self._cuts = [(0, middle[0]), (1, middle[1]), *((2, number) for number in axial)]
        self._spacing_mm, self._convention = spacing_mm, convention

    def grey(self, data: np.ndarray, white: float | None = None) -> np.ndarray:
        """Return the slices of an image; `white` is the value drawn white, by default its 99.8th percentile."""
        white = screenshot.white_of(data) if white is None else white
        return self._row(np.clip(data / white * 255, 0, 255), smooth=True)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        """Return where the slices lie in the mask, as boolean."""
        return self._row(mask.astype(np.float32) * 255, smooth=False) > 127

    def outlined(self, data: np.ndarray, *masks: np.ndarray, white: float | None = None) -> np.ndarray:
        """Return the slices of an image with the outlines of masks."""
        picture = (self.grey(data, white) * _UNDER_OUTLINE).astype(np.uint8)
        for mask in masks:
            inside = self.mask(mask)
            picture[inside & ~ndimage.binary_erosion(inside)] = 255
        return picture

    def _row(self, values: np.ndarray, *, smooth: bool) -> np.ndarray:
        planes = []
        for axis, number in self._cuts:
            across, upwards = (size for other, size in enumerate(self._spacing_mm) if other != axis)
            plane = screenshot.upright(values.take(number, axis), axis, self._convention).astype(np.float32)
            size = (max(1, round(plane.shape[1] * across)), max(1, round(plane.shape[0] * upwards)))
            method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
            planes.append(np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, method)))
        height = max(plane.shape[0] for plane in planes)
        row = [np.pad(each, ((0, height - each.shape[0]), (0, _GAP_PIXELS))) for each in planes]
        return np.rint(np.hstack(row)).astype(np.uint8)


def _extent(brain: np.ndarray | None, shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Return the first and the last index along each axis of the brain, or of the field where it is not known."""
    if brain is None or not brain.any():
        return [0, 0, 0], [size - 1 for size in shape]
    places = np.nonzero(brain)
    return [int(each.min()) for each in places], [int(each.max()) for each in places]


def _panel(name: str, caption: str, picture: np.ndarray | None, reason: str) -> Panel:
    return Panel(name=name, caption=caption if picture is not None else f"{caption}: none, {reason}", picture=picture)


def _tissues(anatomy: Anatomy, cuts: _Cuts) -> np.ndarray:
    return cuts.grey(sum(share * _TISSUE_GREY[name] for name, share in anatomy.maps.items()), white=255)


def _air(anatomy: Anatomy, cuts: _Cuts) -> np.ndarray:
    picture = _bright_air(anatomy.stored, anatomy.hat, cuts)
    picture[cuts.mask(anatomy.artefact)] = 255
    return picture


def _bright_air(data: np.ndarray, air: np.ndarray, cuts: _Cuts) -> np.ndarray:
    """Return the slices with noise in mid grey, where ghosts and folded tissue show."""
    top = float(np.percentile(data[air], 99)) if air.any() else 0.0
    return cuts.outlined(data, air, white=2 * top if top > 0 else None)


def _tsnr(run: Run, cuts: _Cuts) -> np.ndarray | None:
    if run.data.shape[3] < 2:
        return None
    deviation = run.data.std(axis=3, dtype=np.float64)
    return cuts.grey(np.divide(run.mean, deviation, out=np.zeros_like(deviation), where=deviation > 0), white=100)


_ANATOMICAL = {
    "brain": lambda anatomy, cuts: cuts.outlined(anatomy.image, anatomy.brain),
    "tissues": _tissues,
    "head": lambda anatomy, cuts: cuts.outlined(anatomy.stored, anatomy.head, anatomy.crown),
    "air": _air,
}
