"""Every T1w image of a study laid over the template, and the picture that raters judge: the verb `preprocess`."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np

from qcbench import parallel, store
from qcbench.imaging import isolate
from qcbench.prepare import bids, one_image, presets
from qcbench.study import Study
from qcbench.summary import Summary

#: A head takes ten seconds and 0.8 GB; these are for files that are not heads.
TIMEOUT_S = 600.0
MEMORY_GB = 10.0


def preprocess(
    study: Study,
    *,
    preset: str = "fast",
    workers: int = 1,
    executor: Executor | None = None,
    retry: bool = False,
    show_progress: bool = True,
) -> Summary:
    """Align every usable image of the catalogue and draw its slices: table `preprocessed`, derivatives/qcbench/.

    Images that failed are rows with a reason; they are tried again with `retry`, or when their voxels have
    changed. Raises UsageError for an unknown preset, StudyError without a catalogue.
    """
    began = time.monotonic()
    study = Study.of(study)
    presets.by_name(preset)
    usable = [row for row in store.require(study, "images", "ingest") if is_scan(row)]
    settled = {row["image_id"]: row for row in store.rows(study, "preprocessed")}
    todo = [row for row in usable if not _is_settled(row, settled.get(row["image_id"]), study, preset, retry)]
    bids.write_description(study.derivatives, name="T1w in MNI space and slices, by qcbench", derivative=True)
    isolate.preload(one_image.__name__, "qcbench.imaging.warm")
    pool = executor or parallel.local_executor(min(workers, max(1, len(todo))), threads=True)
    worker = partial(preprocess_image, study_folder=study.folder, preset=preset)
    failed = {}
    try:
        with (
            parallel.progress("preprocess", len(todo), show=show_progress) as advance,
            store.collect(study, "preprocessed") as table,
        ):
            sources = {row["image_id"]: row["voxels_sha256"] for row in todo}
            for row in parallel.map_rows(worker, todo, pool):
                source = sources[row["image_id"]]
                table.append({"preprocessing_preset": preset, "source_voxels_sha256": source, **row})
                if row["error"]:
                    failed[row["image_id"]] = row["error"]
                advance()
    finally:
        if executor is None:
            pool.shutdown(cancel_futures=True)
    return _summary(study, usable, len(todo), failed, began)


def preprocess_image(row: dict, *, study_folder: Path, preset: str) -> dict:
    """Return the row of `preprocessed` of one catalogue row, its native part done in a process of its own.

    Raises ImageError or WorkerError, also when that process crashes, hangs or outgrows its memory.
    """
    began = time.monotonic()
    study = Study(study_folder)
    made = isolate.call(
        one_image.align_and_draw,
        study.absolute(row["bids_path"]),
        study.derivatives,
        presets.by_name(preset),
        preset,
        study.convention,
        timeout_s=TIMEOUT_S,
        memory_gb=MEMORY_GB,
    )
    paths = {name: study.relative(made.pop(name)) for name in ("volume_path", "screenshot_path")}
    return {**made, **paths, "seconds": round(time.monotonic() - began, 3)}


def is_scan(row: dict) -> bool:
    """Return whether an image can be preprocessed; copies made by `simulate` are born so."""
    return row["bids_path"] is not None and not (row["error"] or row["excluded_reason"])


def _is_settled(row: dict, made: dict | None, study: Study, preset: str, retry: bool) -> bool:
    """Return whether an image needs nothing: made with this preset, of these voxels, and still there."""
    if made is None or made["preprocessing_preset"] != preset:
        return False
    if made.get("source_voxels_sha256") != row["voxels_sha256"]:
        return False
    if made["error"]:
        return not retry
    return all(study.absolute(made[name]).is_file() for name in ("volume_path", "screenshot_path"))


def _summary(study: Study, usable: list[dict], n_tried: int, failed: dict[str, str], began: float) -> Summary:
    wanted = {row["image_id"] for row in usable}
    made = [row for row in store.rows(study, "preprocessed") if row["image_id"] in wanted]
    scores = [row["alignment"] for row in made if row["alignment"] is not None]
    facts: dict[str, object] = {"images": len(usable)}
    if scores:
        facts["alignment_median"] = round(float(np.median(scores)), 3)
        facts["alignment_below_0.5"] = int(np.sum(np.array(scores) < 0.5))
    earlier = sum(bool(row["error"]) for row in made) - len(failed)
    return Summary(
        stage="preprocess",
        done=n_tried - len(failed),
        unchanged=len(usable) - n_tried,
        failed=failed,
        facts=facts,
        notes=[f"{earlier} images failed in an earlier run; try them again with --retry"] if earlier else [],
        seconds=time.monotonic() - began,
    )
