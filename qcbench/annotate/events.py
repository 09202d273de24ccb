"""One label event: the row that a label, an imported label and a simulated label all are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import qcbench
from qcbench import schema
from qcbench.protocol import Protocol, Value


def label_event(
    protocol: Protocol,
    label: Mapping[str, Value | None],
    *,
    rater: str,
    source: str,
    session: str,
    sequence: int,
    event_id: str,
    image_id: str,
    saved_at: datetime | None = None,
    **more: object,
) -> dict:
    """Return a row of the label events, stamped with the protocol, the version and the time.

    `label` is a whole one, as `Protocol.check` returns it; `more` are further columns, such as
    comment, seconds or supersedes.
    """
    return {
        **dict.fromkeys(schema.LABEL_EVENTS.column_names),
        "purpose": "label",
        **more,
        **_columns(label),
        "event_id": event_id,
        "rater": rater,
        "source": source,
        "session": session,
        "sequence": sequence,
        "image_id": image_id,
        "saved_at": saved_at or datetime.now(UTC),
        "protocol": protocol.name,
        "protocol_version": protocol.version,
        "protocol_sha256": protocol.sha256,
        "version": qcbench.__version__,
    }


def _columns(label: Mapping[str, Value | None]) -> dict:
    """Return the label as columns; criteria that no column holds go to `answers` as JSON."""
    columns = {name: label.get(name) for name in schema.CHARACTERISTICS}
    others = {name: value for name, value in label.items() if name not in columns}
    columns["straight_reject"] = bool(columns["straight_reject"])
    columns["answers"] = json.dumps(others, sort_keys=True) if others else None
    return columns
