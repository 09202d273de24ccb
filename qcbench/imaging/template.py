"""The brain that every image is aligned to, from a file that comes with an installed package.

nilearn ships the ICBM 152 2009a symmetric average (Fonov et al. 2011): T1, grey and white matter, 1 mm.
It is skull-stripped. It is not the whole-head 2009c template of Bottani et al. 2022; both lie in MNI space
and differ by about a millimetre at most: `whole_head` finds that one where somebody has it. Nothing is ever fetched.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import nibabel as nib
import numpy as np
from scipy import ndimage

from qcbench.errors import ImageError

#: As tables and sidecars name it: the BIDS space, and what is special about the file.
NAME = "MNI152NLin2009aSym skull-stripped (nilearn)"
#: The BIDS `space` entity.
SPACE = "MNI152NLin2009aSym"

_FILES = {
    "t1": (
        "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
        "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
    ),
    "grey": (
        "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz",
        "97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed",
    ),
    "white": (
        "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz",
        "382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db",
    ),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """The template on its own grid.

    `t1`, `grey` and `white` are float32 in [0, 1] of one shape; `brain` is the filled brain, cerebellum
    and stem included; `affine` leads to RAS+ millimetres; `sha256` is that of the T1 file. `space` is the BIDS
    entity; `is_brain_only` says that the skull was taken away, so that heads are aligned inside the brain alone.
    """

    name: str
    space: str
    sha256: str
    is_brain_only: bool
    affine: np.ndarray
    t1: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    brain: np.ndarray

    def at_mm(self, spacing_mm: int) -> Template:
        """Return the template in voxels of about `spacing_mm`, whatever the size of its own; itself where they are."""
        factor = round(spacing_mm / float(np.linalg.norm(self.affine[:3, 0])))
        return self.coarse(factor) if factor > 1 else self

    def coarse(self, factor: int) -> Template:
        """Return the template with voxels `factor` times as large, each the mean of those it holds."""
        affine = self.affine @ np.diag([factor, factor, factor, 1.0])
        affine[:3, 3] += self.affine[:3, :3] @ np.full(3, (factor - 1) / 2)
        shrunk = {
            name: block_mean(getattr(self, name).astype(np.float32), (factor,) * 3)
            for name in ("t1", "grey", "white", "brain")
        }
        return replace(self, affine=affine, **{**shrunk, "brain": shrunk["brain"] > 0.5})

    def dilated_brain(self, margin_mm: float) -> np.ndarray:
        """Return the brain and all that is at most `margin_mm` away from it."""
        outside_mm = ndimage.distance_transform_edt(~self.brain, sampling=np.linalg.norm(self.affine[:3, :3], axis=0))
        return outside_mm <= margin_mm


@cache
def load() -> Template:
    """Return the template. Raises ImageError when its files are not the known ones."""
    arrays = {}
    for part, (name, sha256) in _FILES.items():
        path = resources.files("nilearn").joinpath("datasets", "data", name)
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ImageError(
                "WRONG_TEMPLATE",
                f"{path} is missing or not the file qcbench knows (sha256 {sha256[:12]}...); "
                "reinstall nilearn: pip install --force-reinstall nilearn",
            )
        image = nib.Nifti1Image.from_bytes(gzip.decompress(content))
        arrays[part] = np.asarray(image.dataobj, dtype=np.float32) / 255
    # The T1 is 0 outside the brain and above 0.2 of its maximum inside, ventricles excepted: they are filled.
    brain = ndimage.binary_fill_holes(arrays["t1"] > 0.2 * arrays["t1"].max())
    sha256 = _FILES["t1"][1]
    return Template(
        name=NAME, space=SPACE, sha256=sha256, is_brain_only=True, affine=image.affine, brain=brain, **arrays
    )


def block_mean(data: np.ndarray, factors: tuple[int, int, int]) -> np.ndarray:
    """Return the means of blocks of `factors` voxels; the last block of an axis is filled up by its edge.

    >>> block_mean(np.arange(8.0).reshape(2, 2, 2), (2, 2, 2)).item()
    3.5
    """
    padding = [(0, -size % factor) for size, factor in zip(data.shape, factors, strict=True)]
    padded = np.pad(data, padding, mode="edge")
    (a, b, c), (i, j, k) = factors, padded.shape
    return padded.reshape(i // a, a, j // b, b, k // c, c).mean(axis=(1, 3, 5))
