"""From a bold series to what the functional formulas take: steady volumes, motion, brain, air.

Motion is corrected by ants, rigidly to the middle volume, or parameters of another program are taken and the series
is left as it came: fMRIPrep and FSL write their corrected one beside them.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import ants
import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from qcbench.imaging import bias, geometry
from qcbench.iqm import series
from qcbench.iqm.functional import Run
from qcbench.iqm.reasons import NotMeasurableError, need

#: Air begins this far from the head and ends at twice the distance: further out there is more or less of it.
_AIR_MM = (10.0, 40.0)
_LEAST_BRAIN = 100


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
    # One thread: ITK adds in the order in which threads end, and the last digits would change.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    data, affine = geometry.to_ras(np.nan_to_num(data, posinf=0.0, neginf=0.0), affine)
    affine, _ = geometry.orthonormal(affine, data.shape[:3])
    signal = data.mean(axis=(0, 1, 2), dtype=np.float64)
    n_dummies = series.dummy_trs(signal)
    steady = data[..., n_dummies:]
    if parameters is not None:
        parameters = parameters[n_dummies:]
    elif correct and steady.shape[3] > 1:
        steady, parameters = aligned(steady, affine)
    made: dict[str, np.ndarray] = {}
    failures = {"parameters": "a single volume has no motion between volumes"}
    spacing_mm = tuple(float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))
    try:
        made["brain"], made["air"] = masks_of(steady.mean(axis=3, dtype=np.float64), spacing_mm)
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


def aligned(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the series laid rigidly over its middle volume, and the translations (mm) and rotations (radians)."""
    fixed = geometry.to_ants(data[..., data.shape[3] // 2], affine)
    middle = (affine @ [*((np.array(data.shape[:3]) - 1) / 2), 1])[:3]
    moved, parameters = np.empty_like(data), []
    with tempfile.TemporaryDirectory(prefix="qcbench-") as folder:
        for index in range(data.shape[3]):
            found = ants.registration(
                fixed,
                geometry.to_ants(data[..., index], affine),
                type_of_transform="BOLDRigid",
                outprefix=str(Path(folder) / "to"),
                random_seed=0,
            )
            moved[..., index] = found["warpedmovout"].numpy()
            transform = ants.read_transform(found["fwdtransforms"][0])
            matrix = geometry.transform_from_itk(transform.parameters, transform.fixed_parameters)
            parameters.append(_six(matrix, middle))
    return moved, np.array(parameters)


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


def _six(matrix: np.ndarray, middle: np.ndarray) -> list[float]:
    """Return how a rigid matrix moves the middle of the field (mm) and turns about it (radians)."""
    shift = matrix[:3, :3] @ middle + matrix[:3, 3] - middle
    return [*shift, *Rotation.from_matrix(matrix[:3, :3]).as_euler("xyz")]
