"""How much of an artefact is seen, measured on the three slices that raters see.

What was asked of a scanner says little of what is seen: half of all strong k-space spikes change
nothing visible, and a move of 3 mm may ruin one scan and spare another. So each stage of a
simulation is measured on its result, against what went into it. Higher is worse in every measure;
0 is no change.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from qcbench.errors import ImageError
from qcbench.imaging.geometry import CANONICAL_AFFINE, CANONICAL_SHAPE, canonical_index
from qcbench.imaging.heads import Head
from qcbench.imaging.screenshot import CUTS_MM, WHITE_PERCENTILE

#: Wang et al. 2004: the window's standard deviation (pixels of 1 mm) and the two constants, for a range of 1.
_WINDOW_SD, _C1, _C2 = 1.5, 0.01**2, 0.03**2
#: Grey and white matter are compared with what lies about so near (mm).
_NEAR_MM = 7.0


class Sight:
    """The three central slices of one head, cut where raters see them, and what is known of the head there.

    `cut` gives the slices of any voxels on the head's grid, relative to white matter.
    """

    def __init__(self, head: Head) -> None:
        fluid, grey, white = head.levels
        if not head.brain.any() or not 0 <= fluid < grey < white:
            raise ImageError(
                "NO_TISSUE",
                "no brain with fluid, grey and white matter of different brightness was found; "
                "take a T1w scan of a whole brain",
            )
        self._white = white
        self._coordinates = _coordinates(head)
        self.brain = [plane > 0.5 for plane in self._sample(head.brain.astype(np.float32))]
        self.untouched = self.cut(head.data)
        self.separation = (white - grey) / white
        self._grey = [
            inside & (np.abs(plane - grey / white) < self.separation / 2) & (plane > (fluid + grey) / 2 / white)
            for plane, inside in zip(self.untouched, self.brain, strict=True)
        ]
        self._is_white = [
            inside & (np.abs(plane - 1) < self.separation / 2)
            for plane, inside in zip(self.untouched, self.brain, strict=True)
        ]
        if not any(grey.any() and white.any() for grey, white in zip(self._grey, self._is_white, strict=True)):
            raise ImageError("NO_TISSUE", "the three central slices show no grey beside white matter; is it aligned?")
        outside = [~ndimage.binary_dilation(plane > 0.15, iterations=6) for plane in self.untouched]
        in_field = [plane > 0.5 for plane in self._sample(np.ones(head.data.shape, np.float32))]
        self._air = [away & seen for away, seen in zip(outside, in_field, strict=True)]

    def cut(self, data: np.ndarray) -> list[np.ndarray]:
        """Return the sagittal, coronal and axial slice (float32, white matter = 1, one pixel a millimetre)."""
        return [plane / np.float32(self._white) for plane in self._sample(data)]

    def dissimilarity(self, before: list[np.ndarray], after: list[np.ndarray]) -> float:
        """Return 1 - the structural similarity in the brain (Wang et al. 2004), 0 to about 1."""
        values = [_similarity(old, new)[inside] for old, new, inside in zip(before, after, self.brain, strict=True)]
        return float(1 - np.concatenate(values).mean())

    def sharpness_lost(self, before: list[np.ndarray], after: list[np.ndarray]) -> float:
        """Return the share of the steepest edges' slope that is gone; negative when edges were added."""
        slopes = []
        for planes in (before, after):
            steep = [
                ndimage.gaussian_gradient_magnitude(plane, 1.0)[inside]
                for plane, inside in zip(planes, self.brain, strict=True)
            ]
            slopes.append(np.percentile(np.concatenate(steep), 90))
        return float(1 - slopes[1] / slopes[0])

    def noise_to_contrast(self, before: list[np.ndarray], after: list[np.ndarray]) -> float:
        """Return the standard deviation of what was added in the brain, in units of white minus grey matter."""
        added = [(new - old)[inside] for old, new, inside in zip(before, after, self.brain, strict=True)]
        return float(np.concatenate(added).std() / self.separation)

    def contrast_lost(self, before: list[np.ndarray], after: list[np.ndarray]) -> float:
        """Return the mean over the brain of the share of grey-white difference that is gone, 0 to 1.

        Grey and white matter are those of the untouched slices; their difference is taken within
        about 7 mm, so that a brain that is clear in parts counts as such, and in the brightness of
        the picture, where the brightest spots decide what is white.
        """
        lost, weights = [], []
        pairs = zip(_displayed(before), _displayed(after), self._grey, self._is_white, strict=True)
        floor = self.separation / 3 / _display_white(before)
        for was, now, grey, white in pairs:
            difference, weight = _local_difference(was, grey, white)
            remains, _ = _local_difference(now, grey, white)
            share = np.clip(remains / np.maximum(difference, floor), 0, 1)
            lost.append((weight * (1 - share)).sum())
            weights.append(weight.sum())
        return float(sum(lost) / sum(weights))

    def ghost_level(self, before: list[np.ndarray], after: list[np.ndarray]) -> float:
        """Return the mean brightness that was added to the air around the head, white matter = 1."""
        added = [(new - old)[air] for old, new, air in zip(before, after, self._air, strict=True)]
        together = np.concatenate(added)
        return float(together.mean()) if together.size else 0.0

    def _sample(self, data: np.ndarray) -> list[np.ndarray]:
        return [
            ndimage.map_coordinates(data, places, order=1, output=np.float32, mode="constant")
            for places in self._coordinates
        ]


def _coordinates(head: Head) -> list[np.ndarray]:
    """Return, for each of the three slices, where its pixels lie in the head's array (3, rows, columns)."""
    to_voxel = np.linalg.inv(head.affine) @ head.template_to_scanner @ CANONICAL_AFFINE
    planes = []
    for axis, index in enumerate(canonical_index(*CUTS_MM)):
        along = [np.arange(size, dtype=float) for size in CANONICAL_SHAPE]
        along[axis] = np.array([float(index)])
        grid = np.stack(np.meshgrid(*along, indexing="ij")).squeeze(axis + 1)
        planes.append(np.einsum("ij,jkl->ikl", to_voxel[:3, :3], grid) + to_voxel[:3, 3, None, None])
    return planes


def _display_white(planes: list[np.ndarray]) -> float:
    return max(float(np.percentile(np.concatenate([plane.ravel() for plane in planes]), WHITE_PERCENTILE)), 1e-6)


def _displayed(planes: list[np.ndarray]) -> list[np.ndarray]:
    white = _display_white(planes)
    return [np.clip(plane / white, 0, 1) for plane in planes]


def _similarity(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    def mean(plane: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(plane, _WINDOW_SD, truncate=3.5)

    one, two = mean(first), mean(second)
    spread_one, spread_two = mean(first * first) - one * one, mean(second * second) - two * two
    together = mean(first * second) - one * two
    return ((2 * one * two + _C1) * (2 * together + _C2)) / (
        (one * one + two * two + _C1) * (spread_one + spread_two + _C2)
    )


def _local_difference(plane: np.ndarray, grey: np.ndarray, white: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return white minus grey matter nearby, and how much of both there is to compare."""

    def nearby(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values.astype(np.float32), _NEAR_MM, truncate=2.5)

    n_grey, n_white = nearby(grey), nearby(white)
    difference = nearby(plane * white) / np.maximum(n_white, 1e-4) - nearby(plane * grey) / np.maximum(n_grey, 1e-4)
    return difference, np.minimum(n_grey, n_white) * (n_grey > 0.02) * (n_white > 0.02)
