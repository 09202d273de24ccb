"""Images that are no T1w MRI of a whole brain: what a warehouse holds besides them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import ndimage
from scipy.special import expit

from qcbench.errors import UsageError
from qcbench.imaging.heads import Head, rician, smooth_noise

#: Brightness of air, bone, deep fluid, fluid, its border with grey matter, grey matter, white matter, fat
#: and the brightest on another sequence; on a T1w image they rise in this order.
_SEQUENCES = {
    "t2_like": (0.0, 0.03, 1.40, 1.35, 1.05, 0.76, 0.50, 0.60, 0.90),
    "flair_like": (0.0, 0.03, 0.08, 0.20, 0.65, 1.00, 0.72, 0.65, 1.10),
    "pd_like": (0.0, 0.04, 0.95, 1.02, 1.06, 1.05, 0.85, 0.90, 1.20),
}
#: Sides on which a head is cut off: MNI axis and the end that is lost.
_SIDES = {"left": (0, -1), "right": (0, 1), "back": (1, -1), "front": (1, 1), "bottom": (2, -1), "top": (2, 1)}


def straight_reject(head: Head, *, kind: str, seed: int) -> Head:
    """Return a head's image spoilt in one of the `KINDS`; its surroundings are not yet drawn.

    The skull-stripping is approximate on a real head, as skull-stripping is. Raises UsageError
    for an unknown kind.
    """
    if kind not in _MAKERS:
        raise UsageError(f"a straight reject is one of {', '.join(KINDS)}; got {kind!r}")
    return _MAKERS[kind](head, np.random.default_rng([seed, *kind.encode()]))


def _tissue_map(head: Head, rng: np.random.Generator) -> Head:
    """Return a probability of grey matter, white matter or fluid."""
    fluid, grey, white = head.levels
    level = (fluid, grey, white)[rng.integers(3)]
    tissue = ndimage.gaussian_filter(head.data, 0.5, truncate=3)
    if level == white:
        likely = expit(8 * (tissue - (grey + white) / 2) / (white - grey))
    elif level == grey:
        likely = np.exp(-(((tissue - grey) / (0.5 * (white - grey))) ** 2))
    else:
        likely = expit(8 * ((fluid + grey) / 2 - tissue) / (grey - fluid))
    near = ndimage.binary_dilation(head.brain, iterations=2) if level == fluid else head.brain
    return replace(head, data=(likely * near * white).astype(np.float32))


def _skull_stripped(head: Head, rng: np.random.Generator) -> Head:
    edge = ndimage.gaussian_filter(head.brain.astype(np.float32), 0.8)
    edge += np.float32(0.1) * smooth_noise(head.brain.shape, (20, 20, 20), rng)
    return replace(head, data=head.data * (edge > 0.5))


def _truncated(head: Head, rng: np.random.Generator) -> Head:
    """Cut the field of view through the brain from one of six sides."""
    lost = rng.uniform(0.3, 0.55)
    windows = [_cut(head, *side, lost) for side in rng.permutation(list(_SIDES.values()))]
    # Fewer than 40 slices would be left out of a study before anybody looks: another side, where one will do.
    long_enough = [window for window in windows if all(len(range(*part.indices(2**20))) >= 48 for part in window)]
    return windowed(head, (long_enough or windows)[0])


def _cut(head: Head, world: int, end: int, lost: float) -> tuple[slice, slice, slice]:
    """Return the window that is left when a share of the brain's length is lost at one end of an MNI axis."""
    to_scanner = head.template_to_scanner[:3, world]
    axis = int(np.argmax(np.abs(to_scanner @ head.affine[:3, :3]) / np.array(head.spacing_mm)))
    ascending = float(to_scanner @ head.affine[:3, axis]) > 0
    inside = np.flatnonzero(head.brain.any(axis=tuple(other for other in range(3) if other != axis)))
    from_start = (end < 0) == ascending
    cut = round(inside[0] + (lost if from_start else 1 - lost) * (inside[-1] - inside[0]))
    keep = slice(cut, head.data.shape[axis]) if from_start else slice(0, cut)
    return tuple(keep if other == axis else slice(0, head.data.shape[other]) for other in range(3))


def _other_sequence(head: Head, rng: np.random.Generator, sequence: str) -> Head:
    fluid, grey, _ = (level / head.levels[2] for level in head.levels)
    before = (0, 0.15 * fluid, 0.6 * fluid, fluid, (fluid + grey) / 2, grey, 1.0, 1.3, 3.0)
    after = np.array(_SEQUENCES[sequence])
    after = after * rng.uniform(0.92, 1.08, after.size)
    relative = head.data / np.float32(head.levels[2])
    turned = np.interp(relative, before, after).astype(np.float32)
    # Only in and about the brain is what is dark a fluid; elsewhere it is bone, or the edge of fat.
    near_brain = np.clip(4 * ndimage.gaussian_filter(head.brain.astype(np.float32), 2.0) - 1, 0, 1)
    fat = np.float32(rng.uniform(0.4, 0.8))
    data = near_brain * turned + (1 - near_brain) * fat * relative
    return replace(head, data=data * np.float32(head.levels[2]))


def _melon(head: Head, rng: np.random.Generator) -> Head:
    """Return a melon, as technicians scan one: rind, flesh, and a core with seeds."""
    radius = _ellipsoid(head, rng, (68, 84))
    radius += np.float32(0.02) * smooth_noise(head.data.shape, (8, 8, 8), rng)
    knots = ((0, 0.35, 0.42, 0.86, 0.9, 0.97, 1.0), (0.75, 0.7, 1.0, 0.9, 0.5, 0.55, 0))
    data = np.interp(radius, *knots).astype(np.float32)
    seeds = ndimage.gaussian_filter(rng.standard_normal(data.shape, dtype=np.float32), 2.0, truncate=2.5)
    data[(radius < 0.4) & (seeds > 1.6 * seeds.std())] = 0.25
    return _received(head, data * (1 + 0.05 * seeds / seeds.std()) * np.float32(head.levels[2]), rng)


def _bottle(head: Head, rng: np.random.Generator) -> Head:
    """Return a phantom: a bottle of doped water with a few rods in it, and an air bubble on top."""
    radius = _ellipsoid(head, rng, (48, 76), power=6)
    data = np.where(radius < 1, np.float32(1), np.float32(0))
    upright = int(rng.integers(3))
    across = [axis for axis in range(3) if axis != upright]
    index = [np.arange(size, dtype=np.float32) * step for size, step in zip(data.shape, head.spacing_mm, strict=True)]
    for _ in range(int(rng.integers(2, 7))):
        centre = [index[axis].mean() + rng.uniform(-45, 45) for axis in across]
        width = rng.uniform(4, 12)
        first, second = (
            np.expand_dims((index[axis] - place) ** 2, [other for other in range(3) if other != axis])
            for axis, place in zip(across, centre, strict=True)
        )
        data = np.where((first + second < width**2) & (radius < 0.95), np.float32(rng.uniform(0, 0.7)), data)
    data = ndimage.gaussian_filter(data * head.levels[2], 0.6)
    return _received(head, data * (1 + np.float32(0.1) * smooth_noise(data.shape, (2, 2, 2), rng)), rng)


def _received(head: Head, data: np.ndarray, rng: np.random.Generator) -> Head:
    """Return an object with the noise of a scan, in it and in the air about it; some have much of it."""
    sd = rng.uniform(0.01, 0.03) if rng.random() < 0.6 else rng.uniform(0.03, 0.25)
    return replace(head, data=rician(data.astype(np.float32), sd * head.levels[2], rng))


def _ellipsoid(head: Head, rng: np.random.Generator, radii_mm, power: float = 2.0) -> np.ndarray:
    """Return the distance from the middle of a body about the brain's place, 1 at its surface."""
    middle = [places.mean() for places in np.nonzero(head.brain)]
    radii = rng.uniform(*radii_mm, 3) / np.array(head.spacing_mm)
    x, y, z = (
        (np.abs((np.arange(size) - centre) / radius) ** power).astype(np.float32)
        for size, centre, radius in zip(head.data.shape, middle, radii, strict=True)
    )
    return (x[:, None, None] + y[None, :, None] + z[None, None, :]) ** np.float32(1 / power)


def windowed(head: Head, window: tuple[slice, slice, slice]) -> Head:
    """Return the part of the head that lies in a window of its array, at its old place in the scanner."""
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start or 0 for part in window]
    parts = {name: np.ascontiguousarray(getattr(head, name)[window]) for name in ("data", "brain", "enhancement")}
    return replace(head, affine=affine, **parts)


def _sequence(name: str) -> Callable[[Head, np.random.Generator], Head]:
    return lambda head, rng: _other_sequence(head, rng, name)


_MAKERS: dict[str, Callable[[Head, np.random.Generator], Head]] = {
    "tissue_map": _tissue_map,
    "skull_stripped": _skull_stripped,
    "truncated": _truncated,
    **{name: _sequence(name) for name in _SEQUENCES},
    "melon": _melon,
    "bottle": _bottle,
}
#: Kinds of straight reject that can be made of a head.
KINDS = tuple(_MAKERS)
#: Those that are scans of a head, and so may have moved or be noisy as any scan.
SCANS = ("skull_stripped", "truncated", *_SEQUENCES)
