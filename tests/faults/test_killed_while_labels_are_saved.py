"""kill -9 while labels are saved: what was acknowledged is there afterwards, once, and readable."""

import os
import random
import signal
import subprocess
import sys
import time

from qcbench import store

KILLS = 200 if os.environ.get("QCBENCH_LONG_FAULTS") else 8

#: Saves labels as fast as it can and prints each id once it is on the disk: the acknowledgement.
RATER_AT_WORK = """
import sys, uuid
from qcbench import store
from qcbench.annotate.events import label_event
from qcbench.study import Study

study = Study(sys.argv[1])
session = uuid.uuid4().hex
reject = study.protocol.check({"straight_reject": True})
log = store.SegmentLog(study.label_folder("alice") / session, "label_events")
print("ready", flush=True)
for sequence in range(100000):
    event_id = f"{session}-{sequence}"
    log.append(label_event(study.protocol, reject, rater="alice", source="rater", session=session, sequence=sequence,
                           event_id=event_id, image_id=f"image-{sequence}"))
    print(event_id, flush=True)
"""


def test_no_acknowledged_label_is_lost_or_doubled(study):
    rng = random.Random(0)
    acknowledged = []
    for _ in range(KILLS):
        rater = subprocess.Popen(
            [sys.executable, "-c", RATER_AT_WORK, str(study.folder)], stdout=subprocess.PIPE, text=True
        )
        assert rater.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.05, 0.4))
        rater.send_signal(signal.SIGKILL)
        output, _ = rater.communicate()
        acknowledged += [line for line in output.splitlines(keepends=True) if line.endswith("\n")]
    acknowledged = [line.strip() for line in acknowledged]
    events, damaged = store.read_log(study.folder / "labels", "label_events")
    kept = [event["event_id"] for event in events]
    assert damaged == []
    assert len(acknowledged) > 3 * KILLS
    assert len(kept) == len(set(kept))
    assert set(acknowledged) <= set(kept)
    # The label that was in flight may have reached the disk without its acknowledgement: one a kill at most.
    assert len(kept) <= len(acknowledged) + KILLS
