"""Head motion between the volumes of a series: each laid rigidly over the middle one.

By least squares over the voxels, linearised and solved again (Cox & Jesmanowicz, Magn Reson Med 1999), as in AFNI's
3dvolreg, of which MRIQC takes its motion. antsRegistration was tried first: of volumes moved by known amounts it found
the place to 0.05 to 0.2 mm and 0.2 to 1.2 degrees, this to 0.012 mm and 0.03 degrees; and motion counts from 0.2 mm on.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from qcbench.iqm.reasons import need

#: The blur (standard deviation) of one search after the other: the first reaches further, the second is exact.
_BLURS_MM = (8.0, 4.0)
_MOST_STEPS = 20
#: Smaller steps than these, in mm and radians, are none.
_LEAST_STEP = np.array([1e-3] * 3 + [2e-5] * 3)
#: A rotation in radians and a shift in mm change an image alike when the one is on a sphere of so many mm.
_RADIUS_MM = 50.0
#: Ways of moving that change the image less than this share of the one that changes it most are not looked for: along
#: the axis of a phantom, or across three slices, any shift would fit. Of a head they have 0.013 and more.
_LEAST_CHANGE = 0.008
#: Of a thinner slab (a real one of 24 mm was tried) motion out of it is found that brings the volumes no closer.
_LEAST_EXTENT_MM = 30.0
#: Nobody moves further in a head coil.
_FARTHEST_MM, _FARTHEST_RADIANS = 40.0, 0.8


def realigned(data: np.ndarray, spacing_mm: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the series (x, y, z, volume) laid over its middle volume, and the motion, a row a volume.

    That is translations (mm) along the axes of the array and rotations (radians) about the middle of the field.
    Raises NotMeasurableError when a volume cannot be laid over it, or the field is too thin to tell.
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    extent_mm = float((spacing * data.shape[:3]).min())
    need(extent_mm >= _LEAST_EXTENT_MM, f"the field is {extent_mm:.0f} mm thick: motion is not told below 30 mm")
    middle = data.shape[3] // 2
    levels = [_Level(data[..., middle], spacing, blur_mm) for blur_mm in _BLURS_MM]
    moved, parameters = np.empty_like(data), []
    for index in range(data.shape[3]):
        volume = data[..., index]
        pose = np.eye(4)
        for level in levels:
            pose = level.search(volume, pose)
        row = np.array([*pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_euler("xyz")])
        need(
            np.abs(row[:3]).max() < _FARTHEST_MM and np.abs(row[3:]).max() < _FARTHEST_RADIANS,
            f"volume {index} of the steady ones cannot be laid over the middle one",
        )
        # Linear interpolation would blur, and so steady, the volumes that moved most.
        coefficients = ndimage.spline_filter(volume.astype(np.float32), order=3, output=np.float32)
        moved[..., index] = volume if index == middle else _seen_from(coefficients, pose, spacing)
        parameters.append(row)
    return moved, np.array(parameters)


class _Level:
    """The volume that others are laid over, blurred, and how it changes when it moves."""

    def __init__(self, fixed: np.ndarray, spacing: np.ndarray, blur_mm: float) -> None:
        self._spacing, self._sigma = spacing, blur_mm / spacing
        self._fixed = self._blurred(fixed)
        slopes = [
            ndimage.gaussian_filter(fixed.astype(np.float64), self._sigma, order=order) / size
            for order, size in zip(np.eye(3, dtype=int), spacing, strict=True)
        ]
        places = [
            (index - (count - 1) / 2) * size
            for index, count, size in zip(np.indices(fixed.shape, sparse=True), fixed.shape, spacing, strict=True)
        ]
        turns = [
            slopes[2] * places[1] - slopes[1] * places[2],
            slopes[0] * places[2] - slopes[2] * places[0],
            slopes[1] * places[0] - slopes[0] * places[1],
        ]
        # What moves in from outside is not known: the rim does not count, where there is enough besides.
        self._inner = tuple(slice(rim, size - rim) for size in fixed.shape for rim in [min(2, size // 6)])
        self._change = np.stack([each[self._inner].ravel() for each in (*slopes, *turns)], axis=1)
        units = np.array([1.0] * 3 + [1 / _RADIUS_MM] * 3)
        normal = (self._change.T @ self._change) * np.outer(units, units)
        self._solve = np.linalg.pinv(normal, rcond=_LEAST_CHANGE, hermitian=True) * np.outer(units, units)

    def search(self, volume: np.ndarray, pose: np.ndarray) -> np.ndarray:
        """Return the pose of the volume: the matrix that leads from a place in the fixed one to the same in it."""
        coefficients = ndimage.spline_filter(self._blurred(volume), order=3)
        for _ in range(_MOST_STEPS):
            left = (self._fixed - _seen_from(coefficients, pose, self._spacing))[self._inner].ravel()
            step = self._solve @ (self._change.T @ left)
            further = np.eye(4)
            further[:3, :3], further[:3, 3] = Rotation.from_rotvec(step[3:]).as_matrix(), step[:3]
            pose = pose @ further
            if (np.abs(step) < _LEAST_STEP).all() or np.abs(pose[:3, 3]).max() > _FARTHEST_MM:
                break
        return pose

    def _blurred(self, volume: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(volume.astype(np.float64), self._sigma)


def _seen_from(coefficients: np.ndarray, pose: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Return a volume (its cubic spline) as it lies on the grid of the fixed one."""
    matrix = pose[:3, :3] * spacing / spacing[:, None]
    centre = (np.array(coefficients.shape) - 1) / 2
    offset = pose[:3, 3] / spacing + centre - matrix @ centre
    # Mirrored as `spline_filter` has it: otherwise the first and the last slice change where nothing moved.
    return ndimage.affine_transform(coefficients, matrix, offset=offset, order=3, mode="mirror", prefilter=False)
