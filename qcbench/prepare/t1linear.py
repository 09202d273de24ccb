"""From a raw T1w image to an aligned volume and the picture that raters judge.

Bias field, one affine to the template, one linear interpolation onto the canonical grid, three slices: the steps of
Bottani et al. 2022, with the costs of the preset. The native part runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import time
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np

import qcbench
from qcbench import durable, images, parallel, store
from qcbench.errors import ImageError, UsageError
from qcbench.imaging import bias, crop, geometry, isolate, register, screenshot, template
from qcbench.prepare import bids
from qcbench.study import Study
from qcbench.summary import Summary

#: A head takes ten seconds and 0.8 GB; these are for files that are not heads.
TIMEOUT_S = 600.0
MEMORY_GB = 10.0


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How images are preprocessed; its name stands beside every result.

    Voxels under 0.9 mm are not resampled to 1 mm first, as the paper did: that would be a second
    interpolation.
    """

    bias: bias.BiasOptions = field(default_factory=bias.BiasOptions)
    register: register.RegisterOptions = field(default_factory=register.RegisterOptions)


#: ``fast``: N4 and affine on voxels of 4 mm, at about 5 CPU-seconds a head.
PRESETS = {"fast": Preset()}


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
    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}; there is {', '.join(PRESETS)}")
    usable = [row for row in store.require(study, "images", "ingest") if is_scan(row)]
    settled = {row["image_id"]: row for row in store.rows(study, "preprocessed")}
    todo = [row for row in usable if not _is_settled(row, settled.get(row["image_id"]), study, preset, retry)]
    bids.write_description(study.derivatives, name="T1w in MNI space and slices, by qcbench", derivative=True)
    isolate.preload(__name__, "qcbench.imaging.warm")
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
        align_and_draw,
        study.absolute(row["bids_path"]),
        study.derivatives,
        PRESETS[preset],
        preset,
        study.convention,
        timeout_s=TIMEOUT_S,
        memory_gb=MEMORY_GB,
    )
    paths = {name: study.relative(made.pop(name)) for name in ("volume_path", "screenshot_path")}
    return {**made, **paths, "seconds": round(time.monotonic() - began, 3)}


def align_and_draw(path: Path, derivatives: Path, preset: Preset, preset_name: str, convention: str) -> dict:
    """Write the volume, the picture and the sidecar of one raw image; return their paths and figures.

    The volume is int16 with the intensities of `crop.to_int16`. Same file, same bytes.
    """
    data, affine, shear_degrees, bias_strength = corrected(path, preset)
    alignment = register.register(data, affine, preset.register)
    cropped = crop.to_canonical(data, affine, alignment.template_to_scanner)
    quantised, scale = crop.to_int16(cropped)
    paths = output_paths(path, derivatives)
    images.save_volume(paths["volume"], quantised, np.array(geometry.CANONICAL_AFFINE))
    sha256 = images.save_png(paths["screenshot"], screenshot.screenshot(quantised, convention))
    figures = {
        **alignment.score.as_row(),
        "n_starts": alignment.n_starts,
        "bias_strength": round(bias_strength, 4),
        "shear_removed_degrees": round(shear_degrees, 3),
    }
    made_with = {
        "template": template.NAME,
        "template_sha256": template.load().sha256,
        "convention": convention,
    }
    sidecar = _sidecar(path, preset, preset_name, figures | made_with, alignment.template_to_scanner, scale)
    durable.write_text(paths["sidecar"], bids.to_json(sidecar))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        **figures,
        **made_with,
        "volume_path": paths["volume"],
        "screenshot_path": paths["screenshot"],
        "screenshot_sha256": sha256,
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_memory_gb": round(usage.ru_maxrss / 2**20, 2),
    }


def corrected(path: Path, preset: Preset) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return what is aligned and resampled: voxels in RAS order without bias field, their affine with orthogonal axes.

    Then come the shear that was removed (degrees) and the strength of the bias field.
    """
    # One thread: ITK adds in the order in which threads end, and the last digits would change.
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    volume = images.load_volume(path)
    data, affine = geometry.to_ras(volume.data, volume.affine)
    affine, shear_degrees = geometry.orthonormal(affine, data.shape)
    data, bias_strength = bias.correct(data, affine, preset.bias)
    return data, affine, shear_degrees, bias_strength


def read_sidecar(volume_path: Path) -> dict:
    """Return what `align_and_draw` wrote beside a volume. Raises ImageError when it is missing or damaged."""
    sidecar = volume_path.with_name(f"{bids.stem(volume_path)}.json")
    try:
        return json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImageError("NO_SIDECAR", f"{sidecar} cannot be read; run qcbench preprocess again ({error})") from error


def output_paths(raw: str | Path, derivatives: Path, *, spacing: int = 1) -> dict[str, Path]:
    """Return where the derivatives of a raw BIDS image (or image_id) lie: `volume`, `sidecar` and `screenshot`."""
    resolution = "x".join([str(spacing)] * 3)
    name = bids.parse(bids.stem(raw)).with_entities(space=template.SPACE, res=resolution)
    folder = derivatives / name.folder
    return {
        "volume": folder / f"{name}.nii.gz",
        "sidecar": folder / f"{name}.json",
        "screenshot": folder / f"{name.with_entities(desc='slices')}.png",
    }


def _sidecar(path: Path, preset: Preset, preset_name: str, figures: dict, matrix: np.ndarray, scale: float) -> dict:
    return {
        "Description": "T1w after N4, one affine to the template and one linear interpolation",
        "Sources": [f"bids/{bids.parse(bids.stem(path)).folder}/{path.name}"],
        "SpatialReference": template.NAME,
        "SkullStripped": False,
        "Resolution": "1 mm isotropic, 169 x 208 x 179 voxels, origin (-84, -119, -78)",
        "PreprocessingPreset": preset_name,
        "Options": asdict(preset),
        "ResampledTo1mmFirst": False,
        "IntensityScale": scale,
        "TemplateToScannerAffineRAS": np.round(matrix, 9).tolist(),
        "Alignment": figures,
        "Screenshot": {
            "CutsMm": list(screenshot.CUTS_MM),
            "WhitePercentile": screenshot.WHITE_PERCENTILE,
            "PixelsAVoxel": screenshot.PIXELS_A_VOXEL,
            "Convention": figures["convention"],
        },
        "Versions": {
            "qcbench": qcbench.__version__,
            **{name: metadata.version(name) for name in ("antspyx", "nibabel", "nilearn", "numpy", "scipy", "pillow")},
        },
    }


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
