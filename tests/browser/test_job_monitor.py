"""An analyst watches a training, reads why another one failed, and stops a third."""

import json
import math
from datetime import UTC, datetime

import pytest

from qcbench.study import Study
from qcbench.widgets.job_monitor import JobMonitor
from tests.browser.bare_page import bare, bench  # noqa: F401

pytestmark = pytest.mark.browser


def write_job(study, job_id, verb, state, *, log="", options=(), **more):
    folder = study.folder / "jobs" / job_id
    folder.mkdir(parents=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    asked = {"verb": verb, "arguments": [verb, str(study.folder), *options], "where": "local", "asked_at": now}
    (folder / "job.json").write_text(json.dumps(asked))
    (folder / "state.json").write_text(json.dumps({"state": state, "heartbeat_at": now, **more}))
    (folder / "log.txt").write_text(log)
    return folder


def write_curves(study, fold, n_epochs, *, job_id, run_id="tier3-conv5_fc3-better-4mm-s0-abcd"):
    folder = study.runs / run_id / f"fold-{fold}"
    folder.mkdir(parents=True)
    lines = ["epoch,train_loss,validation_loss,validation_balanced_accuracy"]
    for epoch in range(n_epochs):
        loss = 0.3 + 0.5 * math.exp(-epoch / 8) + 0.02 * math.sin(epoch + fold)
        lines.append(f"{epoch},{loss},{loss + 0.05 * fold},{0.9 - 0.4 * math.exp(-epoch / 6) - 0.01 * fold}")
    (folder / "curves.csv").write_text("\n".join(lines) + "\n")
    (folder / "job.txt").write_text(job_id)


class Kernel:
    def __init__(self, study):
        self.widget = JobMonitor(study)

    def receive(self, text):
        return [list(each) for each in self.widget.receive(json.loads(text))]


@pytest.fixture
def study(tmp_path):
    made = Study.create(tmp_path / "study", raters=["alice"])
    write_job(made, "20260101-1-predict", "predict", "failed", log="qcbench: there is no run of tier3\n", exit_status=2)
    summary = {"done": 40, "unchanged": 2, "seconds": 312.5, "failed": {}}
    write_job(made, "20260102-1-preprocess", "preprocess", "done", exit_status=0, summary=summary)
    running = {"host": "elsewhere", "watcher_pid": 1, "pid": 2}
    write_job(
        made, "20260103-1-train", "train", "running", log="epochs 24/100\n", options=["--task", "tier3"], **running
    )
    for fold, n_epochs in enumerate((20, 20, 14)):
        write_curves(made, fold, n_epochs, job_id="20260103-1-train")
    return made


def test_a_training_is_watched_and_stopped(bench, study):  # noqa: F811
    bench.widget = JobMonitor
    bench.begin(Kernel(study))
    bench.sees(".qc-job-head", "train --task tier3")
    bench.sees(".qc-jobs button", "▶ running")
    charts = bench.page.locator(".qc-charts svg")
    assert charts.count() == 2
    assert "fold 2" in charts.first.get_attribute("aria-label")
    bench.picture("jobs-1280")
    bench.page.locator(".qc-stop").click()
    until_exists(bench.page, study.folder / "jobs" / "20260103-1-train" / "stop")


def until_exists(page, path):
    for _ in range(50):
        if path.exists():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{path} never came")


def test_of_two_trainings_at_once_each_shows_its_own_curves_and_a_damaged_file_hides_none(study):
    write_job(study, "20260103-2-train", "train", "running")
    write_curves(study, 0, 5, job_id="20260103-2-train", run_id="sr-lean3d-better-4mm-s0-abcd")
    write_curves(study, 1, 5, job_id="20260103-2-train", run_id="sr-lean3d-better-4mm-s0-abcd")
    (study.runs / "sr-lean3d-better-4mm-s0-abcd" / "fold-1" / "curves.csv").write_text("epoch,loss\n1,\x00")
    [(state, _)] = JobMonitor(study).receive({"kind": "hello"})
    shown = {
        job["job"]: [(curve["run"][:2], curve["fold"], len(curve["epochs"])) for curve in job["curves"]]
        for job in state["jobs"]
        if job["verb"] == "train"
    }
    assert shown == {
        "20260103-1-train": [("ti", "fold-0", 20), ("ti", "fold-1", 20), ("ti", "fold-2", 14)],
        "20260103-2-train": [("sr", "fold-0", 5)],
    }


def test_a_failure_says_why_and_what_is_done_says_how_much(bench, study):  # noqa: F811
    bench.widget = JobMonitor
    bench.begin(Kernel(study))
    bench.page.locator(".qc-jobs button", has_text="failed").click()
    bench.sees(".qc-about", "It ended with status 2")
    bench.sees(".qc-log", "there is no run of tier3")
    assert not bench.page.locator(".qc-stop").is_visible()
    bench.page.locator(".qc-jobs button", has_text="done").click()
    bench.sees(".qc-about", "done 40 · unchanged 2 · seconds 312.5 · failed 0")


def test_a_study_without_jobs_says_how_to_start_one(bench, tmp_path):  # noqa: F811
    bench.widget = JobMonitor
    bench.begin(Kernel(Study.create(tmp_path / "empty", raters=["alice"])))
    bench.sees(".qc-none", 'qc.train(study, task="tier3", where="local")')
