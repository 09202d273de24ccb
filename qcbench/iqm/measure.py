"""One file in, one row of the table `iqms` out."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qcbench import images
from qcbench.errors import UsageError
from qcbench.imaging import template
from qcbench.iqm import anatomical, bold, functional, masks, motion, names, profiles
from qcbench.iqm.anatomical import Anatomy
from qcbench.iqm.functional import Run
from qcbench.iqm.profiles import Profile
from qcbench.iqm.reasons import Findings

#: MRIQC warns of less air, and of a larger frame.
_SMALL_AIR, _LARGE_FRAME = 500_000, 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """The row of `iqms` of an image, and the arrays that it was measured on."""

    row: dict[str, object]
    arrays: Anatomy | Run


def measure(
    path: str | Path,
    modality: str = "T1w",
    profile: str = profiles.QCBENCH.name,
    *,
    motion_file: str | Path | None = None,
) -> dict[str, object]:
    """Return the row of `iqms` of an image: its id, modality, profile, metrics, and `reasons` for the nulls as JSON.

    It takes about 40 CPU-seconds and 2 GB; call it through `imaging.isolate`, for native code may crash. Raises
    ImageError for a file that is no image, UsageError for an unknown modality or profile.
    """
    return measured(path, modality, profile, motion_file=motion_file).row


def measured(path: str | Path, modality: str, profile: str, *, motion_file: str | Path | None = None) -> Measured:
    """Return the row and the arrays of an image.

    `motion_file`: motion parameters of a bold series by another program; then its volumes are left where they are.
    """
    definitions = profiles.by_name(profile)
    modality = names.modality_of(path, modality)
    if modality == "bold":
        run = _run(path, motion_file)
        found = functional.metrics(run, definitions)
        return Measured(row=as_row(names.stem(path), modality, definitions, found), arrays=run)
    if motion_file is not None:
        raise UsageError(f"motion parameters belong to a bold series; {Path(path).name} is measured as {modality}")
    anatomy = masks.anatomy_of(path, whole_field=definitions.whole_field, modality=modality)
    found = anatomical.metrics(anatomy, definitions)
    return Measured(row=as_row(names.stem(path), modality, definitions, found), arrays=anatomy)


def as_row(image_id: str, modality: str, profile: Profile, found: Findings) -> dict[str, object]:
    """Return the findings as a row of `iqms`."""
    # No template is laid over a series.
    has_template = modality != "bold"
    return {
        "image_id": image_id,
        "modality": modality,
        "iqm_profile": profile.name,
        **found.values,
        "reasons": json.dumps(found.reasons, sort_keys=True) if found.reasons else None,
        "template": template.NAME if has_template else None,
        "template_sha256": template.load().sha256 if has_template else None,
    }


def warnings_of(arrays: Anatomy | Run) -> dict[str, bool]:
    """Return what MRIQC warns of in an anatomical image: little air, a large frame; {} for a series."""
    if isinstance(arrays, Run):
        return {}
    has_air = arrays.hat is not None and arrays.artefact is not None
    n_air = int(np.count_nonzero(arrays.air)) if has_air else 0
    n_frame = 0 if arrays.frame is None else int(np.count_nonzero(arrays.frame))
    return {"small_air_mask": n_air < _SMALL_AIR, "large_rot_frame": n_frame > _LARGE_FRAME}


def _run(path: str | Path, motion_file: str | Path | None) -> Run:
    series = images.load_series(path)
    n_volumes = series.data.shape[3]
    parameters = None if motion_file is None else motion.read_parameters(motion_file)
    if parameters is not None and len(parameters) != n_volumes:
        raise UsageError(
            f"{Path(motion_file).name} holds the motion of {len(parameters)} volumes, {Path(path).name} has "
            f"{n_volumes}; give the file that was made of this series, or none to have the motion estimated"
        )
    return bold.run_of(
        series.data, series.affine, series.repetition_time_s or _told_time_s(path), parameters=parameters
    )


def _told_time_s(path: str | Path) -> float | None:
    """Return the repetition time of the sidecar, for a header that has none."""
    told = names.sidecar(path).get("RepetitionTime")
    is_time = isinstance(told, int | float) and not isinstance(told, bool) and math.isfinite(told) and told > 0
    return float(told) if is_time else None
