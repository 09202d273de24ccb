"""Every scan of a study made ready to be judged: the verb `preprocess`.

T1w images are laid over the template and drawn; T2w and bold images are drawn as they lie (`slices`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from qcbench import cluster, durable, machine, parallel, stages, store
from qcbench.errors import StudyError, UsageError
from qcbench.imaging import isolate, self_test, whole_head
from qcbench.prepare import bids, limits, one_image, presets, slices
from qcbench.study import Study
from qcbench.summary import Summary


def preprocess(
    study: Study,
    *,
    preset: str = "fast",
    workers: int = 1,
    executor: Executor | None = None,
    dask: str | None = None,
    slurm: str | None = None,
    retry: bool = False,
    show_progress: bool = True,
) -> Summary:
    """Align every usable image of the catalogue and draw its slices: table `preprocessed`, derivatives/qcbench/.

    `workers` images are worked on at a time, fewer where the memory is too small for as many: here; with `dask` (an
    address) on the workers of that cluster, as many as it has; with `slurm` (options of sbatch, "" for none) on
    machines that SLURM gives. Images that failed are rows with a reason; they are tried again with `retry`, or when
    their voxels have changed. What was made with another preset, template or convention is made anew, and its row is
    gone until then. Raises UsageError for an unknown preset and for a cluster that cannot do it, StudyError without a
    catalogue and while another run works on the study, and ImageError or WorkerError before any image where the
    template is not what it should be or its self-test fails.
    """
    began = time.monotonic()
    study = Study.of(study)
    presets.by_name(preset)
    usable = [row for row in store.require(study, "images", "ingest") if is_scan(row)]
    how = {"workers": workers, "executor": executor, "dask": dask, "slurm": slurm, "show_progress": show_progress}
    with _alone(study):
        return _make(study, usable, _unsettled(study, usable, preset, retry), preset, began, **how)


def _make(
    study: Study,
    usable: list[dict],
    todo: list[dict],
    preset: str,
    began: float,
    *,
    workers: int,
    executor: Executor | None,
    dask: str | None,
    slurm: str | None,
    show_progress: bool,
) -> Summary:
    """Make the images of `todo`; return the summary of all."""
    if any(row["modality"] not in slices.MODALITIES for row in todo):
        # Before the self-test, whose process starts the server: all later ones are forked from it.
        isolate.preload(one_image.__name__, slices.__name__, "qcbench.imaging.warm")
        self_test.require()
    # The longest first, so that no worker is left alone with one; and who has loaded what aligns can draw as well.
    todo.sort(key=lambda row: row["modality"] in slices.MODALITIES)
    bids.write_description(study.derivatives, name="T1w in MNI space and slices, by qcbench", derivative=True)
    bids.write_ignored(study.derivatives)
    fitting, note = workers, ""
    if executor is None and dask is None and slurm is None and todo:
        each_gb = limits.of(preset).need_gb
        fitting, note = machine.workers_that_fit(
            min(workers, len(todo)), each_gb=each_gb, available_gb=machine.available_memory_gb()
        )
    with _workers(study, len(todo), executor, dask, slurm, fitting, limits.of(preset)) as pool:
        # Not before the workers are there: a call that is refused changes nothing.
        _forget(study, {row["image_id"] for row in todo})
        failed = stages.fill(
            study,
            "preprocessed",
            todo,
            partial(preprocess_image, study_folder=study.folder, preset=preset),
            pool,
            told=lambda row: {
                "preprocessing_preset": _preset_of(row, preset),
                "source_voxels_sha256": row["voxels_sha256"],
            },
            verb="preprocess",
            show_progress=show_progress,
        )
    summary = _summary(study, usable, len(todo), failed, began)
    summary.notes += [note] if note else []
    return summary


def preprocess_image(row: dict, *, study_folder: Path, preset: str) -> dict:
    """Return the row of `preprocessed` of one catalogue row, its native part done in a process of its own.

    Raises ImageError or WorkerError, also when that process crashes, hangs or outgrows its memory.
    """
    began = time.monotonic()
    study = Study(study_folder)
    bounds = limits.of(preset)
    path = study.absolute(row["bids_path"])
    # Here and not once before: this may run in a worker on another machine, which has a server of its own.
    options = {}
    if row["modality"] in slices.MODALITIES:
        isolate.preload(slices.__name__)
        work = (slices.draw, path, study.derivatives, row["modality"], study.convention)
    else:
        isolate.preload(one_image.__name__, "qcbench.imaging.warm")
        work = (one_image.align_and_draw, path, study.derivatives, presets.by_name(preset), preset, study.convention)
        options = {"template_file": study.template_file, "template_name": study.template_name}
    made = isolate.call(*work, **options, timeout_s=bounds.timeout_s, memory_gb=bounds.most_gb)
    paths = {name: made[name] and study.relative(made[name]) for name in ("volume_path", "screenshot_path")}
    return {**made, **paths, "seconds": round(time.monotonic() - began, 3)}


def is_scan(row: dict) -> bool:
    """Return whether an image can be preprocessed; copies made by `simulate` are born so."""
    return row["bids_path"] is not None and not (row["error"] or row["excluded_reason"])


@contextmanager
def _workers(
    study: Study,
    n_images: int,
    executor: Executor | None,
    dask: str | None,
    slurm: str | None,
    workers: int,
    bounds: limits.Limits,
) -> Iterator[Executor]:
    """Yield what runs the images: the executor that was given, a cluster, or threads here that each watch a process."""
    if sum(place is not None for place in (executor, dask, slurm)) > 1:
        raise UsageError("an executor, dask and slurm exclude each other; give one of them")
    if dask is not None and n_images:
        place = cluster.dask_executor(dask, folder=study.folder)
    elif slurm is not None and n_images:
        logs = study.folder / "jobs" / "slurm"
        memory_gb = bounds.need_gb + limits.WORKER_GB
        place = cluster.slurm_executor(workers, memory_gb=memory_gb, folder=logs, options=slurm)
    else:
        place = parallel.pool(executor, workers, n_images, threads=True)
    with place as pool:
        yield pool


def _preset_of(row: dict, preset: str) -> str:
    """Return the preset that counts for an image: nothing is aligned of those that are only drawn."""
    return slices.PRESET if row["modality"] in slices.MODALITIES else preset


@contextmanager
def _alone(study: Study) -> Iterator[None]:
    """Keep another run from making the same derivatives at the same time."""
    with ExitStack() as held:
        try:
            held.enter_context(durable.locked(study.derivatives / "preprocess", timeout_s=0))
        except StudyError as error:
            raise StudyError(
                f"another preprocess is running on {study.folder}; wait until it has ended, or stop it"
            ) from error
        yield


def _unsettled(study: Study, usable: list[dict], preset: str, retry: bool) -> list[dict]:
    """Return the images that are to be made, now or anew."""
    made = {row["image_id"]: row for row in store.rows(study, "preprocessed")}
    template_sha256 = _template_sha256(study, usable, preset)
    return [
        row for row in usable if not _is_settled(row, made.get(row["image_id"]), study, preset, retry, template_sha256)
    ]


def _template_sha256(study: Study, usable: list[dict], preset: str) -> str | None:
    """Return the hash of the template that images are aligned to now; None where nothing is aligned."""
    if all(row["modality"] in slices.MODALITIES for row in usable):
        return None
    look_around = presets.by_name(preset).prefers_whole_head
    return whole_head.choose(study.template_file, study.template_name, look_around=look_around).sha256


def _forget(study: Study, image_ids: set[str]) -> None:
    """Take away the rows of images that are made anew: their files are about to be others.

    A run that is killed in between leaves no row that tells of files made with something else.
    """
    if not image_ids:
        return
    with store.changing(study, "preprocessed"):
        rows = store.rows(study, "preprocessed")
        kept = [row for row in rows if row["image_id"] not in image_ids]
        if len(kept) < len(rows):
            store.write(study, "preprocessed", kept)


def _is_settled(
    row: dict, made: dict | None, study: Study, preset: str, retry: bool, template_sha256: str | None
) -> bool:
    """Return whether an image needs nothing: made as it would be made now, of these voxels, and still there."""
    if made is None or made["preprocessing_preset"] != _preset_of(row, preset):
        return False
    if made.get("source_voxels_sha256") != row["voxels_sha256"]:
        return False
    if made["error"]:
        return not retry
    if made["convention"] != study.convention:
        return False
    if made["volume_path"] and made["template_sha256"] != template_sha256:
        return False
    paths = [study.absolute(made[name]) for name in ("volume_path", "screenshot_path") if made[name]]
    # Beside the volume, or beside the picture where there is none, lies the sidecar.
    sidecar = paths[0].with_name(f"{bids.stem(paths[0]).removesuffix('.png')}.json")
    return sidecar.is_file() and all(path.is_file() and path.stat().st_size for path in paths)


def _summary(study: Study, usable: list[dict], n_tried: int, failed: dict[str, str], began: float) -> Summary:
    wanted = {row["image_id"] for row in usable}
    made = [row for row in store.rows(study, "preprocessed") if row["image_id"] in wanted]
    scores = [row["alignment"] for row in made if row["alignment"] is not None]
    facts: dict[str, object] = {}
    if scores:
        facts["alignment_median"] = round(float(np.median(scores)), 3)
        facts["alignment_below_0.5"] = int(np.sum(np.array(scores) < 0.5))
    return stages.summary(
        "preprocess", usable=usable, n_tried=n_tried, failed=failed, made=made, began=began, facts=facts
    )
