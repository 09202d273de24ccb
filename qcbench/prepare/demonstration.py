"""A small warehouse to try qcbench on: NIfTI files with JSON sidecars, all simulated, and said so.

Every image carries in its sidecar what was planted in it (``QcbenchSimulation``), so that
simulated raters and honest tests know the truth. The proportions are near those of Bottani et
al. 2022: a quarter each of straight rejects and of the three tiers, gadolinium in nearly half,
and descriptions that speak of an injection for 84% of the images with gadolinium and 39% of
those without.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qcbench import durable, parallel
from qcbench.errors import UsageError
from qcbench.images import load_volume, save_volume
from qcbench.imaging import landmarks, simulate
from qcbench.imaging.heads import Head, synthetic_head
from qcbench.prepare import bids
from qcbench.summary import Summary

#: Voxel sizes of synthetic heads: one of these left-right, the second both other ways.
_SIDEWAYS_MM, _IN_PLANE_MM = (1.1, 1.2, 1.3), 1.2
#: With fewer images a class would be missing from a fold.
_FEWEST_IMAGES = 40
_CORRUPT = "sub-demo00_ses-01_run-01_T1w"
_CLASSES = ("tier1", "straight_reject", "tier2", "tier3")
#: Grades of motion, contrast and noise; poor contrast is the commonest fault in the paper.
_TIER2 = ((0, 1, 0), (1, 0, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1))
_TIER3 = ((2, 0, 0), (0, 2, 0), (0, 2, 1), (0, 0, 2), (1, 2, 0), (2, 1, 0), (0, 2, 1), (2, 0, 1))

_SCANNERS = (  # manufacturer, model, tesla
    ("Siemens", "Skyra", 3.0),
    ("GE MEDICAL SYSTEMS", "Optima MR450w", 1.5),
    ("Siemens", "Aera", 1.5),
    ("Philips", "Achieva dStream", 3.0),
    ("GE MEDICAL SYSTEMS", "Signa HDxt", 3.0),
    ("Philips", "Ingenia", 1.5),
)
_HOSPITALS = ("Hospital A (simulated)", "Hospital B (simulated)", "Hospital C (simulated)")
_SERIES = ("T1 MPRAGE SAG", "SAG 3D T1 BRAVO", "3D T1 TFE", "AX 3DT1", "t1_mprage_sag_p2_iso", "T1 3D encéphale")
_SERIES_INJECTED = ("T1 MPRAGE SAG GADO", "SAG 3D T1 BRAVO +GADO", "3D T1 TFE inj", "AX 3DT1 post gado", "T1 3D INJ")
_STUDIES = ("IRM cérébrale", "MRI BRAIN", "IRM encéphale", "Brain MRI without contrast", "IRM crâne")
_STUDIES_INJECTED = (
    "IRM cérébrale avec injection",
    "MRI BRAIN W WO GADO",
    "IRM encéphale sans et avec inj",
    "MR Brain IV",
)
#: Share of images whose descriptions speak of an injection, by gadolinium (2,033 of 2,416; 987 of 1,629).
_NOTED = {True: 2033 / 2416, False: 642 / 1629}


def build_warehouse(
    folder: str | Path,
    *,
    images: str | Path | None = None,
    participants: int = 12,
    seed: int = 0,
    workers: int = 2,
    show_progress: bool = True,
) -> Summary:
    """Return what was written into `folder`: a warehouse of simulated T1w images with sidecars.

    Without `images`, about four images of each of `participants` synthetic heads (sub-demo01,
    ...), and one file that is cut short on purpose (`planted_fault` in its sidecar). With
    `images`, a folder of real T1w NIfTI files: each is copied unchanged, then degraded copies of
    it are made, at least 40 images in all; a file that cannot be used is in `failed`.

    Files that are there already are kept (`unchanged`); the same options give the same bytes.
    One process needs about 1 GB. Raises UsageError for an unusable folder or option.
    """
    started = time.monotonic()
    folder = Path(folder)
    if participants < 1:
        raise UsageError(f"participants must be 1 or more, got {participants}")
    heads = list(_synthetic_plan(participants, seed) if images is None else _real_plan(Path(images), seed))
    heads = [{**head, "folder": str(folder)} for head in heads]
    summary = Summary(stage="build-warehouse")
    total = sum(len(head["images"]) for head in heads)
    with (
        parallel.local_executor(min(workers, len(heads))) as executor,
        parallel.progress("simulating images", total, show=show_progress) as advance,
    ):
        for outcome in parallel.map_rows(write_participant, heads, executor, key="head"):
            for _ in range(outcome.get("planned", 0)):
                advance()
            summary.done += outcome.get("done", 0)
            summary.unchanged += outcome.get("unchanged", 0)
            if outcome["error"]:
                summary.failed[outcome["head"]] = outcome["error"]
    if images is None and not summary.failed:
        written = _write_corrupt(folder, heads[0]["images"][0])
        summary.done += written
        summary.unchanged += not written
        summary.facts["planted_fault"] = f"{_CORRUPT}.nii.gz is cut short on purpose"
    summary.facts.update(_counts(heads, summary.failed))
    summary.notes.append("Every image but the unchanged originals is simulated; so is every result on them.")
    summary.seconds = time.monotonic() - started
    return summary


def write_participant(head: dict) -> dict:
    """Return how many of one head's images were written; the worker of `build_warehouse`."""
    folder = Path(head["folder"])
    missing = [image for image in head["images"] if not _is_there(folder, image["image_id"])]
    outcome = {"planned": len(head["images"]), "done": len(missing), "unchanged": len(head["images"]) - len(missing)}
    if head["source"]:
        source = Path(head["source"])
        load_volume(source)  # raises ImageError before anything of a bad file is copied
        outcome["done" if _copy_original(source, folder) else "unchanged"] += 1
    drawn = _head(head["source"], head["seed"], head["spacing_mm"]) if missing else None
    sight = simulate.Sight(drawn) if drawn else None
    for image in missing:
        simulation = image["sidecar"]["QcbenchSimulation"]
        copy, truth = simulate.plant(drawn, simulation["planted"], seed=image["seed"], sight=sight)
        path = folder / f"{image['image_id']}.nii.gz"
        save_volume(path, np.rint(copy.data).clip(0, 32767).astype(np.int16), copy.affine)
        _write_sidecar(folder, image["image_id"], {**image["sidecar"], "QcbenchSimulation": {**simulation, **truth}})
    return outcome


def _head(source: str | None, seed: int, spacing_mm: tuple[float, float, float]) -> Head:
    """Return the head that a participant's images are made of, drawn or located."""
    if source is None:
        return synthetic_head(seed=seed, spacing_mm=spacing_mm)
    return landmarks.locate(load_volume(source))


def _synthetic_plan(participants: int, seed: int) -> Iterator[dict]:
    """Yield one row a participant: the head's seed and grid, and the images to be made of it."""
    for number in range(participants):
        rng = np.random.default_rng([seed, number])
        # Every sixth participant has no straight reject, so that they are a little less than a quarter.
        classes = [name for name in _CLASSES if not (name == "straight_reject" and number % 6 == 5)]
        rng.shuffle(classes)
        participant = f"sub-demo{number + 1:02d}"
        names = (f"{participant}_ses-{1 + (run >= 2):02d}_run-{run % 2 + 1:02d}_T1w" for run in range(len(classes)))
        yield {
            "head": participant,
            "source": None,
            "seed": int(rng.integers(2**31)),
            "spacing_mm": (float(rng.choice(_SIDEWAYS_MM)), _IN_PLANE_MM, _IN_PLANE_MM),
            "images": _images(names, classes, number, None, rng),
        }


def _real_plan(folder: Path, seed: int) -> Iterator[dict]:
    """Yield one row a real head: its file, and the copies to be made of it."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give one that holds T1w NIfTI files (.nii or .nii.gz)")
    sources = sorted(path for path in folder.iterdir() if path.name.endswith((".nii", ".nii.gz")))
    if not sources:
        raise UsageError(f"{folder} holds no .nii or .nii.gz file")
    copies = max(len(_CLASSES), math.ceil(_FEWEST_IMAGES / len(sources)) - 1)
    runs: Counter[str] = Counter()
    for number, source in enumerate(sources):
        rng = np.random.default_rng([seed, number])
        original = bids.parse(bids.stem(source))  # the names that ingest will give
        session = original.entities.get("ses")
        subject = f"sub-{original.entities['sub']}" + (f"_ses-{session}" if session else "")
        classes = [_CLASSES[copy % len(_CLASSES)] for copy in range(copies)]
        first, runs[subject] = runs[subject] + 1, runs[subject] + copies
        names = (f"{subject}_acq-sim_run-{first + copy:02d}_T1w" for copy in range(copies))
        made = _images(names, classes, number, str(original), rng)
        yield {"head": bids.stem(source), "source": str(source), "seed": 0, "spacing_mm": None, "images": made}


def _images(names, classes: list[str], number: int, derived_from: str | None, rng: np.random.Generator) -> list[dict]:
    """Return one row an image: its name, its seed and its whole sidecar."""
    person = _person(number, rng)
    rows = []
    for position, (name, quality_class) in enumerate(zip(names, classes, strict=True)):
        planted = _planted_grades(quality_class, number + position // len(_CLASSES))
        image_seed = int(rng.integers(2**31))
        sidecar = {
            **person,
            **_descriptions(planted["gadolinium"], number, rng),
            "QcbenchSimulation": {
                "simulated": True,
                "derived_from": derived_from,
                "planted": planted,
                "seed": image_seed,
                "from": "real head" if derived_from else "synthetic head",
            },
        }
        rows.append({"image_id": name, "seed": image_seed, "sidecar": sidecar})
    return rows


def _planted_grades(quality_class: str, turn: int) -> dict:
    """Return what is planted; `turn` walks through the kinds, the grades and gadolinium."""
    reject = quality_class == "straight_reject"
    # One step further every six turns, or one scanner and one half of the gadolinium would hold one pattern.
    pattern = turn + turn // 6
    grades = {"tier2": _TIER2[pattern % len(_TIER2)], "tier3": _TIER3[pattern % len(_TIER3)]}
    injected = {"tier1": turn % 3 == 0, "tier2": turn % 2 == 1, "tier3": turn % 2 == 0}.get(quality_class, False)
    return {
        "straight_reject": reject,
        # Every sixth participant has no straight reject and uses up no kind.
        "kind": simulate.KINDS[(turn - turn // 6) % len(simulate.KINDS)] if reject else None,
        "gadolinium": injected,
        **dict(zip(("motion", "contrast", "noise"), grades.get(quality_class, (0, 0, 0)), strict=True)),
    }


def _person(number: int, rng: np.random.Generator) -> dict:
    manufacturer, model, tesla = _SCANNERS[number % len(_SCANNERS)]
    return {
        "Modality": "MR",
        "Manufacturer": manufacturer,
        "ManufacturersModelName": model,
        "MagneticFieldStrength": tesla,
        "InstitutionName": _HOSPITALS[number % len(_HOSPITALS)],
        "PatientAge": f"{rng.integers(19, 89):03d}Y",
        "PatientSex": str(rng.choice(["F", "M"])),
        "BodyPartExamined": "HEAD",
        "MRAcquisitionType": "3D",
    }


def _descriptions(gadolinium: bool, number: int, rng: np.random.Generator) -> dict:
    """Return the two descriptions; whether they speak of an injection is as unreliable as in hospitals."""
    noted = rng.random() < _NOTED[gadolinium]
    in_series = noted and gadolinium and rng.random() < 0.6
    series, studies = (_SERIES_INJECTED if in_series else _SERIES), (_STUDIES_INJECTED if noted else _STUDIES)
    return {
        "SeriesDescription": series[number % len(series)],
        "StudyDescription": studies[int(rng.integers(len(studies)))],
    }


def _is_there(folder: Path, image_id: str) -> bool:
    return (folder / f"{image_id}.nii.gz").is_file() and (folder / f"{image_id}.json").is_file()


def _write_sidecar(folder: Path, image_id: str, sidecar: dict) -> None:
    durable.write_text(folder / f"{image_id}.json", json.dumps(sidecar, indent=2, ensure_ascii=False) + "\n")


def _copy_original(source: Path, folder: Path) -> bool:
    """Copy a real head, and its sidecar where it has one, unchanged; say whether it was missing."""
    copied = False
    for path in (source.with_name(f"{bids.stem(source)}.json"), source):
        if path.is_file() and not (folder / path.name).exists():
            durable.write_bytes(folder / path.name, path.read_bytes())
            copied = path == source
    return copied


def _write_corrupt(folder: Path, image: dict) -> bool:
    """Write the first image again with its end cut off; return whether it was missing."""
    if _is_there(folder, _CORRUPT):
        return False
    whole = (folder / f"{image['image_id']}.nii.gz").read_bytes()
    durable.write_bytes(folder / f"{_CORRUPT}.nii.gz", whole[: len(whole) * 3 // 5])
    simulation = {**image["sidecar"]["QcbenchSimulation"], "planted_fault": True}
    _write_sidecar(folder, _CORRUPT, {**image["sidecar"], "QcbenchSimulation": simulation})
    return True


def _counts(heads: list[dict], failed: dict[str, str]) -> dict[str, int]:
    """Return how many images of each class there are, without the participants that failed."""
    made = [head for head in heads if head["head"] not in failed]
    planted = [image["sidecar"]["QcbenchSimulation"]["planted"] for head in made for image in head["images"]]
    graded = [row for row in planted if not row["straight_reject"]]
    worst = Counter(max(row["motion"], row["contrast"], row["noise"]) for row in graded)
    return {
        "participants": len(made),
        "originals": sum(bool(head["source"]) for head in made),
        "simulated_images": len(planted),
        "straight_rejects": len(planted) - len(graded),
        **{f"tier_{grade + 1}": worst[grade] for grade in range(3)},
        "with_gadolinium": sum(row["gadolinium"] for row in graded),
    }
