"""Artefacts of known grade on a head, as a scanner would have acquired them.

Every image that is made here ends in `reacquire`, the degraded and the untouched alike: the same
number and kind of interpolations, a new position, new margins, a new gain, new noise and a new
background level. Otherwise a network learns to tell a resampled image from one that is not, or
one field of view from another, and not the artefact. What is not hidden: originals that a
warehouse holds beside their copies were never resampled.

Grades are those of the protocol: 0 none, 1 noticeable, 2 severe. The strengths were set by eye
on the three central slices; the change is not measured on each image.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import fft, ndimage
from scipy.spatial.transform import Rotation

from qcbench.errors import UsageError
from qcbench.images import Volume
from qcbench.imaging import landmarks
from qcbench.imaging.heads import Head, rician, smooth_noise

#: Kinds of straight reject that can be made of a head.
KINDS = ("tissue_map", "skull_stripped", "truncated", "other_sequence", "not_a_brain")

#: Standard deviation of the added noise relative to white matter: lowest and highest, per grade.
_NOISE_SD = ((0.012, 0.02), (0.065, 0.085), (0.16, 0.21))
#: How far grey and white matter are drawn together, and the blur (mm), per grade.
_MIXING = (0.0, 0.7, 0.9)
_BLUR_SD_MM = (0.0, 0.85, 1.4)
#: Turn (degrees), shift (mm), swing along the phase-encoding axis (mm) and number of moves, per grade.
_MOTION = ((0.0, 0.0, 0.0, 0), (2.8, 2.0, 0.5, 2), (5.5, 3.5, 0.8, 5))
#: A T2-like image from a T1-like one: brightness (white matter = 1) before and after.
_T2_LIKE = (
    (0.0, 0.06, 0.14, 0.26, 0.40, 0.50, 0.70, 1.0, 1.3, 3.0),
    (0, 0.03, 0.5, 1.5, 1.05, 0.8, 0.75, 0.5, 0.6, 0.9),
)


def degrade(volume: Volume, *, gadolinium: bool, motion: int, contrast: int, noise: int, seed: int) -> Volume:
    """Return a copy of a good head with these grades; all 0 gives a good copy made the same way.

    A real head is located first (see `landmarks`); that costs a second, so locate it once for
    many copies. The same arguments give the same voxels. Raises UsageError for a grade that is
    not 0, 1 or 2.
    """
    for name, grade in (("motion", motion), ("contrast", contrast), ("noise", noise)):
        if grade not in (0, 1, 2):
            raise UsageError(f"{name} must be 0, 1 or 2, got {grade!r}")
    head = _located(volume)
    if gadolinium:
        head = with_gadolinium(head, seed=seed)
    head = with_poor_contrast(head, grade=contrast, seed=seed)
    return reacquire(head, motion=motion, noise=noise, seed=seed)


def reacquire(head: Head, *, seed: int, motion: int = 0, noise: int = 0) -> Volume:
    """Return the head as another acquisition sees it: the last step of every image made here.

    Each position of the head during the scan is sampled from the source by one linear
    interpolation; a still head has one position. The grid keeps its spacing, loses up to six
    voxels a side, and the gain, its bias field, the noise and the background level are drawn
    anew. `motion` and `noise` are grades.
    """
    rng = _rng(seed, "reacquire")
    white = landmarks.tissue_levels(head.data, head.brain)[2] if head.brain.any() else float(head.data.max())
    low = rng.integers(0, 6, 3)
    shape = tuple(np.maximum(np.array(head.data.shape) - low - rng.integers(0, 6, 3), 16))
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ low + rng.uniform(-4, 4, 3)
    positioned = _Positioned(head, low, shape, turn_deg=rng.normal(0, 1.0, 3), shift_mm=rng.uniform(-1, 1, 3))
    data = _scan(positioned, grade=motion, rng=_rng(seed, "motion"))
    data *= np.exp(np.float32(0.04) * smooth_noise(shape, (2, 3, 3), rng)) / np.float32(white)
    sd = rng.uniform(*_NOISE_SD[noise])
    data = rician(data, sd, _rng(seed, "noise"))
    # Some scanners subtract the noise floor before they store magnitudes, some do not.
    data = np.clip(data - np.float32(rng.uniform(0, 1.5) * sd), 0, None)
    return Volume(data=data * np.float32(rng.uniform(100, 1000)), affine=affine)


def with_gadolinium(head: Head, *, seed: int) -> Head:
    """Return the head with bright vessels, sinuses, dura, choroid plexus and mucosa."""
    rng = _rng(seed, "gadolinium")
    white = landmarks.tissue_levels(head.data, head.brain)[2]
    target = rng.uniform(1.35, 1.7) * white
    patchy = 1 + 0.15 * smooth_noise(head.data.shape, (9, 9, 9), rng)
    shine = np.clip(head.enhancement * patchy, 0, 1) * rng.uniform(0.85, 1.0)
    data = head.data + shine * np.clip(target - head.data, 0, None)
    return replace(head, data=data.astype(np.float32))


def with_poor_contrast(head: Head, *, grade: int, seed: int) -> Head:
    """Return the head with grey and white matter drawn together and finer detail lost.

    Grade 1 leaves parts of the brain clear, grade 2 none.
    """
    if not grade:
        return head
    rng = _rng(seed, "contrast")
    fluid, grey, white = landmarks.tissue_levels(head.data, head.brain)
    middle = 0.45 * grey + 0.55 * white
    knots = np.array([0, (fluid + grey) / 2, grey, white, white + (white - grey)])
    pulled = np.array([0, (fluid + grey) / 2, middle, middle, white + (white - grey)])
    toward = np.interp(head.data, knots, pulled).astype(np.float32) - head.data
    toward[head.data > knots[-1]] = 0
    where = np.float32(_MIXING[grade])
    if grade == 1:
        where = where * np.clip(0.75 + 0.6 * smooth_noise(head.data.shape, (5, 6, 5), rng), 0, 1.3)
    data = head.data + where * toward
    sd_voxels = _BLUR_SD_MM[grade] / np.array(head.spacing_mm)
    return replace(head, data=ndimage.gaussian_filter(data, sd_voxels, truncate=3))


def straight_reject(volume: Volume, *, kind: str, seed: int) -> Volume:
    """Return an image that is no T1w MRI of a whole brain; `kind` is one of `KINDS`.

    The skull-stripping is approximate on a real head, as skull-stripping is. Raises UsageError
    for an unknown kind.
    """
    if kind not in KINDS:
        raise UsageError(f"a straight reject is one of {', '.join(KINDS)}; got {kind!r}")
    makers = {
        "tissue_map": _tissue_map,
        "skull_stripped": _skull_stripped,
        "truncated": _truncated,
        "other_sequence": _other_sequence,
        "not_a_brain": _not_a_brain,
    }
    return reacquire(makers[kind](_located(volume), _rng(seed, kind)), seed=seed)


class _Positioned:
    """Samples the source as it lies on the acquired grid after a turn and a shift of the head."""

    def __init__(self, head: Head, low, shape, *, turn_deg, shift_mm) -> None:
        self.shape, self._head, self._low = shape, head, low
        self._turn_deg, self._shift_mm = turn_deg, shift_mm
        self.spacing_mm = np.array(head.spacing_mm)
        border = np.concatenate([head.data[:3].ravel(), head.data[-3:].ravel()])
        self._air = float(np.percentile(border, 10))

    def sample(self, turn_deg=0.0, shift_mm=0.0) -> np.ndarray:
        turn = Rotation.from_euler("xyz", self._turn_deg + turn_deg, degrees=True).as_matrix()
        matrix = turn * self.spacing_mm / self.spacing_mm[:, None]
        middle = np.array(self.shape) / 2
        # Heads turn about the neck; for a few degrees about the middle, the shift makes up for it.
        offset = middle + self._low + (self._shift_mm + shift_mm) / self.spacing_mm - matrix @ middle
        return ndimage.affine_transform(
            self._head.data, matrix, offset, self.shape, order=1, mode="constant", cval=self._air, output=np.float32
        )


def _scan(positioned: _Positioned, *, grade: int, rng: np.random.Generator) -> np.ndarray:
    """Return the magnitude image of a head that moved between groups of k-space lines.

    Lines are acquired one after the other along one phase-encoding axis, so only that axis is
    transformed: the other transforms commute with the choice of lines. Between moves the head
    swings along that axis (breathing), a phase ramp in k-space.
    """
    turn_deg, shift_mm, swing_mm, n_moves = _MOTION[grade]
    still = positioned.sample()
    if not n_moves:
        return still
    axis = int(rng.choice(3))
    n_lines = positioned.shape[axis]
    which = _positions_of_lines(n_lines, n_moves, rng, through_centre=grade > 1)
    k_space = fft.fft(still, axis=axis)
    for position in range(1, which.max() + 1):
        direction = rng.normal(size=(2, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        size = rng.uniform(0.8, 1.2)
        moved = positioned.sample(turn_deg * size * direction[0], shift_mm * size * direction[1])
        lines = [slice(None)] * 3
        lines[axis] = which == position
        k_space[tuple(lines)] = fft.fft(moved, axis=axis)[tuple(lines)]
    time = np.fft.ifftshift(np.arange(n_lines))
    swing = swing_mm / positioned.spacing_mm[axis] * np.sin(2 * np.pi * time / rng.uniform(5, 14))
    ramp = np.exp(-2j * np.pi * np.fft.fftfreq(n_lines) * swing).astype(np.complex64)
    k_space *= np.expand_dims(ramp, [other for other in range(3) if other != axis])
    return np.abs(fft.ifft(k_space, axis=axis))


def _positions_of_lines(n_lines: int, n_moves: int, rng: np.random.Generator, *, through_centre: bool) -> np.ndarray:
    """Return, for each k-space line in FFT order, the number of the head's position; 0 is at rest.

    A move that misses the centre of k-space blurs and ripples; one through it doubles the head.
    """
    frequency = np.abs(np.fft.fftfreq(n_lines))
    time = np.fft.ifftshift(np.arange(n_lines)) / n_lines
    which = np.zeros(n_lines, int)
    for position in range(1, min(n_moves, 3) + 1):
        for _ in range(max(1, n_moves // 2)):
            start = rng.uniform(0, 0.9)
            which[(time > start) & (time < start + rng.uniform(0.06, 0.14))] = position
    # Fixed parts make every grade visible: moves at random times alone often change nothing.
    if through_centre:
        which[(time > 0.5) & (time < rng.uniform(0.56, 0.64))] = 1
        which[(time > 0.38) & (time < 0.46)] = 2
    else:
        which[frequency < 0.06] = 0
        which[(frequency > 0.07) & (frequency < 0.13) & (time > 0.5)] = 1
    return which


def _tissue_map(head: Head, rng: np.random.Generator) -> Head:
    _, grey, white = landmarks.tissue_levels(head.data, head.brain)
    level, width = (white, (white - grey) / 1.6) if rng.random() < 0.5 else (grey, (white - grey) / 2)
    distance = (head.data - level) / width
    likely = np.exp(-(distance**2)) if level == grey else 1 / (1 + np.exp(-4 * distance - 2))
    return replace(head, data=(likely * head.brain).astype(np.float32))


def _skull_stripped(head: Head, rng: np.random.Generator) -> Head:
    edge = ndimage.gaussian_filter(head.brain.astype(np.float32), 0.8) + 0.1 * smooth_noise(
        head.brain.shape, (20,) * 3, rng
    )
    return replace(head, data=head.data * (edge > 0.5))


def _truncated(head: Head, rng: np.random.Generator) -> Head:
    """Cut the field of view through the middle of the brain, across the axis toward the top or the side."""
    world = np.abs(head.affine[:3, :3])
    axis = int(np.argmax(world[2 if rng.random() < 0.7 else 0]))
    others = tuple(other for other in range(3) if other != axis)
    inside = np.flatnonzero(head.brain.any(axis=others))
    cut = int(inside[0] + rng.uniform(0.45, 0.6) * (inside[-1] - inside[0]))
    keep = slice(cut, None) if rng.random() < 0.5 else slice(None, cut)
    if len(range(head.data.shape[axis])[keep]) < 56:  # fewer than 40 slices would be excluded before anybody looks
        keep = slice(max(0, cut - 56), None) if keep.stop is None else slice(None, cut + 56)
    window = tuple(keep if other == axis else slice(None) for other in range(3))
    affine = head.affine.copy()
    affine[:3, 3] += affine[:3, axis] * (keep.start or 0)
    return Head(data=head.data[window], affine=affine, brain=head.brain[window], enhancement=head.enhancement[window])


def _other_sequence(head: Head, rng: np.random.Generator) -> Head:
    white = landmarks.tissue_levels(head.data, head.brain)[2]
    before, after = np.array(_T2_LIKE)
    after = after * rng.uniform(0.9, 1.1, after.size)
    relative = head.data / np.float32(white)
    inverted = np.interp(relative, before, after).astype(np.float32)
    # Only in and about the brain is dark fluid; elsewhere the dark edge of fat would shine like it.
    near_brain = np.clip(6 * ndimage.gaussian_filter(head.brain.astype(np.float32), 2.5), 0, 1)
    data = near_brain * inverted + (1 - near_brain) * relative * np.float32(rng.uniform(0.4, 0.6))
    return replace(head, data=data)


def _not_a_brain(head: Head, rng: np.random.Generator) -> Head:
    """A melon, as technicians scan one: rind, flesh, and a core with seeds."""
    shape = head.data.shape
    centre = np.array(shape) / 2 + rng.uniform(-6, 6, 3)
    radii = rng.uniform(68, 84, 3) / head.spacing_mm
    along = [
        ((np.arange(size) - middle) / radius) ** 2 for size, middle, radius in zip(shape, centre, radii, strict=True)
    ]
    radius = np.sqrt(along[0][:, None, None] + along[1][None, :, None] + along[2][None, None, :]).astype(np.float32)
    radius += 0.02 * smooth_noise(shape, (8, 8, 8), rng)
    data = np.interp(radius, (0, 0.35, 0.42, 0.86, 0.9, 0.97, 1.0), (0.75, 0.7, 1.0, 0.9, 0.5, 0.55, 0)).astype(
        np.float32
    )
    seeds = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 2.0, truncate=2.5)
    data[(radius < 0.4) & (seeds > 1.6 * seeds.std())] = 0.25
    return replace(head, data=data * (1 + 0.05 * seeds / seeds.std()), brain=radius < 0.9)


def _located(volume: Volume) -> Head:
    return volume if isinstance(volume, Head) else landmarks.locate(volume)


def _rng(seed: int, step: str) -> np.random.Generator:
    """Return a generator for one step, so that one step's draws do not depend on another's grade."""
    return np.random.default_rng([seed, *step.encode()])
