"""A whole head in template space: what every synthetic head is a deformation of.

The brain is the ICBM 152 tissue maps that nilearn's wheel carries (skull-stripped, 1 mm). What is
around it (meninges, skull, scalp, face, neck) is drawn here from distances to the brain, ellipsoids
and tubes, placed in MNI millimetres by eye. It is a phantom for trying and testing software, no
atlas: nothing may be measured on it.

Brightness is relative to white matter (1.0) on a T1-weighted image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy import ndimage

from qcbench.imaging import template

#: Voxel size of the canonical grid; its corner and its far corner in MNI millimetres.
SPACING_MM = 1.2
CORNER_MM = np.array([-98.0, -132.0, -152.0])
_FAR_MM = np.array([98.0, 120.0, 106.0])
SHAPE = tuple(int(size) for size in np.ceil((_FAR_MM - CORNER_MM) / SPACING_MM))

_COARSE = 2  # distances are smooth: half the resolution is enough

# Ellipsoids: centre and radii in MNI mm. "sides" draws both sides of the midline.
_HEAD_SHAPES = (
    ((0, 40, -56), (60, 50, 56)),  # middle of the face
    ((0, 90, -54), (13, 22, 18)),  # nose
    ((0, 60, -104), (32, 28, 26)),  # chin
    ((0, 22, -92), (54, 48, 36)),  # jaws
    ((0, -14, -52), (62, 56, 36)),  # under the skull base
    ((86, -22, -42), (6, 13, 24)),  # ears
    ((-86, -22, -42), (6, 13, 24)),
)
_NECK = ((0, -30, -152), (57, 60, np.inf))  # a cylinder, cut off at _NECK_TOP_MM
_NECK_TOP_MM = -66
_DEEP_SHAPES = (  # centre, radii, brightness, both sides; later ones are drawn over earlier ones
    ((30, 50, -37), (17, 30, 16), 1.15, True),  # fat of the orbit
    ((20, 44, -37), (2.2, 20, 2.2), 0.6, True),  # optic nerve
    ((33, 66, -37), (12.6, 12.6, 12.6), 0.45, True),  # wall of the eye
    ((33, 66, -37), (11, 11, 11), 0.2, True),  # vitreous
    ((33, 75, -37), (4.5, 2, 4.5), 0.45, True),  # lens
    ((8, 60, -55), (6.5, 28, 17), 0.05, True),  # nasal cavity
    ((9, 55, -62), (3.2, 19, 5), 0.6, True),  # lower turbinate
    ((9, 52, -50), (2.6, 16, 4), 0.6, True),  # middle turbinate
    ((31, 50, -64), (13, 15, 15), 0.05, True),  # maxillary sinus
    ((10, 80, -12), (8, 4, 8), 0.05, True),  # frontal sinus
    ((7, 20, -36), (7, 11, 8), 0.05, True),  # sphenoid sinus
    ((0, -14, -46), (11, 7, 15), 0.95, False),  # clivus: fatty marrow
    ((46, -36, -50), (11, 13, 15), 0.12, True),  # mastoid cells
    ((0, 36, -92), (23, 30, 16), 0.55, False),  # tongue
    ((0, 46, -75.5), (22, 30, 2.2), 0.05, False),  # air and bone of the palate
    ((0, 4, -88), (10, 6, 34), 0.03, False),  # pharynx
    ((0, 3, -140), (8, 8, 24), 0.03, False),  # larynx
    ((40, 30, -100), (7, 32, 10), 0.08, True),  # lower jaw, cortex
    ((40, 30, -100), (4.5, 29, 7), 1.0, True),  # lower jaw, marrow
    ((0, 68, -104), (22, 6, 10), 0.08, False),
    ((0, 68, -104), (19, 3.5, 7), 1.0, False),
    ((0, -18, -78), (6, 6, 13), 0.85, False),  # dens
    ((0, -22, -97), (11, 9, 7), 0.75, False),  # bodies of the vertebrae
    ((0, -23, -114), (11, 9, 7), 0.75, False),
    ((0, -25, -131), (11, 9, 7), 0.75, False),
    ((0, -27, -148), (11, 9, 7), 0.75, False),
)
_CORD = ((0, -45, -68), (0, -49, -100), (0, -53, -156))

# Vessels that shine after gadolinium: path in MNI mm, radius in mm, both sides.
_VESSELS = (
    (((0, -102, -10), (22, -98, -15), (48, -80, -20), (60, -58, -24), (54, -44, -38), (36, -38, -56)), 4.0, True),
    (((36, -38, -56), (34, -26, -80), (38, -18, -120), (38, -18, -152)), 4.5, True),  # jugular vein
    (((0, -40, 6), (0, -66, 8), (0, -102, -8)), 2.4, False),  # straight sinus
    (((3, 2, 14), (3, -18, 16), (1, -38, 8)), 1.6, True),  # internal cerebral vein
    (((30, -14, -152), (28, -12, -100), (27, -10, -62), (22, 0, -42), (12, 3, -30), (13, 6, -14)), 2.6, True),
    (((13, 6, -14), (28, 2, -16), (42, -4, -8), (46, -14, 2)), 1.9, True),  # middle cerebral artery
    (((13, 6, -14), (3, 14, -10), (2, 36, 0), (2, 38, 18), (2, 22, 36), (2, -12, 42)), 1.5, True),
    (((10, -36, -66), (0, -31, -48), (0, -22, -16)), 2.0, True),  # vertebral and basilar artery
    (((14, -10, 20), (22, -36, 16), (28, -42, 4), (30, -32, -8)), 2.6, True),  # choroid plexus
)
_ENHANCING_BODIES = (  # centre and radii in MNI mm, strength
    (((0, 0, -33), (5, 5, 4)), 0.9),  # pituitary
    (((0, -40, 3), (3, 4, 3)), 0.8),  # pineal
    (((0, 56, -57), (16, 30, 17)), 0.4),  # mucosa of the nose
)


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """The head on the canonical grid (RAS, `SPACING_MM`, corner at `CORNER_MM`).

    `grey`, `white` and `texture` (the template's own brightness, white matter = 1) are 0 outside
    the brain; `beyond_brain_mm` is the distance to the smooth surface of the brain, positive
    outside; `beyond_skin_mm` the same for the skin; `deep` the brightness of what lies under the
    skull base and in the neck, NaN where nothing is drawn. How much gadolinium brightens a voxel
    (0 to 1) is `rim` for the sagittal sinus, the dura and the falx, `vessels` for all the rest.
    """

    grey: np.ndarray
    white: np.ndarray
    texture: np.ndarray
    beyond_brain_mm: np.ndarray
    beyond_skin_mm: np.ndarray
    deep: np.ndarray
    rim: np.ndarray
    vessels: np.ndarray


@lru_cache(maxsize=1)
def canonical() -> Anatomy:
    """Return the canonical head; built once a process (about three seconds)."""
    source = template.load()
    texture, grey, white = (_on_canonical_grid(each, source.affine) for each in (source.t1, source.grey, source.white))
    texture *= 255 / 222  # 222 is the median of the template T1 where white matter is certain
    beyond_brain = _beyond_brain(texture > 0.1)
    beyond_skin = _beyond_skin(beyond_brain)
    beyond_brain, beyond_skin = _refined(beyond_brain), _refined(beyond_skin)
    deep = _deep(beyond_brain, beyond_skin)
    return Anatomy(
        grey=grey,
        white=white,
        texture=texture,
        beyond_brain_mm=beyond_brain,
        beyond_skin_mm=beyond_skin,
        deep=deep,
        rim=_rim(beyond_brain, texture),
        vessels=_vessels(beyond_skin, deep),
    )


def axes_mm(step: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y and z of the canonical grid's voxels in MNI mm, shaped to broadcast."""
    x, y, z = ((CORNER_MM[axis] + SPACING_MM * np.arange(0, SHAPE[axis], step)).astype(np.float32) for axis in range(3))
    return x[:, None, None], y[None, :, None], z[None, None, :]


def _on_canonical_grid(template_map: np.ndarray, affine: np.ndarray) -> np.ndarray:
    start = CORNER_MM - affine[:3, 3]  # the template is RAS at 1 mm, so millimetres are voxels
    return resample_linear(template_map, SHAPE, start=start, step=[SPACING_MM] * 3)


def _beyond_brain(brain: np.ndarray) -> np.ndarray:
    """Return the signed distance (mm, coarse grid) to the brain with its fissures closed."""
    coarse = brain[::_COARSE, ::_COARSE, ::_COARSE]
    voxel_mm = SPACING_MM * _COARSE
    grown = ndimage.distance_transform_edt(~coarse, sampling=voxel_mm) < 9
    closed = ndimage.distance_transform_edt(grown, sampling=voxel_mm) > 9
    signed = ndimage.distance_transform_edt(~closed) - ndimage.distance_transform_edt(closed)
    return ndimage.gaussian_filter((signed * voxel_mm).astype(np.float32), 1.0)


def _beyond_skin(beyond_brain: np.ndarray) -> np.ndarray:
    """Return the signed distance (mm, coarse grid, approximate) to the skin."""
    x, y, z = axes_mm(_COARSE)
    surface = beyond_brain - 15  # meninges, skull and scalp together
    for centre, radii in _HEAD_SHAPES:
        surface = _smooth_union(surface, _ellipsoid_mm(x, y, z, centre, radii), blend_mm=14 if radii[0] > 20 else 5)
    neck = np.maximum(_ellipsoid_mm(x, y, z, *_NECK), z - _NECK_TOP_MM)
    return _smooth_union(surface, neck, blend_mm=14).astype(np.float32)


def _smooth_union(first: np.ndarray, second: np.ndarray, *, blend_mm: float) -> np.ndarray:
    """Return the distance to the union of two bodies, with a fillet where they meet."""
    overlap = np.clip(blend_mm - np.abs(first - second), 0, None) / blend_mm
    return np.minimum(first, second) - overlap**2 * blend_mm / 4


def _ellipsoid_mm(x, y, z, centre, radii) -> np.ndarray:
    """Return the approximate signed distance to an ellipsoid, exact to first order at its surface."""
    scaled = [(axis - middle) / radius for axis, middle, radius in zip((x, y, z), centre, radii, strict=True)]
    norm = np.sqrt(sum(axis**2 for axis in scaled))
    slope = np.sqrt(sum((axis / radius) ** 2 for axis, radius in zip(scaled, radii, strict=True)))
    return norm * (norm - 1) / np.maximum(slope, 1e-3)


def _refined(coarse: np.ndarray) -> np.ndarray:
    return resample_linear(coarse, SHAPE, step=[1 / _COARSE] * 3)


def resample_linear(data: np.ndarray, shape, *, start=(0, 0, 0), step=None) -> np.ndarray:
    """Return the data at voxels ``start + step * index``, linear, one axis after the other.

    Without `step` the data is stretched so that its corners meet those of `shape`. For grids
    that are not turned against each other this is several times faster than scipy.ndimage.
    """
    for axis, size in enumerate(shape):
        length = data.shape[axis]
        stride = (length - 1) / (size - 1) if step is None else step[axis]
        position = np.clip(start[axis] + stride * np.arange(size), 0, length - 1.001)
        low = position.astype(int)
        weight = np.expand_dims((position - low).astype(np.float32), [other for other in range(3) if other != axis])
        below, above = data.take(low, axis), data.take(low + 1, axis)
        data = below + weight * (above - below)
    return data


def _box(centre, reach_mm) -> tuple[slice, slice, slice]:
    """Return the voxels within reach of a point."""
    low = np.floor((np.asarray(centre) - reach_mm - CORNER_MM) / SPACING_MM).astype(int)
    high = np.ceil((np.asarray(centre) + reach_mm - CORNER_MM) / SPACING_MM).astype(int) + 1
    return tuple(slice(max(first, 0), max(last, 0)) for first, last in zip(low, high, strict=True))


def _both_sides(point, sides: bool):
    return (point, (-point[0], *point[1:])) if sides else (point,)


def _deep(beyond_brain: np.ndarray, beyond_skin: np.ndarray) -> np.ndarray:
    """Return the brightness of face and neck; NaN where no organ is drawn."""
    deep = np.full(SHAPE, np.nan, np.float32)
    x, y, z = axes_mm()
    for centre, radii, brightness, sides in _DEEP_SHAPES:
        for middle in _both_sides(centre, sides):
            i, j, k = box = _box(middle, np.array(radii) + 2)
            inside = _ellipsoid_mm(x[i], y[:, j], z[:, :, k], middle, radii) < 0
            deep[box][inside & (beyond_brain[box] > 3) & (beyond_skin[box] < -4)] = brightness
    below = np.broadcast_to(z < -70, SHAPE)
    for radius_mm, brightness in ((9.0, 0.22), (5.0, 0.85)):  # the canal and the cord in it
        tube = np.zeros(SHAPE, np.float32)
        _draw_tube(tube, _CORD, radius_mm)
        deep[(tube > 0.5) & below] = brightness
    return deep


def _draw_tube(onto: np.ndarray, path, radius_mm: float) -> None:
    """Draw 1 into a tube along a path, falling to 0 within a voxel of its wall."""
    x, y, z = axes_mm()
    for start, end in pairwise(path):
        start, end = np.array(start, float), np.array(end, float)
        for share in np.linspace(0, 1, 1 + int(np.linalg.norm(end - start))):
            centre = start + share * (end - start)
            i, j, k = box = _box(centre, radius_mm + 1.5)
            distance = np.sqrt((x[i] - centre[0]) ** 2 + (y[:, j] - centre[1]) ** 2 + (z[:, :, k] - centre[2]) ** 2)
            onto[box] = np.maximum(onto[box], np.clip((radius_mm - distance) / SPACING_MM + 0.5, 0, 1))


def _rim(beyond_brain: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Return how much gadolinium brightens the sagittal sinus (1), the dura and the falx (less)."""
    x, y, z = axes_mm()
    rim = np.zeros(SHAPE, np.float32)
    rim[(beyond_brain > 2.2) & (beyond_brain < 3.6)] = 0.35
    falx = (np.abs(x) < 0.9) & (z > 10)
    rim[falx & (beyond_brain < 2) & (texture < 0.75)] = 0.4
    # The sinus is a triangle on the midline, between the brain and the inner table.
    sinus = (np.abs(x) < 6) & (z > -8) & (y < 66) & (np.abs(beyond_brain) < 4)
    rim[sinus & (np.abs(x) < 1.2 + 0.75 * (beyond_brain + 4))] = 1
    return rim


def _vessels(beyond_skin: np.ndarray, deep: np.ndarray) -> np.ndarray:
    """Return how much gadolinium brightens vessels, choroid plexus, glands and mucosa."""
    x, y, z = axes_mm()
    vessels = np.zeros(SHAPE, np.float32)
    for path, radius_mm, sides in _VESSELS:
        for mirror in (1, -1) if sides else (1,):
            _draw_tube(vessels, [(mirror * px, py, pz) for px, py, pz in path], radius_mm)
    for (centre, radii), shine in _ENHANCING_BODIES:
        i, j, k = box = _box(centre, np.array(radii) + 1)
        inside = _ellipsoid_mm(x[i], y[:, j], z[:, :, k], centre, radii) < 0
        inside &= ~(deep[box] < 0.3) & (beyond_skin[box] < -6)  # air does not shine
        vessels[box] = np.maximum(vessels[box], shine * inside)
    return vessels
