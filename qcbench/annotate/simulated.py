"""Two simulated raters for the demo: they know what was planted, and err as people do.

Their labels carry the source ``simulated`` and every result that rests on them says so. The
error rates give kappas near those that Bottani et al. 2022 found between two trained raters
(0.88 for straight reject and gadolinium, 0.7 to 0.8 for the grades).
"""

from __future__ import annotations

import json
import random
import time

from qcbench import schema, store
from qcbench.annotate.events import label_event
from qcbench.study import Study
from qcbench.summary import Summary

RATERS = ("sim-1", "sim-2")
_YES_NO_ERROR = {"straight_reject": 0.03, "gadolinium": 0.05}
#: The chance that a grade is given one step off.
_GRADE_ERROR = 0.12


def noted(planted: dict, rng: random.Random) -> dict:
    """Return what a simulated rater notes of an image in which `planted` was planted."""
    if _flip(planted["straight_reject"], "straight_reject", rng):
        return {"straight_reject": True}
    # A straight reject that slipped through has no planted grades: it looks poor to the rater.
    grades = {name: planted.get(name) for name in schema.GRADED}
    return {
        "gadolinium": _flip(bool(planted.get("gadolinium")), "gadolinium", rng),
        **{name: _graded(2 if grade is None else grade, rng) for name, grade in grades.items()},
    }


def label_all(study: Study, *, raters: tuple[str, ...] = RATERS, seed: int = 0) -> Summary:
    """Label every image that has a screenshot, as each of the simulated raters.

    Images in which nothing was planted are taken for good ones without gadolinium. Labelling
    again adds only images that are new.
    """
    started = time.monotonic()
    planted = {row["image_id"]: _planted(row) for row in store.rows(study, "images")}
    copies = {row["image_id"] for row in store.rows(study, "images") if schema.is_copy(row)}
    visible = sorted(
        row["image_id"]
        for row in store.rows(study, "preprocessed")
        if row["screenshot_path"] and row["image_id"] not in copies
    )
    hashes = {row["image_id"]: row["screenshot_sha256"] for row in store.rows(study, "preprocessed")}
    done = unchanged = 0
    for rater in raters:
        earlier = {event["image_id"] for event in store.label_events(study, rater)}
        missing = [image_id for image_id in visible if image_id not in earlier]
        unchanged += len(visible) - len(missing)
        session = f"simulated-{len(earlier):06d}"
        log = store.SegmentLog(study.label_folder(rater) / session, "label_events")
        rows = []
        for sequence, image_id in enumerate(missing):
            rng = random.Random(f"{seed} {rater} {image_id}")  # noqa: S311 - not for secrets
            rows.append(
                label_event(
                    study.protocol,
                    study.protocol.check(noted(planted[image_id], rng)),
                    rater=rater,
                    source="simulated",
                    session=session,
                    sequence=sequence,
                    event_id=f"{session}-{rater}-{sequence:06d}",
                    image_id=image_id,
                    screenshot_sha256=hashes[image_id],
                )
            )
        log.extend(rows)
        done += len(rows)
    return Summary(
        stage="label (simulated raters)",
        done=done,
        unchanged=unchanged,
        notes=[f"{' and '.join(raters)} are simulated."],
        seconds=time.monotonic() - started,
    )


def _planted(row: dict) -> dict:
    simulation = json.loads(row["simulation"] or "{}")
    good = {"straight_reject": False, "gadolinium": False, **dict.fromkeys(schema.GRADED, 0)}
    return {**good, **(simulation.get("planted") or {})}


def _flip(value: bool, name: str, rng: random.Random) -> bool:
    return (not value) if rng.random() < _YES_NO_ERROR[name] else value


def _graded(grade: int, rng: random.Random) -> int:
    if rng.random() >= _GRADE_ERROR:
        return grade
    return 1 if grade in (0, 2) else rng.choice((0, 2))
