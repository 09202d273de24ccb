"""The whole volume behind a picture, a slice at a time, drawn as the picture was.

numpy, nibabel and Pillow are loaded when the first volume is opened: raters who look at the picture
alone never pay for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qcbench import images
from qcbench.annotate.messages import Refused
from qcbench.annotate.queue import QueuedImage
from qcbench.errors import ImageError, StudyError
from qcbench.study import Study

if TYPE_CHECKING:
    import numpy as np

#: Slices of one message at most.
MOST_SLICES = 8
_PLANES = (0, 1, 2)


class _Opened(NamedTuple):
    path: str
    voxels: np.ndarray
    white: float


class Volumes:
    """Draws slices of the volumes of a study. The last volume is held, some 13 MB.

    Without `of_all` only images that are labelled from the volume (purpose ``volume``) are opened.
    """

    def __init__(self, study: Study, *, of_all: bool) -> None:
        self._study = study
        self._of_all = of_all
        self._opened: _Opened | None = None

    def may_open(self, image: QueuedImage) -> bool:
        """Return whether the volume of an image may be looked at."""
        return image.volume_path is not None and (self._of_all or image.purpose == "volume")

    def describe(self, image: QueuedImage) -> dict:
        """Return how many slices there are across each axis (`counts`), those of the picture (`start`), and where.

        `origin_mm` is the place of slice 0 in MNI millimetres; slices are 1 mm apart. Refuses, in words for the
        rater, an image whose volume cannot be read.
        """
        from qcbench.imaging import geometry, screenshot

        voxels = self._open(image).voxels
        return {
            "counts": list(voxels.shape),
            "start": list(geometry.canonical_index(*screenshot.CUTS_MM)),
            "origin_mm": [float(value) for value in geometry.CANONICAL_AFFINE[:3, 3]],
        }

    def png(self, image: QueuedImage, plane: int, number: int) -> bytes:
        """Return one slice across axis `plane` as PNG, with the picture's window, size and convention."""
        from qcbench.imaging import screenshot

        _, voxels, white = self._open(image)
        seen = screenshot.upright(voxels.take(number, plane), plane, image.convention or "radiological")
        return images.png_bytes(screenshot.enlarged(seen, white))

    def check(self, image: QueuedImage, plane: object, numbers: object) -> tuple[int, list[int]]:
        """Return plane and slice numbers of a message; refuse what the volume does not have."""
        if type(plane) is not int or plane not in _PLANES:
            raise Refused("a plane is 0, 1 or 2")
        if not isinstance(numbers, list) or len(numbers) > MOST_SLICES:
            raise Refused(f"at most {MOST_SLICES} slices are sent at a time")
        count = self._open(image).voxels.shape[plane]
        if any(type(number) is not int or not 0 <= number < count for number in numbers):
            raise Refused(f"slices of this plane go from 0 to {count - 1}")
        return plane, numbers

    def _open(self, image: QueuedImage) -> _Opened:
        if self._opened is not None and self._opened.path == image.volume_path:
            return self._opened
        self._opened = None  # not two at a time
        try:
            from qcbench.imaging import geometry, screenshot

            # As `preprocess` stored and drew it: int16, half the memory and the same white to the last digit.
            voxels = images.load_volume(self._study.absolute(image.volume_path)).data.astype("int16")
            if voxels.shape != geometry.CANONICAL_SHAPE:
                raise ImageError("BAD_SHAPE", "the volume is kept in coarse voxels only")
        except ModuleNotFoundError as error:
            raise Refused(f"volumes need {error.name} here; ask for: pip install 'qcbench[label]'") from error
        except (ImageError, StudyError) as error:
            raise Refused("the volume is missing or damaged; tell the coordinator") from error
        self._opened = _Opened(image.volume_path, voxels, screenshot.white_of(voxels))
        return self._opened
