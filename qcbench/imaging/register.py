"""Twelve numbers that lay an image over the template, and how far they can be trusted.

The quick search begins where `starts` found the brain and runs on voxels of 4 mm, inside the template's dilated brain;
when the score is low it begins again elsewhere. The published call (antsRegistrationSyNQuick.sh -t a on all voxels,
from the centres of mass) has that as its second chance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import ants
import numpy as np
from scipy import ndimage

from qcbench.errors import WorkerError
from qcbench.imaging import ants_affine, geometry, starts, template
from qcbench.imaging.score import Score, score
from qcbench.imaging.starts import TURN_MARGIN, Start
from qcbench.imaging.template import Template

#: Coarse, so that noise and thick slices do not pass for a bad alignment.
_SCORED_AT_MM = 4
#: Which of the starts, voxel size, inside the brain's mask or not: until one scores enough. Voxels of 2 mm lead to the
#: same alignment (0.6 mm apart on average) at twice the cost, but take other wrong turns.
_ATTEMPTS = ((0, 4, True), (1, 4, True), (2, 4, True), (0, 2, True), (0, 2, False))
#: What scores less on voxels of 4 mm from every start is no near miss, and 2 mm do not save it.
_HOPELESS = 0.3


@dataclass(frozen=True, kw_only=True)
class RegisterOptions:
    """How an image is aligned. `enough`: a score from which on no further start is tried.

    Right alignments of eight real heads score 0.95 and more. `as_published` makes the call of t1-linear: all voxels,
    double precision; the seed is ours. It takes ten times as long.
    """

    mask_margin_mm: float = 6.0
    enough: float = 0.75
    seed: int = 0
    as_published: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """The affine `template_to_scanner` (4, 4; RAS mm), its score, and how many times ants was started and failed."""

    template_to_scanner: np.ndarray
    score: Score
    n_starts: int
    n_failed: int = 0

    def doubts(self) -> list[str]:
        """Return in words what speaks against the image or its alignment; empty for most."""
        failed = f"antsRegistration failed in {self.n_failed} of {self.n_starts} starts"
        return [*self.score.doubts(), *([failed] if self.n_failed else [])]


def register(
    data: np.ndarray, affine: np.ndarray, options: RegisterOptions, fixed: Template | None = None
) -> Alignment:
    """Return the best affine from the template (default: nilearn's) to the image. `affine` has orthogonal axes.

    Same voxels, options and one ITK thread: the same numbers. Where there is no brain, or ants fails, it is what
    looked most alike, with a low score.
    """
    search = _Search(data, affine, options, fixed or template.load())
    return replace(_best(search, options), n_failed=search.n_failed)


def _best(search: _Search, options: RegisterOptions) -> Alignment:
    if not options.as_published:
        return search.quick()
    first = search.published(None)
    if first is not None and first.score.alignment >= options.enough:
        return first
    quick = search.quick()
    second = search.published(quick.template_to_scanner)
    best = max((found for found in (first, second, quick) if found), key=lambda found: found.score.alignment)
    return replace(best, n_starts=quick.n_starts + 2)


def displacement_mm(first: np.ndarray, second: np.ndarray, fixed: Template | None = None) -> float:
    """Return how far apart two affines put a point of the template's brain, on average (mm in the image)."""
    fixed = (fixed or template.load()).at_mm(4)
    places = np.argwhere(fixed.brain) @ fixed.affine[:3, :3].T + fixed.affine[:3, 3]
    apart = (first - second)[:3]
    return float(np.linalg.norm(places @ apart[:, :3].T + apart[:, 3], axis=1).mean())


class _Search:
    """One image and the template, ready for ants at the spacings that are asked for."""

    def __init__(self, data: np.ndarray, affine: np.ndarray, options: RegisterOptions, fixed: Template) -> None:
        self._raw, self._data, self._affine = data, _clipped(data), affine
        self._options, self._fixed = options, fixed
        self._moving: dict[int, ants.ANTsImage] = {}
        self.n_failed = 0
        self._averaged = starts.blocks_of(self._data, affine, _SCORED_AT_MM)

    def quick(self) -> Alignment:
        """Return the best of the attempts; the first that scores enough ends the search."""
        begun = starts.look(self._data, self._affine, self._fixed)
        found: list[tuple[Score, Start]] = []
        n_starts = 0
        for number, spacing_mm, is_masked in _ATTEMPTS:
            if spacing_mm < 4 and all(tried.alignment < _HOPELESS for tried, _ in found):
                break
            start = begun[min(number, len(begun) - 1)]
            n_starts += 1
            matrix = self.align(start.matrix, spacing_mm, is_masked=is_masked)
            if matrix is None:
                continue
            found.append((self._score(matrix, start.turn), replace(start, matrix=matrix)))
            if found[-1][0].alignment >= self._options.enough:
                return Alignment(template_to_scanner=matrix, score=found[-1][0], n_starts=n_starts)
        # The start itself stands in where ants fails or leads away.
        found.append((self._score(begun[0].matrix, begun[0].turn), begun[0]))
        best, start = max(found, key=lambda each: each[0].alignment - TURN_MARGIN * each[1].is_turned)
        return Alignment(template_to_scanner=start.matrix, score=best, n_starts=n_starts)

    def align(self, begin: np.ndarray, spacing_mm: int, *, is_masked: bool) -> np.ndarray | None:
        """Return the affine that antsRegistration finds from a start, or None when it fails."""
        coarse, dilated = self._template(spacing_mm)
        if spacing_mm not in self._moving:
            image = geometry.to_ants(self._data, self._affine)
            self._moving[spacing_mm] = ants.resample_image(image, (spacing_mm,) * 3, False, 0)
        fixed, mask = geometry.to_ants(coarse.t1, coarse.affine), _as_mask(dilated, coarse) if is_masked else None
        return self._found(fixed, self._moving[spacing_mm], mask, start=begin, spacing_mm=spacing_mm)

    def published(self, begin: np.ndarray | None) -> Alignment | None:
        """Return what the call of t1-linear finds; a template without a skull is compared inside its brain alone."""
        whole, dilated = self._template(1)
        fixed = geometry.to_ants(whole.t1, whole.affine, double=True)
        moving = geometry.to_ants(self._raw, self._affine, double=True)
        mask = _as_mask(dilated, whole) if whole.is_brain_only else None
        matrix = self._found(fixed, moving, mask, start=begin, spacing_mm=1, winsorize=True)
        if matrix is None:
            return None
        score = self._score(matrix, starts.nearest_turn(matrix))
        return Alignment(template_to_scanner=matrix, score=score, n_starts=1)

    def _found(self, fixed: ants.ANTsImage, moving: ants.ANTsImage, mask: ants.ANTsImage | None, **how):
        try:
            return ants_affine.find(fixed, moving, mask, seed=self._options.seed, **how)
        except WorkerError:
            # One start that ants cannot follow is no reason to give up the image.
            self.n_failed += 1
            return None

    def _score(self, matrix: np.ndarray, turn: np.ndarray | None) -> Score:
        return score(*self._averaged, matrix, self._template(_SCORED_AT_MM)[0], turn)

    def _template(self, spacing_mm: int) -> tuple[Template, np.ndarray]:
        return _coarse(self._fixed, spacing_mm, self._options.mask_margin_mm)


def _clipped(data: np.ndarray) -> np.ndarray:
    """Return the image without its extremes, as antsRegistrationSyNQuick.sh does."""
    low, high = np.percentile(data, [0.5, 99.5])
    return np.clip(data, low, high) if high > low else data


def load_fixed(options: RegisterOptions) -> None:
    """Load nilearn's template at every spacing of the quick search, so that later calls find it loaded."""
    for spacing_mm in (2, 4):
        _coarse(template.load(), spacing_mm, options.mask_margin_mm)
    starts.load_fixed(template.load())


@cache
def _coarse(fixed: Template, spacing_mm: int, margin_mm: float) -> tuple[Template, np.ndarray]:
    """Return a template at a spacing, and its brain with a margin around it."""
    coarse = fixed.at_mm(spacing_mm)
    return coarse, ndimage.binary_fill_holes(coarse.dilated_brain(margin_mm))


def _as_mask(brain: np.ndarray, coarse: Template) -> ants.ANTsImage:
    # uint8: ants reads the mask's memory as bytes whatever its type is.
    return geometry.to_ants(brain.astype(np.uint8), coarse.affine)
