import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench import spreadsheet


@pytest.mark.parametrize("text", ["=1+1", "+C", "-C", "@SUM(A1)", "\t=1", "\r=1", "'=1"])
def test_what_could_be_a_formula_gets_an_apostrophe(text):
    assert spreadsheet.harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "T1 +C", "'t1", "1-2"])
def test_other_text_stays(text):
    assert spreadsheet.harmless(text) == text


@given(st.text(alphabet="'=+-@\t\rab ", max_size=8))
def test_any_text_comes_back(text):
    written = spreadsheet.harmless(text)
    assert not written.startswith(spreadsheet.FORMULA)
    assert spreadsheet.original(written) == text
