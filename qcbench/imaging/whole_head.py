"""The template with its skull, where somebody has it: the study's own file, TemplateFlow's, or Clinica's.

Bottani et al. 2022 aligned to the whole head MNI152NLin2009cSym, as Clinica's t1-linear does. No package ships it, so
it is looked for in this order; without any of them nilearn's brain stands in, and every row says so.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from qcbench import images
from qcbench.errors import ImageError, UsageError
from qcbench.imaging import crop, geometry, score, template
from qcbench.imaging.template import Template

#: Shape and corner (RAS mm) of MNI152NLin2009cSym at 1 mm; cut at x 12:181, y 13:221, z 0:179 it is the canonical grid.
GRID_09C_SHAPE = (193, 229, 193)
GRID_09C_CORNER_MM = (-96.0, -132.0, -78.0)
SPACE_09C = "MNI152NLin2009cSym"
_FILE_09C = "mni_icbm152_t1_tal_nlin_sym_09c.nii"
#: Clinica's checksum as far as it is published where we could read it: its first and last digits.
_SHA256_09C = ("93359ab9", "64eaa34")
#: Two averages of the same space correlate above 0.9 inside the brain; a head out of place does not reach this.
_SAME_SPACE = 0.5
#: A shell around the brain where a head has skull and scalp, and the part of it that is bright there.
_SHELL_MM = (8.0, 20.0)
_SCALP_SHARE = 0.1


def choose(file: str | Path | None = None, own_name: str | None = None, *, look_around: bool = False) -> Template:
    """Return the template to align to: `file`, else a whole head that is here when `look_around`, else nilearn's brain.

    `file` is Clinica's copy of MNI152NLin2009cSym, known by its hash; any other must be called by a name of its own,
    letters and digits, which rows and file names then carry. Raises UsageError for a file that is neither, or that
    does not lie in MNI space.
    """
    if file is not None:
        return _named(Path(file), own_name)
    if look_around:
        for path, name in _installed():
            try:
                return _load(path, f"{SPACE_09C} whole head ({name})", SPACE_09C)
            except (ImageError, UsageError):
                # A placeholder or a download cut short: the next may be whole.
                continue
    return template.load()


def _installed() -> list[tuple[Path, str]]:
    """Return the whole heads that other tools keep on this machine, best first, and whose they are."""
    flow = Path(os.environ.get("TEMPLATEFLOW_HOME") or Path.home() / ".cache" / "templateflow")
    found = [
        (path, "TemplateFlow")
        for path in sorted((flow / f"tpl-{SPACE_09C}").glob(f"tpl-{SPACE_09C}_res-*1_T1w.nii.gz"))
        # Its skeleton holds a file of no bytes for each that was never fetched, DataLad's a link to nowhere.
        if path.is_file() and path.stat().st_size
    ]
    clinica = find_spec("clinica")
    for folder in (clinica.submodule_search_locations or []) if clinica else []:
        path = Path(folder) / "resources" / "masks" / _FILE_09C
        if path.is_file() and _is_known(path):
            found.append((path, "Clinica"))
    return found


def _named(path: Path, own_name: str | None) -> Template:
    if not path.is_file():
        raise UsageError(f"the template {path} is missing; correct its path, or leave it out to use {template.NAME}")
    if _is_known(path):
        return _load(path, f"{SPACE_09C} whole head (Clinica's file)", SPACE_09C)
    if not own_name or not own_name.isalnum():
        raise UsageError(
            f"{path} is not Clinica's {_FILE_09C} (sha256 {_SHA256_09C[0]}...{_SHA256_09C[1]}, "
            f"got {_sha256(path)[:12]}...). Was its download cut short? A template of your own needs a name of letters "
            f"and digits, got {own_name!r}"
        )
    return _load(path, f"{own_name} (own template)", own_name)


@cache
def _load(path: Path, name: str, space: str) -> Template:
    """Return a T1 average in MNI space with the tissues of nilearn's template, which lies in the same space."""
    try:
        volume = images.load_volume(path)
    except ImageError as error:
        raise UsageError(f"the template {path} cannot be used: {error}") from error
    data, affine = geometry.to_ras(volume.data, volume.affine)
    affine, _ = geometry.orthonormal(affine, data.shape)
    known = template.load()
    maps = {
        part: crop.resample(getattr(known, part).astype(np.float32), known.affine, np.eye(4), data.shape, affine)
        for part in ("grey", "white", "brain", "t1")
    }
    brain = maps.pop("brain") > 0.5
    likeness = score.pearson(data[brain], maps.pop("t1")[brain]) if brain.any() else 0.0
    if likeness < _SAME_SPACE:
        raise UsageError(
            f"the template {path} does not lie in MNI space: inside the brain its correlation with {template.NAME} is "
            f"{likeness:.2f}, expected at least {_SAME_SPACE}. Give a T1-weighted average in MNI152 space"
        )
    t1 = np.clip(data / np.percentile(data, 99.9), 0, 1).astype(np.float32)
    made = Template(
        name=name, space=space, sha256=_sha256(path), is_brain_only=False, affine=affine, t1=t1, brain=brain, **maps
    )
    coarse = made.at_mm(4)
    near, far = (coarse.dilated_brain(margin_mm) for margin_mm in _SHELL_MM)
    if (coarse.t1[far & ~near] > 0.1).mean() < _SCALP_SHARE:
        raise UsageError(f"the template {path} has no skull; leave it out, {template.NAME} serves as a brain")
    return made


def _is_known(path: Path) -> bool:
    """Return whether a file is Clinica's, packed or not, by the digits of its hash that we know."""
    return any(digest.startswith(_SHA256_09C[0]) and digest.endswith(_SHA256_09C[1]) for digest in _digests(path))


def _digests(path: Path) -> list[str]:
    content = path.read_bytes()
    digests = [hashlib.sha256(content).hexdigest()]
    if content[:2] == b"\x1f\x8b":
        with suppress(OSError, EOFError, zlib.error):  # damaged: not the known one
            digests.append(hashlib.sha256(gzip.decompress(content)).hexdigest())
    return digests


def _sha256(path: Path) -> str:
    """Return the hash of the file as it lies there."""
    return _digests(path)[0]
