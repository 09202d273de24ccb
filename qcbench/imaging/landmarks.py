"""Where the brain and the large vessels of a head lie, roughly, from its voxels alone.

Good to some millimetres where the head is registered and to a centimetre where it is not: enough
to simulate a skull-stripped or an enhanced image of a real head, and for nothing else.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from qcbench.errors import ImageError
from qcbench.images import Volume
from qcbench.imaging import anatomy
from qcbench.imaging.anatomy import CORNER_MM, SPACING_MM
from qcbench.imaging.heads import Head, tissue_levels

_COARSE_MM = 2.0
#: The skin of the canonical head: half its width, its back and front (above the eyes) and its top.
_HALF_WIDTH_MM, _BACK_MM, _FRONT_MM, _TOP_MM = 86.0, -121.0, 88.0, 97.0


def locate(volume: Volume, template_to_scanner: np.ndarray | None = None) -> Head:
    """Return the volume with an estimated brain and an estimate of what gadolinium brightens.

    The template is placed by `template_to_scanner` (4, 4; RAS millimetres) where a registration
    found it; otherwise the head's box (top, sides, back, forehead) is laid over the canonical
    head's, which is good to a centimetre. The sagittal
    sinus and the dura follow the inner surface of the skull as the voxels show it. Raises
    ImageError NO_HEAD when nothing of a head's size stands out of the background.
    """
    step = tuple(max(1, round(_COARSE_MM / size)) for size in volume.spacing_mm)
    coarse = _block_means(volume.data, step)
    affine = volume.affine @ np.diag([*step, 1.0])
    affine[:3, 3] += volume.affine[:3, :3] @ ((np.array(step) - 1) / 2)
    head = _head_mask(coarse, abs(np.linalg.det(affine[:3, :3])))
    to_canonical = _box_frame(head, affine) if template_to_scanner is None else np.linalg.inv(template_to_scanner)
    depth_mm = ndimage.distance_transform_edt(head, sampling=np.linalg.norm(affine[:3, :3], axis=0))
    place = _places(coarse.shape, to_canonical @ affine)
    prior = _canonical_at(anatomy.canonical().texture, to_canonical @ affine, coarse.shape) > 0.1
    brain = _brain(coarse, prior, depth_mm)
    rim = _rim(coarse, depth_mm, place)

    def fine(estimate: np.ndarray) -> np.ndarray:
        start = -(np.array(step) - 1) / 2 / step
        return anatomy.resample_linear(estimate, volume.data.shape, start=start, step=1 / np.array(step))

    vessels = _canonical_at(anatomy.canonical().vessels, to_canonical @ volume.affine, volume.data.shape)
    # Air and bone hold no contrast agent, wherever the rough placement puts a vessel.
    vessels *= volume.data > 0.35 * np.percentile(coarse[brain], 75)
    return Head(
        data=volume.data,
        affine=volume.affine,
        n_not_finite=volume.n_not_finite,
        brain=fine(brain.astype(np.float32)) > 0.5,
        enhancement=np.maximum(fine(rim), vessels),
        levels=tissue_levels(coarse, brain),
        template_to_scanner=np.linalg.inv(to_canonical),
    )


def _block_means(data: np.ndarray, step: tuple[int, int, int]) -> np.ndarray:
    counts = [size // block for size, block in zip(data.shape, step, strict=True)]
    trimmed = data[tuple(slice(count * block) for count, block in zip(counts, step, strict=True))]
    split = [number for pair in zip(counts, step, strict=True) for number in pair]
    return trimmed.reshape(split).mean(axis=(1, 3, 5))


def _head_mask(coarse: np.ndarray, voxel_mm3: float) -> np.ndarray:
    bright = coarse[coarse > coarse.mean()].mean()
    parts, count = ndimage.label(coarse > 0.2 * bright)
    if not count:
        raise ImageError("NO_HEAD", "nothing stands out of the background, so no head can be found")
    largest = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    padded = np.pad(largest, 8)  # so that closing does not open the mask at the edge of the picture
    closed = ndimage.binary_closing(padded, iterations=6)[8:-8, 8:-8, 8:-8]
    closed = ndimage.binary_fill_holes(closed)
    if closed.sum() * voxel_mm3 < 5e5:
        raise ImageError("NO_HEAD", "no bright body of half a litre or more, so no head can be found")
    return closed


def _places(shape, matrix: np.ndarray) -> np.ndarray:
    """Return where each voxel lies, in millimetres (3, *shape)."""
    index = np.indices(shape, dtype=np.float32)
    return np.einsum("ij,jklm->iklm", matrix[:3, :3].astype(np.float32), index) + matrix[:3, 3, None, None, None]


def _box_frame(head: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the affine from scanner millimetres to canonical ones, from the head's outline."""
    x, y, z = (axis[head] for axis in _places(head.shape, affine))
    top = np.percentile(z, 99.95)
    vault = (z < top - 25) & (z > top - 75)  # above the eyes, the ears and what defacing removes
    # The midline follows the head's tilt: the plane through the middle of each slice of the vault.
    design = np.column_stack([np.ones(vault.sum()), y[vault], z[vault]])
    level, by_y, by_z = np.linalg.lstsq(design, x[vault], rcond=None)[0]
    sideways = x[vault] - design @ (level, by_y, by_z)
    width = np.percentile(np.abs(sideways), 99.5) / _HALF_WIDTH_MM
    back, front = np.percentile(y[vault], (0.2, 99.8))
    length = (front - back) / (_FRONT_MM - _BACK_MM)
    height = (width + length) / 2
    return np.array(
        [
            [1 / width, -by_y / width, -by_z / width, -level / width],
            [0, 1 / length, 0, _BACK_MM - back / length],
            [0, 0, 1 / height, _TOP_MM - top / height],
            [0, 0, 0, 1],
        ]
    )


def _canonical_at(canonical_map: np.ndarray, to_canonical: np.ndarray, shape) -> np.ndarray:
    offset = (to_canonical[:3, 3] - CORNER_MM) / SPACING_MM
    return ndimage.affine_transform(canonical_map, to_canonical[:3, :3] / SPACING_MM, offset, shape, order=1)


def _brain(coarse: np.ndarray, prior: np.ndarray, depth_mm: np.ndarray) -> np.ndarray:
    """Return the brain: where the canonical one would lie, deep enough, as bright as its tissue."""
    sure = ndimage.binary_erosion(prior, iterations=5)
    low, high = np.percentile(coarse[sure & (depth_mm > 15)], (2, 99.5))
    tissue = ndimage.binary_dilation(prior, iterations=2) & (depth_mm > 9) & (coarse > low * 0.8) & (coarse < high)
    opened = ndimage.binary_opening(tissue, iterations=2)
    parts, count = ndimage.label(opened)
    if not count:
        raise ImageError("NO_HEAD", "no brain tissue where a head would have it")
    largest = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    return ndimage.binary_fill_holes(ndimage.binary_closing(largest, iterations=2))


def _rim(coarse: np.ndarray, depth_mm: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the enhancement of sagittal sinus and dura, at the depth where the skull ends."""
    x, y, z = place
    vault = (z > 10) & (depth_mm > 0)
    shells = depth_mm[vault].astype(int)
    sums = np.bincount(shells, coarse[vault], minlength=30)[:30]
    profile = sums / np.maximum(np.bincount(shells, minlength=30)[:30], 1)
    bone = 5 + int(profile[5:16].argmin())
    brighter = profile[bone:] > (profile[bone] + profile[bone:].max()) / 2
    inner_mm = bone + float(brighter.argmax())
    rim = np.zeros(coarse.shape, np.float32)
    rim[(np.abs(depth_mm - inner_mm + 2) < 1.2) & (z > -5)] = 0.3
    under = depth_mm - inner_mm
    sinus = (np.abs(x) < 4.5 - 0.6 * (under + 2)) & (np.abs(under) < 4) & (z > -5) & (y < 62)
    rim[sinus] = 1
    return rim
