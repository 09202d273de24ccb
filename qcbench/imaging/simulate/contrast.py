"""Grey and white matter drawn together: by the tissue itself, by coarse voxels, by uneven brightness.

Every function takes a head, a strength from 0 (the very same voxels) to 1 and a generator, draws
first and scales by the strength afterwards, and returns voxels.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from qcbench.imaging.heads import Head, smooth_noise

#: Standard deviation (mm) of the blur, and thickness of a slice (mm), at strength 1.
_BLUR_SD_MM, _THICKNESS_MM = 4.5, 18.0
#: Standard deviation of the logarithm of the uneven brightness at strength 1.
_UNEVENNESS = 0.9


def mixing(head: Head, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the head with the brightness of grey and white matter drawn together.

    At low strength some parts of the brain stay clear; at strength 1 none does.
    """
    patches = smooth_noise(head.data.shape, (5, 6, 5), rng)
    share = np.float32(rng.uniform(0.4, 0.6))
    if not strength:
        return head.data
    fluid, grey, white = head.levels
    middle = share * grey + (1 - share) * white
    bound = (2 * fluid + grey) / 3
    knots = np.array([0, bound, grey, white, white + (white - grey)])
    pulled = np.array([0, bound, middle, middle, white + (white - grey)])
    # The tissue is moved and its grain is kept: a squeezed histogram would leave flat patches.
    tissue = ndimage.gaussian_filter(head.data, 0.7 / np.array(head.spacing_mm), truncate=3)
    toward = np.interp(tissue, knots, pulled).astype(np.float32) - tissue
    toward[tissue > knots[-1]] = 0
    where = np.clip(1.2 * strength * (1 + (1 - strength) * patches), 0, 1).astype(np.float32)
    return head.data + where * toward


def low_resolution(head: Head, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the head as coarse voxels show it: every axis blurred, one of them less."""
    relative = np.ones(3)
    relative[rng.integers(3)] = rng.uniform(0.4, 1.0)
    if not strength:
        return head.data
    sd_voxels = strength * _BLUR_SD_MM * relative / np.array(head.spacing_mm)
    return ndimage.gaussian_filter(head.data, sd_voxels, truncate=3)


def thick_slices(head: Head, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the head in slices too thick for a 3D scan, across one axis."""
    axis = int(rng.integers(3))
    if not strength:
        return head.data
    size = head.data.shape[axis]
    width_voxels = strength * _THICKNESS_MM / head.spacing_mm[axis]
    # A box of any width, not of whole voxels only: its transform is a sinc. The square of it is
    # what a slice profile and linear interpolation between slices leave together.
    response = np.sinc(fft.rfftfreq(size) * width_voxels) * np.sinc(fft.rfftfreq(size) * width_voxels / 2)
    others = [other for other in range(3) if other != axis]
    spectrum = fft.rfft(head.data, axis=axis) * np.expand_dims(response, others).astype(np.float32)
    return np.clip(fft.irfft(spectrum, size, axis=axis), 0, None)


def uneven_brightness(head: Head, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the head with a strong, smooth change of brightness that bias correction left behind."""
    field = smooth_noise(head.data.shape, (2, 3, 3), rng)
    if not strength:
        return head.data
    field -= field[head.brain].mean()
    field /= max(float(field[head.brain].std()), 1e-6)
    return head.data * np.exp(np.float32(-strength * _UNEVENNESS) * np.clip(field, -1.5, 1.5))
