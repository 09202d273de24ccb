from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench import protocol, schema
from qcbench.errors import LabelError, ProtocolError

PROTOCOL = protocol.load("t1w-warehouse")
SHIPPED = (Path(protocol.__file__).parent / "protocols" / "t1w-warehouse.toml").read_text()
GOOD = {"gadolinium": False, "motion": 0, "contrast": 0, "noise": 0}


@given(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
def test_the_tier_is_one_more_than_the_worst_grade(motion, contrast, noise):
    tier = PROTOCOL.tier({"motion": motion, "contrast": contrast, "noise": noise})
    assert tier == 1 + max(motion, contrast, noise)


@given(st.booleans())
def test_gadolinium_never_changes_the_tier(gadolinium):
    assert PROTOCOL.tier({**GOOD, "gadolinium": gadolinium}) == 1


@pytest.mark.parametrize("unset", ["motion", "contrast", "noise"])
def test_there_is_no_tier_while_a_grade_is_unset(unset):
    assert PROTOCOL.tier({**GOOD, unset: None}) is None


def test_a_straight_reject_has_no_tier():
    assert PROTOCOL.tier({**GOOD, "straight_reject": True}) is None


def test_the_rule_that_fired_has_words():
    assert PROTOCOL.tier_rule({**GOOD, "noise": 2}).wording == "at least one grade 2"


def test_the_criteria_are_those_of_the_tables():
    assert tuple(criterion.name for criterion in PROTOCOL.criteria) == schema.CHARACTERISTICS


def test_a_straight_reject_keeps_no_grade():
    label = PROTOCOL.check({"straight_reject": True, "motion": 2})
    assert label == {"straight_reject": True, "gadolinium": None, "motion": None, "contrast": None, "noise": None}


@pytest.mark.parametrize("unset", list(GOOD))
def test_an_image_that_is_kept_needs_every_grade(unset):
    with pytest.raises(LabelError, match=f"{unset} is not set"):
        PROTOCOL.check({name: value for name, value in GOOD.items() if name != unset})


@pytest.mark.parametrize(
    ("name", "value"), [("motion", 3), ("motion", True), ("noise", 1.0), ("contrast", "0"), ("gadolinium", 1)]
)
def test_a_value_of_the_wrong_kind_is_refused(name, value):
    with pytest.raises(LabelError, match=name):
        PROTOCOL.check({**GOOD, name: value})


def test_an_unknown_criterion_is_refused():
    with pytest.raises(LabelError, match="blur"):
        PROTOCOL.check({**GOOD, "blur": 1})


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('kind = "grade"', 'kind = "score"', "kind must be one of"),
        ('key = "KeyE"', 'key = "KeyW"', "KeyW is given twice"),
        ("when_any_at_least = 0", "when_any_at_least = 1", "so that one always holds"),
        ('criteria = ["motion", "contrast", "noise"]', 'criteria = ["blur"]', "'blur', which is no criterion"),
        ('name = "t1w-warehouse"\n', "", "lacks 'name'"),
        ("value = 2", 'value = "two"', "value must be int"),
        ("[keys]", "[keys", "not a TOML file"),
    ],
)
def test_a_wrong_protocol_is_refused_with_the_file_and_the_reason(tmp_path, old, new, complaint):
    path = tmp_path / "wrong.toml"
    path.write_text(SHIPPED.replace(old, new))
    with pytest.raises(ProtocolError, match=r"wrong\.toml") as raised:
        protocol.load(path)
    assert complaint in str(raised.value)
