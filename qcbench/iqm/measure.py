"""One file in, one row of the table `iqms` out."""

from __future__ import annotations

import json
import re
from pathlib import Path

from qcbench.errors import UsageError
from qcbench.imaging import template
from qcbench.iqm import anatomical, masks, profiles
from qcbench.iqm.profiles import Profile
from qcbench.iqm.reasons import Findings

#: What is measured from a file alone. The metrics of bold need a motion-corrected series: `functional.metrics`.
MODALITIES = ("T1w", "T2w")


def measure(path: str | Path, modality: str = "T1w", profile: str = profiles.QCBENCH.name) -> dict[str, object]:
    """Return the row of `iqms` of an image: its id, modality, profile, metrics, and `reasons` for the nulls as JSON.

    It takes about 40 CPU-seconds and 2 GB; call it through `imaging.isolate`, for native code may crash. Raises
    ImageError for a file that is no image, UsageError for an unknown modality or profile.
    """
    definitions = profiles.by_name(profile)
    if modality not in MODALITIES:
        raise UsageError(f"the modality of an image is one of {', '.join(MODALITIES)}, got {modality!r}")
    anatomy = masks.anatomy_of(path, whole_field=definitions.whole_field, modality=modality)
    return as_row(_image_id(path), modality, definitions, anatomical.metrics(anatomy, definitions))


def as_row(image_id: str, modality: str, profile: Profile, found: Findings) -> dict[str, object]:
    """Return the findings as a row of `iqms`."""
    return {
        "image_id": image_id,
        "modality": modality,
        "iqm_profile": profile.name,
        **found.values,
        "reasons": json.dumps(found.reasons, sort_keys=True) if found.reasons else None,
        "template": template.NAME,
        "template_sha256": template.load().sha256,
    }


def _image_id(path: str | Path) -> str:
    return re.sub(r"\.nii(\.gz)?$", "", Path(path).name, flags=re.IGNORECASE)
