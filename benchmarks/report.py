"""How long the report of 5,500 labelled images takes from its tables, beside the minute it may take, and its size."""

import tempfile
import time
from pathlib import Path

from qcbench.report import html, safe
from tests.report.paper_study import paper_study

SECONDS_ALLOWED, MEGABYTES_ALLOWED = 60, 15


def measure():
    with tempfile.TemporaryDirectory() as folder:
        study = paper_study(Path(folder) / "study")
        started, used = time.monotonic(), time.process_time()
        summary = html.report(study, compare="paper", show_progress=False)
        seconds, of_processor = time.monotonic() - started, time.process_time() - used
        yield "report of 5,500 images", "seconds", seconds, SECONDS_ALLOWED, "allowed"
        yield "report of 5,500 images", "seconds of one processor", of_processor, SECONDS_ALLOWED, "allowed"
        yield "report of 5,500 images", "megabytes of HTML", summary.facts["megabytes"], MEGABYTES_ALLOWED, "allowed"
        started = time.monotonic()
        safe.report_that_may_leave(study, compare="paper")
        yield "the report that may leave", "seconds", time.monotonic() - started, SECONDS_ALLOWED, "allowed"


if __name__ == "__main__":
    for what, figure, ours, allowed, _ in measure():
        print(f"{what}: {ours:.1f} {figure} (at most {allowed})")
