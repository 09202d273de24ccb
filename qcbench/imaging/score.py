"""How well an aligned image lies on the template, from four things that fail in different ways.

A wrong alignment may still correlate, and a right one of another contrast hardly does (a T2w scored 0.115
in a trial): so likeness is what the template's maps together tell of the image, bright or dark, and each part is kept
beside the score.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache

import numpy as np

from qcbench.imaging import crop
from qcbench.imaging.template import Template

#: Below this an alignment is not to be believed: look at the picture.
LOW = 0.5
#: Likeness on voxels of 4 mm: right alignments of eight heads have 0.65 to 0.70, of T1w as of T2w-like contrast; wrong
#: rotations at most 0.31, shifts of 15 mm and more 0.37, a scale wrong by 15 % 0.52, a melon 0.20.
_LIKENESS = (0.25, 0.65)
_NO_BRAIN = 0.4
#: What well aligned T1w heads come close to (0.33 to 0.40); more counts as 1.
_GOOD_INFORMATION = 0.4
_LIKENESS_SHARE = 0.7
#: The brain's volume over the template's 1.9 litres. Adults have 1.0 to 2.1; below half a litre it is a voxel size that
#: is wrong, or no brain.
_VOLUME_RATIO = (0.22, 0.28, 1.12, 1.5)
#: Longest over shortest scale: heads differ in form, but not by half.
_ANISOTROPY = (1.2, 1.6)
#: A head lies within 45 degrees of the scanner's axes; more is a wrong header.
_ROTATION_DEGREES = (45.0, 90.0)
#: What is left of each of the three at worst: a doubt, not a verdict, so that likeness still orders the rest.
_DOUBT = 0.2


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score and its parts; all but the last four lie in [0, 1] and are better when higher.

    `alignment` is (0.7 likeness part + 0.3 information part) x plausibility x coverage. About 0.95 is a T1w head in
    its place, 0.8 one of another contrast; below 0.5 look at the picture. `likeness` is that of `likeness` on the
    template's brain. `correlation` is Pearson's with the template there, negative for other contrasts, and no part of
    the score; `tissue_information` the share of the entropy of the template's tissues (outside, fluid, grey, white)
    that the image's intensities tell; `plausibility` falls for volumes, forms and rotations that no head has;
    `coverage` is the part of the template's brain inside the field of view. Then the smallest and largest scale
    (1 = as large as the template), and the angle of rotation from the axes of the header.
    """

    alignment: float
    likeness: float
    correlation: float
    tissue_information: float
    plausibility: float
    coverage: float
    scale_min: float
    scale_max: float
    rotation_degrees: float

    def as_row(self) -> dict[str, float]:
        """Return the parts as columns of a table, rounded to what repeats."""
        return {name: round(value, 4) for name, value in asdict(self).items()}

    @property
    def is_turned(self) -> bool:
        """Whether the head does not lie as its header says: more than 45 degrees from its axes."""
        return self.rotation_degrees > _ROTATION_DEGREES[0]

    def doubts(self) -> list[str]:
        """Return in words what speaks against the image or its alignment; empty for most."""
        reasons = {
            f"alignment below {LOW}": self.alignment < LOW,
            "no brain found": self.likeness < _NO_BRAIN,
            "half of the brain or more lies outside the image": self.coverage <= 0.5,
            "a size, form or tilt that no head has": self.plausibility < LOW,
            f"the header is turned by {self.rotation_degrees:.0f} degrees": self.is_turned,
        }
        return [reason for reason, holds in reasons.items() if holds]


def score(
    data: np.ndarray,
    affine: np.ndarray,
    template_to_scanner: np.ndarray,
    template: Template,
    turn: np.ndarray | None = None,
) -> Score:
    """Return the score of an affine from the template (4 mm; other spacings score a little lower) to an image.

    `turn` (4, 4) is the rotation by right angles with which the header would be right; without it a rotation beyond
    45 degrees is not plausible.
    """
    warped = crop.resample(data, affine, template_to_scanner, template.t1.shape, template.affine)
    brain = template.brain
    points = np.argwhere(brain) @ template.affine[:3, :3].T + template.affine[:3, 3]
    coverage = float(crop.covered(data.shape, affine, template_to_scanner, points).mean())
    alike = likeness(warped[brain], tissue_basis(template))
    information = tissue_information(warped, template)
    scales, rotation = scales_and_rotation(template_to_scanner)
    _, remaining = scales_and_rotation(template_to_scanner if turn is None else turn @ template_to_scanner)
    plausible = plausibility(scales, remaining)
    parts = np.interp(alike, _LIKENESS, (0, 1)), np.clip(information / _GOOD_INFORMATION, 0, 1)
    together = _LIKENESS_SHARE * parts[0] + (1 - _LIKENESS_SHARE) * parts[1]
    return Score(
        alignment=float(together * plausible * coverage),
        likeness=alike,
        correlation=pearson(warped[brain], template.t1[brain]),
        tissue_information=information,
        plausibility=plausible,
        coverage=coverage,
        scale_min=float(scales.min()),
        scale_max=float(scales.max()),
        rotation_degrees=rotation,
    )


def likeness(values: np.ndarray, basis: np.ndarray) -> float:
    """Return the multiple correlation (0 to 1) of a brain's voxels with the maps of a `tissue_basis`.

    Whatever the contrast, it is high where the image is any mixture of the template's brightness, grey and white
    matter; 0 for a constant image.
    """
    centred = values - values.mean(dtype=float)
    total = float(centred @ centred)
    explained = centred @ basis
    return float(np.sqrt(np.clip(explained @ explained / total, 0, 1))) if total > 0 else 0.0


@cache
def tissue_basis(template: Template) -> np.ndarray:
    """Return an orthonormal basis (n, 3) of the template's T1, grey and white matter in its brain, means removed."""
    maps = np.stack([getattr(template, part)[template.brain] for part in ("t1", "grey", "white")], axis=1).astype(float)
    return np.linalg.qr(maps - maps.mean(axis=0))[0]


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Return the correlation of two arrays; 0 when one of them is constant.

    >>> pearson(np.array([1.0, 2, 3]), np.array([2.0, 4, 6]))
    1.0
    """
    first, second = first - first.mean(dtype=float), second - second.mean(dtype=float)
    norm = np.sqrt((first**2).sum() * (second**2).sum())
    return float(round((first * second).sum() / norm, 6)) if norm > 0 else 0.0


@cache
def tissues(template: Template) -> np.ndarray:
    """Return 0 far outside, 1 just outside the brain, 2 fluid, 3 grey, 4 white matter (int, template's grid).

    Just outside are the 8 mm around the brain: a scalp taken for the brain's edge shows there.
    """
    labels = np.where(template.brain, 2, 0)
    labels[template.brain & (template.grey > 0.5)] = 3
    labels[template.brain & (template.white > 0.5)] = 4
    labels[template.dilated_brain(8.0) & ~template.brain] = 1
    return labels


def tissue_information(warped: np.ndarray, template: Template, *, n_bins: int = 32) -> float:
    """Return mutual information between intensities and tissues over the entropy of the tissues, 0 to 1.

    Higher is better. Intensities are ranked first, so that scale and outliers do not matter.
    """
    labels = tissues(template)
    counted = labels > 0
    values, kinds = warped[counted], labels[counted] - 1
    edges = np.unique(np.quantile(values, np.linspace(0, 1, n_bins + 1)[1:-1]))
    bins = np.searchsorted(edges, values, side="right")
    joint = np.bincount(bins * 4 + kinds, minlength=n_bins * 4).reshape(-1, 4) / values.size
    return float(max(0.0, 1 - (_entropy(joint) - _entropy(joint.sum(axis=1))) / _entropy(joint.sum(axis=0))))


def scales_and_rotation(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the three scales of an affine and the angle of its rotation in degrees."""
    left, scales, right = np.linalg.svd(matrix[:3, :3])
    turn = left @ right
    return scales, float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))


def plausibility(scales: np.ndarray, rotation_degrees: float) -> float:
    """Return 1 for a head's volume, form and position, less for what no head has (0.2 for each of the three).

    >>> plausibility(np.array([0.9, 0.85, 0.8]), 20.0)
    1.0
    """
    volume = np.interp(np.prod(scales), _VOLUME_RATIO, (_DOUBT, 1.0, 1.0, _DOUBT))
    form = np.interp(scales.max() / scales.min(), _ANISOTROPY, (1.0, _DOUBT))
    position = np.interp(rotation_degrees, _ROTATION_DEGREES, (1.0, _DOUBT))
    return float(volume * form * position)


def _entropy(shares: np.ndarray) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())
