"""A joint review as a state machine: one reviewer's page, and what the other did meanwhile.

Besides what every page may say (`conversation`):

    from the browser                                       to the browser
    hello                                                  state
    look                                                   reviews: how far each image is
    propose  key, event_id, answers, comment               ack when it is on the disk, else nack
    sign     key, event_id, proposal_id                    ack, else nack
    object   key, event_id, proposal_id, comment           ack, else nack

A picture comes with both raters' labels and with its review; an ack brings the review as it is now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qcbench import images, schema
from qcbench.annotate.conversation import AHEAD, BEHIND, Conversation, Outgoing, disk_refused, nack
from qcbench.annotate.messages import COMMENT_LIMIT, Refused, read_event_id, read_text
from qcbench.annotate.queue import QueuedImage, labellable, queued
from qcbench.annotate.review import Review, ReviewJournal
from qcbench.annotate.volumes import Volumes
from qcbench.errors import LabelError, QcbenchError, ReviewError, StudyError
from qcbench.protocol import Protocol
from qcbench.study import Study


class ReviewSession(Conversation):
    """What one reviewer sees and does; only the disagreements on straight reject come before them."""

    def __init__(
        self,
        disagreements: list[QueuedImage],
        journal: ReviewJournal,
        protocol: Protocol,
        read_screenshot: Callable[[QueuedImage], bytes],
        *,
        salt: str = "",
        volumes: Volumes | None = None,
    ) -> None:
        super().__init__(disagreements, protocol, read_screenshot, person=journal.reviewer, salt=salt, volumes=volumes)
        self._journal = journal
        self.walk = list(self.pictures)
        self.kinds |= {
            "hello": self._hello,
            "look": self._look,
            "propose": self._propose,
            "sign": self._sign,
            "object": self._object,
        }

    @classmethod
    def open(cls, study: Study, reviewer: str) -> ReviewSession:
        """Return the session of a reviewer; nothing is written.

        Raises StudyError when there is no such rater or nothing to review, TableError when an
        earlier review cannot be read.
        """
        journal = ReviewJournal(study, reviewer)
        waiting = set(journal.open)
        if not waiting:
            raise StudyError(
                f"no image of the study {study.folder.name!r} waits for a joint review by {reviewer!r}. When raters "
                f"have labelled, the coordinator makes the list with: qcbench consensus {study.folder}"
            )
        disagreements = [
            queued(row, "review")
            for row in sorted(labellable(study), key=lambda row: row["image_id"])
            if row["image_id"] in waiting
        ]
        return cls(
            disagreements,
            journal,
            study.protocol,
            lambda image: images.read_png(study.absolute(image.screenshot_path)),
            salt=study.salt,
            volumes=Volumes(study, of_all=True),  # both have labelled, so there is nothing left to bias
        )

    def about(self, image: QueuedImage) -> dict:
        """Return what both raters noted, and how far the review is."""
        labels = [
            {
                "rater": row["rater"],
                "answers": {name: row[name] for name in schema.CHARACTERISTICS if row[name] is not None},
                "comment": row["comment"] or "",
            }
            for row in self._journal.open.get(image.image_id, [])
        ]
        return {"labels": labels, "review": self._review(image)}

    def _hello(self, message: dict) -> list[Outgoing]:
        self._journal.refresh()
        state = {
            "kind": "state",
            "reviewer": self._journal.reviewer,
            "protocol": self.protocol.for_display(),
            "desk": self.desk,
            "total": len(self.walk),
            "ahead": AHEAD,
            "behind": BEHIND,
            "reviews": self._all_reviews(),
        }
        return [Outgoing(state)]

    def _look(self, message: dict) -> list[Outgoing]:
        """Tell how far each image is: the other reviewer works on a page of their own."""
        self._journal.refresh()
        return [Outgoing({"kind": "reviews", "reviews": self._all_reviews()})]

    def _all_reviews(self) -> list[dict]:
        return [self._review(self.pictures[key]) for key in self.walk]

    def _review(self, image: QueuedImage) -> dict:
        review = self._journal.reviews.get(image.image_id, Review())
        return {
            "is_settled": review.is_settled,
            "is_open": image.image_id in self._journal.open,
            "reviewers": review.reviewers,
            "proposal": _for_page(review.proposal, self._journal.reviewer),
            "objection": _for_page(review.objection, self._journal.reviewer),
        }

    def _propose(self, message: dict) -> list[Outgoing]:
        def write(image_id: str, event_id: str) -> None:
            answers = message.get("answers")
            if not isinstance(answers, dict):
                raise Refused("a proposal carries its answers")
            try:
                verdict = self.protocol.check(answers)
            except LabelError as error:
                raise Refused(str(error)) from error
            self._journal.propose(image_id, event_id, verdict, read_text(message, "comment", COMMENT_LIMIT))

        return self._written(message, write)

    def _sign(self, message: dict) -> list[Outgoing]:
        return self._written(
            message, lambda image_id, event_id: self._journal.sign(image_id, event_id, _proposal_id(message))
        )

    def _object(self, message: dict) -> list[Outgoing]:
        def write(image_id: str, event_id: str) -> None:
            comment = read_text(message, "comment", COMMENT_LIMIT) or ""
            self._journal.object_to(image_id, event_id, _proposal_id(message), comment)

        return self._written(message, write)

    def _written(self, message: dict, write: Callable[[str, str], object]) -> list[Outgoing]:
        """Carry out what writes an event; the answer says whether it is on the disk."""
        event_id = read_event_id(message)
        image = self.pictures[self.known(message.get("key"))]
        try:
            known = self._journal.find(event_id)
            if known is not None and known["image_id"] != image.image_id:
                raise Refused("this event id belongs to another image")
            if known is None and message["key"] not in self.painted:
                return [nack(event_id, "the picture was not reported as painted yet", retry=True)]
            if known is None:
                write(image.image_id, event_id)
        except (Refused, ReviewError) as refusal:
            return [nack(event_id, str(refusal), retry=False)]
        except QcbenchError:
            return [nack(event_id, "the review does not fit the table; tell the coordinator", retry=False)]
        except OSError as error:
            return [nack(event_id, disk_refused(error, "the review"), retry=True)]
        return [Outgoing({"kind": "ack", "event_id": event_id, "review": self._review(image)})]


def _proposal_id(message: dict) -> str:
    value = message.get("proposal_id")
    if not isinstance(value, str):
        raise Refused("it names the proposal that was on the screen")
    return value


def _for_page(event: Mapping | None, reviewer: str) -> dict | None:
    if event is None:
        return None
    return {
        "event_id": event["event_id"],
        "by": event["reviewer"],
        "is_own": event["reviewer"] == reviewer,
        "answers": {name: event[name] for name in schema.CHARACTERISTICS if event[name] is not None},
        "comment": event["comment"] or "",
        "saved_at": event["saved_at"].isoformat(timespec="seconds"),
    }
