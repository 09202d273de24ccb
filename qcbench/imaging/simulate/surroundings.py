"""What differs from scan to scan and says nothing of quality: every image made here gets it anew.

Margins, a defaced wedge, the background and the gain are drawn alike for good images, degraded
ones and straight rejects. Otherwise a network learns one field of view, or one level of black,
instead of the artefact. Nothing here interpolates.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from qcbench.imaging.heads import Head
from qcbench.imaging.simulate.rejects import windowed

#: Room (mm) that may be missing on each side, and what stays about the brain in any case.
_MOST_MARGIN_MM, _ABOUT_BRAIN_MM = 8.0, 4.0
#: The most that is taken off as black, relative to white matter: about the noise of a good scan.
_MOST_FLOOR = 0.03


def surrounded(head: Head, *, seed: int) -> Head:
    """Return the head in the surroundings that belong to a seed; no part of the brain is left out."""
    rng = np.random.default_rng([seed, *b"surroundings"])
    margins_mm, wedge = rng.uniform(0, _MOST_MARGIN_MM, (2, 3)), rng.uniform((-6, 4), (8, 18))
    defaced, floor, gain = rng.random() < 0.4, max(0.0, rng.uniform(-1, 1)), rng.uniform(100, 1000)
    data = head.data
    if defaced:
        data = data * ~_face(head, *wedge)
    if floor:
        # Some scanners subtract a noise floor before they store magnitudes, some do not. The level is
        # drawn and not measured: a measured one would differ between the classes.
        data = np.clip(data - np.float32(floor * _MOST_FLOOR * head.levels[2]), 0, None)
    scale = np.float32(gain / head.levels[2])
    levels = tuple(float(level * scale) for level in head.levels)
    return windowed(replace(head, data=data * scale, levels=levels), _window(head, margins_mm))


def _window(head: Head, margins_mm: np.ndarray) -> tuple[slice, slice, slice]:
    """Return what is left of each axis when margins are cut off that spare the brain."""
    window = []
    for axis, (size, step_mm) in enumerate(zip(head.data.shape, head.spacing_mm, strict=True)):
        inside = np.flatnonzero(head.brain.any(axis=tuple(other for other in range(3) if other != axis)))
        first, last = (inside[0], inside[-1] + 1) if inside.size else (size // 4, size - size // 4)
        about = math.ceil(_ABOUT_BRAIN_MM / step_mm)
        low, high = np.round(margins_mm[:, axis] / step_mm).astype(int)
        window.append(slice(int(max(0, min(low, first - about))), int(min(size, max(size - high, last + about)))))
    return tuple(window)


def _face(head: Head, tilt_mm: float, clearance_mm: float) -> np.ndarray:
    """Return the wedge in front of and below the brain that defacing removes."""
    to_template = np.linalg.inv(head.template_to_scanner) @ head.affine
    index = [np.arange(size, dtype=np.float32) for size in head.data.shape]
    # Distance (mm) in front of a plane from the root of the nose to the jaw's angle, tilted by chance.
    forward = np.array([0.0, 0.66, -0.75 - tilt_mm / 100])
    slope = forward @ to_template[:3, :3]
    place = float(forward @ to_template[:3, 3]) + sum(
        np.expand_dims(np.float32(step) * row, [other for other in range(3) if other != axis])
        for axis, (step, row) in enumerate(zip(slope, index, strict=True))
    )
    brain_ends = float(place[head.brain].max()) if head.brain.any() else 55.0
    return place > max(brain_ends, 55.0) + clearance_mm
