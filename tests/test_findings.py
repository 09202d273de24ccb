from qcbench.errors import StudyError
from qcbench.findings import Checkup, ask, ok, problem, warning


def raises(error):
    raise error


def test_a_probe_that_raises_is_a_finding_and_no_crash():
    (found,) = ask("disk", lambda: raises(RuntimeError("it burns")))
    assert (found.name, found.state) == ("disk", "problem")
    assert "RuntimeError: it burns" in found.found
    assert found.next_step


def test_an_error_that_says_what_to_do_keeps_its_words():
    (found,) = ask("study", lambda: raises(StudyError("study.toml: raters must be a list")))
    assert (found.state, found.found) == ("problem", "study.toml: raters must be a list")


def test_a_warning_is_no_failure_and_a_problem_is():
    assert Checkup(findings=[ok("a", "well"), warning("b", "odd", "look")]).exit_status == 0
    assert Checkup(findings=[ok("a", "well"), problem("b", "bad", "act")]).exit_status == 1


def test_the_table_names_each_finding_and_what_to_do_next():
    text = str(
        Checkup(findings=[ok("clock", "is right"), problem("disk", "is full", "Free some space.")], seconds=1.24)
    )
    assert text.splitlines() == [
        "doctor: ok 1, warning 0, problem 1, 1.2 s",
        "  ok       clock  is right",
        "  PROBLEM  disk   is full",
        "                  next: Free some space.",
    ]


def test_json_has_the_counts_and_every_finding():
    summary = Checkup(findings=[warning("clock", "is slow", "Set it.")], seconds=0.5).to_json()
    assert (summary["ok"], summary["warning"], summary["problem"]) == (0, 1, 0)
    assert summary["findings"] == [{"name": "clock", "state": "warning", "found": "is slow", "next_step": "Set it."}]
