"""Which images a rater labels, and in what order.

The order differs between raters, so that fatigue does not fall on the same images, and it stays
the same when images are added: an image's place follows from a hash of the rater and its id. Some
images come a second time, much later and unannounced, for the agreement of a rater with
themselves. A study may give the order as a table instead.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from qcbench import schema, store
from qcbench.errors import StudyError, UsageError
from qcbench.study import Study

#: An image that came this few images ago is still remembered, so a repeat of it says nothing.
MIN_GAP = 30
#: Only images of the first part are repeated, so that each repeat has the rest of the queue to hide in.
_REPEATED_UNTIL = 0.75
_LEAST_WAIT = 0.25


@dataclass(frozen=True, kw_only=True)
class QueuedImage:
    """One image that waits for a label, or for its hidden repeat; the path is relative to the study."""

    image_id: str
    screenshot_path: str
    screenshot_sha256: str
    purpose: str = "label"
    volume_path: str | None = None
    convention: str | None = None

    @property
    def slot(self) -> tuple[str, str]:
        """What a label belongs to: the image, and whether it is the first showing or the repeat."""
        return self.image_id, self.purpose


def order(
    preprocessed: Iterable[Mapping[str, object]],
    *,
    rater: str,
    excluded: Collection[str] = (),
    repeat_share: float = 0.0,
) -> list[QueuedImage]:
    """Return the images that have a screenshot and are not excluded, in this rater's order.

    `repeat_share` of them come a second time with the purpose ``repeat``, at least `MIN_GAP`
    places later.

    >>> rows = [{"image_id": f"sub-{n}", "screenshot_path": f"{n}.png"} for n in range(3)]
    >>> [image.image_id for image in order(rows, rater="alice", excluded={"sub-1"})]
    ['sub-0', 'sub-2']
    """
    images = [queued(row) for row in preprocessed if row["screenshot_path"] and row["image_id"] not in excluded]
    placed = [(_fraction(rater, image.image_id), image) for image in images]
    for place, image in list(placed):
        drawn = _fraction(rater, image.image_id, "repeat")
        if place < _REPEATED_UNTIL and drawn < repeat_share / _REPEATED_UNTIL:
            wait = _LEAST_WAIT + (1 - _LEAST_WAIT) * _fraction(rater, image.image_id, "wait")
            placed.append((place + (1 - place) * wait, replace(image, purpose="repeat")))
    placed.sort(key=lambda each: (each[0], *each[1].slot))
    return _without_near_repeats([image for _, image in placed])


def load(study: Study, rater: str) -> list[QueuedImage]:
    """Return the rater's queue as the tables of the study give it; empty before preprocessing.

    Of a study with a sample only the sampled images are queued. Images of the sub-study `volume_sample` come again
    after all others, to be labelled from the whole volume. Raises StudyError when the study
    does not know the rater, or when the table that gives the order cannot be followed.
    """
    study.require_rater(rater)
    sampled = set(store.read(study, "sample").column("image_id").to_pylist())
    rows = [row for row in labellable(study) if not sampled or row["image_id"] in sampled]
    if study.order_file is None:
        waiting = order(rows, rater=rater, repeat_share=study.repeat_share)
    else:
        waiting = _in_given_order(order(rows, rater=rater), study, rater)
    again = set(store.read(study, "volume_sample").column("image_id").to_pylist())
    return waiting + [
        replace(image, purpose="volume") for image in waiting if image.purpose == "label" and image.image_id in again
    ]


def labellable(study: Study, *columns: str) -> list[dict]:
    """Return the images that a rater may be asked for: participant, screenshot, those columns of the catalogue.

    They have a screenshot and are neither excluded nor copies: nobody is asked for the grades of a
    copy, for they are known. Raises UsageError when the catalogue has no such column.
    """
    catalogue = store.read(study, "images")
    for name in columns:
        if name not in catalogue.column_names:
            raise UsageError(f"{name!r} is no column of the catalogue; it has {', '.join(catalogue.column_names)}")
    wanted = {"image_id", "participant_id", "excluded_reason", *schema.COPY_COLUMNS, *columns}
    drawn = {
        row["image_id"]: row
        for row in store.read(study, "preprocessed")
        .select(["image_id", "screenshot_path", "screenshot_sha256", "volume_path", "convention"])
        .to_pylist()
        if row["screenshot_path"]
    }
    return [
        {**row, **drawn[row["image_id"]]}
        for row in catalogue.select(sorted(wanted)).to_pylist()
        if row["image_id"] in drawn and not (row["excluded_reason"] or schema.is_copy(row))
    ]


def queued(row: Mapping[str, object], purpose: str = "label") -> QueuedImage:
    """Return an image as it waits in a queue, from its row of `labellable`."""
    return QueuedImage(
        purpose=purpose,
        image_id=row["image_id"],
        screenshot_path=row["screenshot_path"],
        screenshot_sha256=row.get("screenshot_sha256") or "",
        volume_path=row.get("volume_path"),
        convention=row.get("convention"),
    )


def _fraction(*texts: str) -> float:
    """Return a number from 0 to 1 that follows from the texts and looks drawn."""
    digest = hashlib.sha256("\n".join(texts).encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48


def _without_near_repeats(images: list[QueuedImage]) -> list[QueuedImage]:
    """Leave out a repeat that would come too soon. Images that are added only move the two apart."""
    first = {image.image_id: number for number, image in enumerate(images) if image.purpose == "label"}
    return [
        image
        for number, image in enumerate(images)
        if image.purpose == "label" or number - first[image.image_id] > MIN_GAP
    ]


def _in_given_order(images: list[QueuedImage], study: Study, rater: str) -> list[QueuedImage]:
    """Return the images in the order of the study's table, then those that it does not name.

    The table is CSV with the column image_id; with a column rater a line is for that rater alone,
    with a column purpose it may be a repeat.
    """
    path = study.absolute(study.order_file)
    by_id = {image.image_id: image for image in images}
    given: dict[tuple[str, str], QueuedImage] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.DictReader(file)
            if "image_id" not in (lines.fieldnames or ()):
                raise StudyError(f"{path} needs a column image_id; it has {', '.join(lines.fieldnames or ['none'])}")
            for line in lines:
                if line.get("rater") and line["rater"] != rater:
                    continue
                purpose = line.get("purpose") or "label"
                if purpose not in ("label", "repeat"):
                    raise StudyError(
                        f"{path}, line {lines.line_num}: purpose must be label, repeat or empty, got {purpose!r}"
                    )
                image = by_id.get(line["image_id"])
                if image is None:
                    raise StudyError(
                        f"{path}, line {lines.line_num}: {line['image_id']!r} is no image that can be labelled here "
                        "(not in the study or its sample, excluded, a copy, or without a screenshot)"
                    )
                image = replace(image, purpose=purpose)
                given.setdefault(image.slot, image)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StudyError(f"{path}, which study.toml names as the order, cannot be read: {error}") from error
    return [*given.values(), *(image for image in images if image.slot not in given)]
