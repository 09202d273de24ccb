import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench.annotate import letters

FILE = """0 | img_id | code | label
0 | sub-000_ses-M00_T1w.png | a | Tier 2 - Mvt 1
1 | sub-001_ses-M00_T1w.png | kzz | Tier 3 - Gadolinium injection, Contrast 2
2 | sub-002_ses-M00_T1w.png | r | Straigh Reject
2 | sub-002_ses-M00_T1w.png |  | Tier 1 - 
3 | sub-003_ses-M00_T1w.png |  | Tier 1 - 
4 | sub-001_ses-M00_T1w.png | kz | Tier 2 - Gadolinium injection, Contrast 1
5 | sub-000_ses-M00_T1w.png | a | Tier 2 - Mvt 1
broken
"""  # noqa: W291 - the notebook writes the space


def test_a_file_is_known_by_its_first_line():
    assert letters.is_letter_file(FILE)
    assert not letters.is_letter_file("rater,image_id\n")


def test_the_false_tier_1_of_a_restart_and_doubled_lines_are_not_believed():
    lines, doubted, n_empty = letters.believed(FILE)
    assert [(noted.line, noted.image_id, noted.code) for noted in lines] == [
        (2, "sub-000_ses-M00_T1w", "a"),
        (3, "sub-001_ses-M00_T1w", "kzz"),
        (4, "sub-002_ses-M00_T1w", "r"),
        (6, "sub-003_ses-M00_T1w", ""),
        (7, "sub-001_ses-M00_T1w", "kz"),
    ]
    assert list(doubted) == ["line 5", "line 8", "line 9"]
    assert "started again" in doubted["line 5"]
    assert "the same as line 2" in doubted["line 8"]
    assert n_empty == 1


def test_the_long_names_of_the_interface_give_the_bids_stem():
    name = "sub-01_ses-M00_T1w_space-MNI152NLin2009cSym_res-1x1x1_T1w.png"
    [noted], _, _ = letters.believed(f"0 | img_id | code | label\n0 | {name} | d | Tier 2\n")
    assert noted.image_id == "sub-01_ses-M00_T1w"


@pytest.mark.parametrize("code", ["q", "aaa", "kk", "rk", "ra", "A", "a a"])
def test_letters_that_mean_nothing_are_refused(code):
    with pytest.raises(ValueError, match="the code"):
        letters.answers(code)


@given(st.booleans(), *[st.integers(0, 2)] * 3, st.randoms())
def test_every_code_gives_back_its_grades_in_any_order(gadolinium, motion, contrast, noise, random):
    code = list("k" * gadolinium + "a" * motion + "z" * contrast + "d" * noise)
    random.shuffle(code)
    expected = {
        "straight_reject": False,
        "gadolinium": gadolinium,
        "motion": motion,
        "contrast": contrast,
        "noise": noise,
    }
    assert letters.answers("".join(code)) == expected
