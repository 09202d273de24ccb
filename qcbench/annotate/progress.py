"""How the labelling goes, for whoever coordinates it: progress, pace, drift, what waits. Reads all raters' labels."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable
from datetime import datetime

from qcbench import schema, store
from qcbench.annotate import queue
from qcbench.annotate.journal import deferred_of
from qcbench.study import Study

#: Labels nearer than this belong to one sitting; a longer gap is a break.
_SITTING_S = 15 * 60


def by_rater(study: Study) -> list[dict]:
    """Return one row a rater: how far they are and how fast they go.

    Columns are rater, n_images (that they are asked for), n_labelled, n_from_volume, n_repeats, n_put_off,
    n_revisions, share_rejected (0-1), median_seconds an image, labels_per_hour at work,
    hours_left, last_label_at. What cannot be told yet is null.
    """
    return [_row(study, rater) for rater in study.consensus_raters]


def by_day(study: Study) -> list[dict]:
    """Return one row a rater and local day, oldest first: what they noted and how long it took.

    A rater who tires or whose scale moves shows it here. Columns are rater, day, n,
    median_seconds, share_rejected and the mean grade of each graded characteristic.
    """
    rows = []
    for rater in study.consensus_raters:
        days: dict[str, list[dict]] = {}
        for event in _own(study, rater):
            days.setdefault(event["saved_at"].astimezone().date().isoformat(), []).append(event)
        for day, events in sorted(days.items()):
            means = {name: _mean(event[name] for event in events) for name in schema.GRADED}
            rows.append(
                {
                    "rater": rater,
                    "day": day,
                    "n": len(events),
                    "median_seconds": _median(event["seconds"] for event in events),
                    "share_rejected": _mean(event["straight_reject"] for event in events),
                    **{f"mean_{name}": mean for name, mean in means.items()},
                }
            )
    return rows


def waiting(study: Study) -> list[dict]:
    """Return one row for each image that somebody still has to do something about, with who and what.

    Columns are image_id, waits_for (``label``, ``put off`` or ``review``) and raters, joined by a comma.
    """
    labelled = {
        rater: {label["image_id"] for label in store.labels(study, [rater])} for rater in study.consensus_raters
    }
    rows = []
    found: dict[tuple[str, str], list[str]] = {}
    for rater in study.consensus_raters:
        put_off = {image_id for image_id, purpose in deferred_of(study, rater) if purpose == "label"}
        for image in queue.load(study, rater):
            if image.purpose == "label" and image.image_id not in labelled[rater]:
                what = "put off" if image.image_id in put_off else "label"
                found.setdefault((image.image_id, what), []).append(rater)
    for row in store.rows(study, "open_reviews"):
        found.setdefault((row["image_id"], "review"), []).append(row["rater"])
    for (image_id, what), raters in sorted(found.items()):
        rows.append({"image_id": image_id, "waits_for": what, "raters": ",".join(raters)})
    return rows


def _row(study: Study, rater: str) -> dict:
    events = _own(study, rater)
    current = store.fold(events, study)
    asked = {image.image_id for image in queue.load(study, rater) if image.purpose == "label"}
    n_left = len(asked - {label["image_id"] for label in current})
    pace = _labels_per_hour(events)
    labelled = {(label["image_id"], "label") for label in current}
    return {
        "rater": rater,
        "n_images": len(asked),
        "n_labelled": len(current),
        "n_from_volume": len(store.fold(events, study, purpose="volume")),
        "n_repeats": len(store.fold(events, study, purpose="repeat")),
        "n_put_off": len([slot for slot in deferred_of(study, rater) if slot not in labelled]),
        "n_revisions": sum(label["n_revisions"] for label in current),
        "share_rejected": _mean(label["straight_reject"] for label in current),
        "median_seconds": _median(event["seconds"] for event in events),
        "labels_per_hour": pace,
        "hours_left": n_left / pace if pace else None,
        "last_label_at": max((event["saved_at"] for event in events), default=None),
    }


def _own(study: Study, rater: str) -> list[dict]:
    """Return the events of a rater's own work under the study's protocol, in the order in which they were saved."""
    events = [event for event in store.label_events(study, rater) if store.is_of_protocol(event, study.protocol)]
    return sorted(events, key=lambda event: event["saved_at"])


def _labels_per_hour(events: list[dict]) -> float | None:
    """Return the pace within sittings: from one label to the next, breaks left out."""
    moments: list[datetime] = [event["saved_at"] for event in events if event["source"] == "rater"]
    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(moments)]
    at_work = [gap for gap in gaps if gap <= _SITTING_S]
    return 3600 * len(at_work) / sum(at_work) if sum(at_work) > 0 else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _mean(values: Iterable[float | bool | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return statistics.fmean(known) if known else None
