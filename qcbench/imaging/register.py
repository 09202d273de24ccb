"""Twelve numbers that lay an image over the template, and how far they can be trusted.

The recipe is that of antsRegistrationSyNQuick.sh -t a: rigid, then affine, mutual information, nothing optimised on
less than 4 mm; inside the template's dilated brain, because the template has no skull. Two things of our
own make it hold on whole heads: it starts below the crown, where the brain is, at a scale below 1; and
when the score is low it starts again elsewhere. Without that scale the scalp is taken for the edge of the
brain in 2 of 8 heads.
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
    """How an image is aligned. `enough`: a score from which on no further start is tried.

    Right alignments of eight real heads score 0.88 and more, wrong ones at most 0.68.
    """

    mask_margin_mm: float = 6.0
    enough: float = 0.75
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a search begins: scale, rotation about the left-right axis, shift, voxel size, and the mask or none."""

    scale: float = _USUAL_SCALE
    pitch_degrees: float = 0.0
    up_mm: float = 0.0
    centre: str = "head"  # or "field of view"
    spacing_mm: int = 4
    masked: bool = True


#: Tried in this order until one scores enough. Voxels of 2 mm lead to the same alignment (0.6 mm apart on average
#: over eight heads) at twice the cost, but take other wrong turns: so they are a second chance.
STARTS = (
    Start(),
    Start(scale=0.8, pitch_degrees=20),
    Start(scale=0.8, pitch_degrees=-20),
    Start(spacing_mm=2),
    Start(scale=0.9, up_mm=-20),
    Start(centre="field of view", scale=1.0),
    Start(spacing_mm=2, masked=False, centre="field of view"),
)

#: Voxel size -> shrink factors, smoothing and iterations; at 2 mm those of antsRegistrationSyNQuick.sh, whose last
#: level has no iterations, and at 4 mm levels of about the same millimetres.
_RECIPES = {
    2: ("8x4x2x1", "3x2x1x0vox", "1000x500x250x0"),
    4: ("4x2x1", "2x1x0vox", "200x200x50"),
}


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
    # Averaged as the template is, so that noise does not pass for a bad alignment.
    averaged = _blocks(moving, affine, 2)
    levels: dict[int, _Level] = {}
    found: list[tuple[Score, np.ndarray]] = []
    for start in STARTS:
        if start.spacing_mm not in levels:
            levels[start.spacing_mm] = _Level(moving, affine, start.spacing_mm, options)
        level = levels[start.spacing_mm]
        matrix = level.align(level.start(start), masked=start.masked)
        found.append((score(*averaged, matrix, _fixed(2, options.mask_margin_mm)[0]), matrix))
        if found[-1][0].alignment >= options.enough:
            break
    best, matrix = max(found, key=lambda each: each[0].alignment)
    return Alignment(template_to_scanner=matrix, score=best, n_starts=len(found))


class _Level:
    """The image and the template at one spacing, ready for ants; the images live as long as the object."""

    def __init__(self, data: np.ndarray, affine: np.ndarray, spacing_mm: int, options: RegisterOptions) -> None:
        self._data, self._affine, self._seed = data, affine, options.seed
        self._recipe = _RECIPES[spacing_mm]
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
            arguments += ["--masks", mask, "--float", "1", "--random-seed", str(self._seed + 1)]
            status = ants.registration(arguments, None)
            made = sorted(path.name for path in Path(folder).glob("to*"))
            # Exactly one affine, and nothing that bends the brain.
            if status or made != ["to0GenericAffine.mat"]:
                raise WorkerError(f"antsRegistration ended with status {status} and the files {made}")
            found = ants.read_transform(f"{folder}/{made[0]}")
            return geometry.transform_from_itk(found.parameters, found.fixed_parameters)

    def _middle(self) -> np.ndarray:
        return (self._affine @ [*((np.array(self._data.shape) - 1) / 2), 1])[:3]


def _clipped(data: np.ndarray) -> np.ndarray:
    """Return the image without its extremes, as antsRegistrationSyNQuick.sh does."""
    low, high = np.percentile(data, [0.5, 99.5])
    return np.clip(data, low, high) if high > low else data


def _head_centre(data: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the middle (mm) of the head's upper part, where the brain is, neck and shoulders left out."""
    blocks, blocks_affine = _blocks(data, affine, 4)
    places = np.argwhere(head_mask(blocks)) @ blocks_affine[:3, :3].T + blocks_affine[:3, 3]
    # The 99.9th percentile and not the maximum: a wrap-around or a cable is not the crown.
    crown = np.percentile(places[:, 2], 99.9)
    return places[places[:, 2] > crown - _HEAD_HEIGHT_MM].mean(axis=0)


def _blocks(data: np.ndarray, affine: np.ndarray, spacing_mm: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the image in voxels of about `spacing_mm`, each the mean of those it holds, and their affine."""
    factors = tuple(max(1, round(spacing_mm / size)) for size in np.linalg.norm(affine[:3, :3], axis=0))
    blocks_affine = affine @ np.diag([*factors, 1.0])
    blocks_affine[:3, 3] += affine[:3, :3] @ ((np.array(factors) - 1) / 2)
    return template.block_mean(data, factors), blocks_affine


def load_fixed(options: RegisterOptions) -> None:
    """Load the template at every spacing of the search, so that later calls find it loaded."""
    for spacing_mm in _RECIPES:
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
