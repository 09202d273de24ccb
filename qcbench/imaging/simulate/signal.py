"""What the receiver adds: noise of a coil and of parallel imaging, and spikes in k-space.

Every function takes a head, a strength from 0 (the very same voxels) to 1 and a generator, draws
first and scales by the strength afterwards, and returns voxels.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from qcbench.imaging.heads import Head, rician, smooth_noise

#: Standard deviation of the noise at strength 1, relative to white matter.
_NOISE_SD = 0.45
#: Height of the stripes at strength 1, relative to white matter.
_SPIKE_HEIGHT = 0.8


def noise(head: Head, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the head with Rician noise, stronger where the coils see less and parallel imaging divides.

    One in three is acquired on a coarser grid and filled up with zeros, which leaves its noise
    in blobs.
    """
    shape = head.data.shape
    seed, filled_up = int(rng.integers(2**31)), rng.random() < 1 / 3
    share = rng.uniform(0.65, 0.9)
    profile = _profile(head, rng)
    if not strength:
        return head.data
    sd = np.float32(strength * _NOISE_SD * head.levels[2])
    drawn = np.random.default_rng(seed)
    if not filled_up:
        return rician(head.data, sd * profile, drawn)
    channels = [_band_limited(drawn.standard_normal(shape, dtype=np.float32), share, head) for _ in range(2)]
    return np.hypot(head.data + sd * profile * channels[0], sd * profile * channels[1])


def spikes(head: Head, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the head under stripes: one to three single points of k-space that are far too bright."""
    count = int(rng.integers(1, 4))
    cycles = rng.uniform(0.04, 0.3, (count, 3)) * rng.choice((-1, 1), (count, 3))
    cycles[np.arange(count), rng.integers(0, 3, count)] *= 0.2  # stripes mostly run along some axis
    starts, heights = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.5, 1, count)
    if not strength:
        return head.data
    stripes = np.zeros(head.data.shape, np.complex64)
    for cycle, start, height in zip(cycles, starts, heights / heights.sum(), strict=True):
        # Whole cycles a field of view: a point of k-space lies on its grid.
        waves = [
            np.exp(2j * np.pi * round(c * n) * np.arange(n) / n).astype(np.complex64)
            for c, n in zip(cycle, head.data.shape, strict=True)
        ]
        waves[0] *= np.complex64(height * np.exp(1j * start))
        stripes += waves[0][:, None, None] * waves[1][None, :, None] * waves[2][None, None, :]
    stripes *= np.float32(strength * _SPIKE_HEIGHT * head.levels[2])
    return np.abs(head.data + stripes)


def _profile(head: Head, rng: np.random.Generator) -> np.ndarray:
    """Return how strong the noise is in each voxel, about 1 in the brain: most in the middle of the head."""
    shape, spacing = head.data.shape, np.array(head.spacing_mm)
    middle = np.array([axis.mean() for axis in np.nonzero(head.brain)]) + rng.uniform(-20, 20, 3) / spacing
    reach_mm, height = rng.uniform(55, 90), rng.uniform(0.1, 0.6)
    along = [
        (((np.arange(size) - centre) * step / reach_mm) ** 2).astype(np.float32)
        for size, centre, step in zip(shape, middle, spacing, strict=True)
    ]
    bumps = [np.exp(-distance) for distance in along]
    bump = bumps[0][:, None, None] * bumps[1][None, :, None] * bumps[2][None, None, :]
    uneven = np.float32(0.08) * smooth_noise(shape, (3, 3, 3), rng)
    return (1 + np.float32(height) * (bump - np.float32(0.4)) + uneven).clip(0.3, None)


def _band_limited(white: np.ndarray, share: float, head: Head) -> np.ndarray:
    """Return the noise without its highest frequencies in the two finest axes; its variance stays 1."""
    finest = np.argsort(head.spacing_mm, kind="stable")[:2]
    for axis in finest:
        spectrum = fft.rfft(white, axis=axis)
        kept = fft.rfftfreq(white.shape[axis]) <= share / 2
        spectrum *= np.expand_dims(kept / np.sqrt(share), [other for other in range(3) if other != axis]).astype(
            np.float32
        )
        white = fft.irfft(spectrum, white.shape[axis], axis=axis)
    return white
