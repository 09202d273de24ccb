"""How much the head moved between volumes, from the six numbers that laid each volume over one of them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from qcbench.errors import UsageError
from qcbench.iqm.reasons import need

#: The distance of the cortex from the middle of the head, on which a rotation becomes a displacement.
RADIUS_MM = 50.0
#: More than this between two volumes counts as motion.
MOTION_MM = 0.2
#: The columns of `parameters` everywhere here.
PARAMETERS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")


def framewise_displacement(parameters: np.ndarray) -> np.ndarray:
    """Return the displacement (mm) between each two volumes.

    `parameters` has a row a volume: three translations in mm, three rotations in radians. It is the sum of the six
    absolute differences, rotations as arcs on a sphere of 50 mm. Source: Power et al., NeuroImage 2012.

    >>> framewise_displacement(np.array([[0, 0, 0, 0, 0, 0], [0.1, -0.2, 0, 0.01, 0, 0]])).round(6)
    array([0.8])
    """
    steps = np.abs(np.diff(np.asarray(parameters, dtype=np.float64), axis=0))
    return steps[:, :3].sum(axis=1) + RADIUS_MM * steps[:, 3:6].sum(axis=1)


def fd_summary(displacement_mm: np.ndarray) -> dict[str, float | int]:
    """Return the mean (mm), the number above 0.2 mm, and that as a percentage of the number of volumes.

    Lower is better for all three.

    >>> fd_summary(np.array([0.1, 0.3, 0.5, 0.1]))
    {'mean': 0.25, 'num': 2, 'perc': 40.0}
    """
    need(displacement_mm.size, "a single volume has no motion between volumes")
    n_moved = int(np.count_nonzero(displacement_mm > MOTION_MM))
    # Of the volumes, one more than the steps between them, as in MRIQC.
    percent = 100 * n_moved / (displacement_mm.size + 1)
    return {"mean": float(displacement_mm.mean()), "num": n_moved, "perc": percent}


def read_parameters(path: str | Path) -> np.ndarray:
    """Return the motion parameters, a row a volume, from a file of fMRIPrep (.tsv), FSL (.par) or AFNI (.1D).

    Raises UsageError for another kind of file, or one without six numbers a line.
    """
    path = Path(path)
    readers: dict[str, Callable[[Path], list[list[float]]]] = {".tsv": _fmriprep, ".par": _fsl, ".1d": _afni}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path.name}: motion parameters are read from fMRIPrep's .tsv, FSL's .par or AFNI's .1D; "
            "name the file so, or leave it out to have the motion estimated"
        )
    try:
        parameters = np.array(reader(path), dtype=np.float64)
    except (OSError, UnicodeDecodeError, KeyError, ValueError) as error:
        raise UsageError(f"{path.name} holds no six motion parameters a volume: {error}") from error
    if parameters.ndim != 2 or parameters.shape[1] != len(PARAMETERS) or not np.isfinite(parameters).all():
        raise UsageError(f"{path.name} should hold six numbers a volume, found an array of {parameters.shape}")
    return parameters


def _fmriprep(path: Path) -> list[list[float]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [[float(row[name]) for name in PARAMETERS] for row in csv.DictReader(file, delimiter="\t")]


def _fsl(path: Path) -> list[list[float]]:
    # mcflirt: rotations in radians first, then translations in mm.
    return [[*row[3:], *row[:3]] for row in _numbers(path)]


def _afni(path: Path) -> list[list[float]]:
    # 3dvolreg: roll, pitch, yaw in degrees (about S, L, P), then the shifts dS, dL, dP in mm.
    return [
        [left, posterior, superior, *np.radians([pitch, yaw, roll])]
        for roll, pitch, yaw, superior, left, posterior in _numbers(path)
    ]


def _numbers(path: Path) -> list[list[float]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [[float(word) for word in line.split()] for line in lines if line.strip() and not line.startswith("#")]
