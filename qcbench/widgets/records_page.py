"""The page of who looks after the records: what came, what is flagged, which repairs wait for a decision."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from qcbench.errors import QcbenchError, UsageError
from qcbench.records import audit, curate
from qcbench.records.database import UNAVAILABLE, Database, open_database
from qcbench.records.overview import overview
from qcbench.study import Study
from qcbench.widgets.identity import LOGGED_IN
from qcbench.widgets.newest import Newest
from qcbench.widgets.transport import Transport, static_text

Answer = tuple[dict, bytes | None]

_AWAY = "the records database cannot be reached; the page asks again"
_LONGEST_TEXT = 2_000
_ANSWERS_KEPT = 200
_OF_MEMBER = ("flag", "item_id", "modality", "scanner", "found", "proposed", "state", "decided")


class RecordsPage(Transport):
    """Counts, flags, proposed repairs to accept or refuse, ratings without an image, and the audit log verified.

    ``RecordsPage(study)`` opens the records database of the study, or the one that QCBENCH_DATABASE_URL names. A
    decision is in the database, under the name of who logged in (else of the Unix account), before the page shows it
    as saved. No subject reaches the page and nobody's rating. What is wrong is said on the page (`problem`).
    """

    _esm = static_text("transport.js", "records_view.js", "records_page.js")
    _css = static_text("records_page.css")

    def __init__(self, study: Study | str | Path, *, theme: str = "dark") -> None:
        super().__init__(theme=theme)
        self.problem: str | None = None
        self._database: Database | None = None
        logged_in = next((os.environ[name] for name in LOGGED_IN if os.environ.get(name)), None)
        # An e-mail address is kept nowhere in the database; what stands before the @ names a person of the house.
        self._who = logged_in.partition("@")[0] if logged_in else curate.account()
        self._answered: dict[str, dict] = {}
        self._audit: dict = {"state": "unchecked"}
        self._auditor = Newest(self._check_audit)
        try:
            opened = Study.of(study)
            self._name = opened.folder.name
            self._database = open_database(opened)
        except (QcbenchError, OSError) as error:
            self.problem = str(error)

    def receive(self, message: object) -> Iterable[Answer]:
        """Return the state, the members of a group, or whether a decision was stored."""
        if self._database is None:
            return [({"kind": "problem", "why": self.problem}, None)]
        kind = message.get("kind") if isinstance(message, dict) else None
        answer = {
            "ping": lambda _: {"kind": "pong"},
            "hello": self._state,
            "members": self._members,
            "audit": self._asked_for_audit,
            "decide": self._decided,
        }.get(kind)
        if answer is None:
            return [({"kind": "refused", "why": "the message is of no known kind"}, None)]
        try:
            return [(answer(message), None)]
        except QcbenchError as error:
            return [({"kind": "refused", "why": str(error)}, None)]
        except UNAVAILABLE:
            return [({"kind": "away", "why": _AWAY}, None)]

    def _state(self, _message: dict) -> dict:
        with self._database.reading(one_state=True) as connection:
            counted, proposed = overview(connection), curate.proposals(connection)
        return {
            "kind": "state",
            "study": self._name,
            "who": self._who,
            "asked_at": datetime.now().astimezone().isoformat(timespec="seconds"),
            **counted,
            **proposed.to_json(),
        }

    def _members(self, message: dict) -> dict:
        group = _text(message, "group")
        with self._database.reading() as connection:
            found = curate.members(connection, group)
        members = [{name: each[name] for name in _OF_MEMBER} for each in found]
        return {"kind": "members", "group": group, "members": members}

    def _decided(self, message: dict) -> dict:
        """Store a decision; one that is sent again, because its answer was lost, is not decided again."""
        event_id = _text(message, "event_id")
        if event_id not in self._answered:
            try:
                answer = self._decide(message)
            except UNAVAILABLE:
                return {"kind": "nack", "event_id": event_id, "why": _AWAY, "retry": True}
            except QcbenchError as error:
                answer = {"kind": "nack", "why": str(error), "retry": False}
            self._answered[event_id] = {**answer, "event_id": event_id}
            if len(self._answered) > _ANSWERS_KEPT:
                del self._answered[next(iter(self._answered))]
        return self._answered[event_id]

    def _decide(self, message: dict) -> dict:
        until = message.get("until")
        if type(until) is not int:
            raise UsageError(f"until must be the number of the last flag that was shown, got {str(until)[:40]!r}")
        narrowed = {name: _text(message, name) for name in ("item", "scanner") if message.get(name) is not None}
        verdict, group, why = (_text(message, name) for name in ("verdict", "group", "why"))
        with self._database.writing() as connection:
            summary = curate.decide(connection, verdict, group, by=self._who, why=why, until=until, **narrowed)
        return {"kind": "ack", "verdict": verdict, "done": summary.done, "notes": summary.notes}

    def _asked_for_audit(self, message: dict) -> dict:
        """Return how the last check ended; have another one made when asked for, or when there was none."""
        if self._audit["state"] != "checking" and (message.get("again") is True or self._audit["state"] == "unchecked"):
            self._audit = {"state": "checking"}
            self._auditor.put(object())
        return {"kind": "audit", **self._audit}

    def _check_audit(self, _job: object) -> None:
        """Read the whole log in a thread: with many records that takes longer than a page waits."""
        began = time.perf_counter()
        try:
            with self._database.reading(one_state=True) as connection:
                faults, head = audit.verify(connection), audit.head(connection)
        except Exception as error:  # whatever goes wrong in a thread would be seen nowhere
            self._audit = {"state": "failed", "why": f"it could not be read ({type(error).__name__})"}
            return
        self._audit = {
            "state": "broken" if faults else "whole",
            "n_faults": len(faults),
            "faults": faults[:20],
            "head": head,
            "seconds": round(time.perf_counter() - began, 1),
            "checked_at": datetime.now().astimezone().isoformat(timespec="seconds"),
        }


def _text(message: dict, name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise UsageError(f"{name} must be a text, got {type(value).__name__}")
    return value
