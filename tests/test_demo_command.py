"""What `qcbench demo` says of failures: the planted ones are no news, any other is exit status 1."""

import json

import pytest
from typer.testing import CliRunner

from qcbench import cli, pipeline, store
from qcbench.summary import Summary

PLANTED = "sub-broken_T1w"


@pytest.fixture
def demo_that_fails_on(study, monkeypatch):
    """Stand in for the stages: catalogue one planted fault, and fail on the given images."""
    simulation = json.dumps({"simulated": True, "planted_fault": True})
    row = {"image_id": PLANTED, "participant_id": "sub-broken", "source_path": "x", "simulated": True}
    store.write(study, "images", [{**row, "simulation": simulation, "error": "TRUNCATED"}])

    def arrange(*image_ids):
        def demo(folder, *, images, on_stage):
            on_stage("ingest", Summary(stage="ingest", done=3, failed=dict.fromkeys(image_ids, "TRUNCATED")))

        monkeypatch.setattr(pipeline, "demo", demo)
        return CliRunner().invoke(cli.app, ["demo", str(study.folder)])

    return arrange


def test_only_planted_faults_are_exit_status_0_and_are_shown_as_planted(demo_that_fails_on):
    result = demo_that_fails_on(PLANTED)
    assert result.exit_code == 0
    assert f"FAILED (planted) {PLANTED}: TRUNCATED" in result.stdout
    assert "qcbench label" in result.stdout


def test_any_other_failure_is_exit_status_1(demo_that_fails_on):
    result = demo_that_fails_on(PLANTED, "sub-01_T1w")
    assert result.exit_code == 1
    assert "FAILED sub-01_T1w: TRUNCATED" in result.stdout


def test_the_table_says_that_it_is_simulated(demo_that_fails_on):
    assert "say nothing about real scans" in " ".join(demo_that_fails_on().stdout.split())


def test_a_study_that_is_no_demo_is_left_alone(study):
    before = sorted(path.name for path in study.folder.iterdir())
    result = CliRunner().invoke(cli.app, ["demo", str(study.folder)])
    assert "a study of its own" in str(result.exception)
    assert sorted(path.name for path in study.folder.iterdir()) == before
