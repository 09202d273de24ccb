"""The look of a contrast agent: what has no barrier to the blood shines."""

from __future__ import annotations

import numpy as np

from qcbench.imaging.heads import Head, smooth_noise


def gadolinium(head: Head, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the head with bright sinuses, dura, choroid plexus, mucosa and vessels.

    `strength` is from 0 (the very same voxels) to 1 (a full dose, imaged early). Where they lie is
    the head's `enhancement`.
    """
    patchy = 1 + np.float32(0.15) * smooth_noise(head.data.shape, (9, 9, 9), rng)
    brightness, share = rng.uniform(1.45, 1.75), rng.uniform(0.85, 1.0)
    if not strength:
        return head.data
    white = head.levels[2]
    target = np.float32(brightness * white)
    shine = np.clip(head.enhancement * patchy, 0, 1) * np.float32(share * strength)
    return head.data + shine * np.clip(target - head.data, 0, None)
