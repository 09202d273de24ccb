"""Which copies are made of which scans: drawn once from a seed, the same on every machine."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator

import numpy as np

from qcbench import schema, store
from qcbench.errors import StudyError, UsageError
from qcbench.imaging import simulate
from qcbench.prepare import bids, t1linear
from qcbench.study import Study

#: The classes of a pool, a quarter of the copies each.
_CLASSES = ("tier1", "straight_reject", "tier2", "tier3")
#: Copies that are made of one loaded source at a time: enough to share its 3 seconds, few enough to see progress.
_COPIES_A_ROW = 8


def sources(study: Study, source: str) -> list[dict]:
    """Return, of each scan that copies are made of, its catalogue and preprocessed rows and how it was `judged`."""
    if source not in ("all", "tier1", "tier2", "tier3"):
        raise UsageError(f"copies are made from all, tier1, tier2 or tier3; got {source!r}")
    scans = {row["image_id"]: row for row in store.require(study, "images", "ingest") if t1linear.is_scan(row)}
    aligned = {
        row["image_id"]: row
        for row in store.require(study, "preprocessed", "preprocess")
        # A file that changed since lies elsewhere than the transform says.
        if not row["error"]
        and row["image_id"] in scans
        and row.get("source_voxels_sha256") == scans[row["image_id"]]["voxels_sha256"]
    }
    consensus = store.rows(study, "consensus") if source == "all" else store.require(study, "consensus", "consensus")
    # Of what was simulated to begin with the truth is known without raters.
    judged = {name: json.loads(row["simulation"]).get("planted") for name, row in scans.items() if row["simulation"]}
    judged.update({row["image_id"]: row for row in consensus})
    tiers = {row["image_id"]: row["tier"] for row in consensus}
    found = []
    for name in sorted(aligned):
        known = judged.get(name)
        if (known and known["straight_reject"]) or (source != "all" and tiers.get(name) != int(source[-1])):
            continue
        keys = ("straight_reject", "gadolinium", *schema.GRADED)
        kept = {key: known[key] for key in keys} if known else None
        found.append({"source": scans[name], "aligned": aligned[name], "judged": kept})
    if not found:
        raise StudyError(
            f"{study.folder} has no preprocessed scan of {source}; label and run qcbench consensus, or take --from all"
        )
    return found


def plan(chosen: list[dict], *, n: int, seed: int) -> Iterator[dict]:
    """Yield name, source, seed and what is to be planted of each copy; a longer plan begins like a shorter one.

    Which source a copy is made of, and of which class it is, are drawn apart, so that neither
    speaks for the other; one source more or less changes the copies that fall to it alone.
    """
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        # Every four in a row are one of each class, in an order of their own.
        order = np.random.default_rng([seed, number // len(_CLASSES), *b"classes"]).permutation(_CLASSES)
        place = max(range(len(chosen)), key=lambda each: _lot(seed, number, chosen[each]["source"]["image_id"]))
        scan = chosen[place]
        name = bids.parse(scan["source"]["image_id"])
        yield {
            "image_id": str(name.with_entities(acq=f"sim{seed}", run=f"{number + 1:04d}")),
            "place": place,
            "source_voxels_sha256": scan["source"]["voxels_sha256"],
            "source_screenshot_sha256": scan["aligned"]["screenshot_sha256"],
            "template_sha256": scan["aligned"]["template_sha256"],
            "preset": scan["aligned"]["preprocessing_preset"],
            "judged": scan["judged"],
            "seed": int(rng.integers(2**31)),
            "planted": planted(str(order[number % len(_CLASSES)]), rng),
        }


def _lot(seed: int, number: int, image_id: str) -> bytes:
    return hashlib.sha256(f"{seed} {number} {image_id}".encode()).digest()


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


def batches(chosen: list[dict], todo: list[dict]) -> Iterator[dict]:
    """Yield rows for the worker: a source and up to eight copies to be made of it."""
    of_source: dict[int, list[dict]] = {}
    for image in todo:
        of_source.setdefault(image["place"], []).append(image)
    part = 0
    for turn in range(max((math.ceil(len(group) / _COPIES_A_ROW) for group in of_source.values()), default=0)):
        for place, group in sorted(of_source.items()):
            if batch := group[turn * _COPIES_A_ROW : (turn + 1) * _COPIES_A_ROW]:
                yield {"part": part, **chosen[place], "images": batch}
                part += 1
