"""The coordinator's page: how the labelling goes, how far raters agree, what waits. Not for raters."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from qcbench import store
from qcbench.annotate import progress
from qcbench.errors import QcbenchError, StudyError
from qcbench.study import Study
from qcbench.widgets.identity import LOGGED_IN
from qcbench.widgets.transport import Transport, static_text


class Coordinator(Transport):
    """Progress, pace, drift and agreement of all raters, and the list of what waits.

    ``Coordinator(study)``. It shows what raters must not see of each other before the consensus:
    who logged in as a rater of the study is refused. Agreement is that of the last
    ``qcbench agreement``; everything else is read afresh when the page asks.
    """

    _esm = static_text("transport.js", "coordinator.js")
    _css = static_text("coordinator.css")

    def __init__(self, study: Study | str | Path, *, theme: str = "dark") -> None:
        super().__init__(theme=theme)
        self.problem: str | None = None
        self._study: Study | None = None
        try:
            opened = Study.of(study)
            _refuse_raters(opened)
            self._study = opened
        except QcbenchError as error:
            self.problem = str(error)

    def receive(self, message: object) -> Iterable[tuple[dict, bytes | None]]:
        """Return the state of the labelling; whatever else is asked is refused."""
        if self._study is None:
            return [({"kind": "problem", "why": self.problem}, None)]
        if not isinstance(message, dict) or message.get("kind") not in ("hello", "ping"):
            return [({"kind": "refused", "why": "the message is of no known kind"}, None)]
        if message["kind"] == "ping":
            return [({"kind": "pong"}, None)]
        try:
            return [({"kind": "state", **_state(self._study)}, None)]
        except (QcbenchError, OSError) as error:
            return [({"kind": "problem", "why": str(error)}, None)]


def _refuse_raters(study: Study) -> None:
    for source in LOGGED_IN:
        if os.environ.get(source) in study.all_raters:
            raise StudyError(
                f"{os.environ[source]!r} is a rater of this study, and raters work blind to each other. "
                "This page is for the coordinator: log in under a name that labels nothing."
            )


def _state(study: Study) -> dict:
    agreement = [
        {name: row[name] for name in ("characteristic", "statistic", "raters", "value", "low", "high", "n", "reason")}
        for row in store.rows(study, "agreement")
    ]
    return {
        "study": study.folder.name,
        "raters": [_plain(row) for row in progress.by_rater(study)],
        "days": [_plain(row) for row in progress.by_day(study)],
        "agreement": agreement,
        "waiting": progress.waiting(study),
        "n_consensus": len(store.rows(study, "consensus")),
        "n_stale": len(store.stale_consensus(study)),
        "asked_at": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _plain(row: dict) -> dict:
    return {
        name: value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
        for name, value in row.items()
    }
