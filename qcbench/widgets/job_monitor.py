"""The page that watches long work: how it goes, its curves, its log, and a button that stops it."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterable
from pathlib import Path

from qcbench.errors import QcbenchError
from qcbench.jobs import Job, jobs
from qcbench.study import Study
from qcbench.widgets.transport import Transport, static_text

_MOST_JOBS = 20
_LOG_LINES = 40


class JobMonitor(Transport):
    """The jobs of a study, the latest first: ``JobMonitor(study)``, also after the kernel was started again.

    Of a training it draws the loss and the balanced accuracy of each fold while it learns. The page asks every few
    seconds; nothing runs in the kernel. A job is stopped by its button, and goes on when the same verb is started
    again.
    """

    _esm = static_text("transport.js", "job_monitor.js")
    _css = static_text("job_monitor.css")

    def __init__(self, study: Study | str | Path, *, theme: str = "dark") -> None:
        super().__init__(theme=theme)
        self.problem: str | None = None
        self._study: Study | None = None
        try:
            self._study = Study.of(study)
        except QcbenchError as error:
            self.problem = str(error)

    def receive(self, message: object) -> Iterable[tuple[dict, bytes | None]]:
        """Return how the jobs go; stop one of them."""
        if self._study is None:
            return [({"kind": "problem", "why": self.problem}, None)]
        kind = message.get("kind") if isinstance(message, dict) else None
        if kind == "ping":
            return [({"kind": "pong"}, None)]
        if kind not in ("hello", "stop"):
            return [({"kind": "refused", "why": "the message is of no known kind"}, None)]
        try:
            found = jobs(self._study)[:_MOST_JOBS]
            if kind == "stop":
                for job in found:
                    if job.job_id == message.get("job"):
                        job.stop()
            return [({"kind": "state", "jobs": [self._told(job) for job in found]}, None)]
        except (QcbenchError, OSError, ValueError) as error:
            return [({"kind": "problem", "why": str(error)}, None)]

    def _told(self, job: Job) -> dict:
        known = job.status()
        is_training = job.asked["verb"] == "train"
        return {
            "job": job.job_id,
            "verb": job.asked["verb"],
            "options": " ".join(job.asked["arguments"][2:]),
            "where": job.asked["where"],
            "asked_at": job.asked["asked_at"],
            "state": known["state"],
            "exit_status": known.get("exit_status"),
            "heartbeat_at": known.get("heartbeat_at"),
            "facts": _facts(known.get("summary")),
            "log": job.log().replace("\r", "\n").splitlines()[-_LOG_LINES:],
            "curves": self._curves(job.job_id) if is_training else [],
        }

    def _curves(self, job_id: str) -> list[dict]:
        """Return the epochs of each fold that the job fits or has fitted."""
        found = []
        for path in sorted(self._study.runs.glob("*/fold-*/curves.csv")):
            # A file that is just being replaced, or that somebody damaged, shall not hide all other jobs.
            with contextlib.suppress(OSError, ValueError):
                if (path.parent / "job.txt").read_text(encoding="utf-8") == job_id:
                    with path.open(newline="", encoding="utf-8") as file:
                        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
                    found.append({"run": path.parents[1].name, "fold": path.parent.name, "epochs": rows})
        return found


def _facts(summary: dict | None) -> dict:
    if not summary:
        return {}
    counts = {name: summary[name] for name in ("done", "unchanged", "seconds") if name in summary}
    return {**counts, "failed": len(summary.get("failed") or {})}
