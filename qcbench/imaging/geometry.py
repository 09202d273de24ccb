"""Where voxels lie in the head: the canonical grid, RAS against LPS, affines made usable.

All of qcbench speaks RAS+ millimetres, as NIfTI and nibabel do: x grows to the patient's right, y to
the front, z upwards. ITK, and so ants, speaks LPS+. The two meet in this module and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from nibabel import orientations

if TYPE_CHECKING:
    import ants

#: Bottani et al. 2022: MNI space cut to 169 x 208 x 179 voxels of 1 mm.
CANONICAL_SHAPE = (169, 208, 179)
#: Voxel (0, 0, 0) lies at MNI (-84, -119, -78); the array axes are right, anterior, superior.
CANONICAL_AFFINE = np.array([[1.0, 0, 0, -84], [0, 1, 0, -119], [0, 0, 1, -78], [0, 0, 0, 1]])
CANONICAL_AFFINE.setflags(write=False)

#: RAS <-> LPS: the signs of x and y change. Its own inverse.
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def canonical_index(x_mm: float, y_mm: float, z_mm: float) -> tuple[int, int, int]:
    """Return the voxel of the canonical grid nearest to an MNI coordinate.

    >>> canonical_index(-5, 0, 0)
    (79, 119, 78)
    """
    inside = np.linalg.inv(CANONICAL_AFFINE) @ (x_mm, y_mm, z_mm, 1)
    return tuple(round(float(value)) for value in inside[:3])


def to_itk(affine: np.ndarray) -> tuple[list[float], list[float], np.ndarray]:
    """Return origin (mm), spacing (mm) and direction (3, 3) in LPS, as ITK wants them.

    Raises ValueError when the axes are not orthogonal: `orthonormal` first.
    """
    lps = _FLIP @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = lps[:3, :3] / spacing
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-4):
        raise ValueError("ITK knows orthogonal axes only; make the affine orthonormal first")
    return lps[:3, 3].tolist(), spacing.tolist(), direction


def from_itk(origin: np.ndarray, spacing: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Return the RAS affine (4, 4) of an ITK image's origin, spacing and direction."""
    lps = np.eye(4)
    lps[:3, :3] = np.asarray(direction) * np.asarray(spacing)
    lps[:3, 3] = origin
    return _FLIP @ lps


def to_ants(data: np.ndarray, affine: np.ndarray, *, double: bool = False) -> ants.ANTsImage:
    """Return an ants image that lies where the array lies. uint8 stays uint8, all else is float32 or `double`.

    ants is imported here, so that a machine that only trains networks can use the canonical grid
    without it.
    """
    import ants

    origin, spacing, direction = to_itk(affine)
    dtype = np.uint8 if data.dtype in (np.uint8, np.bool_) else np.float32
    image = ants.from_numpy(
        np.ascontiguousarray(data, dtype=dtype), origin=origin, spacing=spacing, direction=direction
    )
    # from_numpy makes floats of doubles.
    return image.clone("double") if double and dtype is np.float32 else image


def transform_from_itk(parameters: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return as a (4, 4) RAS matrix what ITK stores as 12 affine parameters and a fixed centre."""
    matrix = np.asarray(parameters[:9], dtype=float).reshape(3, 3)
    lps = np.eye(4)
    lps[:3, :3] = matrix
    lps[:3, 3] = parameters[9:12] + centre - matrix @ centre
    return _FLIP @ lps @ _FLIP


def transform_to_itk(ras: np.ndarray) -> np.ndarray:
    """Return the 12 parameters of a (4, 4) RAS matrix as an ITK affine whose centre is the origin."""
    lps = _FLIP @ ras @ _FLIP
    return np.concatenate([lps[:3, :3].ravel(), lps[:3, 3]])


def orthonormal(affine: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, float]:
    """Return the nearest affine with orthogonal axes, and the largest angle between axes it mended.

    The angle is in degrees, 0 when the axes were orthogonal. The polar factor of the direction
    cosines is the nearest orthogonal matrix in the least-squares sense (Higham 1986); spacing and
    the centre of the volume stay. Series with gantry tilt need this.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = affine[:3, :3] / spacing
    left, _, right = np.linalg.svd(cosines)
    nearest = left @ right
    shear = np.degrees(np.abs(np.arcsin(np.clip(cosines.T @ cosines - np.eye(3), -1, 1)))).max()
    if shear < 1e-3:
        shear = 0.0
    centre = (np.array(shape) - 1) / 2
    mended = np.eye(4)
    mended[:3, :3] = nearest * spacing
    mended[:3, 3] = affine[:3, 3] + affine[:3, :3] @ centre - mended[:3, :3] @ centre
    return mended, float(shear)


def to_ras(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the same voxels with axes permuted and flipped to be nearest to right, anterior, superior.

    Nothing is interpolated: each voxel keeps its value and its place in the head.
    """
    axes = orientations.io_orientation(affine)
    turned = orientations.apply_orientation(data, axes)
    return np.ascontiguousarray(turned), affine @ orientations.inv_ornt_aff(axes, data.shape)


def axis_codes(affine: np.ndarray) -> str:
    """Return the directions in which the array axes grow, e.g. ``LAS``."""
    return "".join(orientations.aff2axcodes(affine))
