"""One label event: the row that a label, an imported label and a simulated label all are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import qcbench
from qcbench.study import Study


def label_event(
    study: Study,
    *,
    rater: str,
    source: str,
    session: str,
    sequence: int,
    event_id: str,
    image_id: str,
    answers: Mapping[str, object],
    saved_at: datetime | None = None,
    **more: object,
) -> dict:
    """Return a row of the label events; what was noted is checked against the protocol.

    `more` are further columns, such as comment, seconds or supersedes. Raises LabelError when the
    answers break the protocol and StudyError when the study does not know the rater.
    """
    study.require_rater(rater)
    return {
        "purpose": "label",
        **more,
        "event_id": event_id,
        "rater": rater,
        "source": source,
        "session": session,
        "sequence": sequence,
        "image_id": image_id,
        **study.protocol.check(answers),
        "saved_at": saved_at or datetime.now(UTC),
        "protocol": study.protocol.name,
        "protocol_sha256": study.protocol.sha256,
        "version": qcbench.__version__,
    }
