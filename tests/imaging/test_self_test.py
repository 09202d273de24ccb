import numpy as np
import pytest

from qcbench.errors import WorkerError
from qcbench.imaging import score, self_test


@pytest.fixture
def broken(monkeypatch):
    """A machine on which the template is not found."""
    result = self_test.SelfTest(
        cases={"found again": 0.2}, failures=("found again",), displacement_mm=40.0, seconds=1.0
    )
    monkeypatch.setattr(self_test, "run_once", lambda: result)


def test_the_template_passes_and_what_is_laid_wrong_scores_low():
    found = self_test.self_test()
    assert found.passed
    assert found.displacement_mm < 2
    assert found.cases["in its place"] > 0.9
    wrong = {name: value for name, value in found.cases.items() if name not in ("in its place", "found again")}
    assert len(wrong) == 5
    assert max(wrong.values()) < score.LOW


def test_a_library_that_leads_astray_is_found_out(monkeypatch):
    astray = np.eye(4)
    astray[0, 3] = 30.0
    monkeypatch.setattr(self_test.register.ants_affine, "find", lambda *images, **how: astray)
    monkeypatch.setattr(self_test.register.starts, "look", lambda *image: [_start(astray)])
    found = self_test.self_test()
    assert not found.passed
    assert "found again" in found.failures


def test_a_score_that_believes_everything_is_found_out(monkeypatch):
    monkeypatch.setattr(self_test, "_scored", lambda coarse, matrix: 0.9)
    monkeypatch.setattr(self_test, "_searched", lambda: (0.9, 0.0))
    assert "upside down" in self_test.self_test().failures


def test_it_runs_in_a_process_of_its_own_and_once():
    self_test.run_once.cache_clear()
    self_test.require()
    assert self_test.run_once() is self_test.run_once()
    assert self_test.finding().state == "ok"


def test_a_machine_that_fails_starts_no_batch_and_the_doctor_says_what_to_do(broken):
    with pytest.raises(WorkerError, match=r"found again.*constraints.txt"):
        self_test.require()
    assert self_test.finding().state == "problem"
    assert "pip install" in self_test.finding().next_step


def _start(matrix):
    return self_test.register.starts.Start(matrix=matrix, likeness=0.9, turn=np.eye(4))
