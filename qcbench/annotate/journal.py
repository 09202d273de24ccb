"""What one rater noted: earlier label events, and the log of this session.

A journal reads and writes the folder of one rater and no other, which keeps raters blind to each
other. Who, when and under which protocol is stamped here and never taken from a message.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping

from qcbench import schema, store
from qcbench.annotate.events import label_event
from qcbench.protocol import Value
from qcbench.study import Study


class Journal:
    """The label events of one rater, and one `store.SegmentLog` for those of this session.

    Nothing is written before the first `append`. Raises StudyError for a stranger and TableError
    when an earlier segment is damaged: an older grade must not come back in its place.
    """

    def __init__(self, study: Study, rater: str) -> None:
        self.rater = study.require_rater(rater)
        self.session = str(uuid.uuid4())
        self._protocol = study.protocol
        self._log = store.SegmentLog(study.label_folder(rater) / self.session, "label_events")
        self._sequence = 0
        self._events: dict[str, dict] = {}
        self._revisions: dict[str, int] = {}
        self._current: dict[str, dict] = {}
        for event in sorted(store.label_events(study, rater), key=_when):
            self._remember(event)
        # Which of several versions counts is the store's rule, so that all readers agree.
        self._current.update({label["image_id"]: label for label in store.labels(study, [rater])})

    def find(self, event_id: str) -> dict | None:
        """Return the event of that id, of this session or an earlier one; None when there is none."""
        return self._events.get(event_id)

    def current(self, image_id: str) -> dict | None:
        """Return the label that counts for an image; None when this rater has not labelled it."""
        return self._current.get(image_id)

    def n_revisions(self, image_id: str) -> int:
        """Return how many earlier versions the current label replaced."""
        return max(self._revisions.get(image_id, 0) - 1, 0)

    def labelled(self) -> tuple[str, ...]:
        """Return the ids of the labelled images, in the order in which they were first labelled."""
        return tuple(self._current)

    def answers(self, image_id: str) -> dict[str, Value] | None:
        """Return what the current label notes, one entry a criterion that was noted."""
        event = self._current.get(image_id)
        if event is None:
            return None
        noted = {name: event[name] for name in schema.CHARACTERISTICS if event[name] is not None}
        noted.update(json.loads(event["answers"] or "{}"))
        known = {criterion.name for criterion in self._protocol.criteria}
        return {name: value for name, value in noted.items() if name in known and value is not None}

    def append(
        self,
        *,
        event_id: str,
        image_id: str,
        label: Mapping[str, Value | None],
        screenshot_sha256: str | None = None,
        supersedes: str | None = None,
        comment: str | None = None,
        reason: str | None = None,
        seconds: float | None = None,
        display: Mapping[str, object] | None = None,
    ) -> dict:
        """Write one label durably and return its event; an event id that is known writes nothing.

        `label` is a whole one, as `Protocol.check` returns it. Raises OSError when the disk
        refuses: then nothing was added, and the same call may be made again.
        """
        if event_id in self._events:
            return self._events[event_id]
        event = label_event(
            self._protocol,
            label,
            rater=self.rater,
            source="rater",
            session=self.session,
            sequence=self._sequence,
            event_id=event_id,
            image_id=image_id,
            screenshot_sha256=screenshot_sha256,
            comment=comment or None,
            reason=reason or None,
            seconds=seconds,
            display=json.dumps(display, sort_keys=True) if display else None,
            supersedes=supersedes,
        )
        self._log.append(event)
        self._sequence += 1
        self._remember(event)
        return event

    def _remember(self, event: dict) -> None:
        self._events[event["event_id"]] = event
        if event["purpose"] == "label":
            self._current[event["image_id"]] = event
            self._revisions[event["image_id"]] = self._revisions.get(event["image_id"], 0) + 1


def _when(event: dict) -> tuple:
    return event["saved_at"], event["session"], event["sequence"]
