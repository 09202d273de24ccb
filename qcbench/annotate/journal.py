"""What one rater noted: earlier label events, and the log of this session.

A journal reads and writes the folder of one rater and no other, which keeps raters blind to each
other. Who, when and under which protocol is stamped here and never taken from a message. A label
belongs to a slot: an image, and the purpose for which it was shown (`queue.QueuedImage.slot`).
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from qcbench import durable, schema, store
from qcbench.annotate.events import label_event
from qcbench.protocol import Value
from qcbench.study import Study

Slot = tuple[str, str]
#: What a rater's page shows again; the other purposes have pages of their own.
_PURPOSES = ("label", "repeat", "volume")
_DEFERRED = "deferred.json"


class Journal:
    """The label events of one rater, and one `store.SegmentLog` for those of this session.

    Nothing is written before the first `append` or `defer`. Raises StudyError for a stranger and
    TableError when an earlier segment is damaged: an older grade must not come back in its place.
    """

    def __init__(self, study: Study, rater: str) -> None:
        self.rater = study.require_rater(rater)
        self.session = str(uuid.uuid4())
        self._study = study
        self._folder = study.label_folder(rater)
        self._log = store.SegmentLog(self._folder / self.session, "label_events")
        self._sequence = 0
        self._put_off: list[Slot] = []
        self._read()

    def refresh(self) -> None:
        """Take in what other pages of this rater noted meanwhile."""
        self._look_elsewhere()
        if self._elsewhere:
            self._read()

    def _read(self) -> None:
        self._seen = self._sessions()
        self._elsewhere: set[Slot] = set()
        self._events: dict[str, dict] = {}
        self._revisions: dict[Slot, int] = {}
        self._current: dict[Slot, dict] = {}
        # What was noted under another version of the protocol is not shown as an earlier label either.
        everything = store.label_events(self._study, self.rater)
        events = sorted((each for each in everything if store.is_of_protocol(each, self._study.protocol)), key=_when)
        for event in events:
            self._remember(event)
        # Which of several versions counts is the store's rule, so that all readers agree.
        for purpose in _PURPOSES:
            for label in store.fold(events, self._study, purpose=purpose):
                self._current[label["image_id"], purpose] = label
        self._deferred = dict.fromkeys(deferred_of(self._study, self.rater))

    def find(self, event_id: str) -> dict | None:
        """Return the event of that id, of whatever page of this rater; None when there is none."""
        self._look_elsewhere()
        return self._events.get(event_id)

    def current(self, slot: Slot) -> dict | None:
        """Return the label that counts for a slot; None when this rater has not labelled it."""
        return self._current.get(slot)

    def n_revisions(self, slot: Slot) -> int:
        """Return how many earlier versions the current label replaced."""
        return max(self._revisions.get(slot, 0) - 1, 0)

    def labelled(self) -> tuple[Slot, ...]:
        """Return the labelled slots, in the order in which they were first labelled."""
        return tuple(self._current)

    def deferred(self) -> tuple[Slot, ...]:
        """Return the slots that were put off and not labelled since, the first one first."""
        return tuple(slot for slot in self._deferred if slot not in self._current)

    def n_on(self, day: datetime) -> int:
        """Return how many labels, new versions included, were saved on the local day of `day`."""
        return sum(
            event["source"] == "rater" and event["saved_at"].astimezone(day.tzinfo).date() == day.date()
            for event in self._events.values()
        )

    def answers(self, slot: Slot) -> dict[str, Value] | None:
        """Return what the current label notes, one entry a criterion that was noted."""
        event = self._current.get(slot)
        if event is None:
            return None
        noted = {name: event[name] for name in schema.CHARACTERISTICS if event[name] is not None}
        noted.update(json.loads(event["answers"] or "{}"))
        known = {criterion.name for criterion in self._study.protocol.criteria}
        return {name: value for name, value in noted.items() if name in known and value is not None}

    def append(
        self,
        *,
        event_id: str,
        slot: Slot,
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
        if (known := self.find(event_id)) is not None:
            return known
        image_id, purpose = slot
        event = label_event(
            self._study.protocol,
            label,
            rater=self.rater,
            source="rater",
            session=self.session,
            sequence=self._sequence,
            event_id=event_id,
            image_id=image_id,
            purpose=purpose,
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

    def defer(self, slot: Slot) -> None:
        """Put a slot at the end of the queue, durably. Raises OSError when the disk refuses."""
        put_off = [*(each for each in self._put_off if each != slot), slot]
        durable.write_text(self._log.folder / _DEFERRED, json.dumps(put_off))
        self._put_off = put_off
        self._deferred.pop(slot, None)
        self._deferred[slot] = None

    def labelled_elsewhere(self, slot: Slot) -> bool:
        """Return whether another page of this rater labelled the slot since this one read the journal."""
        return slot in self._elsewhere

    def _look_elsewhere(self) -> None:
        """Take note of what other pages of this rater saved; their labels stand beside ours."""
        now = self._sessions()
        changed = [name for name, when in now.items() if self._seen.get(name) != when and name != self.session]
        for name in changed:
            for event in store.read_log(self._folder / name, "label_events")[0]:
                if self._events.setdefault(event["event_id"], event) is event:
                    self._elsewhere.add((event["image_id"], event["purpose"]))
        self._seen = now

    def _sessions(self) -> dict[str, int]:
        return _sessions(self._folder)

    def _remember(self, event: dict) -> None:
        self._events[event["event_id"]] = event
        if event["purpose"] in _PURPOSES:
            slot = event["image_id"], event["purpose"]
            self._current[slot] = event
            self._revisions[slot] = self._revisions.get(slot, 0) + 1


def _when(event: dict) -> tuple:
    return event["saved_at"], event["session"], event["sequence"]


def deferred_of(study: Study, rater: str) -> list[Slot]:
    """Return the slots that a rater ever put off, the earliest session's first; some are labelled by now."""
    folder = study.label_folder(rater)
    sessions = _sessions(folder)
    return [slot for name in sorted(sessions, key=sessions.get) for slot in _read_deferred(folder / name)]


def _sessions(folder: Path) -> dict[str, int]:
    """Return the session folders and when each was last changed (a rename into a folder changes it)."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_mtime_ns for entry in entries if entry.is_dir()}
    return {}


def _read_deferred(session: Path) -> list[Slot]:
    try:
        slots = json.loads((session / _DEFERRED).read_bytes())
        return [(str(image_id), str(purpose)) for image_id, purpose in slots]
    except (OSError, ValueError, TypeError):
        return []  # an order of work, no label: nothing is lost without it
