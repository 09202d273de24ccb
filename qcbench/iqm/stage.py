"""Metrics of the images of a study: table `iqms`, and a page for each image."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from qcbench import iqm_keys, parallel, stages, store
from qcbench.iqm import apart, profiles
from qcbench.study import Study
from qcbench.summary import Summary


def iqm(
    study: Study,
    *,
    profile: str = profiles.QCBENCH.name,
    workers: int = 1,
    executor: Executor | None = None,
    retry: bool = False,
    show_progress: bool = True,
) -> Summary:
    """Measure every usable T1w, T2w and bold image of the catalogue: table `iqms`, and a card and JSON for each.

    They lie in derivatives/qcbench/iqm/<profile>/. Rows of another profile stay. Images that failed are rows with a
    reason; they are tried again with `retry`, or when their voxels have changed. Raises UsageError for an unknown
    profile, StudyError without a catalogue.
    """
    began = time.monotonic()
    study = Study.of(study)
    profile = profiles.by_name(profile).name
    usable = [row for row in store.require(study, "images", "ingest") if _is_measurable(row)]
    settled = {row["image_id"]: row for row in store.rows(study, "iqms") if row["iqm_profile"] == profile}
    todo = [row for row in usable if not _is_settled(row, settled.get(row["image_id"]), study, profile, retry)]
    with parallel.pool(executor, workers, len(todo), threads=True) as pool:
        failed = stages.fill(
            study,
            "iqms",
            todo,
            partial(measure_image, study_folder=study.folder, profile=profile),
            pool,
            told=lambda row: {
                "modality": row["modality"],
                "iqm_profile": profile,
                "voxels_sha256": row["voxels_sha256"],
            },
            verb="iqm",
            show_progress=show_progress,
        )
    return _summary(study, usable, len(todo), failed, profile, began)


def measure_image(row: dict, *, study_folder: Path, profile: str) -> dict:
    """Return the row of `iqms` of one catalogue row, measured in a process of its own.

    Raises ImageError or WorkerError, also when that process crashes, hangs or outgrows its memory.
    """
    began = time.monotonic()
    study = Study(study_folder)
    outputs = apart.output_paths(row["image_id"], row["modality"], study.derivatives / "iqm" / profile)
    made, _ = apart.measure_apart(
        study.absolute(row["bids_path"]), row["modality"], profile, outputs=outputs, convention=study.convention
    )
    # The catalogue's name counts, whatever the file is called.
    return {**made, "image_id": row["image_id"], "seconds": round(time.monotonic() - began, 3)}


def _is_measurable(row: dict) -> bool:
    """Return whether a catalogue row is an image of its own, of a modality that has metrics, and may be used."""
    usable = row["bids_path"] is not None and not (row["error"] or row["excluded_reason"])
    return usable and row["modality"] in iqm_keys.MODALITIES


def _is_settled(row: dict, made: dict | None, study: Study, profile: str, retry: bool) -> bool:
    """Return whether an image needs nothing: measured on these voxels, its files still there."""
    if made is None or made["voxels_sha256"] != row["voxels_sha256"]:
        return False
    if made["error"]:
        return not retry
    outputs = apart.output_paths(row["image_id"], row["modality"], study.derivatives / "iqm" / profile)
    return all(path.is_file() for path in outputs.values())


def _summary(
    study: Study, usable: list[dict], n_tried: int, failed: dict[str, str], profile: str, began: float
) -> Summary:
    wanted = {row["image_id"] for row in usable}
    made = [row for row in store.rows(study, "iqms") if row["iqm_profile"] == profile and row["image_id"] in wanted]
    n_null = sum(bool(row["reasons"]) for row in made)
    facts = {"profile": profile} | ({"with_nulls": n_null} if n_null else {})
    return stages.summary("iqm", usable=usable, n_tried=n_tried, failed=failed, made=made, began=began, facts=facts)
