"""Degraded copies of known severity, made of the scans of a study: the verb `simulate`.

A copy goes the way of its source: the source's bias field is removed, the artefact is made in the
voxels that the scanner stored, and the source's own transform takes it to the template in one
interpolation. So a copy in which nothing was planted is its source, voxel for voxel, but for its
surroundings. Nothing is aligned again, which is what a copy of a truncated head would not survive.
"""

from __future__ import annotations

import hashlib
import json
import time
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np

import qcbench
from qcbench import durable, images, parallel, schema, store
from qcbench.errors import UsageError
from qcbench.imaging import crop, geometry, isolate, landmarks, screenshot, simulate, template
from qcbench.imaging.heads import Head
from qcbench.imaging.simulate import grades
from qcbench.prepare import bids, draws, limits, one_image, presets
from qcbench.study import Study
from qcbench.summary import Summary

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

    Sources are the scans whose consensus is tier 1 (2, 3), or with ``all`` every preprocessed scan
    that is not known to be a straight reject. A quarter of the copies each are made to be tier 1,
    2, 3 and straight reject; half of all that are not rejected have gadolinium. What the source has
    itself counts too: a grade is the higher of the source's, where it is known, and the added one's.
    `spacing` (mm) is that of the stored volumes: at 2 or 4 they serve training at that spacing
    only; the copy itself is always made in the source's voxels. What is there already is kept;
    with the same seed and sources a higher `n` adds to it. Raises UsageError for an unknown option,
    StudyError when no source is to be had.
    """
    began = time.monotonic()
    study = Study.of(study)
    if spacing not in SPACINGS:
        raise UsageError(f"spacing must be one of {', '.join(map(str, SPACINGS))} mm, got {spacing!r}")
    if n < 1 or seed < 0:
        raise UsageError(f"n must be 1 or more and seed 0 or more, got {n} and {seed}")
    sources = draws.sources(study, source)
    plan = list(draws.plan(sources, n=n, seed=seed))
    made = _made(study, spacing)
    todo = [image for image in plan if made.get(image["image_id"]) != _fingerprint(image)]
    rows = list(draws.batches(sources, todo))
    worker = partial(make_copies, study_folder=study.folder, spacing=spacing)
    summary = Summary(stage="simulate", unchanged=len(plan) - len(todo))
    with (
        parallel.pool(executor, workers, len(rows)) as pool,
        parallel.progress("simulate", len(todo), show=show_progress) as advance,
        # The catalogue is left last, so that it reaches the disk first: no row without its catalogue row.
        store.collect(study, "preprocessed") as preprocessed,
        store.collect(study, "images") as catalogue,
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
    summary.facts.update({"sources": len(sources), "spacing_mm": spacing, **_counts(study, plan)})
    summary.notes += _notes(study, sources, source)
    summary.seconds = time.monotonic() - began
    return summary


def make_copies(row: dict, *, study_folder: Path, spacing: int) -> dict:
    """Return rows of `images` and `preprocessed` of one source's copies (`made`), and why others `failed`; a worker."""
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

    `image` and `aligned` are its rows of `images` and `preprocessed`. Native code runs in a process
    of its own. Raises ImageError for a file that cannot be read, WorkerError when that process dies.
    """
    bounds = limits.of(aligned["preprocessing_preset"])
    data, affine, _, _ = isolate.call(
        one_image.corrected,
        study.absolute(image["bids_path"]),
        presets.by_name(aligned["preprocessing_preset"]),
        timeout_s=bounds.timeout_s,
        memory_gb=bounds.most_gb,
    )
    sidecar = one_image.read_sidecar(study.absolute(aligned["volume_path"]))
    return landmarks.locate(images.Volume(data=data, affine=affine), np.array(sidecar["TemplateToScannerAffineRAS"]))


def _make_copy(study: Study, row: dict, image: dict, head: Head, sight: simulate.Sight, spacing: int) -> tuple:
    """Write one copy; return its rows of `images` and `preprocessed`."""
    began = time.monotonic()
    source = row["source"]
    copy, truth = simulate.plant(head, image["planted"], seed=image["seed"], sight=sight)
    volume, _ = crop.to_int16(crop.to_canonical(copy.data, copy.affine, head.template_to_scanner))
    paths = one_image.output_paths(image["image_id"], study.derivatives, spacing=spacing)
    png_sha256 = images.save_png(paths["screenshot"], screenshot.screenshot(volume, study.convention))
    if spacing == 1:
        images.save_volume(paths["volume"], volume, np.array(geometry.CANONICAL_AFFINE))
    else:
        images.save_volume(paths["volume"], crop.to_coarse_int16(volume, spacing), crop.coarse_affine(spacing))
    simulation = {
        "simulated": True,
        "derived_from": source["image_id"],
        "seed": image["seed"],
        "from": "copy of a scan of this study",
        "fingerprint": _fingerprint(image),
        "grades_sha256": grades.tables_sha256(),
        "qcbench": qcbench.__version__,
        **truth,
        "added": truth["planted"],
        "source": row["judged"],
        "planted": _together(truth["planted"], row["judged"]),
    }
    durable.write_text(paths["sidecar"], bids.to_json(_sidecar(row, simulation, spacing)))
    catalogued = {
        **source,
        "image_id": image["image_id"],
        "source_path": source["bids_path"],
        "bids_path": None,
        "file_md5": None,
        "voxels_sha256": images.voxels_sha256(copy),
        "simulated": True,
        "derived_from": source["image_id"],
        "simulation": json.dumps(simulation, sort_keys=True, ensure_ascii=False),
        # What the source's header says is not so of the copy.
        **dict.fromkeys(("dicom_gadolinium", "contrast_agent", "series_description", "study_description", "n_slices")),
    }
    preprocessed = {
        **row["aligned"],
        "image_id": image["image_id"],
        "volume_path": study.relative(paths["volume"]),
        "screenshot_path": study.relative(paths["screenshot"]),
        "screenshot_sha256": png_sha256,
        "convention": study.convention,
        "source_voxels_sha256": catalogued["voxels_sha256"],
        "seconds": round(time.monotonic() - began, 3),
    }
    return catalogued, preprocessed


def _sidecar(row: dict, simulation: dict, spacing: int) -> dict:
    return {
        "Description": f"simulated copy of {row['source']['image_id']}, in its alignment",
        "Sources": [str(row["aligned"]["volume_path"])],
        "SpatialReference": template.NAME,
        "TemplateSha256": row["aligned"]["template_sha256"],
        "SkullStripped": False,
        "Resolution": f"{spacing} mm isotropic",
        "PreprocessingPreset": row["aligned"]["preprocessing_preset"],
        "QcbenchSimulation": simulation,
    }


def _together(added: dict, judged: dict | None) -> dict:
    """Return what a copy has: what was added to it, and what its source had before."""
    if judged is None or added["straight_reject"]:
        return added
    worse = {name: max(added[name], judged[name] or 0) for name in schema.GRADED}
    return {**added, **worse, "gadolinium": added["gadolinium"] or bool(judged["gadolinium"])}


def _made(study: Study, spacing: int) -> dict[str, str]:
    """Return the fingerprint of each copy that is there at this spacing, by image_id."""
    aligned = {row["image_id"]: row for row in store.rows(study, "preprocessed")}
    made = {}
    for row in store.rows(study, "images"):
        if not schema.is_copy(row) or row["image_id"] not in aligned:
            continue
        paths = one_image.output_paths(row["image_id"], study.derivatives, spacing=spacing)
        is_this_one = aligned[row["image_id"]]["volume_path"] == study.relative(paths["volume"])
        if is_this_one and all(path.is_file() for path in paths.values()):
            made[row["image_id"]] = json.loads(row["simulation"]).get("fingerprint")
    return made


def _fingerprint(image: dict) -> str:
    """Return a hash of all that a copy depends on besides the code."""
    plan = {key: value for key, value in image.items() if key != "place"}
    content = json.dumps({**plan, "grades": grades.tables_sha256()}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _counts(study: Study, plan: list[dict]) -> dict[str, int]:
    """Return how many copies there are of each class, by what was measured."""
    names = {image["image_id"] for image in plan}
    rows = [row for row in store.rows(study, "images") if row["image_id"] in names]
    truths = [json.loads(row["simulation"]) for row in rows]
    graded = [truth for truth in truths if not truth["planted"]["straight_reject"]]
    tiers = [max(truth["planted"][name] for name in schema.GRADED) for truth in graded]
    as_asked = sum(all(truth["added"][name] == truth["asked"][name] for name in schema.GRADED) for truth in graded)
    return {
        "copies": len(truths),
        "straight_rejects": len(truths) - len(graded),
        **{f"tier_{grade + 1}": tiers.count(grade) for grade in range(3)},
        "with_gadolinium": sum(truth["planted"]["gadolinium"] for truth in graded),
        "graded_as_asked": as_asked,
    }


def _notes(study: Study, sources: list[dict], source: str) -> list[str]:
    notes = ["The copies are simulated, and so is every result on them; no rater is asked to label them."]
    unjudged = sum(row["judged"] is None for row in sources)
    if unjudged:
        notes.append(f"{unjudged} sources were never judged: the grades of their copies are what was added to them.")
    if source != "all" and (stale := store.stale_consensus(study)):
        notes.append(f"the consensus of {len(stale)} images is older than their labels; run qcbench consensus first")
    chosen = {row["source"]["image_id"] for row in sources}
    left = sum(schema.is_copy(row) and row["derived_from"] not in chosen for row in store.rows(study, "images"))
    if left:
        notes.append(f"{left} copies of earlier runs are of scans that are not among these sources; they were kept")
    return notes
