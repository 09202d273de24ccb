"""Joint reviews: what two raters decide together where they disagree on straight reject.

One proposes a verdict, the other signs it or objects with a word. All of it is kept as events, one
folder a reviewer and session, like labels; the raters' own labels are never changed. A verdict
counts for the labels that lay before the reviewers: when one of them is revised, the image waits
for a review again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from qcbench import schema, store
from qcbench.errors import ReviewError, TableError
from qcbench.study import Study


@dataclass(frozen=True, kw_only=True)
class Review:
    """How far the review of one image is: the latest proposal, who signed it, what was objected.

    `proposal`, `signature` and `objection` are events, or None.
    """

    proposal: Mapping | None = None
    signature: Mapping | None = None
    objection: Mapping | None = None

    @property
    def is_settled(self) -> bool:
        """Whether two people stand under the same verdict."""
        return self.signature is not None

    @property
    def reviewers(self) -> list[str]:
        """Who proposed and who signed."""
        return sorted({self.proposal["reviewer"], self.signature["reviewer"]}) if self.is_settled else []


def reviews(events: Iterable[Mapping], label_event_ids: Mapping[str, Sequence[str]] | None = None) -> dict[str, Review]:
    """Return the review of each image that has one, folded from all reviewers' events.

    A signature counts when somebody else than the proposer signs the latest proposal with the same
    verdict and the same grades. With `label_event_ids`, the labels of each image that count now,
    events that were made over other labels are left out. An answer comes after the proposal that it names, though the
    clock of the reviewer's machine may be behind the proposer's.
    """
    found: dict[str, Review] = {}
    for event in _in_order(list(events)):
        image_id, seen = event["image_id"], event.get("label_event_ids")
        now = None if label_event_ids is None else label_event_ids.get(image_id)
        if seen is not None and label_event_ids is not None and (now is None or set(seen) != set(now)):
            continue
        found[image_id] = _after(found.get(image_id, Review()), event)
    return found


def _in_order(events: Sequence[Mapping]) -> list[Mapping]:
    proposed_at = {event["event_id"]: event["saved_at"] for event in events if event["role"] == "proposes"}

    def place(event: Mapping) -> tuple:
        answered_at = proposed_at.get(event.get("proposal_id"), event["saved_at"])
        return max(event["saved_at"], answered_at), event["role"] != "proposes", event["event_id"]

    return sorted(events, key=place)


def _after(review: Review, event: Mapping) -> Review:
    if event["role"] == "proposes":
        return Review(proposal=event)
    proposal = review.proposal
    if proposal is None or proposal["reviewer"] == event["reviewer"]:
        return review
    if event.get("proposal_id") not in (None, proposal["event_id"]):
        return review
    if event["role"] == "objects":
        return Review(objection=event)
    same = all(proposal[name] == event[name] for name in schema.CHARACTERISTICS)
    return Review(proposal=proposal, signature=event) if same else review


def settled(found: Mapping[str, Review]) -> dict[str, dict]:
    """Return the verdict of each review that two people signed, with `reviewers`, by image."""
    return {
        image_id: {**review.proposal, "reviewers": review.reviewers}
        for image_id, review in found.items()
        if review.is_settled
    }


def events_of(study: Study) -> list[dict]:
    """Return the review events of all reviewers. Raises TableError when a segment is damaged."""
    events, damaged = store.read_log(study.folder / "reviews", "review_events")
    if damaged:
        raise TableError("; ".join(damaged))
    return events


class ReviewJournal:
    """The review events of a study, and the log of one reviewer's session; nothing is written before an event.

    What others wrote meanwhile is read before each event, so that nobody signs what has changed. Only images that the
    reviewer labelled are `open` to them.
    """

    def __init__(self, study: Study, reviewer: str) -> None:
        self.reviewer = study.require_rater(reviewer)
        self._study = study
        self._log = store.SegmentLog(study.review_folder(reviewer) / str(uuid.uuid4()), "review_events")
        self.refresh()

    def refresh(self) -> None:
        """Read everything afresh."""
        waiting: dict[str, list[dict]] = {}
        for row in store.rows(self._study, "open_reviews"):
            waiting.setdefault(row["image_id"], []).append(row)
        # Who has not labelled an image still has to, blind to what the others noted.
        self.open = {
            image_id: rows for image_id, rows in waiting.items() if self.reviewer in {row["rater"] for row in rows}
        }
        events = events_of(self._study)
        self._known = {event["event_id"]: event for event in events}
        self.reviews = reviews(events, {image_id: self.label_event_ids(image_id) for image_id in self.open})

    def label_event_ids(self, image_id: str) -> list[str]:
        """Return the labels over which an image is reviewed."""
        return sorted(row["event_id"] for row in self.open[image_id])

    def find(self, event_id: str) -> dict | None:
        """Return the event of that id, whoever made it; None when there is none."""
        return self._known.get(event_id)

    def propose(self, image_id: str, event_id: str, verdict: Mapping[str, object], comment: str | None) -> dict:
        """Write a proposal durably and return its event.

        `verdict` has the five characteristics; grades are null for a reject, and for an image that
        is kept with the grades that exist. Raises ReviewError when the image waits for no review,
        OSError when the disk refuses.
        """
        return self._write(image_id, event_id, "proposes", verdict, comment, proposal_id=None)

    def sign(self, image_id: str, event_id: str, proposal_id: str) -> dict:
        """Sign somebody else's proposal. Raises ReviewError when it is one's own or was replaced."""
        proposal = self._proposal(image_id, proposal_id)
        verdict = {name: proposal[name] for name in schema.CHARACTERISTICS}
        return self._write(image_id, event_id, "countersigns", verdict, None, proposal_id=proposal_id)

    def object_to(self, image_id: str, event_id: str, proposal_id: str, comment: str) -> dict:
        """Refuse somebody else's proposal with a word. Raises ReviewError as `sign` does, or without a word."""
        proposal = self._proposal(image_id, proposal_id)
        if not comment.strip():
            raise ReviewError("an objection needs a word: say what you see")
        verdict = {name: proposal[name] for name in schema.CHARACTERISTICS}
        return self._write(image_id, event_id, "objects", verdict, comment, proposal_id=proposal_id)

    def _proposal(self, image_id: str, proposal_id: str) -> Mapping:
        self.refresh()
        proposal = self.reviews.get(image_id, Review()).proposal
        if proposal is None or proposal["event_id"] != proposal_id:
            raise ReviewError("the proposal was changed or withdrawn meanwhile; look at it again")
        if proposal["reviewer"] == self.reviewer:
            raise ReviewError("nobody signs their own proposal: the other reviewer does, from their own page")
        return proposal

    def _write(
        self,
        image_id: str,
        event_id: str,
        role: str,
        verdict: Mapping[str, object],
        comment: str | None,
        *,
        proposal_id: str | None,
    ) -> dict:
        self.refresh()
        known = self.find(event_id)
        if known is not None:
            return known
        if image_id not in self.open:
            raise ReviewError("this image waits for no review any more")
        if self.reviews.get(image_id, Review()).is_settled:
            raise ReviewError("two people have settled this image already")
        event = {
            "event_id": event_id,
            "image_id": image_id,
            "reviewer": self.reviewer,
            "role": role,
            **{name: verdict.get(name) for name in schema.CHARACTERISTICS},
            "comment": (comment or "").strip() or None,
            "proposal_id": proposal_id,
            "label_event_ids": self.label_event_ids(image_id),
            "saved_at": datetime.now(UTC),
        }
        self._log.append(event)
        self.refresh()
        return event
