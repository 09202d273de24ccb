import pytest

from qcbench.errors import UsageError
from qcbench.iqm import profiles
from qcbench.iqm.reasons import Findings, NotMeasurableError, need


def test_profiles_are_known_by_the_names_that_rows_hold():
    assert profiles.by_name("mriqc-24") is profiles.MRIQC_24
    assert profiles.by_name("qcbench") is profiles.QCBENCH
    with pytest.raises(UsageError, match="mriqc-24, qcbench, got"):
        profiles.by_name("mriqc-0.15")


def test_a_metric_is_null_for_the_reason_of_what_it_is_made_of():
    found = Findings()
    found.note("a", lambda: 3.0)
    found.note("b", lambda: need(False, "the head is empty"))
    found.note("c", lambda: found["a"] + found["b"])
    found.note_mean("d", ("a", "b"))
    found.note("e", lambda: float("nan"))
    assert found.values == {"a": 3.0, "b": None, "c": None, "d": None, "e": None}
    assert found.reasons["b"] == found.reasons["c"] == found.reasons["d"] == "the head is empty"
    assert "finite" in found.reasons["e"]


def test_a_fault_of_the_program_is_no_reason():
    with pytest.raises(ZeroDivisionError):
        Findings().note("a", lambda: 1 / 0)
    with pytest.raises(NotMeasurableError):
        need([], "nothing")
