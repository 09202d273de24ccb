import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qcbench import durable, train
from qcbench.errors import StudyError, UsageError
from qcbench.jobs import Job, jobs
from qcbench.study import Study


@pytest.fixture
def study(tmp_path):
    return Study.create(tmp_path / "study", raters=["alice"])


@pytest.fixture
def images(tmp_path):
    """A folder of two small NIfTI files."""
    import numpy as np

    from qcbench.images import save_volume

    folder = tmp_path / "images"
    for number in (1, 2):
        data = np.random.default_rng(number).normal(100, 10, (44, 44, 44)).astype(np.float32)
        save_volume(folder / f"sub-{number}_T1w.nii.gz", data, np.diag([4.0, 4, 4, 1]))
    return folder


def test_a_job_returns_at_once_and_its_summary_is_there_when_it_is_done(study, images):
    began = time.monotonic()
    job = ingest(study, images)
    assert time.monotonic() - began < 2
    assert job.wait(120) == "done"
    assert job.status()["summary"]["done"] == 2
    assert job.status()["exit_status"] == 0
    assert "ingest" in job.log()


def ingest(study, images):
    return Job.start(study, "ingest", {}, arguments=[str(images)])


def test_jobs_are_found_again_by_another_process_the_latest_first(study, images):
    first = ingest(study, images)
    first.wait(120)
    time.sleep(1.1)
    second = Job.start(study, "preprocess", {"preset": "none such"})
    second.wait(120)
    code = f"import qcbench as qc; print([(job.job_id, job.state) for job in qc.jobs({str(study.folder)!r})])"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert eval(seen) == [(second.job_id, "failed"), (first.job_id, "done")]
    assert "there is no preset 'none such'" in second.log()


def test_a_job_outlives_the_process_that_started_it(study, images):
    code = (
        "import os, signal, qcbench.jobs as j\n"
        f"j.Job.start({str(study.folder)!r}, 'ingest', {{}}, arguments=[{str(images)!r}])\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    [job] = jobs(study)
    assert job.wait(120) == "done"


def slow(tmp_path, monkeypatch, body):
    """Put a module in the place of the command line of the watchers to come."""
    package = tmp_path / "fake" / "sitecustomize.py"
    package.parent.mkdir()
    package.write_text(
        "import sys, types\n"
        "if sys.argv[:1] == ['-c']:\n"
        "    module = types.ModuleType('qcbench.cli')\n"
        f"    exec({body!r}, module.__dict__)\n"
        "    sys.modules['qcbench.cli'] = module\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{package.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


def wait_for(job, state):
    until = time.monotonic() + 60
    while job.state != state:
        assert time.monotonic() < until, (job.status(), job.log())
        time.sleep(0.1)


def test_a_job_that_is_stopped_gets_an_interrupt_and_says_stopped(study, tmp_path, monkeypatch):
    body = "def main():\n import time\n try:\n  time.sleep(600)\n except KeyboardInterrupt:\n  raise SystemExit(130)\n"
    slow(tmp_path, monkeypatch, body)
    job = Job.start(study, "train", {})
    wait_for(job, "running")
    time.sleep(2)
    job.stop()
    assert job.wait(60) == "stopped"
    assert job.status()["exit_status"] == 130


def test_a_job_can_be_stopped_though_its_notebook_server_ignores_interrupts(study, tmp_path, monkeypatch):
    body = "def main():\n import time\n try:\n  time.sleep(600)\n except KeyboardInterrupt:\n  raise SystemExit(130)\n"
    slow(tmp_path, monkeypatch, body)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a server started with & by a script
    try:
        job = Job.start(study, "train", {})
    finally:
        signal.signal(signal.SIGINT, before)
    wait_for(job, "running")
    time.sleep(2)
    job.stop()
    assert job.wait(60) == "stopped"
    assert job.status()["exit_status"] == 130


def test_a_job_whose_watcher_was_killed_is_lost_and_not_called_running(study, tmp_path, monkeypatch):
    slow(tmp_path, monkeypatch, "def main():\n import time\n time.sleep(600)\n")
    job = Job.start(study, "train", {})
    wait_for(job, "running")
    known = job.status()
    os.kill(known["watcher_pid"], signal.SIGKILL)
    os.killpg(known["pid"], signal.SIGKILL)
    wait_for(job, "lost")


def set_silent(job, seconds, **known):
    """Write a job's state as somebody left it so many seconds ago."""
    path = job.folder / "state.json"
    path.write_text(json.dumps(known))
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_number_that_another_process_has_now_does_not_keep_a_job_running(study, images):
    job = Job.start(study, "preprocess", {})
    job.wait(60)
    set_silent(job, 20, state="running", host=socket.gethostname(), watcher_pid=os.getpid())
    assert job.state == "lost"
    with durable.locked(job.folder / "watcher"):
        assert job.state == "running"


def test_a_job_that_never_began_is_lost_on_this_machine_and_waits_in_a_queue(study, images):
    job = Job.start(study, "preprocess", {})
    job.wait(60)
    set_silent(job, 60, state="waiting")
    assert job.state == "waiting"
    set_silent(job, 200, state="waiting")
    assert job.wait(5) == "lost"
    job.asked["where"] = "slurm"
    assert job.state == "waiting"


def test_a_heartbeat_that_cannot_be_written_does_not_end_the_watch(study, tmp_path, monkeypatch):
    slow(tmp_path, monkeypatch, "def main():\n import time\n time.sleep(7)\n")
    job = Job.start(study, "train", {})
    wait_for(job, "running")
    (job.folder / "state.json").unlink()
    (job.folder / "state.json").mkdir()
    time.sleep(3)
    (job.folder / "state.json").rmdir()
    assert job.wait(60) == "done"


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """A stand-in for SLURM on the path; returns what reads the arguments it was given."""
    fake = tmp_path / "bin" / "sbatch"
    fake.parent.mkdir()
    fake.write_text(
        f"#!{sys.executable}\nimport json, sys\njson.dump(sys.argv[1:], open({str(tmp_path / 'got')!r}, 'w'))\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    return lambda: json.loads((tmp_path / "got").read_text())


def test_slurm_gets_the_watcher_and_the_options(study, sbatch):
    job = Job.start(study, "train", {"task": "sr"}, where="slurm", slurm="--gres=gpu:1 --nodes=2")
    got = sbatch()
    assert got[0] == f"--job-name=qcbench-{job.job_id}"
    assert {"--gres=gpu:1", "--nodes=2", "--signal=B:TERM@60"} < set(got)
    assert got[-1] == f"--wrap=exec {sys.executable} -m qcbench.jobs {job.folder}"
    assert (job.state, job.asked["arguments"][0], job.asked["arguments"][2:]) == ("waiting", "train", ["--task", "sr"])


def test_a_job_that_waits_in_the_queue_is_taken_out_of_it(study, sbatch, tmp_path):
    (tmp_path / "bin" / "scancel").write_text((tmp_path / "bin" / "sbatch").read_text())
    (tmp_path / "bin" / "scancel").chmod(0o755)
    job = Job.start(study, "train", {"task": "sr"}, where="slurm")
    job.stop()
    assert sbatch() == [f"--name=qcbench-{job.job_id}"]
    assert job.state == "stopped"


def test_slurm_is_asked_for_the_nodes_and_processes_of_a_training(study, sbatch):
    job = Job.start(study, "train", {"task": "sr", "devices": 4, "nodes": 2}, where="slurm", slurm="--gres=gpu:4")
    assert sbatch()[3:6] == ["--nodes=2", "--ntasks-per-node=4", "--gres=gpu:4"]
    assert job.asked["arguments"][2:] == ["--task", "sr", "--devices", "4", "--nodes", "2"]


def test_a_refusal_of_slurm_is_told(study, tmp_path, monkeypatch):
    fake = tmp_path / "bin" / "sbatch"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(UsageError, match="sbatch refused the job: invalid partition"):
        Job.start(study, "train", {}, where="slurm")
    assert [job.state for job in jobs(study)] == ["failed"]


@pytest.mark.parametrize(
    ("verb", "where", "told"),
    [("label", "local", "a job is one of preprocess"), ("train", "moon", "local or slurm, got 'moon'")],
)
def test_what_is_no_job_is_refused(study, verb, where, told):
    with pytest.raises(UsageError, match=told):
        Job.start(study, verb, {}, where=where)
    assert jobs(study) == []


def test_slurm_is_refused_where_there_is_none(study, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="no sbatch"):
        Job.start(study, "train", {}, where="slurm")


def test_a_folder_that_is_no_job_is_refused(tmp_path):
    with pytest.raises(StudyError, match="is no job"):
        Job(Path(tmp_path))


def test_training_from_a_cell_returns_a_job_that_says_what_was_asked(study):
    job = train(study, task="tier3", folds=[0, 1], spacing=4, where="local")
    assert job.asked["arguments"][2:8] == ["--task", "tier3", "--architecture", "conv5_fc3", "--preset", "paper-2022"]
    assert job.asked["arguments"][8:12] == ["--folds", "0,1", "--spacing", "4"]
    assert job.wait(120) == "failed"
    assert "qcbench split" in job.log()
