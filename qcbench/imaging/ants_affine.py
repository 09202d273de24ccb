"""One call of antsRegistration, rigid then affine: the recipe of antsRegistrationSyNQuick.sh -t a.

Mutual information of 32 bins on a quarter of the voxels. Levels of about the same millimetres at each voxel size; at
1 and 2 mm they are the script's own, whose last level has no iterations: nothing is optimised finer than twice that.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import ants
import numpy as np
from ants.internal import get_pointer_string

from qcbench.errors import WorkerError
from qcbench.imaging import geometry

#: Voxel size (mm) -> shrink factors, smoothing and iterations.
_RECIPES = {
    1: ("8x4x2x1", "3x2x1x0vox", "1000x500x250x0"),
    2: ("8x4x2x1", "3x2x1x0vox", "1000x500x250x0"),
    4: ("4x2x1", "2x1x0vox", "200x200x50"),
}


def find(
    fixed: ants.ANTsImage,
    moving: ants.ANTsImage,
    mask: ants.ANTsImage | None,
    *,
    start: np.ndarray | None,
    spacing_mm: int,
    seed: int,
    winsorize: bool = False,
) -> np.ndarray:
    """Return the affine (4, 4; RAS mm) from the fixed to the moving image.

    `mask` (uint8) lies on the fixed image; without a `start` the centres of mass are laid over each other. Precision
    is that of the images' voxels, float or double. Raises WorkerError when ants fails.
    """
    shrink, smooth, iterations = _RECIPES[spacing_mm]
    images = f"{get_pointer_string(fixed)},{get_pointer_string(moving)}"
    with tempfile.TemporaryDirectory(prefix="qcbench-") as folder:
        begin = f"[{images},1]" if start is None else _write_affine(start, Path(folder) / "start.mat", fixed.pixeltype)
        arguments = ["--dimensionality", "3", "--initial-moving-transform", begin, "--output", f"{folder}/to"]
        for kind in ("Rigid", "Affine"):
            arguments += ["--transform", f"{kind}[0.1]", "--metric", f"MI[{images},1,32,Regular,0.25]"]
            arguments += ["--convergence", f"[{iterations},1e-6,10]", "--shrink-factors", shrink]
            arguments += ["--smoothing-sigmas", smooth]
        if winsorize:
            arguments += ["--winsorize-image-intensities", "[0.005,0.995]"]
        arguments += ["--masks", f"[{get_pointer_string(mask)},NA]" if mask is not None else "[NA,NA]"]
        # ants takes the memory of the images for floats or doubles by this option, whatever they are.
        arguments += ["--float", "0" if fixed.pixeltype == "double" else "1", "--random-seed", str(seed + 1)]
        return _ran(arguments, Path(folder), fixed.pixeltype)


def _ran(arguments: list[str], folder: Path, precision: str) -> np.ndarray:
    try:
        status = ants.registration(arguments, None)
    except RuntimeError as error:
        raise WorkerError(f"antsRegistration failed: {error}") from error
    made = sorted(path.name for path in folder.glob("to*"))
    # Exactly one affine, and nothing that bends the brain.
    if status or made != ["to0GenericAffine.mat"]:
        raise WorkerError(f"antsRegistration ended with status {status} and the files {made}")
    found = ants.read_transform(f"{folder}/{made[0]}", precision=precision)
    matrix = geometry.transform_from_itk(found.parameters, found.fixed_parameters)
    if not np.isfinite(matrix).all():
        raise WorkerError("antsRegistration found no numbers")
    return matrix


def _write_affine(matrix: np.ndarray, path: Path, precision: str) -> str:
    transform = ants.new_ants_transform(
        precision=precision, dimension=3, transform_type="AffineTransform", parameters=geometry.transform_to_itk(matrix)
    )
    ants.write_transform(transform, str(path))
    return str(path)
