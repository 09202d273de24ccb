"""One rater's labelling session as a state machine: messages in, messages out, no widget.

The browser is not trusted: whatever a message claims is checked here, and neither identity nor
image ids nor paths travel in either direction. An image has a key that cannot be guessed, comes
with the picture alone, and is the same for every session of a rater: a label that could not be
saved is sent again to the next kernel, and still belongs to the picture that was on the screen.

    from the browser                                      to the browser
    hello                                                 state, or problem
    goto     position, missing                            image (with the PNG as buffer), one each
    painted  key
    label    key, event_id, replaces, answers, ...        ack when it is on the disk, else nack
    defer    key                                          deferred when it is on the disk
    exemplars criterion                                   exemplar (with its picture as buffer), one a choice
    summary                                               summary
    ping                                                  pong

A nack with ``retry`` means: keep the label and send it again; without it the label can never be
accepted as it is. Anything else that cannot be acted on is answered with ``refused``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from qcbench import images
from qcbench.annotate import queue
from qcbench.annotate.journal import Journal
from qcbench.annotate.messages import Refused, Submission, read_event_id, read_label
from qcbench.annotate.queue import QueuedImage
from qcbench.errors import ImageError, LabelError, ProtocolError, QcbenchError, StudyError
from qcbench.protocol import Protocol
from qcbench.study import Study

#: How far around the image on the screen pictures are sent ahead.
AHEAD, BEHIND = 3, 2
_WHY_LIMIT = 300


class Outgoing(NamedTuple):
    """One message to the browser: plain JSON values, and the PNG file for an image."""

    content: dict
    buffer: bytes | None = None


class Session:
    """What one rater sees and notes. `receive` takes one message and returns the answers to it.

    `read_screenshot` returns the PNG bytes of a queued image, or raises ImageError or StudyError.
    """

    def __init__(
        self,
        images_to_label: list[QueuedImage],
        journal: Journal,
        protocol: Protocol,
        read_screenshot: Callable[[QueuedImage], bytes],
        *,
        salt: str = "",
    ) -> None:
        self._journal = journal
        self._protocol = protocol
        self._read_screenshot = read_screenshot
        self._desk = _opaque(salt, "desk", journal.rater)
        self._queue = {
            _opaque(salt, journal.rater, *image.slot, image.screenshot_sha256): image for image in images_to_label
        }
        self._walk: list[str] = []
        self._painted: set[str] = set()
        self._answer = {
            "hello": self._hello,
            "goto": self._goto,
            "painted": self._paint,
            "label": self._label,
            "defer": self._defer,
            "exemplars": self._exemplars,
            "summary": self._summary,
            "ping": lambda message: [Outgoing({"kind": "pong"})],
        }

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
        )

    def receive(self, message: object) -> list[Outgoing]:
        """Return the answers to one message from the browser. Never raises for a bad message."""
        kind = message.get("kind") if isinstance(message, dict) else None
        answer = self._answer.get(kind) if isinstance(kind, str) else None
        if answer is None:
            return [Outgoing({"kind": "refused", "why": "the message is of no known kind"})]
        try:
            return answer(message)
        except Refused as refusal:
            return [Outgoing({"kind": "refused", "why": str(refusal)})]

    def _hello(self, message: dict) -> list[Outgoing]:
        """Start or resume: what was labelled before, in that order, what waits, and what was put off."""
        self._journal.refresh()
        keys = {image.slot: key for key, image in self._queue.items()}
        before = [keys[slot] for slot in self._journal.labelled() if slot in keys]
        put_off = [keys[slot] for slot in self._journal.deferred() if slot in keys]
        placed = {*before, *put_off}
        self._walk = before + [key for key in self._queue if key not in placed] + put_off
        state = {
            "kind": "state",
            "rater": self._journal.rater,
            "protocol": self._protocol.for_display(),
            "desk": self._desk,
            "total": len(self._walk),
            "cursor": len(before),
            "n_deferred": len(put_off),
            "done_today": self._journal.n_on(datetime.now().astimezone()),
            "ahead": AHEAD,
            "behind": BEHIND,
        }
        return [Outgoing(state)]

    def _goto(self, message: dict) -> list[Outgoing]:
        self._position(message.get("position"))
        missing = message.get("missing")
        if not isinstance(missing, list) or len(missing) > AHEAD + BEHIND + 1:
            raise Refused(f"goto names at most {AHEAD + BEHIND + 1} missing positions")
        wanted = [self._position(place) for place in missing]
        return [self._picture(place) for place in wanted if place < len(self._walk)]

    def _position(self, value: object) -> int:
        if type(value) is not int or not 0 <= value <= len(self._walk):
            raise Refused(f"a position is a whole number from 0 to {len(self._walk)}")
        return value

    def _picture(self, position: int) -> Outgoing:
        key = self._walk[position]
        image = self._queue[key]
        content = {"kind": "image", "position": position, "key": key, "label": self._earlier(image)}
        try:
            png = self._read_screenshot(image)
            if hashlib.sha256(png).hexdigest() != image.screenshot_sha256:
                raise ImageError("CHANGED", f"{image.screenshot_path} is not the picture that preprocess drew")
        except (ImageError, StudyError):
            # The reason names the file, and file names hold participant ids.
            return Outgoing({**content, "error": "the picture is missing or damaged; tell the coordinator"})
        return Outgoing(content, png)

    def _earlier(self, image: QueuedImage) -> dict | None:
        event = self._journal.current(image.slot)
        if event is None:
            return None
        return {
            "event_id": event["event_id"],
            "answers": self._journal.answers(image.slot),
            "comment": event["comment"] or "",
            "saved_at": event["saved_at"].isoformat(timespec="seconds"),
            "n_revisions": self._journal.n_revisions(image.slot),
        }

    def _paint(self, message: dict) -> list[Outgoing]:
        """Note that a picture was on the screen; its key is the proof that it was sent."""
        self._painted.add(self._known(message.get("key")))
        return []

    def _defer(self, message: dict) -> list[Outgoing]:
        key = self._known(message.get("key"))
        try:
            self._journal.defer(self._queue[key].slot)
        except OSError as error:
            raise Refused(
                f"it cannot be put off: the disk refused ({error.strerror or 'input/output error'})"
            ) from error
        return [Outgoing({"kind": "deferred", "key": key})]

    def _known(self, key: object) -> str:
        if not isinstance(key, str) or key not in self._queue:
            raise Refused("the picture is none that was sent")
        return key

    def _label(self, message: dict) -> list[Outgoing]:
        event_id = read_event_id(message)
        try:
            return [self._accept(read_label(message))]
        except Refused as refusal:
            return [_nack(event_id, str(refusal), retry=False)]
        except QcbenchError:
            # Its text may name an image; the rater can do nothing with it but call for help.
            return [_nack(event_id, "the label does not fit the table; tell the coordinator", retry=False)]
        except OSError as error:
            return [
                _nack(event_id, f"the disk refused the label ({error.strerror or 'input/output error'})", retry=True)
            ]

    def _accept(self, submission: Submission) -> Outgoing:
        image = self._queue.get(submission.key)
        if image is None:
            raise Refused("the label is for an image that is not in this session; load the page again")
        known = self._journal.find(submission.event_id)
        if known is not None:
            if (known["image_id"], known["purpose"]) != image.slot:
                raise Refused("this event id belongs to another image")
            return self._ack(known)
        if submission.key not in self._painted:
            return _nack(submission.event_id, "the picture was not reported as painted yet", retry=True)
        return self._replace(submission, image)

    def _replace(self, submission: Submission, image: QueuedImage) -> Outgoing:
        """Write the label if it replaces exactly the version that counts now."""
        current = self._journal.current(image.slot)
        if submission.replaces and self._journal.find(submission.replaces) is None:
            return _nack(submission.event_id, "the label that this one replaces is not saved yet", retry=True)
        if submission.replaces != (current and current["event_id"]):
            raise Refused("this image was labelled meanwhile, in another page; look at it again")
        if current and not submission.reason:
            raise Refused("this image has a label; a new one needs a reason")
        try:
            label = self._protocol.check(submission.answers)
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

    def _exemplars(self, message: dict) -> list[Outgoing]:
        """Send the pictures that show the choices of one criterion; none where the protocol has none."""
        criterion = next((each for each in self._protocol.criteria if each.name == message.get("criterion")), None)
        if criterion is None:
            raise Refused("exemplars are asked for by the name of a criterion")
        sent = []
        for choice in criterion.choices:
            try:
                picture = self._protocol.read_exemplar(criterion.name, choice.value)
            except ProtocolError:
                continue  # it was there when the protocol was read; labelling goes on without it
            if picture is not None:
                content = {"kind": "exemplar", "criterion": criterion.name, "value": choice.value}
                sent.append(Outgoing(content, picture))
        return sent

    def _summary(self, message: dict) -> list[Outgoing]:
        """Count the rater's own labels: straight rejects, and the others by tier."""
        counts: Counter = Counter()
        for image in self._queue.values():
            answers = self._journal.answers(image.slot)
            if answers is None:
                counts["waiting"] += 1
                continue
            ended = [
                each.label.lower() for each in self._protocol.criteria if each.ends_label and answers.get(each.name)
            ]
            counts[ended[0] if ended else f"tier {self._protocol.tier(answers)}"] += 1
        return [Outgoing({"kind": "summary", "counts": dict(sorted(counts.items()))})]


def _opaque(salt: str, *texts: str) -> str:
    """Return what stands for the texts in a browser: the same each time, and nothing can be read from it."""
    return hmac.new(salt.encode(), "\n".join(texts).encode(), hashlib.sha256).hexdigest()[:32]


def _nack(event_id: str, why: str, *, retry: bool) -> Outgoing:
    return Outgoing({"kind": "nack", "event_id": event_id, "why": why, "retry": retry})
