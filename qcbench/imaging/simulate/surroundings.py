"""What differs from scan to scan and says nothing of quality: every image made here gets it anew.

Margins, a defaced wedge, the background and the gain are drawn alike for good images, degraded
ones and straight rejects. Otherwise a network learns one field of view, or one level of black,
instead of the artefact. Nothing here interpolates.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qcbench.imaging.heads import Head
from qcbench.imaging.simulate.rejects import windowed

#: Voxels that may be missing on each side.
_MOST_MARGIN = 6


def surrounded(head: Head, *, seed: int) -> Head:
    """Return the head in the surroundings that belong to a seed, with the brain untouched."""
    rng = np.random.default_rng([seed, *b"surroundings"])
    margins, wedge_mm = rng.integers(0, _MOST_MARGIN + 1, (2, 3)), rng.uniform((-6, 4), (8, 18))
    defaced, floor, gain = rng.random() < 0.4, max(0.0, rng.uniform(-1, 1.5)), rng.uniform(100, 1000)
    data = head.data
    if defaced:
        data = data * ~_face(head, *wedge_mm)
    if floor:
        # Some scanners subtract the noise floor before they store magnitudes, some do not.
        data = np.clip(data - np.float32(floor * _air_level(data)), 0, None)
    scale = np.float32(gain / head.levels[2])
    levels = tuple(float(level * scale) for level in head.levels)
    low, high = margins
    keep = tuple(
        slice(int(first), int(max(size - last, first + 16)))
        for first, last, size in zip(low, high, data.shape, strict=True)
    )
    return windowed(replace(head, data=data * scale, levels=levels), keep)


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
    brain_ends = float(place[head.brain].max()) if head.brain.any() else 60.0
    return place > max(brain_ends, 55.0) + clearance_mm


def _air_level(data: np.ndarray) -> float:
    """Return the brightness of the air: the median of the darkest half of the voxels that are not 0."""
    thinned = data[::4, ::4, ::4]
    positive = thinned[thinned > 0]
    return float(np.median(positive[positive <= np.median(positive)])) if positive.size else 0.0
