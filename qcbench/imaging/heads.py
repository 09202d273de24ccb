"""Synthetic T1-weighted heads of people who do not exist, for demonstrations and tests.

Every head is the canonical one of `anatomy` with folds, size, shape, tissue contrast, bias field
and position of its own. It looks like a head in three central slices and gives registration real
work; it is no substitute for data: results on it say "simulated".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from qcbench.images import Volume
from qcbench.imaging import anatomy
from qcbench.imaging.anatomy import CORNER_MM, SHAPE, SPACING_MM, Anatomy, resample_linear

#: Field of view of the acquisition: left-right, back-front, foot-head.
_FIELD_OF_VIEW_MM = (184.0, 244.0, 224.0)
#: How series lie on disk: axes of the RAS grid in stored order, and which of them are reversed.
_STORED_ORDERS = (((0, 1, 2), ()), ((0, 1, 2), (0,)), ((1, 2, 0), (1, 2)))  # RAS, LAS, PIR (sagittal)
#: Expected brightness of the template where a tissue is certain, white matter = 1.
_TEMPLATE_GREY, _TEMPLATE_FLUID = 0.745, 0.30


@dataclass(frozen=True, kw_only=True, eq=False)
class Head(Volume):
    """A head of which it is known where the brain lies and what gadolinium would brighten.

    `brain` is true in the brain; `enhancement` (0 to 1) is how much gadolinium brightens a voxel;
    `levels` is the brightness of fluid, grey and white matter; `template_to_scanner` (4, 4) maps
    MNI millimetres to the image's own, both RAS. Of a synthetic head they are exact, but for its
    folds; of a real one `landmarks.locate` estimates them.
    """

    brain: np.ndarray
    enhancement: np.ndarray
    levels: tuple[float, float, float]
    template_to_scanner: np.ndarray


def synthetic_head(*, seed: int, spacing_mm: tuple[float, float, float] = (1.0, 1.2, 1.2)) -> Head:
    """Return a good-quality T1w head without gadolinium; the same seed gives the same voxels.

    `spacing_mm` is left-right, back-front, foot-head. The head is moved and turned in the
    scanner (up to 10 degrees, some centimetres), the stored axes are RAS, LAS or PIR, the
    brightness of white matter is between 120 and 1200, Rician noise about 2% of it.
    """
    rng = np.random.default_rng([seed, 0x4EAD])
    whole = anatomy.canonical()
    shape = tuple(round(field / size) for field, size in zip(_FIELD_OF_VIEW_MM, spacing_mm, strict=True))
    brightness = _brightness(whole, rng)
    to_template = _placement(rng)
    position = _acquired_positions(shape, spacing_mm, to_template, rng)

    def acquired(canonical_map: np.ndarray, every: int = 1) -> np.ndarray:
        coordinates = position[:, ::every, ::every, ::every]
        return ndimage.map_coordinates(canonical_map, coordinates, order=1, output=np.float32)

    data = acquired(brightness) * _bias_field(shape, rng)
    enhancement = acquired(np.maximum(whole.rim, whole.vessels))
    brain = resample_linear(acquired(whole.texture, every=2), shape) > 0.3
    sd = rng.uniform(0.015, 0.025)
    data = rician(data, sd, rng) * np.float32(rng.uniform(120, 1200))
    affine = np.diag([*spacing_mm, 1.0])
    table_mm = rng.uniform(-15, 15, 3)  # the table is never centred
    affine[:3, 3] = -np.array(shape) / 2 * spacing_mm + table_mm
    to_template[:3, 3] -= to_template[:3, :3] @ table_mm
    data, affine, brain, enhancement = _stored(data, affine, brain, enhancement, rng)
    return Head(
        data=data,
        affine=affine,
        brain=brain,
        enhancement=enhancement,
        levels=tissue_levels(data, brain),
        template_to_scanner=np.linalg.inv(to_template),
    )


def tissue_levels(data: np.ndarray, brain: np.ndarray) -> tuple[float, float, float]:
    """Return the brightness of fluid, grey and white matter: three means (k-means) in the brain."""
    voxels = data[brain]
    voxels = np.sort(voxels[:: max(1, voxels.size // 50_000)]).astype(float)
    levels = np.percentile(voxels, (4, 40, 85))
    for _ in range(25):
        bounds = (levels[1:] + levels[:-1]) / 2
        parts = np.split(voxels, np.searchsorted(voxels, bounds))
        levels = np.array([part.mean() if part.size else level for part, level in zip(parts, levels, strict=True)])
    return tuple(float(level) for level in levels)


def rician(signal: np.ndarray, sd: float | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the magnitude of a complex signal with Gaussian noise of that sd in both channels.

    `sd` is one number or one for each voxel.
    Gudbjartsson and Patz 1995: the background becomes Rayleigh noise, as in magnitude images.
    """
    real = rng.standard_normal(signal.shape, dtype=np.float32)
    real *= np.asarray(sd, np.float32)
    real += signal
    imaginary = rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary *= np.asarray(sd, np.float32)
    real *= real  # np.hypot would take four times as long
    imaginary *= imaginary
    real += imaginary
    return np.sqrt(real, out=real)


def smooth_noise(shape: tuple[int, ...], knots: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return a smooth random field of about unit variance, with that many knots along each axis."""
    coarse = rng.standard_normal(knots, dtype=np.float32)
    between = tuple(min(4 * size, full) for size, full in zip(knots, shape, strict=True))
    finer = ndimage.zoom(coarse, [new / old for new, old in zip(between, knots, strict=True)], order=3)
    return resample_linear(finer, shape)


def _brightness(whole: Anatomy, rng: np.random.Generator) -> np.ndarray:
    """Return one person's brightness on the canonical grid, white matter = 1."""
    skull = _skull_profile(rng)
    brightness = np.interp(whole.beyond_brain_mm, *skull).astype(np.float32)
    _draw_face_and_neck(brightness, whole, rng, starts_mm=skull[0][-1])
    _draw_brain(brightness, whole, rng)
    grain = ndimage.gaussian_filter(rng.standard_normal(SHAPE, dtype=np.float32), 1.1, truncate=2.5)
    brightness *= 1 + np.float32(0.03) * grain / grain[::8, ::8, ::8].std()
    brightness[whole.beyond_skin_mm > 0] = 0
    return brightness


def _skull_profile(rng: np.random.Generator) -> tuple[list[float], list[float]]:
    """Return distances beyond the brain (mm) and the brightness there: fluid, dura, bone, marrow, bone."""
    table, marrow = rng.uniform(1.4, 2.4), rng.uniform(1.5, 4.0)
    fluid, dura, bone = rng.uniform(0.2, 0.3), 0.38, 0.07
    inner = 3.6 + table
    outer = inner + marrow
    knots = [2.0, 2.6, 3.4, 3.8, inner, inner + 0.6, outer, outer + 0.6, outer + table]
    return knots, [fluid, dura, dura, bone, bone, rng.uniform(0.45, 0.8), 0.6, bone, bone]


def _draw_face_and_neck(brightness: np.ndarray, whole: Anatomy, rng: np.random.Generator, *, starts_mm: float) -> None:
    """Draw what lies outside the skull: skin, fat, muscle with streaks of fat, and the organs."""
    fat, muscle = rng.uniform(1.05, 1.45), rng.uniform(0.42, 0.55)
    streaks = ndimage.gaussian_filter(rng.standard_normal(SHAPE, dtype=np.float32), (1.6, 1.6, 3.0), truncate=2.5)
    streaks /= streaks[::8, ::8, ::8].std()
    soft = np.where(streaks > 1.7, fat * 0.7, muscle + 0.06 * streaks).astype(np.float32)
    thickness = rng.uniform(3.5, 6.0)
    under_skin = whole.beyond_skin_mm > -(thickness + 0.8 * streaks)
    soft[under_skin] = fat
    soft[whole.beyond_skin_mm > -1.4] = 0.6  # the skin itself
    outside = whole.beyond_brain_mm > starts_mm
    brightness[outside] = soft[outside]
    drawn = ~np.isnan(whole.deep)
    brightness[drawn] = whole.deep[drawn] * (0.9 + 0.1 * np.clip(streaks[drawn], -1, 1))


def _draw_brain(brightness: np.ndarray, whole: Anatomy, rng: np.random.Generator) -> None:
    """Draw the brain with folds of its own.

    The template is an average of 152 people, so its cortex is a blur of probabilities. A random
    band-pass field (folds about a centimetre wide) decides, where the template leaves it open,
    between sulcus and gyrus; the template's own brightness is mixed in where it is sure.
    """
    box = ndimage.find_objects((whole.texture > 0.1).astype(np.int8))[0]
    grey, white, texture = whole.grey[box], whole.white[box], whole.texture[box]
    fluid = np.clip(1 - grey - white, 0, 1)
    noise = rng.standard_normal(grey.shape, dtype=np.float32)
    folds = ndimage.gaussian_filter(noise, 1.8, truncate=3) - ndimage.gaussian_filter(noise, 2.9, truncate=3)
    folds *= rng.uniform(0.75, 1.05) / folds.std()
    parts = [(fluid + 0.01) * np.exp(folds), grey + 0.02, (white + 0.02) * np.exp(-folds)]
    parts = [part**2.5 for part in parts]  # an individual's tissues are purer than the average's
    levels = (rng.uniform(0.2, 0.3), rng.uniform(0.64, 0.74), 1.0)
    drawn = sum(level * part for level, part in zip(levels, parts, strict=True)) / sum(parts)
    expected = white + _TEMPLATE_GREY * grey + _TEMPLATE_FLUID * fluid
    drawn += np.float32(0.7) * np.clip(texture - expected, -0.2, 0.2) * (texture > 0.1)
    inside = whole.beyond_brain_mm[box] < 2.0
    brightness[box][inside] = drawn[inside]


def _placement(rng: np.random.Generator) -> np.ndarray:
    """Return the (4, 4) map of one head from millimetres about the middle of the field of view to MNI."""
    turn = Rotation.from_euler("xyz", rng.normal(0, (4.0, 2.5, 3.0)).clip(-10, 10), degrees=True).as_matrix()
    # The average brain of MNI space is larger than most people's: 0.9 in each direction makes it 1.4 litres.
    size = 0.9 * rng.normal(1, 0.03, 3).clip(0.92, 1.08) * rng.normal(1, 0.02)
    placement = np.eye(4)
    placement[:3, :3] = turn / size
    # The middle of the field of view lies a little above the eyes and shows the neck's upper end.
    placement[:3, 3] = np.array([0, -6, -10]) + rng.uniform((-5, -7, -7), (5, 7, 7))
    return placement


def _acquired_positions(shape, spacing_mm, to_template: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return, for each acquired voxel, where it lies on the canonical grid (3, *shape)."""
    step = 6
    coarse = tuple(-(-size // step) + 1 for size in shape)
    index = np.stack(np.meshgrid(*[step * np.arange(count) for count in coarse], indexing="ij"), axis=-1)
    place = (index - np.array(shape) / 2) * np.array(spacing_mm)
    place = place @ to_template[:3, :3].T + to_template[:3, 3]
    shifts = [2.6 * smooth_noise(coarse, (4, 5, 5), rng) + 0.8 * smooth_noise(coarse, (8, 10, 10), rng) for _ in "xyz"]
    place += np.stack(shifts, axis=-1)
    place = ((place - CORNER_MM) / SPACING_MM).astype(np.float32)
    return np.stack([resample_linear(place[..., axis], shape, step=[1 / step] * 3) for axis in range(3)])


def _bias_field(shape, rng: np.random.Generator) -> np.ndarray:
    """Return a weak, smooth gain around 1: what is left of the coil's sensitivity."""
    return np.exp(np.float32(rng.uniform(0.03, 0.1)) * smooth_noise(shape, (2, 3, 3), rng))


def _stored(data, affine, brain, enhancement, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return data, affine, brain and enhancement with their axes in one of the orders in which series lie on disk."""
    order, reversed_axes = _STORED_ORDERS[rng.integers(len(_STORED_ORDERS))]
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for stored, axis in enumerate(order):
        matrix[axis, stored] = -1 if axis in reversed_axes else 1
        matrix[axis, 3] = data.shape[axis] - 1 if axis in reversed_axes else 0

    def arranged(volume: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.flip(volume, reversed_axes).transpose(order))

    return arranged(data), affine @ matrix, arranged(brain), arranged(enhancement)
