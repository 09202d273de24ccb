"""Twelve numbers that lay an image over the template, and how far they can be trusted.

The recipe is that of antsRegistrationSyNQuick.sh -t a (rigid, then affine; mutual information), on voxels of 2 mm,
inside the template's dilated brain because the template has no skull. Two things of our own make it
hold on whole heads: it starts below the crown, where the brain is, at a scale below 1; and when its score is
low it starts again elsewhere. Without that scale the scalp is taken for the edge of the brain: 2 of 8 heads.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import ants
import numpy as np
from ants.internal import get_pointer_string
from scipy import ndimage

from qcbench.errors import WorkerError
from qcbench.imaging import geometry, template
from qcbench.imaging.bias import head_mask
from qcbench.imaging.score import Score, score

#: The average MNI brain is larger than most: 0.85 in each direction is usual, the volume ratio then 0.6.
_USUAL_SCALE = 0.87
#: From the crown to below the cerebellum; what lies lower is neck and does not move the start.
_HEAD_HEIGHT_MM = 160.0


@dataclass(frozen=True, kw_only=True)
class RegisterOptions:
    """How an image is aligned. `enough`: a score from which on no further start is tried."""

    spacing_mm: int = 2
    coarse_spacing_mm: int = 4
    mask_margin_mm: float = 6.0
    enough: float = 0.6
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where the search begins: scale, rotation about the left-right axis, shift, and the mask or none."""

    scale: float = _USUAL_SCALE
    pitch_degrees: float = 0.0
    up_mm: float = 0.0
    centre: str = "head"  # or "field of view"
    masked: bool = True


#: Tried in this order on coarse voxels when the first score is low; the best is refined.
FURTHER_STARTS = (
    Start(scale=0.8, pitch_degrees=20),
    Start(scale=0.8, pitch_degrees=-20),
    Start(scale=0.9, up_mm=-20),
    Start(centre="field of view"),
    Start(scale=1.0),
    Start(centre="field of view", masked=False),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """The affine `template_to_scanner` (4, 4; RAS mm), its score, and how many starts it took."""

    template_to_scanner: np.ndarray
    score: Score
    n_starts: int


def register(data: np.ndarray, affine: np.ndarray, options: RegisterOptions) -> Alignment:
    """Return the best affine from the template to the image. `affine` has orthogonal axes.

    Same voxels, options and one ITK thread: the same numbers. Raises WorkerError when ants fails.
    """
    moving = _clipped(data)
    fine = _Level(moving, affine, options.spacing_mm, options, "8x4x2x1", "3x2x1x0vox", "1000x500x250x0")
    first = fine.align(fine.start(Start()), masked=True)
    found = [(fine.score(first), first)]
    if found[0][0].alignment >= options.enough:
        return Alignment(template_to_scanner=first, score=found[0][0], n_starts=1)
    coarse = _Level(moving, affine, options.coarse_spacing_mm, options, "4x2x1", "2x1x0vox", "200x200x50")
    rough = []
    for start in FURTHER_STARTS:
        candidate = coarse.align(coarse.start(start), masked=start.masked)
        rough.append((fine.score(candidate), start.masked, candidate))
        if rough[-1][0].alignment >= options.enough:
            break
    best, masked, candidate = max(rough, key=lambda each: each[0].alignment)
    if best.alignment > found[0][0].alignment:
        refined = fine.align(candidate, masked=masked)
        found += [(best, candidate), (fine.score(refined), refined)]
    best, matrix = max(found, key=lambda each: each[0].alignment)
    return Alignment(template_to_scanner=matrix, score=best, n_starts=1 + len(rough))


class _Level:
    """The image and the template at one spacing, ready for ants; the images live as long as the object."""

    def __init__(self, data, affine, spacing_mm, options, shrink, smooth, iterations) -> None:
        self._data, self._affine, self._options = data, affine, options
        self._recipe = (shrink, smooth, iterations)
        self._template, dilated = _fixed(spacing_mm, options.mask_margin_mm)
        self._fixed = geometry.to_ants(self._template.t1, self._template.affine)
        # uint8: ants reads the mask's memory as bytes whatever its type is.
        self._mask = geometry.to_ants(dilated.astype(np.uint8), self._template.affine)
        self._moving = ants.resample_image(geometry.to_ants(data, affine), (spacing_mm,) * 3, False, 0)

    def start(self, start: Start) -> np.ndarray:
        """Return the first guess: the template's brain put where the head's brain should be."""
        target = _head_centre(self._data, self._affine) if start.centre == "head" else self._middle()
        brain = np.argwhere(self._template.brain).mean(axis=0)
        centre = (self._template.affine @ [*brain, 1])[:3]
        angle = np.radians(start.pitch_degrees)
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
        guess = np.eye(4)
        guess[:3, :3] = start.scale * turn
        guess[:3, 3] = target + np.array([0, 0, start.up_mm]) - guess[:3, :3] @ centre
        return guess

    def align(self, guess: np.ndarray, *, masked: bool) -> np.ndarray:
        """Return the affine that antsRegistration finds from a guess."""
        shrink, smooth, iterations = self._recipe
        fixed, moving = get_pointer_string(self._fixed), get_pointer_string(self._moving)
        mask = f"[{get_pointer_string(self._mask)},NA]" if masked else "[NA,NA]"
        with tempfile.TemporaryDirectory(prefix="qcbench-") as folder:
            begin = Path(folder) / "start.mat"
            _write_affine(guess, begin)
            arguments = ["--dimensionality", "3", "--initial-moving-transform", str(begin), "--output", f"{folder}/to"]
            for kind in ("Rigid", "Affine"):
                arguments += ["--transform", f"{kind}[0.1]", "--metric", f"MI[{fixed},{moving},1,32,Regular,0.25]"]
                arguments += ["--convergence", f"[{iterations},1e-6,10]", "--shrink-factors", shrink]
                arguments += ["--smoothing-sigmas", smooth]
            arguments += ["--masks", mask, "--float", "1", "--random-seed", str(self._options.seed + 1)]
            status = ants.registration(arguments, None)
            made = sorted(path.name for path in Path(folder).glob("to*"))
            # Exactly one affine, and nothing that bends the brain.
            if status or made != ["to0GenericAffine.mat"]:
                raise WorkerError(f"antsRegistration ended with status {status} and the files {made}")
            found = ants.read_transform(f"{folder}/{made[0]}")
            return geometry.transform_from_itk(found.parameters, found.fixed_parameters)

    def score(self, matrix: np.ndarray) -> Score:
        """Return how well the image lies on the template."""
        spaced = geometry.from_itk(self._moving.origin, self._moving.spacing, self._moving.direction)
        return score(self._moving.numpy(), spaced, matrix, self._template)

    def _middle(self) -> np.ndarray:
        return (self._affine @ [*((np.array(self._data.shape) - 1) / 2), 1])[:3]


def _clipped(data: np.ndarray) -> np.ndarray:
    """Return the image without its extremes, as antsRegistrationSyNQuick.sh does."""
    low, high = np.percentile(data, [0.5, 99.5])
    return np.clip(data, low, high) if high > low else data


def _head_centre(data: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the middle (mm) of the head's upper part, where the brain is, neck and shoulders left out."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    factors = tuple(max(1, round(4 / size)) for size in spacing)
    blocks = affine @ np.diag([*factors, 1.0])
    blocks[:3, 3] += affine[:3, :3] @ ((np.array(factors) - 1) / 2)
    places = np.argwhere(head_mask(template.block_mean(data, factors))) @ blocks[:3, :3].T + blocks[:3, 3]
    # The 99.9th percentile and not the maximum: a wrap-around or a cable is not the crown.
    crown = np.percentile(places[:, 2], 99.9)
    return places[places[:, 2] > crown - _HEAD_HEIGHT_MM].mean(axis=0)


def load_fixed(options: RegisterOptions) -> None:
    """Load the template at both spacings of the search, so that later calls find it loaded."""
    for spacing_mm in (options.spacing_mm, options.coarse_spacing_mm):
        _fixed(spacing_mm, options.mask_margin_mm)


@cache
def _fixed(spacing_mm: int, margin_mm: float) -> tuple[template.Template, np.ndarray]:
    coarse = template.load().coarse(spacing_mm)
    return coarse, ndimage.binary_fill_holes(coarse.dilated_brain(margin_mm))


def _write_affine(matrix: np.ndarray, path: Path) -> None:
    transform = ants.new_ants_transform(
        precision="float", dimension=3, transform_type="AffineTransform", parameters=geometry.transform_to_itk(matrix)
    )
    ants.write_transform(transform, str(path))
