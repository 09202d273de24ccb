"""From a head to what the anatomical formulas take: bias field, brain, tissues, head, air, artefacts, frame.

The steps are those of MRIQC 24 with parts that pip installs: N4 and one affine of imaging/, the tissue maps of
nilearn's template as priors of Atropos (Avants et al., Neuroinformatics 2011). What fails leaves None and a reason.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from qcbench import images
from qcbench.imaging import bias, crop, geometry, register, template
from qcbench.iqm import regions
from qcbench.iqm.anatomical import Anatomy
from qcbench.iqm.reasons import NotMeasurableError, need
from qcbench.iqm.tissue import TISSUES

#: Above the eyes and at the nape: below them lie face and neck, which move, swallow and are cut away (MRIQC's points).
_GLABELLA_MM, _INION_MM = (0.0, 90.0, -14.0), (0.0, -120.0, -14.0)
#: An artefact is so many deviations above zero, and this far into the air of the field.
_ARTEFACT_DEVIATIONS, _ARTEFACT_DEPTH = 10.0, 0.1
#: Air further away is not looked at with the profile qcbench: a wider field has more of it.
_AIR_MM = 40.0
#: The template's brain is cut along its cortex, and one affine does not follow each fold: with so much around it the
#: mask is that of a network trained for it (deepbet; Dice 0.97, without it 0.93), fluid around the cortex included.
_BRAIN_MARGIN_MM = 2.5
#: Voxels with a face or an edge in common are neighbours, or a face alone.
_NEAR = ndimage.generate_binary_structure(3, 2)
_CROSS = ndimage.generate_binary_structure(3, 1)
_LEAST_FRAME = 500
_LEAST_BRAIN = 1000


@dataclass(frozen=True, kw_only=True)
class MaskOptions:
    """How the masks are made; stored beside the row.

    `least_alignment`: a score of the affine below which the template's place in the head is not believed; right
    alignments of T1w heads have 0.88 and more, wrong ones and a ball at most 0.68. Images of another contrast do not
    correlate with the template: of them the tissues are asked alone (a right T2w has 0.38, a ball 0.24).
    `prior_weight` and `smoothing` are those of Atropos.
    """

    bias: bias.BiasOptions = field(default_factory=bias.BiasOptions)
    register: register.RegisterOptions = field(default_factory=register.RegisterOptions)
    least_alignment: float = 0.7
    least_information: float = 0.3
    enough_of_another_contrast: float = 0.4
    prior_weight: float = 0.1
    smoothing: float = 0.01


def anatomy_of(
    path: str | Path, *, whole_field: bool, modality: str = "T1w", options: MaskOptions | None = None
) -> Anatomy:
    """Return the arrays of a T1w or T2w image; `whole_field` takes all air, not only that near the head.

    Raises ImageError for a file that is no image.
    """
    options = options or MaskOptions()
    # One thread: ITK adds in the order in which threads end, and the last digits would change.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    volume = images.load_volume(path)
    raw, affine = geometry.to_ras(volume.data, volume.affine)
    affine, _ = geometry.orthonormal(affine, raw.shape)
    spacing_mm = tuple(float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))
    made: dict[str, object] = {"frame": frame_mask(raw)}
    failures: dict[str, str] = {}
    try:
        corrected, _ = bias.correct(raw, affine, options.bias)
        made["bias"] = np.divide(raw, corrected, out=np.ones_like(raw), where=corrected != 0)
        matrix = _placed(corrected, affine, modality, options)
        _add_masks(made, raw, corrected, affine, matrix, whole_field, options)
    except NotMeasurableError as error:
        names = ("harmonised", "bias", "maps", "template_maps", "brain", "head", "crown", "hat", "artefact")
        failures = {name: str(error) for name in names if name not in made}
    return Anatomy(spacing_mm=spacing_mm, raw=raw, failures=failures, **made)


def _placed(data: np.ndarray, affine: np.ndarray, modality: str, options: MaskOptions) -> np.ndarray:
    """Return the affine from the template to the image; raises NotMeasurableError when it is not to be believed."""
    alike = modality == "T1w"
    # What is not alike never scores high: further starts would only find what is alike by chance.
    search = options.register if alike else replace(options.register, enough=options.enough_of_another_contrast)
    alignment = register.register(data, affine, search)
    score = alignment.score
    if alike:
        fits = score.alignment >= options.least_alignment
    else:
        fits = score.tissue_information * score.plausibility * score.coverage >= options.least_information
    need(
        fits,
        f"the template does not fit the image: alignment {score.alignment:.2f}, "
        f"tissue information {score.tissue_information:.2f}; is it a whole head of that modality?",
    )
    return alignment.template_to_scanner


def _add_masks(
    made: dict,
    raw: np.ndarray,
    corrected: np.ndarray,
    affine: np.ndarray,
    matrix: np.ndarray,
    whole_field: bool,
    options: MaskOptions,
) -> None:
    """Add array after array; the first that cannot be had raises NotMeasurableError."""
    spacing_mm = tuple(float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))
    made["template_maps"] = template_maps(raw.shape, affine, matrix)
    made["brain"] = brain_mask(raw.shape, affine, matrix)
    n_voxels = int(made["brain"].sum())
    need(n_voxels >= _LEAST_BRAIN, f"the brain has {n_voxels} voxels in the field of view")
    made["maps"] = tissue_maps(corrected, spacing_mm, made["brain"], made["template_maps"], options)
    made["harmonised"] = harmonised(corrected, made["maps"]["wm"])
    made["head"] = head_mask(corrected, made["brain"])
    above = above_nose_and_nape(raw.shape, affine, matrix)
    made["crown"] = made["head"] & above
    hat = ~made["head"] & above
    distance = ndimage.distance_transform_edt(~made["head"], sampling=spacing_mm)
    if not whole_field:
        hat &= ~made["frame"] & (distance <= _AIR_MM)
    need(hat.any(), "no air is above nose and nape: the head fills the field of view, or the air was cut away")
    made["hat"] = hat
    made["artefact"] = artefact_mask(raw, hat, distance)


def frame_mask(data: np.ndarray) -> np.ndarray:
    """Return the two largest pieces of voxels of 0 or less, which a rotation or a padding put in; none below 500."""
    empty = ndimage.binary_opening(np.pad(data <= 0, 1, constant_values=True), _NEAR)
    pieces, n_pieces = ndimage.label(empty)
    sizes = np.bincount(pieces.ravel(), minlength=n_pieces + 1)
    sizes[0] = 0
    largest = [piece for piece in np.argsort(sizes)[::-1][:2] if sizes[piece]]
    mask = np.isin(pieces, largest)[1:-1, 1:-1, 1:-1]
    return mask if np.count_nonzero(mask) >= _LEAST_FRAME else np.zeros_like(mask)


def template_maps(shape: tuple[int, ...], affine: np.ndarray, template_to_scanner: np.ndarray) -> dict[str, np.ndarray]:
    """Return the template's shares of csf, gm and wm on the image's grid."""
    whole = template.load()
    fluid = np.clip(whole.brain - whole.grey - whole.white, 0, 1).astype(np.float32)
    return {
        name: np.clip(_onto(share, whole.affine, shape, affine, template_to_scanner), 0, 1)
        for name, share in zip(TISSUES, (fluid, whole.grey, whole.white), strict=True)
    }


def brain_mask(shape: tuple[int, ...], affine: np.ndarray, template_to_scanner: np.ndarray) -> np.ndarray:
    """Return the template's filled brain, and what is at most 2.5 mm away from it, on the image's grid."""
    whole = template.load()
    brain = _onto(whole.brain.astype(np.float32), whole.affine, shape, affine, template_to_scanner) > 0.5
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    return ndimage.distance_transform_edt(~brain, sampling=spacing_mm) <= _BRAIN_MARGIN_MM


def tissue_maps(
    data: np.ndarray,
    spacing_mm: tuple[float, ...],
    brain: np.ndarray,
    priors: dict[str, np.ndarray],
    options: MaskOptions,
) -> dict[str, np.ndarray]:
    """Return the shares of csf, gm and wm of each voxel of the brain, by Atropos."""
    import ants

    box = _box(brain)
    # Around the template's cortex is fluid.
    fluid = np.maximum(priors["csf"], 1 - priors["gm"] - priors["wm"])
    # Priors go through files, whose origins are single precision: only an origin of zero comes back as it went.
    grid = np.diag([*spacing_mm, 1.0])
    with _scratch():
        found = ants.atropos(
            a=geometry.to_ants(data[box], grid),
            x=geometry.to_ants(brain[box], grid),
            i=[geometry.to_ants(prior[box], grid) for prior in (fluid, priors["gm"], priors["wm"])],
            m=f"[{options.smoothing},1x1x1]",
            c="[5,0]",
            priorweight=options.prior_weight,
        )
    maps = {}
    for name, share in zip(TISSUES, found["probabilityimages"], strict=True):
        maps[name] = np.zeros(data.shape, np.float32)
        maps[name][box] = np.clip(np.nan_to_num(share.numpy()), 0, 1)
        need(maps[name].any(), f"the segmentation found no {name}")
    return maps


def harmonised(data: np.ndarray, wm_share: np.ndarray) -> np.ndarray:
    """Return the image scaled so that the median of what is surely white matter, its rim left out, is 1000."""
    sure = wm_share >= 0.9
    need(sure.any(), "no voxel is surely white matter")
    core = ndimage.binary_erosion(sure, _NEAR)
    # In slices of 5 mm every voxel is at the rim.
    sure = core if core.any() else sure
    median = float(np.median(data[sure]))
    need(median > 0, "white matter is black")
    return data * (1000 / median)


def head_mask(data: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Return where the head is: what is not flat, closed, with the brain and all that it encloses."""
    factors = (2, 2, 2)
    coarse = template.block_mean(np.minimum(data, np.percentile(data, 99.5)), factors)
    inside = template.block_mean(brain.astype(np.float32), factors) > 0.5
    filled = np.where(inside, coarse.max(), coarse)
    slope = ndimage.gaussian_gradient_magnitude(filled, 2.0)
    top = float(np.percentile(slope, 99.5))
    need(top > 0, "the image has no edges")
    mask = (slope > 0.15 * top) | ndimage.binary_dilation(inside, _CROSS, iterations=4)
    mask = ndimage.binary_closing(np.pad(mask, 6), _CROSS, iterations=4)[6:-6, 6:-6, 6:-6]
    # The gradient reaches out as far as it is smoothed.
    mask = ndimage.binary_erosion(ndimage.binary_fill_holes(mask), _CROSS, iterations=1) | inside
    pieces, _ = ndimage.label(mask)
    mask = pieces == np.bincount(pieces[inside]).argmax()
    mask = ndimage.binary_fill_holes(mask)
    fine = np.repeat(np.repeat(np.repeat(mask, 2, 0), 2, 1), 2, 2)
    return fine[tuple(slice(size) for size in data.shape)]


def above_nose_and_nape(shape: tuple[int, ...], affine: np.ndarray, template_to_scanner: np.ndarray) -> np.ndarray:
    """Return the field above the inion and, in its front half, above the glabella."""
    to_voxels = np.linalg.inv(affine) @ template_to_scanner
    glabella, inion = (int((to_voxels @ [*point, 1])[2]) for point in (_GLABELLA_MM, _INION_MM))
    above = np.ones(shape, bool)
    above[:, :, : max(inion, 0)] = False
    above[:, shape[1] // 2 :, : max(glabella, 0)] = False
    return above


def artefact_mask(data: np.ndarray, hat: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Return the voxels of the air that are too bright for noise, a tenth of the field's depth away from the head."""
    values = data[hat]
    positive = values[values > 0]
    if positive.size < 10:
        return np.zeros(data.shape, bool)
    bright = np.zeros(data.shape, bool)
    bright[hat] = values > _ARTEFACT_DEVIATIONS * regions.mad(positive)
    bright &= distance >= _ARTEFACT_DEPTH * distance[hat].max()
    return ndimage.binary_opening(bright, _CROSS)


def _onto(
    share: np.ndarray, from_affine: np.ndarray, shape: tuple[int, ...], affine: np.ndarray, matrix: np.ndarray
) -> np.ndarray:
    """Return a map of the template on the image's grid, by linear interpolation."""
    return crop.resample(share, from_affine, np.linalg.inv(matrix), shape, affine)


@contextmanager
def _scratch() -> Iterator[None]:
    """Have files that ants leaves behind in the temporary folder of the process taken away."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="qcbench-") as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def _box(mask: np.ndarray, margin: int = 3) -> tuple[slice, ...]:
    places = [np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    return tuple(slice(max(0, place[0] - margin), place[-1] + 1 + margin) for place in places)
