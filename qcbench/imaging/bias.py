"""The slow change of brightness across the head, estimated coarsely and removed at full resolution.

N4 (Tustison et al., IEEE TMI 2010) fits a field with hundreds of millimetres between its control
points, so it loses nothing on voxels of 4 mm, where it costs half a second instead of minutes. The
head mask matters more: over the whole box the air outweighs the head and the field stays near 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import ants
import numpy as np
from scipy import ndimage

from qcbench.imaging import geometry
from qcbench.imaging.template import block_mean

#: `head_mask` is meant for voxels of about this size.
_HEAD_MASK_MM = 4.0


@dataclass(frozen=True, kw_only=True)
class BiasOptions:
    """How the field is estimated: voxels of about `spacing_mm`, ANTs' other parameters by its names.

    Without a spacing the image's own voxels are fitted; where not `in_head`, the air is fitted with them, as
    N4 does when it is given no mask. Zero iterations leave the image as it is.
    """

    spacing_mm: float | None = 4.0
    in_head: bool = True
    shrink_factor: int = 3
    iterations: tuple[int, ...] = (20, 20, 20)
    spline_distance_mm: int = 200


def correct(data: np.ndarray, affine: np.ndarray, options: BiasOptions) -> tuple[np.ndarray, float]:
    """Return the image divided by its bias field, and the field's strength.

    `affine` has orthogonal axes. Where the head alone is fitted, the field's mean over it is 1 in the logarithm, so
    that intensities keep their scale. The strength is the standard deviation of the log field over
    the head; 0.05 is weak, 0.2 strong.
    """
    if not sum(options.iterations):
        return data, 0.0
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if options.spacing_mm is None:
        log_field = _log_field(np.maximum(data, 0), None, affine, options)
        factors = tuple(max(1, round(_HEAD_MASK_MM / size)) for size in spacing_mm)
        head = head_mask(block_mean(data, factors))
        strength = block_mean(log_field, factors)[head].std()
        return (data * np.exp(-log_field)).astype(np.float32), float(strength)
    factors = tuple(max(1, round(options.spacing_mm / size)) for size in spacing_mm)
    coarse = block_mean(data, factors)
    head = head_mask(coarse)
    coarse_affine = affine @ np.diag([*factors, 1.0])
    log_field = _log_field(_positive(coarse, head), head if options.in_head else None, coarse_affine, options)
    log_field -= log_field[head].mean()
    fine = _enlarge(log_field, factors, data.shape)
    return (data * np.exp(-fine)).astype(np.float32), float(log_field[head].std())


def head_mask(data: np.ndarray) -> np.ndarray:
    """Return where the head is: the largest bright piece after Otsu's threshold, closed and filled.

    Meant for voxels of about 4 mm. Without any such piece, everything counts as head.
    """
    bright = ndimage.binary_opening(np.minimum(data, np.percentile(data, 99.5)) > otsu_threshold(data))
    pieces, n_pieces = ndimage.label(bright)
    if not n_pieces:
        return np.ones(data.shape, dtype=bool)
    sizes = ndimage.sum_labels(bright, pieces, range(1, n_pieces + 1))
    largest = pieces == 1 + int(np.argmax(sizes))
    closed = ndimage.binary_closing(np.pad(largest, 3), iterations=3)[3:-3, 3:-3, 3:-3]
    return ndimage.binary_fill_holes(closed)


def otsu_threshold(data: np.ndarray) -> float:
    """Return the value that best parts the histogram in two (Otsu 1979), after cutting the top 0.5 %.

    >>> 1 < otsu_threshold(np.repeat([0.0, 1.0, 9.0, 10.0], 100)) <= 9
    True
    """
    counts, edges = np.histogram(np.minimum(data, np.percentile(data, 99.5)), bins=256)
    below = np.cumsum(counts)[:-1]
    total = np.cumsum(counts * (edges[:-1] + edges[1:]) / 2)
    n_voxels, mean_total = counts.sum(), total[-1]
    # Only thresholds that leave voxels on both sides are compared.
    both = (below > 0) & (below < n_voxels)
    if not both.any():
        return float(edges[0])
    weights = below[both].astype(float)
    between = (mean_total * weights / n_voxels - total[:-1][both]) ** 2 / (weights * (n_voxels - weights))
    return float(edges[1:-1][both][np.argmax(between)])


def _positive(coarse: np.ndarray, head: np.ndarray) -> np.ndarray:
    # N4 works on logarithms: values at or below zero would be lost in its mask.
    return np.maximum(coarse, np.percentile(coarse[head], 0.5) * 0.01 + 1e-6 * float(np.abs(coarse).max()))


def _log_field(data: np.ndarray, head: np.ndarray | None, affine: np.ndarray, options: BiasOptions) -> np.ndarray:
    image = geometry.to_ants(data, affine)
    field = ants.n4_bias_field_correction(
        image,
        mask=None if head is None else image.new_image_like(head.astype(np.float32)),
        # An axis of few slices is not made coarser still.
        shrink_factor=max(1, min(options.shrink_factor, min(data.shape) // 8)),
        convergence={"iters": list(options.iterations), "tol": 0.0},
        spline_param=options.spline_distance_mm,
        return_bias_field=True,
    ).numpy()
    return np.log(np.clip(np.nan_to_num(field, nan=1.0), 0.05, 20.0))


def _enlarge(coarse: np.ndarray, factors: tuple[int, int, int], shape: tuple[int, int, int]) -> np.ndarray:
    """Return `coarse` on the full grid by linear interpolation, one axis after the other."""
    fine = coarse.astype(np.float32)
    for axis, (factor, size) in enumerate(zip(factors, shape, strict=True)):
        # Block i holds the voxels i * factor ... i * factor + factor - 1.
        position = np.clip((np.arange(size) - (factor - 1) / 2) / factor, 0, fine.shape[axis] - 1)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, fine.shape[axis] - 1)
        share = np.expand_dims((position - low).astype(np.float32), [other for other in range(3) if other != axis])
        fine = np.take(fine, low, axis) * (1 - share) + np.take(fine, high, axis) * share
    return fine
