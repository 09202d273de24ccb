"""Where a search for the brain begins: a look at voxels of 8 mm, in all directions that a header can confuse.

The template's brain is laid where the head's brain should be, tilted three ways, and from the best of these moved,
turned and scaled until the image is most alike (half a millisecond a try). When nothing upright is alike, the same is
done in the 24 directions that right angles lead to. Mirror images are not among them: a head is its own mirror image,
so a header that swaps left and right cannot be seen, and nothing here ever swaps them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from qcbench.imaging import template
from qcbench.imaging.bias import head_mask
from qcbench.imaging.score import likeness, tissue_basis
from qcbench.imaging.template import Template

#: The average MNI brain is larger than most: 0.85 in each direction is usual, the volume ratio then 0.6.
_USUAL_SCALE = 0.87
#: From the crown to below the cerebellum; what lies lower is neck and does not move the start.
_HEAD_HEIGHT_MM = 160.0
_LOOKED_AT_MM = 8
_PITCHES_DEGREES = (0.0, 20.0, -20.0)
#: Right starts of real heads reach 0.72 to 0.77, wrong ones 0.60.
_ALIKE = 0.66
#: What a turned header must be better by: headers are mostly right.
TURN_MARGIN = 0.08
_N_REFINED = {"upright": 2, "turned": 6}
_N_TRIES = 200
#: The first steps: degrees, millimetres, and a tenth in scale.
_FIRST_STEPS = (9.0, 9.0, 9.0, 12.0, 12.0, 12.0, 0.1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """A first affine from the template to the image (4, 4; RAS mm), how alike they are there (0 to 1), and the turn.

    `turn` (4, 4) is the rotation by right angles that puts the header right; the identity for most.
    """

    matrix: np.ndarray
    likeness: float
    turn: np.ndarray

    @property
    def is_turned(self) -> bool:
        """Whether the header lies by right angles."""
        return not np.array_equal(self.turn, np.eye(4))


def look(data: np.ndarray, affine: np.ndarray, fixed: Template) -> list[Start]:
    """Return where to begin, the most alike first. `data` has no extremes that outweigh the rest."""
    image = _Coarse(data, affine, fixed)
    found = _refined(image, [np.eye(4)], _N_REFINED["upright"])
    if found[0].likeness < _ALIKE:
        found += _refined(image, turns()[1:], _N_REFINED["turned"])
    return sorted(found, key=lambda start: start.likeness - TURN_MARGIN * start.is_turned, reverse=True)


def load_fixed(fixed: Template) -> None:
    """Load what `look` needs of a template, so that later calls find it loaded."""
    _brain_of(fixed)


@cache
def turns() -> list[np.ndarray]:
    """Return the 24 rotations (4, 4) by right angles, none first.

    >>> len(turns()), int(turns()[0].trace())
    (24, 4)
    """
    found = []
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        turn = np.eye(4)
        turn[:3, :3] = np.eye(3)[list(order)] * np.array(signs)[:, None]
        if np.linalg.det(turn) > 0:
            found.append(turn)
    return found


def nearest_turn(matrix: np.ndarray) -> np.ndarray:
    """Return the rotation by right angles that brings an affine nearest to upright."""
    return max(turns(), key=lambda turn: np.trace(turn[:3, :3] @ matrix[:3, :3]))


def blocks_of(data: np.ndarray, affine: np.ndarray, spacing_mm: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the image in voxels of about `spacing_mm`, each the mean of those it holds, and their affine."""
    factors = tuple(max(1, round(spacing_mm / size)) for size in np.linalg.norm(affine[:3, :3], axis=0))
    blocks_affine = affine @ np.diag([*factors, 1.0])
    blocks_affine[:3, 3] += affine[:3, :3] @ ((np.array(factors) - 1) / 2)
    return template.block_mean(data, factors), blocks_affine


class _Coarse:
    """The image at 8 mm, and where its head is."""

    def __init__(self, data: np.ndarray, affine: np.ndarray, fixed: Template) -> None:
        self._basis, self._points = _brain_of(fixed)
        self.brain_centre = self._points.mean(axis=0)
        blocks, blocks_affine = blocks_of(data, affine, _LOOKED_AT_MM)
        self._blocks, self._to_voxel = blocks.astype(np.float32), np.linalg.inv(blocks_affine)
        finer, finer_affine = blocks_of(data, affine, 4)
        self._head = np.argwhere(head_mask(finer)) @ finer_affine[:3, :3].T + finer_affine[:3, 3]

    def likeness(self, matrix: np.ndarray) -> float:
        """Return how alike image and template are inside the brain; half a millisecond."""
        to_voxel = self._to_voxel @ matrix
        places = self._points @ to_voxel[:3, :3].T + to_voxel[:3, 3]
        return likeness(ndimage.map_coordinates(self._blocks, places.T, order=1), self._basis)

    def head_centre(self, turn: np.ndarray) -> np.ndarray:
        """Return the middle (mm) of the head's upper part, neck and shoulders left out, when turned upright."""
        turned = self._head @ turn[:3, :3].T
        # The 99.9th percentile and not the maximum: a wrap-around or a cable is not the crown.
        crown = np.percentile(turned[:, 2], 99.9)
        return turn[:3, :3].T @ turned[turned[:, 2] > crown - _HEAD_HEIGHT_MM].mean(axis=0)


@cache
def _brain_of(fixed: Template) -> tuple[np.ndarray, np.ndarray]:
    """Return the basis of a template's tissues at 8 mm, and the places of its brain (n, 3) in mm."""
    coarse = fixed.at_mm(_LOOKED_AT_MM)
    points = np.argwhere(coarse.brain) @ coarse.affine[:3, :3].T + coarse.affine[:3, 3]
    return tissue_basis(coarse), points


def _refined(image: _Coarse, directions: list[np.ndarray], n_refined: int) -> list[Start]:
    """Return the most alike of some directions, each moved to where it is most alike; the best first."""
    begun = []
    for turn in directions:
        centre = image.head_centre(turn)
        for pitch in _PITCHES_DEGREES:
            tilt = Rotation.from_euler("x", pitch, degrees=True).as_matrix()
            linear = _USUAL_SCALE * turn[:3, :3].T @ tilt
            begun.append((image.likeness(_moved(np.zeros(7), linear, centre, image.brain_centre)), linear, centre))
    begun.sort(key=lambda each: -each[0])
    found = [_climbed(image, *each[1:]) for each in begun[:n_refined]]
    return sorted(found, key=lambda start: -start.likeness)


def _climbed(image: _Coarse, linear: np.ndarray, centre: np.ndarray) -> Start:
    def unlike(steps: np.ndarray) -> float:
        return -image.likeness(_moved(steps, linear, centre, image.brain_centre))

    simplex = np.vstack([np.zeros(7), np.diag(_FIRST_STEPS)])
    options = {"maxfev": _N_TRIES, "initial_simplex": simplex}
    best = optimize.minimize(unlike, simplex[0], method="Nelder-Mead", options=options)
    matrix = _moved(best.x, linear, centre, image.brain_centre)
    # Not the direction it began in: an upright start may climb to a head that lies on its side.
    return Start(matrix=matrix, likeness=-float(best.fun), turn=nearest_turn(matrix))


def _moved(steps: np.ndarray, linear: np.ndarray, centre: np.ndarray, brain_centre: np.ndarray) -> np.ndarray:
    """Return an affine with the brain's centre on `centre`, changed by a rotation, a shift and a logarithmic scale."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.exp(steps[6]) * Rotation.from_rotvec(steps[:3], degrees=True).as_matrix() @ linear
    matrix[:3, 3] = centre + steps[3:6] - matrix[:3, :3] @ brain_centre
    return matrix
