import errno
import os
import signal

import pytest

from qcbench import parallel
from qcbench.errors import DiskError, ImageError, WorkerError

ROWS = [{"image_id": f"image-{number}", "number": number} for number in range(12)]


def double(row):
    return {"doubled": 2 * row["number"]}


def double_the_even(row):
    if row["number"] == 3:
        raise ImageError("TRUNCATED", "image-3 ends early")
    if row["number"] == 5:
        raise ZeroDivisionError("five")
    return double(row)


def die_at_seven(row):
    if row["number"] == 7:
        os.kill(os.getpid(), signal.SIGSEGV)
    return double(row)


def fill_the_disk(row):
    if row["number"] == 3:
        raise OSError(errno.ENOSPC, "No space left on device", "out.nii.gz")
    return double(row)


def test_a_full_disk_ends_the_run_and_is_no_fault_of_an_image():
    done = []
    with parallel.local_executor(1) as executor, pytest.raises(DiskError, match=r"out.nii.gz: No space.*make room"):
        done.extend(parallel.map_rows(fill_the_disk, ROWS, executor))
    assert [row["image_id"] for row in done] == ["image-0", "image-1", "image-2"]


@pytest.mark.parametrize("workers", [1, 2])
def test_every_row_comes_back_with_its_key(workers):
    with parallel.local_executor(workers) as executor:
        results = sorted(parallel.map_rows(double, ROWS, executor), key=lambda row: row["doubled"])
    assert results == [{"image_id": row["image_id"], "error": None, "doubled": 2 * row["number"]} for row in ROWS]


def test_a_row_whose_worker_raises_has_the_reason_and_the_others_go_on():
    results = {row["image_id"]: row for row in parallel.map_rows(double_the_even, ROWS, parallel.SerialExecutor())}
    assert results["image-3"] == {"image_id": "image-3", "error": "TRUNCATED: image-3 ends early"}
    assert results["image-5"]["error"] == "ZeroDivisionError: five"
    assert sum(row["error"] is None for row in results.values()) == 10


def test_a_worker_that_kills_its_process_loses_only_its_own_row():
    with parallel.local_executor(2) as executor:
        results = {row["image_id"]: row for row in parallel.map_rows(die_at_seven, ROWS, executor)}
    assert "process died" in results["image-7"]["error"]
    assert sum(row["error"] is None for row in results.values()) == 11


def report_process_or_die(row):
    if row["number"] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"process": os.getpid()}


def test_after_a_dead_worker_the_rest_goes_on_in_a_pool_and_not_one_process_a_row():
    rows = [{"image_id": f"image-{number}", "number": number} for number in range(40)]
    with parallel.local_executor(2) as executor:
        results = list(parallel.map_rows(report_process_or_die, rows, executor))
    assert len(results) == 40
    assert sum(row["error"] is not None for row in results) == 1
    # 8 rows were in flight at most and run again alone; the others share the two workers of a new pool.
    assert len({row.get("process") for row in results}) <= 8 + 2 + 2 + 1


def test_a_cluster_that_drops_its_rows_ends_the_run_with_a_reason():
    class Gone(parallel.Executor):
        def submit(self, function, /, *args, **kwargs):
            future = parallel.Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with pytest.raises(WorkerError, match="the workers are gone; what they did is kept"):
        list(parallel.map_rows(double, ROWS, Gone()))


def test_a_pool_of_ones_own_is_ended_and_one_that_was_given_is_not():
    given = parallel.ThreadPoolExecutor(1)
    with parallel.pool(given, 4, 12) as pool:
        assert pool is given
    assert given.submit(len, "abc").result() == 3
    given.shutdown()
    with parallel.pool(None, 4, 2, threads=True) as own:
        assert own._max_workers == 2  # no more than rows
    with pytest.raises(RuntimeError, match="after shutdown"):
        own.submit(len, "abc")
