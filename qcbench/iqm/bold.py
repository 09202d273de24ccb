"""From a bold series to what the functional formulas take: steady volumes, motion, brain, air.

Each volume is laid over the middle one, or motion parameters of another program are taken and the series is left as it
came: fMRIPrep and FSL write their corrected one beside them.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from qcbench.imaging import bias, geometry
from qcbench.iqm import realign, series
from qcbench.iqm.functional import Run
from qcbench.iqm.reasons import NotMeasurableError, need

#: Air begins this far from the head and ends at twice the distance: further out there is more or less of it.
_AIR_MM = (10.0, 40.0)
_LEAST_BRAIN = 100
#: Air has a few hundredths of the brain's signal; where what is dark has more than half of it, there is none.
_DARK_SHARE = 0.5


def run_of(
    data: np.ndarray,
    affine: np.ndarray,
    repetition_time_s: float | None,
    *,
    parameters: np.ndarray | None = None,
    correct: bool = True,
) -> Run:
    """Return the arrays of a series (x, y, z, volume); axes are turned to right, front and top.

    `parameters`: motion of another program, a row a volume; then, or without `correct`, no volume is moved.
    """
    data, affine = geometry.to_ras(np.nan_to_num(data, posinf=0.0, neginf=0.0), affine)
    affine, _ = geometry.orthonormal(affine, data.shape[:3])
    signal = data.mean(axis=(0, 1, 2), dtype=np.float64)
    n_dummies = series.dummy_trs(signal)
    steady = data[..., n_dummies:]
    if parameters is not None:
        parameters = parameters[n_dummies:]
    made: dict[str, np.ndarray] = {}
    failures = {"parameters": "a single volume has no motion between volumes"}
    spacing_mm = tuple(float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))
    if parameters is None and correct and steady.shape[3] > 1:
        try:
            steady, parameters = realign.realigned(steady, spacing_mm)
        except NotMeasurableError as error:
            failures["parameters"] = str(error)
    mean = steady.mean(axis=3, dtype=np.float64)
    try:
        if is_inside_the_head(mean):
            made["brain"] = np.ones(mean.shape, bool)
            failures["air"] = "no air is in the field of view: it lies inside the head"
        else:
            made["brain"], made["air"] = masks_of(mean, spacing_mm)
    except NotMeasurableError as error:
        failures |= dict.fromkeys(("brain", "air"), str(error))
    return Run(
        spacing_mm=spacing_mm,
        repetition_time_s=repetition_time_s,
        global_signal=signal,
        data=steady,
        parameters=parameters,
        failures=failures,
        **made,
    )


def is_inside_the_head(mean: np.ndarray) -> bool:
    """Return whether the field shows nothing but tissue, as one that was cut out of a head does."""
    bright = mean > bias.otsu_threshold(mean)
    if not bright.any() or bright.all():
        return False
    return bool(np.median(mean[~bright]) > _DARK_SHARE * np.median(mean[bright]))


def masks_of(mean: np.ndarray, spacing_mm: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the brain and the air of a mean volume: what is bright after Otsu's threshold, and what is far from it.

    An echo-planar image shows little but the brain; eyes and scalp are cut off by an opening of a centimetre.
    """
    bright = ndimage.gaussian_filter(mean, 1.0) > bias.otsu_threshold(mean)
    need(bright.any() and not bright.all(), "the mean volume has no bright piece in the dark")
    outside_mm = ndimage.distance_transform_edt(~np.pad(bright, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    depth_mm = ndimage.distance_transform_edt(np.pad(bright, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    core, n_pieces = ndimage.label(depth_mm > 5.0)
    need(n_pieces, "the mean volume has no piece as thick as a brain")
    largest = core == 1 + int(np.argmax(np.bincount(core.ravel())[1:]))
    near_mm = ndimage.distance_transform_edt(~largest, sampling=spacing_mm)
    brain = ndimage.binary_fill_holes(bright & (near_mm <= 6.0))
    n_voxels = int(brain.sum())
    need(n_voxels >= _LEAST_BRAIN, f"the brain has {n_voxels} voxels, {_LEAST_BRAIN} are needed")
    return brain, (outside_mm > _AIR_MM[0]) & (outside_mm <= _AIR_MM[1])
