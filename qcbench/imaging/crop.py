"""The aligned image on the canonical grid, after one interpolation and no more."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from qcbench.imaging.geometry import CANONICAL_AFFINE, CANONICAL_SHAPE

#: 255 times 128: a byte holds the same value whether it was averaged from 1 mm or read from here.
COARSE_WHITE = 32640


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


def min_max(data: np.ndarray) -> np.ndarray:
    """Return the image scaled to [0, 1] by its own lowest and highest value, float32 (Bottani 2022, section 2.5).

    >>> min_max(np.array([-2.0, 0.0, 2.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    low, high = float(data.min()), float(data.max())
    return ((data - low) / (high - low)).astype(np.float32)


def block_average(data: np.ndarray, factor: int) -> np.ndarray:
    """Return the mean of each block of factor^3 voxels.

    An axis that is no multiple of `factor` gets zero planes at its front, as in the pooling of
    the networks; a volume at 2 or 4 mm has the sizes that pooling gives one at 1 mm.

    >>> block_average(np.ones((3, 2, 2)), 2).ravel().tolist()
    [0.5, 1.0]
    """
    if factor == 1:
        return data
    padded = np.pad(data, [(-size % factor, 0) for size in data.shape])
    x, y, z = (size // factor for size in padded.shape)
    return padded.reshape(x, factor, y, factor, z, factor).mean(axis=(1, 3, 5))


def coarse_affine(factor: int) -> np.ndarray:
    """Return the affine of the canonical grid after `block_average`.

    >>> coarse_affine(2)[:3, 3].tolist()
    [-84.5, -118.5, -78.5]
    """
    affine = CANONICAL_AFFINE @ np.diag([factor, factor, factor, 1.0])
    in_front = [-size % factor for size in CANONICAL_SHAPE]
    affine[:3, 3] = CANONICAL_AFFINE[:3, :3] @ ((factor - 1) / 2 - np.array(in_front)) + CANONICAL_AFFINE[:3, 3]
    return affine


def to_coarse_int16(volume: np.ndarray, factor: int) -> np.ndarray:
    """Return a volume of 1 mm as one for training at `factor` mm: 0 and 32640 are its lowest and highest value.

    The range is that of the voxels of 1 mm, which a mean of voxels does not reach. What a cache of
    bytes makes of it is what it makes of the volume of 1 mm.
    """
    return np.rint(block_average(min_max(volume), factor) * COARSE_WHITE).astype(np.int16)


def from_coarse_int16(coarse: np.ndarray) -> np.ndarray:
    """Return the intensities, 0 to 1, of what `to_coarse_int16` made."""
    return coarse.astype(np.float32) / COARSE_WHITE


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


def isotropic(data: np.ndarray, affine: np.ndarray, size_mm: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the same field of view in cubes of `size_mm` by a cubic spline (float32), and their affine.

    Bottani et al. 2022 did so with images whose voxels were below 0.9 mm in some direction.
    """
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    shape = np.maximum(2, np.rint(np.array(data.shape) * spacing_mm / size_mm)).astype(int)
    cubes = affine @ np.diag([*(size_mm / spacing_mm), 1.0])
    # The middles of both fields of view are one place.
    cubes[:3, 3] = affine[:3, :3] @ ((np.array(data.shape) - 1) / 2) + affine[:3, 3] - cubes[:3, :3] @ ((shape - 1) / 2)
    to_voxel = np.linalg.inv(affine) @ cubes
    source = np.asarray(data, dtype=np.float32)
    # Half a voxel at the border lies outside all centres: the edge is continued.
    return ndimage.affine_transform(source, to_voxel, output_shape=tuple(shape), order=3, mode="nearest"), cubes


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
