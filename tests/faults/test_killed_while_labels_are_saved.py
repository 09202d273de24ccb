"""kill -9 of a labelling kernel: what it acknowledged is there afterwards, once, and readable."""

import logging
import os
import random
import threading

import pytest

from qcbench import store
from tests.faults.kernel import RaterPage

_LOG = logging.getLogger(__name__)
KILLS = 200 if os.environ.get("QCBENCH_LONG_FAULTS") else 20
#: Acknowledgements before the blow: 12 on average, so 200 kills have more than 2,000.
FEWEST, MOST = 5, 20
#: As in the browser: the next label is sent while one is still unconfirmed.
UNCONFIRMED = 2


def labels_until_it_dies(page, *, after, moment_s):
    """Label as fast as acknowledgements come; some time after the given number of them comes the blow."""
    enough = len(page.acknowledged) + after
    blow = threading.Timer(moment_s, page.kernel.kill)
    while page.kernel.is_alive:
        assert page.refused == []
        if len(page.acknowledged) >= enough and not blow.is_alive():
            blow.start()
            enough = float("inf")
        if len(page.outbox) < UNCONFIRMED:
            page.commit()
        else:
            page.notice(timeout_s=0.05)
    blow.join()
    while page.notice(timeout_s=0.05):  # what had left the kernel before the blow has arrived
        pass


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_acknowledged_label_is_lost_or_doubled_and_the_outbox_is_taken_by_the_next_kernel(
    make_study, kernels, rows_on_disk
):
    rng = random.Random(0)
    study, page, committed = make_study(MOST * 2 * KILLS), RaterPage(), set()
    coming = kernels()
    for _ in range(KILLS):
        kernel, coming = coming, kernels()  # the next one starts while this one works
        page.open(kernel.ready(), study)
        labels_until_it_dies(page, after=rng.randint(FEWEST, MOST), moment_s=rng.uniform(0, 0.04))
        committed |= page.acknowledged | set(page.outbox)
        kernel.close()
        _, damaged = store.read_log(study.folder / "labels", "label_events")
        assert damaged == []
    page.open(coming.ready(), study)

    rows = rows_on_disk(study)
    kept = [row["event_id"] for row in rows]
    _LOG.info("%d kills, %d acknowledgements, %d rows", KILLS, len(page.acknowledged), len(kept))
    assert len(page.acknowledged) >= FEWEST * KILLS
    assert sorted(kept) == sorted(committed)  # nothing lost and nothing doubled, acknowledged or sent again
    assert page.acknowledged == committed
    assert len({(row["image_id"], row["purpose"]) for row in rows}) == len(rows)
