"""How the tissues lie in the head: volumes, partial voluming, overlap with the template, and the bias field.

Tissue maps hold the share of each voxel, 0 to 1, that is cerebrospinal fluid (csf), grey (gm) or white matter (wm).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qcbench.iqm.reasons import need

#: In the order of MRIQC's tissue classes 1, 2, 3.
TISSUES = ("csf", "gm", "wm")


def icvs(maps: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return each tissue's share of the volume inside the skull.

    Neither direction is better: a share outside the usual range tells of a wrong segmentation. Source: MRIQC.

    >>> icvs({"csf": np.array([0.5, 0.5]), "gm": np.array([0.5, 0.5]), "wm": np.array([1.0, 1.0])})
    {'csf': 0.25, 'gm': 0.25, 'wm': 0.5}
    """
    volumes = {tissue: float(share.sum(dtype=np.float64)) for tissue, share in maps.items()}
    total = sum(volumes.values())
    need(total > 0, "no voxel belongs to any tissue")
    return {tissue: volume / total for tissue, volume in volumes.items()}


def rpve(share: np.ndarray, *, whole_field: bool) -> float:
    """Return the residual partial volume error of one tissue map: how far shares are from 0 and 1.

    Shares above a half count as they are, the others as what is missing to 1; summed over the voxels between the 2nd
    and the 98th percentile of those above 0, over the number above 0. `whole_field`: the voxels beyond the percentiles
    and those of 0 anywhere in the field of view count as 1 each, as in MRIQC; a larger field then gives a larger
    number. Lower is better; no unit. Source: Esteban et al., PLoS ONE 2017.

    >>> rpve(np.array([0.0, 0.0, 0.25, 0.75]), whole_field=True)
    2.0
    >>> rpve(np.full(100, 0.75), whole_field=False)
    0.75
    """
    present = np.minimum(share[share > 0], 1.0).astype(np.float64)
    need(present.size, "no voxel belongs to the tissue")
    low, high = np.percentile(present, (2, 98))
    kept = present[(present >= low) & (present <= high)]
    mostly = kept > 0.5
    n_less = int(np.count_nonzero(~mostly))
    total = float(kept[mostly].sum()) + n_less - float(kept[~mostly].sum())
    if whole_field:
        total += share.size - kept.size
    return total / present.size


def tpm_overlap(share: np.ndarray, template: np.ndarray) -> float:
    """Return the overlap of a tissue map with the template's, laid over the image: sum of minima over sum of maxima.

    Higher is better, at most 1; a low one tells of a failed registration or segmentation. Source: the fuzzy Jaccard
    index of Crum et al., IEEE Trans Med Imaging 2006, in MRIQC.

    >>> tpm_overlap(np.array([1.0, 0.5, 0.0]), np.array([1.0, 0.0, 0.5]))
    0.5
    """
    either = float(np.maximum(share, template).sum(dtype=np.float64))
    need(either > 0, "no voxel belongs to the tissue, neither in the image nor in the template")
    return float(np.minimum(share, template).sum(dtype=np.float64)) / either


def inu(field: np.ndarray, *, over_mean: bool) -> dict[str, float]:
    """Return the median (`med`) and the 5th to 95th percentile (`range`) of a bias field's voxels.

    N4 leaves the field's scale open, and it may differ between two runs; `over_mean` divides by it. A small range is
    better; no unit. Source: MRIQC, after Tustison et al., IEEE Trans Med Imaging 2010.

    >>> inu(np.arange(101.0), over_mean=False), inu(np.arange(101.0), over_mean=True)
    ({'med': 50.0, 'range': 90.0}, {'med': 1.0, 'range': 1.8})
    """
    need(field.size, "no voxel belongs to any tissue")
    scale = float(field.mean(dtype=np.float64)) if over_mean else 1.0
    need(scale > 0, "the bias field is not positive")
    low, median, high = (float(value) for value in np.percentile(field.astype(np.float64), (5, 50, 95)))
    return {"med": median / scale, "range": (high - low) / scale}
