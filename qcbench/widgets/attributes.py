"""The page on which a radiologist marks the descriptions to keep: the list that `qcbench attributes` wrote."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from qcbench.errors import QcbenchError, UsageError
from qcbench.prepare import attributes, marking
from qcbench.widgets.transport import Transport, static_text

#: Values marked by one message at most.
_MOST_CHANGES = 2000


class AttributeMarks(Transport):
    """The list of descriptions in a warehouse, to be marked by keyboard: ``AttributeMarks("list.csv")``.

    Every mark is in the CSV file before the page shows it as saved. Descriptions are free text, in
    which a name may stand: the page is for those who may see them, and nothing of it is kept in a notebook.
    """

    _esm = static_text("transport.js", "attributes.js")
    _css = static_text("attributes.css")

    def __init__(self, path: str | Path, *, theme: str = "dark") -> None:
        super().__init__(theme=theme)
        self._path = Path(path)

    def receive(self, message: object) -> Iterable[tuple[dict, bytes | None]]:
        """Return the list, or whether marks were written."""
        kind = message.get("kind") if isinstance(message, dict) else None
        if kind == "ping":
            return [({"kind": "pong"}, None)]
        if kind == "hello":
            return [(self._state(), None)]
        if kind == "mark" and isinstance(message.get("event_id"), str):
            return [(self._mark(message), None)]
        return [({"kind": "refused", "why": "the message is of no known kind"}, None)]

    def _state(self) -> dict:
        try:
            rows = attributes.read_list(self._path)
        except (QcbenchError, OSError) as error:
            return {"kind": "problem", "why": str(error)}
        if not rows:
            return {
                "kind": "problem",
                "why": f"{self._path} is missing. Make it with: qcbench attributes SOURCE LIST.csv",
            }
        shown = [{column: row.get(column, "") for column in attributes.COLUMNS} for row in rows]
        return {"kind": "state", "rows": shown, "attributes": list(attributes.ATTRIBUTES)}

    def _mark(self, message: dict) -> dict:
        answer = {"event_id": message["event_id"]}
        try:
            marking.mark(self._path, _changes(message.get("changes")))
        except QcbenchError as error:
            return {"kind": "nack", "why": str(error), "retry": False, **answer}
        except OSError as error:
            return {"kind": "nack", "why": f"the disk refused it ({error.strerror})", "retry": True, **answer}
        return {"kind": "ack", **answer}


def _changes(value: object) -> dict[tuple[str, str], str]:
    is_list = isinstance(value, list) and len(value) <= _MOST_CHANGES
    if not is_list or not all(
        isinstance(each, list) and len(each) == 3 and all(isinstance(text, str) for text in each) for each in value
    ):
        raise UsageError(f"at most {_MOST_CHANGES} marks are written at a time, each an attribute, a value and a mark")
    return {(attribute, text): mark for attribute, text, mark in value}
