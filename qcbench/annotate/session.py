"""One rater's labelling session as a state machine: messages in, messages out, no widget.

Besides what every page may say (`conversation`):

    from the browser                                      to the browser
    hello                                                 state, or problem
    label    key, event_id, replaces, answers, ...        ack when it is on the disk, else nack
    defer    key                                          deferred when it is on the disk
    summary                                               summary

A nack with ``retry`` means: keep the label and send it again; without it the label can never be
accepted as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

from qcbench import images
from qcbench.annotate import queue
from qcbench.annotate.conversation import AHEAD, BEHIND, Conversation, Outgoing, disk_refused, nack
from qcbench.annotate.journal import Journal
from qcbench.annotate.messages import Refused, Submission, read_event_id, read_label
from qcbench.annotate.queue import QueuedImage
from qcbench.annotate.volumes import Volumes
from qcbench.errors import LabelError, QcbenchError, StudyError
from qcbench.protocol import Protocol
from qcbench.study import Study

_WHY_LIMIT = 300


class Session(Conversation):
    """What one rater sees and notes."""

    def __init__(
        self,
        images_to_label: list[QueuedImage],
        journal: Journal,
        protocol: Protocol,
        read_screenshot: Callable[[QueuedImage], bytes],
        *,
        salt: str = "",
        volumes: Volumes | None = None,
    ) -> None:
        super().__init__(images_to_label, protocol, read_screenshot, person=journal.rater, salt=salt, volumes=volumes)
        self._journal = journal
        self.kinds |= {"hello": self._hello, "label": self._label, "defer": self._defer, "summary": self._summary}

    @classmethod
    def open(cls, study: Study, rater: str) -> Session:
        """Return the session of a rater of a study; nothing is written.

        Raises StudyError when there is no such rater or nothing to label, TableError when an
        earlier label cannot be read.
        """
        waiting = queue.load(study, rater)
        if not waiting:
            raise StudyError(
                f"there is nothing to label yet: no image of the study {study.folder.name!r} has a screenshot. "
                f"Make them with: qcbench preprocess {study.folder}"
            )
        return cls(
            waiting,
            Journal(study, rater),
            study.protocol,
            lambda image: images.read_png(study.absolute(image.screenshot_path)),
            salt=study.salt,
            volumes=Volumes(study, of_all=study.open_volume),
        )

    def _hello(self, message: dict) -> list[Outgoing]:
        """Start or resume: what was labelled before, in that order, what waits, and what was put off."""
        self._journal.refresh()
        keys = {image.slot: key for key, image in self.pictures.items()}
        before = [keys[slot] for slot in self._journal.labelled() if slot in keys]
        put_off = [keys[slot] for slot in self._journal.deferred() if slot in keys]
        placed = {*before, *put_off}
        self.walk = before + [key for key in self.pictures if key not in placed] + put_off
        state = {
            "kind": "state",
            "rater": self._journal.rater,
            "protocol": self.protocol.for_display(),
            "desk": self.desk,
            "total": len(self.walk),
            "cursor": len(before),
            "n_deferred": len(put_off),
            "done_today": self._journal.n_on(datetime.now().astimezone()),
            "ahead": AHEAD,
            "behind": BEHIND,
        }
        return [Outgoing(state)]

    def about(self, image: QueuedImage) -> dict:
        """Return the label that counts for an image, as the page shows it; null when it has none."""
        # Of a hidden repeat nothing is said; that an image is to be labelled from its volume is no secret.
        seen = {"from_volume": True} if image.purpose == "volume" else {}
        event = self._journal.current(image.slot)
        if event is None:
            return {"label": None, **seen}
        label = {
            "event_id": event["event_id"],
            "answers": self._journal.answers(image.slot),
            "comment": event["comment"] or "",
            "saved_at": event["saved_at"].isoformat(timespec="seconds"),
            "n_revisions": self._journal.n_revisions(image.slot),
        }
        return {"label": label, **seen}

    def _defer(self, message: dict) -> list[Outgoing]:
        key = self.known(message.get("key"))
        try:
            self._journal.defer(self.pictures[key].slot)
        except OSError as error:
            raise Refused(f"it cannot be put off: {disk_refused(error)}") from error
        return [Outgoing({"kind": "deferred", "key": key})]

    def _label(self, message: dict) -> list[Outgoing]:
        event_id = read_event_id(message)
        try:
            return [self._accept(read_label(message))]
        except Refused as refusal:
            return [nack(event_id, str(refusal), retry=False)]
        except QcbenchError:
            # Its text may name an image; the rater can do nothing with it but call for help.
            return [nack(event_id, "the label does not fit the table; tell the coordinator", retry=False)]
        except OSError as error:
            return [nack(event_id, disk_refused(error, "the label"), retry=True)]

    def _accept(self, submission: Submission) -> Outgoing:
        image = self.pictures.get(submission.key)
        if image is None:
            raise Refused("the label is for an image that is not in this session; load the page again")
        known = self._journal.find(submission.event_id)
        if known is not None:
            if (known["image_id"], known["purpose"]) != image.slot:
                raise Refused("this event id belongs to another image")
            return self._ack(known)
        if submission.key not in self.painted:
            return nack(submission.event_id, "the picture was not reported as painted yet", retry=True)
        return self._replace(submission, image)

    def _replace(self, submission: Submission, image: QueuedImage) -> Outgoing:
        """Write the label if it replaces exactly the version that counts now."""
        current = self._journal.current(image.slot)
        if submission.replaces and self._journal.find(submission.replaces) is None:
            return nack(submission.event_id, "the label that this one replaces is not saved yet", retry=True)
        if submission.replaces != (current and current["event_id"]):
            raise Refused("this image was labelled meanwhile, in another page; look at it again")
        if current and not submission.reason:
            raise Refused("this image has a label; a new one needs a reason")
        try:
            label = self.protocol.check(submission.answers)
        except LabelError as error:
            raise Refused(str(error)[:_WHY_LIMIT]) from error
        event = self._journal.append(
            event_id=submission.event_id,
            slot=image.slot,
            label=label,
            screenshot_sha256=image.screenshot_sha256,
            supersedes=submission.replaces,
            comment=submission.comment,
            reason=submission.reason,
            seconds=submission.seconds,
            display=submission.display,
        )
        return self._ack(event)

    def _ack(self, event: Mapping[str, object]) -> Outgoing:
        saved_at = event["saved_at"].isoformat(timespec="seconds")
        elsewhere = self._journal.labelled_elsewhere((event["image_id"], event["purpose"]))
        return Outgoing({"kind": "ack", "event_id": event["event_id"], "saved_at": saved_at, "elsewhere": elsewhere})

    def _class(self, answers: Mapping[str, object]) -> str:
        """Return the tier, or where a protocol has none the part of the scale that its first level lies in."""
        tier = self.protocol.tier(answers)
        if tier is not None:
            return f"tier {tier}"
        return next(iter(self.protocol.bands(answers).values()), "labelled")

    def _summary(self, message: dict) -> list[Outgoing]:
        """Count the rater's own labels: straight rejects, and the others by tier."""
        counts: Counter = Counter()
        for image in self.pictures.values():
            answers = self._journal.answers(image.slot)
            if answers is None:
                counts["waiting"] += 1
                continue
            ended = [
                each.label.lower() for each in self.protocol.criteria if each.ends_label and answers.get(each.name)
            ]
            counts[ended[0] if ended else self._class(answers)] += 1
        return [Outgoing({"kind": "summary", "counts": dict(sorted(counts.items()))})]
