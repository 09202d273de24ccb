"""The same study on one core, on several, on a Dask cluster and on machines that SLURM gives: the same tables."""

import hashlib
import json
import os
import sys
from importlib.util import find_spec

import pytest

from qcbench import cluster, machine, store
from qcbench.errors import MissingExtraError, UsageError
from qcbench.prepare import t1linear
from qcbench.study import Study
from tests.prepare.scans import block, catalogue

needs_dask = pytest.mark.skipif(
    not (find_spec("distributed") and find_spec("dask_jobqueue")), reason="needs Dask: pip install 'qcbench[cluster]'"
)
#: What depends on how busy the machine was, not on the image.
COSTS = ("seconds", "cpu_seconds", "peak_memory_gb")


def make_study(folder):
    scans = {f"sub-{number}_T2w": block(number) for number in range(4)}
    study = Study.create(folder, raters=["alice"])
    catalogue(study, {**scans, "sub-bad_T2w": b"no image"})
    return study


def told(study):
    """Return the table without what it cost, and a hash of each file beside it."""
    rows = [
        {name: value for name, value in row.items() if name not in COSTS} for row in store.rows(study, "preprocessed")
    ]
    files = sorted(path for path in study.derivatives.rglob("*") if path.is_file())
    return rows, {study.relative(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """What one core makes of the study."""
    study = make_study(tmp_path_factory.mktemp("serial") / "study")
    summary = t1linear.preprocess(study, workers=1, show_progress=False)
    assert (summary.done, set(summary.failed)) == (4, {"sub-bad_T2w"})
    return told(study)


def test_threads_make_what_one_core_makes(serial, tmp_path):
    study = make_study(tmp_path / "study")
    t1linear.preprocess(study, workers=3, show_progress=False)
    assert told(study) == serial


@needs_dask
@pytest.mark.slow
def test_a_dask_cluster_makes_what_one_core_makes(serial, tmp_path):
    from distributed import LocalCluster

    study = make_study(tmp_path / "study")
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as dask:
        summary = t1linear.preprocess(study, dask=dask.scheduler_address, show_progress=False)
    assert (summary.done, set(summary.failed)) == (4, {"sub-bad_T2w"})
    assert told(study) == serial


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A stand-in for SLURM that runs jobs here at once, and keeps their scripts."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    programs = {
        "sbatch": (
            "import shutil, subprocess, sys\n"
            f"shutil.copy(sys.argv[-1], {str(folder / 'job.sh')!r})\n"
            f"log = open({str(folder / 'job.log')!r}, 'ab')\n"
            "job = subprocess.Popen(['bash', "
            f"{str(folder / 'job.sh')!r}], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)\n"
            "print('Submitted batch job', job.pid)\n"
        ),
        "scancel": (
            "import os, signal, sys\n"
            "for job in sys.argv[1:]:\n"
            "    try:\n"
            "        os.killpg(int(job), signal.SIGTERM)\n"
            "    except ProcessLookupError:\n"
            "        pass\n"
        ),
    }
    for name, code in programs.items():
        (folder / name).write_text(f"#!{sys.executable}\n{code}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@needs_dask
@pytest.mark.slow
def test_slurm_gets_small_jobs_whose_workers_make_what_one_core_makes(serial, slurm, tmp_path):
    study = make_study(tmp_path / "study")
    options = "--partition=cpu --time=01:00:00"
    summary = t1linear.preprocess(study, workers=1, slurm=options, show_progress=False)
    assert (summary.done, set(summary.failed)) == (4, {"sub-bad_T2w"})
    assert told(study) == serial
    script = (slurm / "job.sh").read_text()
    assert "#SBATCH --cpus-per-task=1" in script
    assert "#SBATCH --mem=2G" in script  # what an image takes with the preset fast, and its worker
    assert "#SBATCH --partition=cpu\n#SBATCH --time=01:00:00" in script
    assert "#SBATCH -t" not in script  # the walltime that is not asked for
    assert f"{sys.executable} -m distributed.cli.dask_worker tls://" in script
    assert "--nthreads 1" in script
    assert "--tls-key" in script
    kept = (study.folder / "jobs" / "slurm" / "worker.sh").read_text()
    assert kept.splitlines()[:6] == script.splitlines()[:6]
    assert not list((study.folder / "jobs" / "slurm").glob("tls-*"))  # the key ends with the run


def test_slurm_is_refused_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    study = make_study(tmp_path / "study")
    with pytest.raises(UsageError, match=r"no sbatch|pip install 'qcbench\[cluster\]'"):
        t1linear.preprocess(study, slurm="", show_progress=False)
    assert store.rows(study, "preprocessed") == []


@pytest.mark.parametrize(("missing", "call"), [("distributed", "dask"), ("dask_jobqueue", "slurm")])
def test_without_dask_the_install_command_is_told(tmp_path, monkeypatch, missing, call):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'qcbench\[cluster\]'"):
        t1linear.preprocess(make_study(tmp_path / "study"), show_progress=False, **{call: "tcp://here:1"})


def test_two_places_at_once_are_refused(tmp_path):
    with pytest.raises(UsageError, match="exclude each other"):
        t1linear.preprocess(make_study(tmp_path / "study"), dask="tcp://here:1", slurm="", show_progress=False)


@needs_dask
def test_an_address_where_nothing_answers_is_bad_use(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "_CONNECT_S", 0.5)
    with pytest.raises(UsageError, match="no Dask scheduler answers at 'tcp://"):
        t1linear.preprocess(make_study(tmp_path / "study"), dask="tcp://127.0.0.1:9", show_progress=False)


class Told:
    """Stands for a client whose workers answered so."""

    def __init__(self, answer):
        self.answer = answer

    def run(self, *arguments, **options):
        return {"tcp://node7:1": self.answer}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((False, "0.1.0"), "node7:1 does not see /data/study; put the study on a disk that all share"),
        ((True, "0.0.1"), "node7:1 has qcbench 0.0.1, expected"),
        (ModuleNotFoundError("No module named 'qcbench'"), "node7:1 cannot run qcbench"),
    ],
)
def test_workers_that_would_fail_image_by_image_are_refused(answer, reason):
    with pytest.raises(UsageError, match=reason):
        cluster._check_workers(Told(answer), "/data/study")


def test_no_more_images_at_a_time_than_the_memory_holds(tmp_path, monkeypatch):
    study = make_study(tmp_path / "study")
    monkeypatch.setattr(machine, "available_memory_gb", lambda: 2.5)
    summary = t1linear.preprocess(study, workers=4, show_progress=False)
    assert summary.notes == ["2 images at a time instead of 4: each takes up to 1 GB, and 2.5 GB are free"]
    assert summary.facts["images_per_hour"] == pytest.approx(3600 * 5 / summary.seconds, rel=0.2)
    assert json.dumps(summary.to_json())
