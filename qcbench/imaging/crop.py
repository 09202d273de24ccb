"""The aligned image on the canonical grid, after one interpolation and no more."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from qcbench.imaging.geometry import CANONICAL_AFFINE, CANONICAL_SHAPE


def to_canonical(data: np.ndarray, affine: np.ndarray, template_to_scanner: np.ndarray) -> np.ndarray:
    """Return the image in MNI space: float32 of shape (169, 208, 179), 1 mm, affine CANONICAL_AFFINE.

    `template_to_scanner` (4, 4) maps MNI to the image's own millimetres, both RAS. Linear interpolation
    of the given voxels; 0 outside them.
    """
    cropped = resample(data, affine, template_to_scanner, CANONICAL_SHAPE, CANONICAL_AFFINE)
    assert cropped.shape == CANONICAL_SHAPE
    return cropped


def to_int16(volume: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the volume as int16, and the factor it was multiplied with.

    The 99.8th percentile becomes 1000: a step is a tenth of a percent of the brightest tissue, far below the
    noise of any scan, and a voxel 32 times as bright still fits; brighter ones are cut.
    """
    high = float(np.percentile(volume, 99.8))
    if high <= 0:
        high = float(np.abs(volume).max()) or 1.0
    scale = 1000.0 / high
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(volume * scale), limits.min, limits.max).astype(np.int16), scale


def resample(
    data: np.ndarray,
    affine: np.ndarray,
    template_to_scanner: np.ndarray,
    shape: tuple[int, int, int],
    grid_affine: np.ndarray,
) -> np.ndarray:
    """Return the image at the voxels of another grid (float32, linear, 0 outside the image)."""
    grid_to_voxel = np.linalg.inv(affine) @ template_to_scanner @ grid_affine
    return ndimage.affine_transform(
        np.asarray(data, dtype=np.float32), grid_to_voxel, output_shape=shape, order=1, mode="constant", cval=0.0
    )


def covered(
    data_shape: tuple[int, int, int],
    affine: np.ndarray,
    template_to_scanner: np.ndarray,
    points: np.ndarray,
) -> np.ndarray:
    """Return which of the template points (n, 3), in mm, lie inside the image's field of view."""
    to_voxel = np.linalg.inv(affine) @ template_to_scanner
    index = points @ to_voxel[:3, :3].T + to_voxel[:3, 3]
    # Half a voxel of margin: a voxel reaches that far from its centre.
    return np.all((index >= -0.5) & (index <= np.array(data_shape) - 0.5), axis=1)
