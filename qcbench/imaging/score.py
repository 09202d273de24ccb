"""How well an aligned image lies on the template, from four things that fail in different ways.

A wrong alignment may still correlate, and a right one of another contrast hardly does (a T2w scored 0.115
in a trial): so correlation is one part of several, and each part is kept beside the score.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache

import numpy as np

from qcbench.imaging import crop
from qcbench.imaging.template import Template

#: What well aligned T1w heads and brains come close to (eight heads: 0.56-0.60 and 0.30-0.38); more counts as 1.
_GOOD_CORRELATION = 0.6
_GOOD_INFORMATION = 0.4
#: The brain's volume over the template's: 1.9 litres is the template's, adults have 1.0 to 2.1.
_VOLUME_RATIO = (0.3, 0.42, 1.12, 1.5)
#: Longest over shortest scale: heads differ in form, but not by half.
_ANISOTROPY = (1.2, 1.6)
#: A head lies within 45 degrees of the scanner's axes; a right angle is a wrong header.
_ROTATION_DEGREES = (45.0, 90.0)
#: What is left of each of the three at worst: a doubt, not a verdict, so that likeness still orders the rest.
_DOUBT = 0.2


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score and its parts; all but the last four lie in [0, 1] and are better when higher.

    `alignment` is (correlation part + information part) / 2 x plausibility x coverage. About 0.9 is a
    T1w head in its place; below 0.5 look at the picture. `correlation` is Pearson's with the template inside its brain,
    and may be negative; `tissue_information` the share of the entropy of the template's tissues (outside,
    fluid, grey, white) that the image's intensities tell, whatever its contrast; `plausibility` falls for
    volumes, forms and rotations that no head has; `coverage` the part of the template's brain inside the
    field of view. Then the smallest and largest scale (1 = as large as the template), and the angle of rotation.
    """

    alignment: float
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


def score(data: np.ndarray, affine: np.ndarray, template_to_scanner: np.ndarray, template: Template) -> Score:
    """Return the score of an affine from the template (any spacing) to an image."""
    warped = crop.resample(data, affine, template_to_scanner, template.t1.shape, template.affine)
    brain = template.brain
    points = np.argwhere(brain) @ template.affine[:3, :3].T + template.affine[:3, 3]
    coverage = float(crop.covered(data.shape, affine, template_to_scanner, points).mean())
    correlation = pearson(warped[brain], template.t1[brain])
    information = tissue_information(warped, template)
    scales, rotation = scales_and_rotation(template_to_scanner)
    plausible = plausibility(scales, rotation)
    likeness = (np.clip(correlation / _GOOD_CORRELATION, 0, 1) + np.clip(information / _GOOD_INFORMATION, 0, 1)) / 2
    return Score(
        alignment=float(likeness * plausible * coverage),
        correlation=correlation,
        tissue_information=information,
        plausibility=plausible,
        coverage=coverage,
        scale_min=float(scales.min()),
        scale_max=float(scales.max()),
        rotation_degrees=rotation,
    )


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
