import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench import protocol
from qcbench.criteria import Criterion
from qcbench.errors import LabelError, ProtocolError

MRIQC = protocol.load("mriqc")
BY_NAME = {criterion.name: criterion for criterion in MRIQC.criteria}
OWN = """name = "own"
version = "1"
title = "All kinds"
[keys]
commit = ["Space"]
back = ["Backspace"]
[[criteria]]
name = "lesion"
kind = "yes_no"
label = "Lesion"
choices = [{ value = true, key = "KeyQ", label = "yes" }, { value = false, key = "KeyW", label = "no" }]
[[criteria]]
name = "side"
kind = "flags"
label = "Side"
required = true
only_when = { criterion = "lesion", values = [true] }
choices = [{ value = "left", key = "KeyA", label = "left" }, { value = "right", key = "KeyS", label = "right" }]
[[criteria]]
name = "size"
kind = "level"
label = "Size"
minimum = 0
maximum = 10
step = 0.5
keys = ["Minus", "Equal"]
bands = [{ below = 2.0, label = "small" }, { label = "large" }]
[[criteria]]
name = "words"
kind = "text"
label = "Words"
longest = 20
"""
WHOLE = {"lesion": True, "side": ["right"], "size": 2.5, "words": "odd"}


@pytest.fixture
def own(tmp_path):
    def load(old="", new=""):
        assert OWN.count(old) == 1 or not old
        (tmp_path / "own.toml").write_text(OWN.replace(old, new) if old else OWN)
        return protocol.load(tmp_path / "own.toml")

    return load


@given(st.integers(0, 60))
def test_every_step_of_the_scale_is_taken_and_kept_as_it_is_shown(steps):
    value = 1 + steps * 0.05
    assert BY_NAME["rating"].check(value) == pytest.approx(value)
    assert len(str(BY_NAME["rating"].check(value))) <= 4


@pytest.mark.parametrize("value", [0.95, 4.05, 2.52, float("nan"), float("inf"), True, "3", [3], 10**400])
def test_what_is_not_on_the_scale_is_refused(value):
    with pytest.raises(LabelError, match="rating must be a number from 1 to 4 in steps of"):
        BY_NAME["rating"].check(value)


@given(st.sets(st.sampled_from(BY_NAME["artifacts"].values)), st.randoms())
def test_flags_come_back_in_the_order_of_the_protocol(flags, random):
    given_order = list(flags)
    random.shuffle(given_order)
    kept = BY_NAME["artifacts"].check(given_order)
    assert set(kept) == flags
    assert kept == [value for value in BY_NAME["artifacts"].values if value in flags]


@pytest.mark.parametrize("value", [["blur"], ["inu", "inu"], "inu", [1], [["inu"]], {"inu": True}])
def test_flags_that_are_none_of_the_list_or_come_twice_are_refused(value):
    with pytest.raises(LabelError, match="artifacts must be a list of head-motion"):
        BY_NAME["artifacts"].check(value)


def test_a_rating_needs_no_flag_but_both_levels():
    label = MRIQC.check({"rating": 3.1, "confidence": 4})
    assert label == {"rating": 3.1, "artifacts": [], "confidence": 4.0}
    assert MRIQC.tier(label) is None
    assert MRIQC.bands(label) == {"rating": "acceptable", "confidence": "confident"}
    with pytest.raises(LabelError, match="confidence is not set"):
        MRIQC.check({"rating": 3.1})


@pytest.mark.parametrize(
    ("rating", "word"),
    [
        (1.0, "exclude"),
        (1.45, "exclude"),
        (1.5, "poor"),
        (2.45, "poor"),
        (2.5, "acceptable"),
        (3.5, "acceptable"),
        (3.55, "excellent"),
    ],
)
def test_the_bands_are_those_of_mriqc_s_slider(rating, word):
    assert BY_NAME["rating"].band(rating) == word


def test_a_criterion_is_asked_only_for_some_answers_to_another(own):
    whole = own()
    assert whole.check(WHOLE) == WHOLE
    assert whole.check({"lesion": False, "size": 0}) == {"lesion": False, "side": None, "size": 0.0, "words": None}
    with pytest.raises(LabelError, match="side is not set; it must be a list of left, right"):
        whole.check({**WHOLE, "side": []})
    with pytest.raises(LabelError, match="side is asked only for some answers to lesion"):
        whole.check({**WHOLE, "lesion": False})


@pytest.mark.parametrize("words", ["x" * 21, 3, ["x"]])
def test_words_that_are_too_long_or_no_words_are_refused(own, words):
    with pytest.raises(LabelError, match="words must be a text of at most 20 characters"):
        own().check({**WHOLE, "words": words})


@given(st.text(st.characters(), max_size=20))
def test_words_of_any_characters_can_be_stored(words):
    kept = Criterion(name="words", kind="text", label="Words", longest=20, required=False).check(words)
    assert kept is None or kept.encode()


@pytest.mark.parametrize(
    ("old", "new", "line", "complaint"),
    [
        ("maximum = 10", "maximum = 0", 24, "maximum must be more than the minimum 0, got 0"),
        ("step = 0.5", "step = 0.3", 25, "step must go into 0 to 10 without a remainder, got 0.3"),
        ("step = 0.5", "step = 0", 25, "step must go into"),
        ("step = 0.5", 'step = "fine"', 25, "step of criterion 3 must be a number, got 'fine'"),
        ("step = 0.5", "", 19, "criterion 3 lacks 'step', which must be a number"),
        ('keys = ["Minus", "Equal"]', 'keys = ["Minus"]', 26, "keys of a level are two"),
        ('keys = ["Minus", "Equal"]', 'keys = ["Minus", "KeyQ"]', 26, "KeyQ is given twice"),
        ("{ below = 2.0, label", "{ label", 27, "only the last of the bands may leave out 'below'"),
        ('{ label = "large" }', '{ below = 1.0, label = "large" }', 27, "bands must go upwards; 1 comes after 2"),
        ('{ label = "large" }', '{ below = 9.0, label = "large" }', 27, "the last of the bands must leave out 'below'"),
        ('criterion = "lesion"', 'criterion = "size"', 17, "above are: lesion"),
        ("values = [true]", "values = [1]", 17, "'lesion' is one of true, false, got 1"),
        ("values = [true]", "values = []", 17, "values must have at least one entry"),
        ("longest = 20", "longest = 20\nminimum = 3", 33, "'minimum' is no entry of criterion 4"),
        ('value = "left"', "value = 1", 18, "value of choice 1 of criterion 2 must be a text, got 1"),
        ('value = "left"', 'value = "right"', 18, "'side' has two choices of the value right"),
    ],
)
def test_a_wrong_criterion_is_refused_with_its_line(own, old, new, line, complaint):
    with pytest.raises(ProtocolError) as caught:
        own(old, new)
    assert complaint in str(caught.value)
    assert f", line {line}: " in str(caught.value)


def test_a_choice_between_two_steps_is_refused(own):
    choices = 'choices = [{ value = 1.2, key = "KeyZ", label = "odd" }]\nminimum = 0'
    with pytest.raises(ProtocolError, match=r"line 23: 'size' goes in steps of 0.5 from 0, got 1.2"):
        own("minimum = 0", choices)


@pytest.mark.parametrize(("value", "line"), [(-1, 23), (11, 23)])
def test_a_choice_off_the_scale_is_refused(own, value, line):
    choices = f'choices = [{{ value = {value}, key = "KeyZ", label = "far" }}]\nminimum = 0'
    with pytest.raises(ProtocolError, match=rf"line {line}: 'size' goes from 0 to 10, got {value}"):
        own("minimum = 0", choices)
