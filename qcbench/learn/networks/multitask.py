"""One network for all that a rater notes: the trunk of `lean3d`, eight outputs.

A trunk of its own for every task learns four times what a head looks like, and tier 3 against the rest hides from it
which artefact made the tier. Here each image teaches all that was noted of it; what was not noted (a straight reject
has no grades) is left out of the loss.

The outputs, in the order of OUTPUTS, are logits. Two are of yes or no: straight reject and gadolinium. Each graded
artefact has two cumulative ones, grade 1 or worse and grade 2: P(grade 2) <= P(grade 1 or worse) by construction.

Tiers follow from the grades by the protocol's rule, the worst of the three. Given the image, grades are taken as
independent of each other (the trunk sees what they share); then with p1 = P(grade 1 or worse) and p2 = P(grade 2)

    P(tier 3) = 1 - prod(1 - p2)                         over motion, contrast and noise
    P(tier 1) = prod(1 - p1)
    P(tier 2 | no tier 3) = 1 - prod(1 - p1) / prod(1 - p2)

Without the assumption, P(tier 3) lies between the largest p2 and their sum, at most 1 (Frechet).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from qcbench.errors import UsageError
from qcbench.learn.networks.lean3d import Lean3D
from qcbench.schema import GRADED

NAME = "multitask3d"
#: What each logit says yes to.
OUTPUTS = ("sr", "gadolinium", *(f"{artefact}_{grade}" for artefact in GRADED for grade in (1, 2)))
_FIRST_GRADE = 2


class Multitask3D(nn.Module):
    """`lean3d` with eight logits; those of one artefact are in order. Its parameters are those of `lean3d`."""

    def __init__(self, shape: tuple[int, int, int], outputs: int = len(OUTPUTS)) -> None:
        super().__init__()
        if outputs != len(OUTPUTS):
            raise UsageError(
                f"{NAME} has {len(OUTPUTS)} outputs ({', '.join(OUTPUTS)}), got {outputs}; it is fitted to all tasks "
                "at once. For one task take lean3d."
            )
        self.trunk = Lean3D(shape, outputs)

    def forward(self, volumes: Tensor) -> Tensor:
        """Return logits (n, 8) in the order of OUTPUTS of volumes (n, 1, x, y, z) in [0, 1]."""
        return ordered(self.trunk(volumes))


def ordered(raw: Tensor) -> Tensor:
    """Return logits (n, 8) in which grade 2 is never likelier than grade 1 or worse.

    What the linear layer gives for grade 2 is the distance down from grade 1, made positive.
    """
    grades = raw[:, _FIRST_GRADE:].unflatten(1, (len(GRADED), 2))
    first, distance = grades.unbind(dim=2)
    cumulative = torch.stack([first, first - F.softplus(distance)], dim=2)
    return torch.cat([raw[:, :_FIRST_GRADE], cumulative.flatten(1)], dim=1)


def targets(row: Mapping[str, object]) -> list[float]:
    """Return what the outputs should say of a consensus row: 1, 0, or not a number where nothing was noted.

    >>> row = {"straight_reject": False, "gadolinium": True, "motion": 1, "contrast": 2, "noise": None}
    >>> dict(zip(OUTPUTS, targets(row)))["motion_1"], targets(row)[1:7]
    (1.0, [1.0, 1.0, 0.0, 1.0, 1.0, nan])
    """
    found = [float(bool(row["straight_reject"]))]
    if row["straight_reject"]:
        return found + [math.nan] * (len(OUTPUTS) - 1)
    found.append(math.nan if row["gadolinium"] is None else float(row["gadolinium"]))
    for artefact in GRADED:
        noted = row[artefact]
        found += [math.nan if noted is None else float(noted >= grade) for grade in (1, 2)]
    return found


def balancing_weights(every_target: Tensor) -> Tensor:
    """Return (8, 2): the weights of no and of yes of each output, N / (2 n_c) over what was noted.

    A class without an image weighs 0: nothing could balance it. `every_target` is (images, 8).
    """
    noted = ~every_target.isnan()
    n_yes = (every_target == 1).sum(dim=0)
    counts = torch.stack([noted.sum(dim=0) - n_yes, n_yes], dim=1).to(torch.float32)
    return torch.where(counts > 0, counts.sum(dim=1, keepdim=True) / (2 * counts.clamp(min=1)), 0.0)


def task_probabilities(logits: Tensor) -> dict[str, Tensor]:
    """Return the probability (n,) of each task of `predictions`: sr, gadolinium, tier3, tier2, then the artefacts.

    ``tier2`` is tier 2 against tier 1, given that it is no tier 3; an artefact's is that of grade 1 or worse. All but
    ``sr`` are for an image that is no straight reject.
    """
    log_none = F.logsigmoid(-logits[:, _FIRST_GRADE:]).unflatten(1, (len(GRADED), 2))  # log(1 - p), exact for small p
    log_tier1, log_no_tier3 = log_none.sum(dim=1).unbind(dim=1)
    at_least_one = logits[:, _FIRST_GRADE::2].sigmoid().unbind(dim=1)
    return {
        "sr": logits[:, 0].sigmoid(),
        "gadolinium": logits[:, 1].sigmoid(),
        "tier3": -torch.expm1(log_no_tier3),
        "tier2": -torch.expm1(log_tier1 - log_no_tier3),
        **dict(zip(GRADED, at_least_one, strict=True)),
    }
