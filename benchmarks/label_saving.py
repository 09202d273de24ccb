"""Milliseconds from a label to its being on the disk, beside SQLite with full synchronisation."""

import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

from qcbench import store
from qcbench.annotate.events import label_event
from qcbench.study import Study

N_LABELS = 500
GRADES = {"gadolinium": False, "motion": 1, "contrast": 0, "noise": 2}


def _timed(save):
    milliseconds = []
    for number in range(N_LABELS):
        started = time.perf_counter()
        save(number)
        milliseconds.append(1000 * (time.perf_counter() - started))
    return statistics.median(milliseconds), statistics.quantiles(milliseconds, n=20)[-1]


def measure():
    with tempfile.TemporaryDirectory() as folder:
        study = Study.create(Path(folder) / "study", raters=["alice"])
        log = store.SegmentLog(study.label_folder("alice") / "session", "label_events")

        def ours(number):
            log.append(
                label_event(
                    study.protocol,
                    study.protocol.check(GRADES),
                    rater="alice",
                    source="rater",
                    session="session",
                    sequence=number,
                    event_id=f"event-{number}",
                    image_id=f"image-{number}",
                )
            )

        database = sqlite3.connect(Path(folder) / "labels.sqlite", isolation_level=None)
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute("PRAGMA synchronous=EXTRA")
        database.execute("CREATE TABLE labels (event_id PRIMARY KEY, gadolinium, motion, contrast, noise)")

        def theirs(number):
            database.execute("INSERT INTO labels VALUES (?, ?, ?, ?, ?)", (f"event-{number}", *GRADES.values()))

        for figure, mine, peer in zip(("p50 ms", "p95 ms"), _timed(ours), _timed(theirs), strict=True):
            yield f"save {N_LABELS} labels", figure, mine, peer, "SQLite, DELETE journal, synchronous EXTRA"
