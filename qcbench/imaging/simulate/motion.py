"""The head moves, pulses or does not fit while k-space is filled line after line.

Lines are acquired one after the other along one phase-encoding axis, so only that axis is
transformed: the other transforms commute with the choice of lines. The moved head is sampled by
phase ramps in Fourier space (three shears make a rotation), which loses nothing: an interpolation
would soften moved images and give them away. The head lies where it lay when the middle of k-space
was acquired, so a copy stays where its source is.

Every function takes a head, a strength from 0 (the very same voxels) to 1 (worse than any scan
that is kept) and a generator, draws first and scales by the strength afterwards, and returns voxels.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from qcbench.imaging.heads import Head

#: At strength 1 a pose is turned and shifted by about so much.
_TURN_DEG, _SHIFT_MM = 8.0, 8.0
#: How often the phase-encoding axis of a 3D T1w runs left-right, back-front, foot-head.
_PHASE_ENCODING = (0.4, 0.45, 0.15)


def abrupt(head: Head, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the head after two to six sudden moves, each to a pose that is held.

    With the strength the poses lie further apart, and the moves nearer to the middle of k-space,
    where they are seen: moves far from it change nothing but the finest edges.
    """
    axis = _phase_axis(head, rng)
    away = rng.uniform(0.1, 1.0, rng.integers(2, 7))
    # Two of them are always near, one on each side, or many draws would show next to nothing.
    away[:2] = 0.1, rng.uniform(0.15, 0.4)
    sides = rng.choice((-1, 1), away.size)
    sides[1] = -sides[0]
    poses = [_pose(rng) for _ in range(away.size + 1)]
    if not strength:
        return head.data
    moves = np.sort(0.5 + sides * 0.48 * away * (1.05 - 0.95 * strength))
    segment = np.searchsorted(moves, _acquisition_time(head.data.shape[axis]))
    rest = int(np.searchsorted(moves, 0.5))
    lines = [(pose, (segment == number).astype(np.float32)) for number, pose in enumerate(poses) if number != rest]
    return _scanned(head, axis, lines, strength)


def slow(head: Head, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the head after it sank or drifted during the whole scan."""
    axis = _phase_axis(head, rng)
    before, after = _pose(rng), _pose(rng)
    bend = [rng.normal(0, 0.3) * _pose(rng) for _ in range(2)]
    if not strength:
        return head.data
    time = _acquisition_time(head.data.shape[axis])
    knots = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
    weights = [np.interp(time, knots, row).astype(np.float32) for row in np.eye(7)]
    walk = [before + bend[0], 0.7 * before, 0.25 * before, None, 0.25 * after, 0.7 * after, after + bend[1]]
    lines = [(3.0 * pose, weight) for pose, weight in zip(walk, weights, strict=True) if pose is not None]
    return _scanned(head, axis, lines, strength)


def ghosting(head: Head, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the head with ghosts of itself along one axis, as a pulse or breath in step with the lines leaves."""
    axis = _phase_axis(head, rng)
    n_lines = head.data.shape[axis]
    per_cycle, start = rng.uniform(2.2, 7.0), rng.uniform(0, 2 * np.pi)
    brighter, shifted = rng.uniform(0.7, 1.0), rng.uniform(1.2, 2.2)
    if not strength:
        return head.data
    wave = np.cos(2 * np.pi * _acquisition_time(n_lines) * n_lines / per_cycle + start)
    modulation = (1 + strength * brighter * wave) * np.exp(1j * strength * shifted * wave)
    k_space = fft.fft(head.data, axis=axis)
    k_space *= _along(modulation.astype(np.complex64), axis)
    return np.abs(fft.ifft(k_space, axis=axis))


def wrap_around(head: Head, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the head in a field of view too small for it: what is left out comes back on the other side."""
    axis = _axis_of(head, int(rng.choice(2, p=(0.4, 0.6))))
    share = rng.uniform(0.25, 0.75)  # of what is left out, on the low side
    if not strength:
        return head.data
    others = tuple(other for other in range(3) if other != axis)
    profile = (head.data > 0.2 * head.levels[2]).mean(axis=others)
    inside = np.flatnonzero(profile > 0.02)
    first, last = int(inside[0]), int(inside[-1]) + 1
    left_out = 0.45 * (last - first)
    low, high = first + share * left_out, last - (1 - share) * left_out
    data = np.moveaxis(head.data, axis, 0)
    folded = np.zeros_like(data)
    # From the whole field, where only air is left out, to the smallest.
    start, stop = round(strength * low), round(len(data) - strength * (len(data) - high))
    field = stop - start
    for shift in (-field, 0, field):
        begin, end = max(start + shift, 0), min(stop + shift, len(data))
        if begin < end:
            folded[begin - shift : end - shift] += data[begin:end]
    return np.moveaxis(folded, 0, axis)


def moved(data: np.ndarray, spacing_mm: np.ndarray, turn_deg: np.ndarray, shift_mm: np.ndarray) -> np.ndarray:
    """Return the voxels of an object that turned about the array's axes (in order) and shifted along them.

    Band-limited: turning back gives the same voxels again. What leaves on one side comes back on
    the other.
    """
    rest = np.array(shift_mm, float)
    for about, angle in enumerate(np.radians(turn_deg)):
        if abs(angle) < 1e-4:
            continue
        first, second = (axis for axis in range(3) if axis != about)
        if about == 1:
            first, second = second, first
        # Each axis is shifted once, in a pass that is made anyway.
        data = _sheared(data, spacing_mm, first, second, -np.tan(angle / 2), rest[first])
        data = _sheared(data, spacing_mm, second, first, np.sin(angle), rest[second])
        data = _sheared(data, spacing_mm, first, second, -np.tan(angle / 2), 0.0)
        rest[[first, second]] = 0
    for axis in np.flatnonzero(np.abs(rest) > 1e-6):
        data = _sheared(data, spacing_mm, int(axis), (int(axis) + 1) % 3, 0.0, rest[axis])
    return data


def _sheared(data: np.ndarray, spacing_mm, axis: int, by: int, slope: float, shift_mm: float) -> np.ndarray:
    """Return the voxels moved along `axis` by `slope` times the place along `by`, plus a shift."""
    size, n_rows = data.shape[axis], data.shape[by]
    place_mm = (np.arange(n_rows) - (n_rows - 1) / 2) * spacing_mm[by]
    voxels = (slope * place_mm + shift_mm) / spacing_mm[axis]
    ramp = np.exp(-2j * np.pi * fft.rfftfreq(size)[:, None] * voxels[None, :]).astype(np.complex64)
    if axis > by:
        ramp = ramp.T
    spectrum = fft.rfft(data, axis=axis)
    spectrum *= np.expand_dims(ramp, 3 - axis - by)
    return fft.irfft(spectrum, size, axis=axis)


def _scanned(head: Head, axis: int, lines: list[tuple[np.ndarray, np.ndarray]], strength: float) -> np.ndarray:
    """Return the magnitude image of a head that was in other poses for some of the lines.

    `lines` holds (pose, weight of each line in FFT order); the weight that remains is the rest pose's.
    """
    at_rest = fft.fft(head.data, axis=axis)
    k_space = at_rest * _along(1 - sum(weight for _, weight in lines), axis)
    del at_rest
    for pose, weight in lines:
        used = [slice(None)] * 3
        used[axis] = weight > 0
        if not used[axis].any():
            continue
        there = moved(head.data, np.array(head.spacing_mm), strength * pose[:3], strength * pose[3:])
        there = fft.fft(there, axis=axis)[tuple(used)]
        there *= _along(weight[weight > 0], axis)
        k_space[tuple(used)] += there
    return np.abs(fft.ifft(k_space, axis=axis))


def _pose(rng: np.random.Generator) -> np.ndarray:
    """Return three turns (degrees) and three shifts (mm) of about the size of strength 1.

    Two of the turns are drawn and the third left out, by chance: a nod and a shake are what heads do.
    """
    turn, shift = rng.normal(size=3), rng.normal(size=3)
    turn[rng.integers(3)] = 0
    size = rng.uniform(0.7, 1.2)
    turn *= _TURN_DEG * size / np.linalg.norm(turn)
    shift *= _SHIFT_MM * rng.uniform(0.5, 1.0) / np.linalg.norm(shift)
    return np.concatenate([turn, shift])


def _acquisition_time(n_lines: int) -> np.ndarray:
    """Return when each line, in FFT order, is acquired: 0 to 1, the middle of k-space at 0.5."""
    return np.fft.ifftshift(np.arange(n_lines)) / n_lines + (0.5 - (n_lines // 2) / n_lines)


def _phase_axis(head: Head, rng: np.random.Generator) -> int:
    return _axis_of(head, int(rng.choice(3, p=_PHASE_ENCODING)))


def _axis_of(head: Head, world: int) -> int:
    """Return the array axis that runs nearest to left-right (0), back-front (1) or foot-head (2)."""
    return int(np.argmax(np.abs(head.affine[world, :3]) / np.array(head.spacing_mm)))


def _along(values: np.ndarray, axis: int) -> np.ndarray:
    return np.expand_dims(values, [other for other in range(3) if other != axis])
