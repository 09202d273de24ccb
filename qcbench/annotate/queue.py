"""Which images a rater labels, and in what order.

The order differs between raters, so that fatigue does not fall on the same images, and it stays
the same when images are added: an image's place follows from a hash of the rater and its id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from qcbench import schema, store
from qcbench.study import Study


@dataclass(frozen=True, kw_only=True)
class QueuedImage:
    """One image that waits for a label; the path is relative to the study folder."""

    image_id: str
    screenshot_path: str


def order(
    preprocessed: Iterable[Mapping[str, object]], *, rater: str, excluded: Collection[str] = ()
) -> list[QueuedImage]:
    """Return the images that have a screenshot and are not excluded, in this rater's order.

    >>> rows = [{"image_id": f"sub-{n}", "screenshot_path": f"{n}.png"} for n in range(3)]
    >>> [image.image_id for image in order(rows, rater="alice", excluded={"sub-1"})]
    ['sub-0', 'sub-2']
    """
    images = [
        QueuedImage(image_id=row["image_id"], screenshot_path=row["screenshot_path"])
        for row in preprocessed
        if row["screenshot_path"] and row["image_id"] not in excluded
    ]
    return sorted(images, key=lambda image: _place(rater, image.image_id))


def load(study: Study, rater: str) -> list[QueuedImage]:
    """Return the rater's queue as the tables of the study give it; empty before preprocessing.

    Raises StudyError when the study does not know the rater.
    """
    study.require_rater(rater)
    columns = ["image_id", "excluded_reason", "bids_path", "simulated", "derived_from"]
    catalogue = store.read(study, "images").select(columns).to_pylist()
    preprocessed = store.read(study, "preprocessed").select(["image_id", "screenshot_path"]).to_pylist()
    # Nobody is asked for the grades of a copy: they are known.
    asked = {row["image_id"] for row in catalogue if not (row["excluded_reason"] or schema.is_copy(row))}
    return order([row for row in preprocessed if row["image_id"] in asked], rater=rater)


def _place(rater: str, image_id: str) -> bytes:
    return hashlib.sha256(f"{rater}\n{image_id}".encode()).digest()
