"""Degraded copies of known severity, made of the scans of a study: the verb `simulate`.

A copy goes the way of its source: the source's bias field is removed, the artefact is made in the
voxels that the scanner stored, and the source's own transform takes it to the template in one
interpolation. So a copy in which nothing was planted is its source, voxel for voxel, but for its
surroundings. Nothing is aligned again, which is what a copy of a truncated head would not survive.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np

from qcbench import durable, images, parallel, schema, store
from qcbench.errors import StudyError, UsageError
from qcbench.imaging import crop, geometry, landmarks, screenshot, simulate, template
from qcbench.imaging.heads import Head
from qcbench.prepare import bids, t1linear
from qcbench.study import Study
from qcbench.summary import Summary

#: The classes of a pool, a quarter of the copies each.
_CLASSES = ("tier1", "straight_reject", "tier2", "tier3")
#: Copies that are made of one loaded source at a time: enough to share its 3 seconds, few enough to see progress.
_COPIES_A_ROW = 8
SPACINGS = (1, 2, 4)


def make_pool(
    study: Study,
    *,
    source: str = "tier1",
    n: int = 500,
    seed: int = 0,
    spacing: int = 1,
    workers: int = 1,
    executor: Executor | None = None,
    show_progress: bool = True,
) -> Summary:
    """Write `n` degraded copies of the study's good scans: rows of `images` and `preprocessed`, derivatives.

    Sources are the images whose consensus is tier 1, or with ``all`` every preprocessed scan. A
    quarter of the copies each are tier 1, 2, 3 and straight reject; half of all that are not
    rejected have gadolinium. `spacing` (mm) is that of the stored volumes: at 2 or 4 they serve
    training at that spacing only; the copy itself is always made in the source's voxels. What is
    there already is kept, and more copies with the same seed go on where it ended. Raises
    UsageError for an unknown option, StudyError when no source is to be had.
    """
    began = time.monotonic()
    study = Study.of(study)
    if spacing not in SPACINGS:
        raise UsageError(f"spacing must be one of {', '.join(map(str, SPACINGS))} mm, got {spacing!r}")
    if n < 1:
        raise UsageError(f"n must be 1 or more, got {n}")
    sources = _sources(study, source)
    plan = list(_plan(sources, n=n, seed=seed))
    made = _made(study, spacing)
    todo = [image for image in plan if made.get(image["image_id"]) != _fingerprint(image)]
    rows = list(_work(sources, todo))
    worker = partial(make_copies, study_folder=study.folder, spacing=spacing)
    pool = executor or parallel.local_executor(min(workers, max(1, len(rows))))
    summary = Summary(stage="simulate", unchanged=len(plan) - len(todo))
    try:
        with (
            parallel.progress("simulate", len(todo), show=show_progress) as advance,
            store.collect(study, "images") as catalogue,
            store.collect(study, "preprocessed") as preprocessed,
        ):
            for outcome in parallel.map_rows(worker, rows, pool, key="part"):
                wanted = {image["image_id"] for image in rows[outcome["part"]]["images"]}
                for catalogued, aligned in outcome.get("made", ()):
                    catalogue.append(catalogued)
                    preprocessed.append(aligned)
                    wanted.discard(catalogued["image_id"])
                    summary.done += 1
                reasons = outcome.get("failed", {})
                summary.failed.update({name: reasons.get(name, outcome["error"]) for name in sorted(wanted)})
                for _ in rows[outcome["part"]]["images"]:
                    advance()
    finally:
        if executor is None:
            pool.shutdown(cancel_futures=True)
    summary.facts.update({"sources": len(sources), "spacing_mm": spacing, **_counts(study, plan)})
    summary.notes.append("The copies are simulated, and so is every result on them; no rater is asked to label them.")
    summary.seconds = time.monotonic() - began
    return summary


def make_copies(row: dict, *, study_folder: Path, spacing: int) -> dict:
    """Return rows of `images` and `preprocessed` of one source's copies (`made`), and why others `failed`; a worker."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    study = Study(study_folder)
    head = source_head(study, row["source"], row["aligned"])
    sight = simulate.Sight(head)
    made, failed = [], {}
    for image in row["images"]:
        try:
            made.append(_make_copy(study, row, image, head, sight, spacing))
        except (ValueError, FloatingPointError, IndexError) as error:
            failed[image["image_id"]] = f"{type(error).__name__}: {error}"
    return {"made": made, "failed": failed}


def source_head(study: Study, image: dict, aligned: dict) -> Head:
    """Return a preprocessed scan as it lies in the scanner, without its bias field, brain and vessels located.

    `image` and `aligned` are its rows of `images` and `preprocessed`. Raises ImageError for a file
    that cannot be read.
    """
    preset = t1linear.PRESETS[aligned["preprocessing_preset"]]
    data, affine, _, _ = t1linear.corrected(study.absolute(image["bids_path"]), preset)
    sidecar = t1linear.read_sidecar(study.absolute(aligned["volume_path"]))
    return landmarks.locate(images.Volume(data=data, affine=affine), np.array(sidecar["TemplateToScannerAffineRAS"]))


def _make_copy(study: Study, row: dict, image: dict, head: Head, sight: simulate.Sight, spacing: int) -> tuple:
    began = time.monotonic()
    copy, truth = simulate.plant(head, image["planted"], seed=image["seed"], sight=sight)
    volume, _ = crop.to_int16(crop.to_canonical(copy.data, copy.affine, head.template_to_scanner))
    paths = _paths(study, image["image_id"], spacing)
    png_sha256 = images.save_png(paths["screenshot"], screenshot.screenshot(volume))
    if spacing == 1:
        images.save_volume(paths["volume"], volume, np.array(geometry.CANONICAL_AFFINE))
    else:
        images.save_volume(paths["volume"], crop.to_coarse_int16(volume, spacing), crop.coarse_affine(spacing))
    simulation = {
        "simulated": True,
        "derived_from": row["source"]["image_id"],
        "seed": image["seed"],
        "from": "copy of a scan of this study",
        "fingerprint": _fingerprint(image),
        **truth,
    }
    sidecar = {
        "Description": f"simulated copy of {row['source']['image_id']}, in its alignment",
        "Sources": [str(row["aligned"]["volume_path"])],
        "SpatialReference": template.NAME,
        "Resolution": f"{spacing} mm isotropic",
        "PreprocessingPreset": row["aligned"]["preprocessing_preset"],
        "QcbenchSimulation": simulation,
    }
    durable.write_text(paths["sidecar"], bids.to_json(sidecar))
    catalogued = {
        **row["source"],
        "image_id": image["image_id"],
        "source_path": row["source"]["bids_path"],
        "bids_path": None,
        "file_md5": None,
        "voxels_sha256": images.voxels_sha256(copy),
        "simulated": True,
        "derived_from": row["source"]["image_id"],
        "simulation": json.dumps(simulation, sort_keys=True, ensure_ascii=False),
        # What the source's header says of an injection is not so of the copy.
        "dicom_gadolinium": None,
        "contrast_agent": None,
    }
    aligned = {
        **row["aligned"],
        "image_id": image["image_id"],
        "volume_path": study.relative(paths["volume"]),
        "screenshot_path": study.relative(paths["screenshot"]),
        "screenshot_sha256": png_sha256,
        "source_voxels_sha256": catalogued["voxels_sha256"],
        "seconds": round(time.monotonic() - began, 3),
    }
    return catalogued, aligned


def _sources(study: Study, source: str) -> list[dict]:
    """Return catalogue and preprocessed row of each scan that copies are made of, in the order of their ids."""
    catalogue = {row["image_id"]: row for row in store.require(study, "images", "ingest")}
    aligned = store.require(study, "preprocessed", "preprocess")
    usable = {
        row["image_id"]: row
        for row in aligned
        if not row["error"] and row["image_id"] in catalogue and catalogue[row["image_id"]]["bids_path"]
    }
    if source == "all":
        chosen = usable
    elif source in ("tier1", "tier2", "tier3"):
        tier = int(source[-1])
        chosen = {row["image_id"] for row in store.require(study, "consensus", "consensus") if row["tier"] == tier}
    else:
        raise UsageError(f"copies are made from all, tier1, tier2 or tier3; got {source!r}")
    sources = [{"source": catalogue[name], "aligned": usable[name]} for name in sorted(usable) if name in chosen]
    if not sources:
        raise StudyError(
            f"{study.folder} has no preprocessed scan of {source}; label and run qcbench consensus, or take --from all"
        )
    return sources


def _plan(sources: list[dict], *, n: int, seed: int) -> Iterator[dict]:
    """Yield name, source, seed and what is to be planted of each copy; a longer plan begins like a shorter one."""
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        # Every source gets every class: the turn of the classes shifts by one each time round.
        place, turn = number % len(sources), number // len(sources)
        name = bids.parse(sources[place]["source"]["image_id"])
        yield {
            "image_id": str(name.with_entities(acq=f"sim{seed}", run=f"{number + 1:04d}")),
            "place": place,
            "source_voxels_sha256": sources[place]["source"]["voxels_sha256"],
            "preset": sources[place]["aligned"]["preprocessing_preset"],
            "seed": int(rng.integers(2**31)),
            "planted": planted(_CLASSES[(place + turn) % len(_CLASSES)], rng),
        }


def planted(quality_class: str, rng: np.random.Generator) -> dict:
    """Return what makes an image of a class (tier1, tier2, tier3 or straight_reject), drawn evenly."""
    reject = quality_class == "straight_reject"
    grades = dict.fromkeys(schema.GRADED, 0)
    highest = {"tier2": 1, "tier3": 2}.get(quality_class, 0)
    while max(grades.values()) < highest:
        grades = {name: int(rng.integers(0, highest + 1)) for name in grades}
    return {
        "straight_reject": reject,
        "kind": str(rng.choice(simulate.KINDS)) if reject else None,
        "gadolinium": bool(not reject and rng.random() < 0.5),
        **grades,
    }


def _work(sources: list[dict], todo: list[dict]) -> Iterator[dict]:
    """Yield rows for the worker: a source and up to eight copies to be made of it."""
    of_source: dict[int, list[dict]] = {}
    for image in todo:
        of_source.setdefault(image["place"], []).append(image)
    part = 0
    for turn in range(max((math.ceil(len(group) / _COPIES_A_ROW) for group in of_source.values()), default=0)):
        for place, group in sorted(of_source.items()):
            if batch := group[turn * _COPIES_A_ROW : (turn + 1) * _COPIES_A_ROW]:
                yield {"part": part, **sources[place], "images": batch}
                part += 1


def _made(study: Study, spacing: int) -> dict[str, str]:
    """Return the fingerprint of each copy whose files are there, by image_id."""
    there = {}
    for row in store.rows(study, "images"):
        if row["simulation"] and row["bids_path"] is None:
            paths = _paths(study, row["image_id"], spacing)
            if all(path.is_file() for path in paths.values()):
                there[row["image_id"]] = json.loads(row["simulation"]).get("fingerprint")
    aligned = {row["image_id"] for row in store.rows(study, "preprocessed")}
    return {name: fingerprint for name, fingerprint in there.items() if name in aligned}


def _fingerprint(image: dict) -> str:
    """Return a hash of all that a copy depends on besides the code."""
    content = json.dumps({key: value for key, value in image.items() if key != "place"}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _paths(study: Study, image_id: str, spacing: int) -> dict[str, Path]:
    name = bids.parse(image_id).with_entities(space=template.SPACE, res=f"{spacing}x{spacing}x{spacing}")
    folder = study.derivatives / name.folder
    return {
        "volume": folder / f"{name}.nii.gz",
        "sidecar": folder / f"{name}.json",
        "screenshot": folder / f"{name.with_entities(desc='slices')}.png",
    }


def _counts(study: Study, plan: list[dict]) -> dict[str, int]:
    """Return how many copies there are of each class, by what was measured."""
    names = {image["image_id"] for image in plan}
    rows = [row for row in store.rows(study, "images") if row["image_id"] in names]
    truths = [json.loads(row["simulation"]) for row in rows]
    graded = [truth for truth in truths if not truth["planted"]["straight_reject"]]
    tiers = [max(truth["planted"][name] for name in schema.GRADED) for truth in graded]
    as_asked = sum(all(truth["planted"][name] == truth["asked"][name] for name in schema.GRADED) for truth in graded)
    return {
        "copies": len(truths),
        "straight_rejects": len(truths) - len(graded),
        **{f"tier_{grade + 1}": tiers.count(grade) for grade in range(3)},
        "with_gadolinium": sum(truth["planted"]["gadolinium"] for truth in graded),
        "graded_as_asked": as_asked,
    }
