"""A small DICOM archive to try the intake on: heads that a program made, patients that do not exist, and said so."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from qcbench import parallel
from qcbench.errors import UsageError
from qcbench.images import Volume
from qcbench.imaging.heads import synthetic_head
from qcbench.prepare.dicom_series import write_series
from qcbench.prepare.invented import SCANNERS, Description, describe, draw_patient
from qcbench.summary import Summary

#: Left-right, back-front, foot-head: coarse, so that a series is quickly written and read.
_SPACING_MM = (2.0, 2.0, 2.0)
_SAGITTAL = 0
_N_FLAIR = 24
_FLAIR = Description(study="IRM cérébrale", series="AX T2 FLAIR", protocol="FLAIR", body_part="BRAIN")


def build_archive(folder: str | Path, *, patients: int = 4, seed: int = 0, show_progress: bool = True) -> Summary:
    """Write two series of each of `patients` invented people into `folder`: a 3D T1w, and one that is none.

    Files that are there already are kept; the same options give the same bytes. Raises UsageError for fewer than one
    patient.
    """
    began = time.monotonic()
    if patients < 1:
        raise UsageError(f"patients must be 1 or more, got {patients}")
    summary = Summary(stage="demo-archive", notes=["Every series is simulated; so is every result on it."])
    with parallel.progress("writing series", 2 * patients, show=show_progress) as advance:
        for number in range(patients):
            place = Path(folder) / f"PAT{number:04d}"
            is_there = place.exists()
            if not is_there:
                _write_patient(place, number, seed)
            for _ in range(2):
                advance()
            summary.done += 0 if is_there else 2
            summary.unchanged += 2 if is_there else 0
    summary.facts = {"patients": patients, "series": 2 * patients}
    summary.seconds = time.monotonic() - began
    return summary


def _write_patient(place: Path, number: int, seed: int) -> None:
    who = seed * 1000 + number
    patient, scanner = draw_patient(who), SCANNERS[number % len(SCANNERS)]
    head = synthetic_head(seed=who, spacing_mm=_SPACING_MM)
    volume = Volume(data=np.clip(head.data, 0, 4095).astype(np.float32), affine=head.affine)
    rng = np.random.default_rng([who, 0xDE50])
    told = describe(scanner=scanner, gadolinium=False, language="fr", noted=bool(number % 2), rng=rng)
    shared = {"scanner": scanner, "patient": patient, "study_seed": who}
    write_series(place / "SER0003", volume, description=told, seed=who, slice_axis=_SAGITTAL, **shared)
    flair = Volume(data=volume.data[..., :_N_FLAIR], affine=volume.affine)
    write_series(place / "SER0004", flair, description=_FLAIR, seed=who, series_number=4, slice_axis=2, **shared)
