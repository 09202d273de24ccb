"""What preprocessing meets in a night: crashes, hangs, gluttons, and the machine going down."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from qcbench import parallel, stages, store
from qcbench.imaging import isolate
from qcbench.study import Study
from tests.prepare.scans import block, catalogue
from tests.prepare.test_workers import told

#: image_id -> what happens to whoever works on it.
FAULTS = {
    "sub-crash_T2w": (ctypes.string_at, 0),
    "sub-hang_T2w": (time.sleep, 60),
    "sub-glutton_T2w": (np.ones, 2**30),
    "sub-abort_T2w": (os.abort,),
    "sub-silent_T2w": (os._exit, 3),
}
_RUN = """
import sys
from qcbench.prepare import t1linear
if __name__ == "__main__":
    t1linear.preprocess(sys.argv[1], show_progress=False)
"""


def fail_on_purpose(row):
    how = FAULTS.get(row["image_id"], (len, "healthy"))
    # A machine that is busy may take its time for what is not meant to hang.
    isolate.call(*how, timeout_s=2 if how[0] is time.sleep else 120, memory_gb=1)
    return {"alignment": 1.0}


def fill(study, worker, executor):
    rows = store.rows(study, "images")
    preset = {"preprocessing_preset": "planted"}
    return stages.fill(
        study, "preprocessed", rows, worker, executor, told=lambda row: preset, verb="faults", show_progress=False
    )


@pytest.fixture
def study(tmp_path):
    """Six healthy images among those that are not."""
    made = Study.create(tmp_path / "study", raters=["alice"])
    catalogue(made, {**{f"sub-{number}_T2w": block(number) for number in range(6)}, **dict.fromkeys(FAULTS, b"any")})
    return made


def test_each_kind_of_death_is_a_row_with_its_reason_and_the_healthy_go_on(study):
    with parallel.local_executor(2, threads=True) as executor:
        failed = fill(study, fail_on_purpose, executor)
    rows = {row["image_id"]: row for row in store.rows(study, "preprocessed")}
    assert {name for name, row in rows.items() if row["alignment"] == 1.0} == {f"sub-{n}_T2w" for n in range(6)}
    assert failed.keys() == FAULTS.keys()
    assert "SIGSEGV" in rows["sub-crash_T2w"]["error"]
    assert "longer than 2 s" in rows["sub-hang_T2w"]["error"]
    assert "more than 1 GB" in rows["sub-glutton_T2w"]["error"]
    assert "SIGABRT" in rows["sub-abort_T2w"]["error"]
    assert "exit status 3" in rows["sub-silent_T2w"]["error"]
    assert all(row["preprocessing_preset"] == "planted" for row in rows.values())


def run(study):
    command = [sys.executable, "-c", _RUN, str(study.folder)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def pictures(study):
    return sorted(study.derivatives.rglob("*.png"))


def test_a_run_that_is_killed_midway_and_run_again_ends_as_one_that_was_not(tmp_path):
    studies = {}
    for name in ("undisturbed", "killed"):
        studies[name] = Study.create(tmp_path / name, raters=["alice"])
        catalogue(studies[name], {f"sub-{number}_T2w": block(number, (80, 88, 60)) for number in range(8)})
    assert run(studies["undisturbed"]).wait(240) == 0
    process = run(studies["killed"])
    wait_until(lambda: len(pictures(studies["killed"])) >= 2)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert len(store.rows(studies["killed"], "preprocessed")) < 8
    assert run(studies["killed"]).wait(240) == 0
    assert told(studies["killed"]) == told(studies["undisturbed"])


def say_who_and_sleep(path):
    path.with_suffix(".new").write_text(str(os.getpid()))
    path.with_suffix(".new").rename(path)
    time.sleep(600)


def test_the_work_of_a_process_that_was_killed_ends_with_it(tmp_path):
    said = tmp_path / "process"
    code = (
        "import pathlib\n"
        "from qcbench.imaging import isolate\n"
        "from tests.faults.test_preprocessing import say_who_and_sleep\n"
        f"isolate.call(say_who_and_sleep, pathlib.Path({str(said)!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    wait_until(said.exists)
    assert is_alive(int(said.read_text()))
    process.kill()
    process.wait()
    wait_until(lambda: not is_alive(int(said.read_text())))


def is_alive(pid):
    try:
        # One that has ended and was not waited for yet is a zombie (Z).
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(happened, seconds=120):
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)
