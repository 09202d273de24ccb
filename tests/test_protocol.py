import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench import protocol, schema, store
from qcbench.errors import LabelError, ProtocolError

PROTOCOL = protocol.load("t1w-warehouse")
SHIPPED = (Path(protocol.__file__).parent / "protocols" / "t1w-warehouse.toml").read_text()
PNG = b"\x89PNG\r\n\x1a\n and so on"
OWN = """name = "own"
version = "1"
title = "Blur"
[keys]
commit = ["Space"]
back = ["Backspace"]

[[criteria]]
name = "reject"
kind = "yes_no"
label = "Reject [[criteria]] # here"
ends_label = true
choices = [{ value = true, key = "KeyQ", label = "reject" }]
[[criteria]]
name = "blur"
kind = "grade"
label = "Blur"
help = "Soft edges."
choices = [
  { value = 0, key = "KeyA", label = "sharp" },
  { value = 1, key = "KeyS", label = "soft" },
  { value = 2, key = "KeyD", label = "nothing to see" },
]
[[criteria]]
name = "tilt"
kind = "grade"
label = "Tilt"
[[criteria.choices]]
value = 0
key = "KeyZ"
label = "straight"
[[criteria.choices]]
value = 1
key = "KeyX"
label = "tilted"

[tier]
criteria = ["blur", "tilt"]
rules = [
  { tier = 3, when_any_at_least = 2, wording = "much" },
  { tier = 2, when_any_at_least = 1, wording = "some" },
  { tier = 1, when_any_at_least = 0, wording = "none" },
]
"""
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


def load_with(tmp_path, old, new):
    """Load a copy of OWN in which one text is another."""
    assert OWN.count(old) == 1
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace(old, new))
    return protocol.load(path)


def test_choices_may_stand_inline_over_lines_or_as_tables_of_their_own(tmp_path):
    own = load_with(tmp_path, "# here", "# there")
    assert [criterion.values for criterion in own.criteria] == [(True,), (0, 1, 2), (0, 1)]
    assert (own.criteria[0].ends_label, own.criteria[1].help) == (True, "Soft edges.")
    assert own.tier({"reject": False, "blur": 1, "tilt": 0}) == 2


@pytest.mark.parametrize(
    ("old", "new", "line", "complaint"),
    [
        # no TOML at all
        ("[keys]", "[keys", 4, "not a TOML file"),
        ('title = "Blur"', 'title = "Blur', 3, "not a TOML file"),
        # a missing entry: the line of the table that lacks it
        ('name = "own"\n', "", 1, "the file lacks 'name', which must be a text"),
        ('kind = "yes_no"\n', "", 8, "criterion 1 lacks 'kind'"),
        ('back = ["Backspace"]', "", 4, "[keys] lacks 'back'"),
        (', label = "soft"', "", 21, "choice 2 of criterion 2 lacks 'label'"),
        ("value = 1\n", "", 32, "choice 2 of criterion 3 lacks 'value'"),
        (', wording = "some"', "", 41, "rule 2 of [tier] lacks 'wording'"),
        # a wrong type
        ('version = "1"', "version = 1", 2, "version of the file must be a text, got 1"),
        ("ends_label = true", 'ends_label = "yes"', 12, "ends_label of criterion 1 must be true or false, got 'yes'"),
        ('help = "Soft edges."', "help = 3", 18, "help of criterion 2 must be a text, got 3"),
        ("{ value = 1, key", '{ value = "one", key', 21, "must be a whole number, got 'one'"),
        (
            "{ value = 1, key",
            "{ value = true, key",
            21,
            "value of choice 2 of criterion 2 must be a whole number, got true",
        ),
        (
            "[{ value = true, key",
            "[{ value = 1, key",
            13,
            "value of choice 1 of criterion 1 must be true or false, got 1",
        ),
        ('commit = ["Space"]', 'commit = "Space"', 5, "commit of [keys] must be a list, got 'Space'"),
        ('commit = ["Space"]', 'commit = ["Space", 3]', 5, "commit must be a list of texts, got 3"),
        ("tier = 3", "tier = 3.0", 40, "tier of rule 1 of [tier] must be a whole number, got 3.0"),
        ('label = "sharp"', 'label = " "', 20, "label must be a text that is not blank"),
        # an unknown entry is a misspelt one
        (
            'help = "Soft edges."',
            'hlep = "Soft edges."',
            18,
            "'hlep' is no entry of criterion 2; it may have name, kind, label, help",
        ),
        ('label = "soft"', 'label = "soft", colour = "red"', 21, "'colour' is no entry of choice 2 of criterion 2"),
        ('back = ["Backspace"]', 'back = ["Backspace"]\nundo = ["KeyU"]', 7, "'undo' is no entry of [keys]"),
        ('title = "Blur"', 'title = "Blur"\nauthor = "us"', 4, "'author' is no entry of the file"),
        ('name = "tilt"', 'name = "tilt"\nends_lable = true', 26, "'ends_lable' is no entry of criterion 3"),
        # language and reasons
        (
            'title = "Blur"',
            'title = "Blur"\nlanguage = "de"',
            4,
            "language must be one of en, fr, which the pages speak",
        ),
        ('title = "Blur"', 'title = "Blur"\nlanguage = 1', 4, "language of the file must be a text, got 1"),
        (
            'title = "Blur"',
            'title = "Blur"\nreasons = []',
            4,
            "reasons must be 1 to 9 texts, one for each digit key; got 0",
        ),
        (
            'title = "Blur"',
            'title = "Blur"\nreasons = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]',
            4,
            "reasons must be 1 to 9 texts, one for each digit key; got 10",
        ),
        ('title = "Blur"', 'title = "Blur"\nreasons = ["a",\n " "]', 5, "a text of 1 to 60 characters, got ' '"),
        ('title = "Blur"', f'title = "Blur"\nreasons = ["{"a" * 61}"]', 4, "a text of 1 to 60 characters, got 'aaa"),
        ('title = "Blur"', 'title = "Blur"\nreasons = ["a", "a"]', 4, "reasons has 'a' twice"),
        ('title = "Blur"', 'title = "Blur"\nreasons = "a"', 4, "reasons of the file must be a list, got 'a'"),
        # criteria
        ('kind = "yes_no"', 'kind = "score"', 10, "kind must be one of yes_no, grade, level, flags, text, got 'score'"),
        ('name = "tilt"', 'name = "comment"', 25, "'comment' is a column of the tables already"),
        ('name = "tilt"', 'name = "blur"', 25, "the criterion 'blur' is there twice"),
        ('name = "tilt"', 'name = "Tilt of head"', 25, "name must be lower-case letters"),
        ('name = "blur"', 'name = "gadolinium"', 16, "'gadolinium' is a column of kind yes_no"),
        ("{ value = 1, key", "{ value = 3, key", 21, "must be 0, 1, 2 and so on without a gap, got 0, 3, 2"),
        ("{ value = 1, key", "{ value = 0, key", 21, "'blur' has two choices of the value 0"),
        (
            'label = "Tilt"',
            'label = "Tilt"\nends_label = true',
            28,
            "ends_label is for yes_no; 'tilt' is of kind grade",
        ),
        ("[{ value = true, key", "[{ value = false, key", 13, "'reject' lacks the choice with value = true"),
        ("ends_label = true", "ends_label = false", 13, "'reject' lacks the choice with value = false"),
        # keys
        (
            'key = "KeyS"',
            'key = "KeyA"',
            21,
            "KeyA is given twice, to choice 1 of criterion 2 (line 20) and to choice 2 of",
        ),
        (
            'back = ["Backspace"]',
            'back = ["KeyQ"]',
            6,
            "KeyQ is given twice, to choice 1 of criterion 1 (line 13) and to 'back'",
        ),
        (
            'key = "KeyA"',
            'key = "KeyF"',
            4,
            "KeyF is given twice, to choice 1 of criterion 2 (line 20) and to 'defer'; give 'defer'",
        ),
        (
            'back = ["Backspace"]',
            'back = ["Backspace"]\ngoto = ["KeyH"]',
            4,
            "KeyH is given twice, to 'goto' (line 7) and to 'help'",
        ),
        (
            'back = ["Backspace"]',
            'back = ["Backspace"]\nexemplars = ["KeyG", "KeyX"]',
            7,
            "KeyX is given twice, to choice 2 of criterion 3 (line 35) and to 'exemplars'",
        ),
        ('key = "KeyQ"', 'key = "q"', 13, "must be a KeyboardEvent.code, got 'q'; the key Q is \"KeyQ\""),
        ('commit = ["Space"]', 'commit = ["1"]', 5, "got '1'; the key 1 is \"Digit1\""),
        ('commit = ["Space"]', 'commit = ["F5"]', 5, "'F5', which is no key"),
        (
            'commit = ["Space"]',
            'commit = ["ArrowRight"]',
            5,
            "the key ArrowRight is the page's own; choose another for 'commit'",
        ),
        ('key = "KeyS"', 'key = "Tab"', 21, "the key Tab is the page's own"),
        ('commit = ["Space"]', "commit = []", 5, "commit must name at least one key"),
        # the tier
        (
            'criteria = ["blur", "tilt"]',
            'criteria = ["blur",\n "tint"]',
            39,
            "[tier] speaks of 'tint', which is no criterion; grades are: blur, tilt",
        ),
        ('criteria = ["blur", "tilt"]', 'criteria = ["reject"]', 38, "'reject', which is no grade"),
        ('criteria = ["blur", "tilt"]', 'criteria = ["blur", "blur"]', 38, "[tier] names 'blur' twice"),
        ('criteria = ["blur", "tilt"]', "criteria = []", 38, "must name at least one criterion"),
        ("when_any_at_least = 2", "when_any_at_least = 0", 41, "must go from the highest grade down; 1 comes after 0"),
        ("when_any_at_least = 2", "when_any_at_least = 3", 40, "no grade of [tier] reaches 3; the highest is 2"),
        ('  { tier = 1, when_any_at_least = 0, wording = "none" },\n', "", 41, "so that one always holds; got 1"),
    ],
)
def test_a_wrong_protocol_is_refused_with_the_file_the_line_and_the_reason(tmp_path, old, new, line, complaint):
    with pytest.raises(ProtocolError) as raised:
        load_with(tmp_path, old, new)
    assert str(raised.value).startswith(f"{tmp_path}/own.toml, line {line}: ")
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    ("criteria", "complaint"), [("", "lacks 'criteria'"), ("criteria = []\n", "at least one entry")]
)
def test_a_protocol_without_criteria_is_refused(tmp_path, criteria, complaint):
    path = tmp_path / "own.toml"
    path.write_text(f'name = "n"\nversion = "1"\ntitle = "t"\n{criteria}')
    with pytest.raises(ProtocolError, match=complaint):
        protocol.load(path)


def test_a_file_that_is_no_text_is_refused_with_its_line(tmp_path):
    path = tmp_path / "own.toml"
    path.write_bytes(b'name = "own"\ntitle = "\xff"\n')
    with pytest.raises(ProtocolError, match="line 2: not a TOML file: it must be UTF-8"):
        protocol.load(path)


def test_keys_of_the_page_are_the_usual_ones_unless_the_file_says_otherwise(tmp_path):
    assert (PROTOCOL.defer_keys, PROTOCOL.goto_keys, PROTOCOL.help_keys) == (("KeyF",), ("KeyJ",), ("KeyH",))
    own = load_with(tmp_path, 'back = ["Backspace"]', 'back = ["Delete"]\ndefer = ["KeyP", "End"]\nhelp = []')
    assert (own.back_keys, own.defer_keys, own.goto_keys, own.help_keys) == (
        ("Delete",),
        ("KeyP", "End"),
        ("KeyJ",),
        (),
    )


def test_the_key_of_the_examples_is_the_page_s_choice_unless_the_file_says_otherwise(tmp_path):
    assert PROTOCOL.for_display()["exemplar_keys"] is None
    for written, keys in (('["KeyG", "KeyP"]', ("KeyG", "KeyP")), ("[]", ())):
        own = load_with(tmp_path, 'back = ["Backspace"]', f'back = ["Backspace"]\nexemplars = {written}')
        assert own.for_display()["exemplar_keys"] == keys


def test_a_file_that_names_no_language_is_english_and_reasons_follow_the_language(tmp_path):
    assert (PROTOCOL.language, PROTOCOL.reasons[0]) == ("en", "wrong key")
    french = load_with(tmp_path, 'title = "Blur"', 'title = "Flou"\nlanguage = "fr"')
    assert (french.for_display()["language"], french.reasons[0]) == ("fr", "erreur de touche")
    own = load_with(tmp_path, 'title = "Blur"', 'title = "Flou"\nlanguage = "fr"\nreasons = ["relu", "après avis"]')
    assert own.for_display()["reasons"] == ("relu", "après avis")


def without_words(rules):
    """A protocol as JSON values without what is read by a person, and without its hash."""
    shown = rules.for_display()
    entries = [shown, *shown["criteria"], *shown["tier_rules"]]
    entries += [choice for criterion in shown["criteria"] for choice in criterion["choices"]]
    for entry in entries:
        for name in ("title", "label", "help", "wording", "language", "reasons", "sha256"):
            entry.pop(name, None)
    return shown


def test_the_french_protocol_is_the_english_one_in_other_words():
    french = protocol.load("t1w-warehouse-fr")
    assert without_words(french) == without_words(PROTOCOL)
    assert french.exemplars == PROTOCOL.exemplars
    assert french.read_exemplar("motion", 2) == PROTOCOL.read_exemplar("motion", 2)
    assert (french.language, french.sha256 == PROTOCOL.sha256) == ("fr", False)
    words = [[each.label, each.help] for each in french.criteria]
    assert words[0][0] == "Rejet d'emblée"
    assert all(text for pair in words for text in pair)
    event = {"protocol": french.name, "protocol_version": french.version}
    assert store.is_of_protocol(event, PROTOCOL)


def with_exemplar(tmp_path, name="soft.png", content=PNG):
    """Load OWN with an exemplar for blur 1, which is put beside it."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content)
    return load_with(tmp_path, 'label = "soft"', f'label = "soft", exemplar = "{name}"')


def test_an_exemplar_is_read_from_beside_the_file(tmp_path):
    own = with_exemplar(tmp_path, "pictures/soft.png")
    assert own.exemplars == ("pictures/soft.png",)
    assert own.criteria[1].choices[1].exemplar == "pictures/soft.png"
    assert own.read_exemplar("blur", 1) == PNG
    for criterion, value in (("blur", 0), ("blur", True), ("tilt", 1), ("../soft", 1)):
        assert own.read_exemplar(criterion, value) is None


def test_an_exemplar_that_is_gone_is_told(tmp_path):
    own = with_exemplar(tmp_path)
    (tmp_path / "soft.png").unlink()
    with pytest.raises(ProtocolError, match=r"soft\.png cannot be read"):
        own.read_exemplar("blur", 1)


def test_the_hash_is_that_of_the_file_and_with_exemplars_that_of_the_pictures_too(tmp_path):
    mriqc = protocol.load("mriqc")
    assert mriqc.exemplars == ()
    assert mriqc.sha256 == hashlib.sha256((protocol._SHIPPED / "mriqc.toml").read_bytes()).hexdigest()
    first = with_exemplar(tmp_path).sha256
    assert with_exemplar(tmp_path).sha256 == first
    assert with_exemplar(tmp_path, content=PNG + b"another").sha256 != first
    assert hashlib.sha256((tmp_path / "own.toml").read_bytes()).hexdigest() != first


def test_a_page_gets_neither_a_path_nor_the_name_of_a_picture(tmp_path):
    shown = with_exemplar(tmp_path).for_display()
    text = json.dumps(shown)
    assert str(tmp_path) not in text
    assert "soft.png" not in text
    assert [choice["has_exemplar"] for choice in shown["criteria"][1]["choices"]] == [False, True, False]
    assert shown["goto_keys"] == ("KeyJ",)


@pytest.mark.parametrize(
    ("exemplar", "complaint"),
    [
        ("missing.png", "there is no "),
        ("/etc/hostname", "must be a path below the protocol's folder"),
        ("../outside.png", "must be a path below the protocol's folder"),
        ("link.png", "is a link to "),
        ("text.png", "must be a PNG (.png) or JPEG (.jpg) file"),
        ("jpeg.png", "must be a PNG (.png) or JPEG (.jpg) file"),
        ("huge.png", "must be at most 4 MB"),
        ("", "there is no "),
    ],
)
def test_an_exemplar_that_is_no_picture_beside_the_file_is_refused(tmp_path, exemplar, complaint):
    folder = tmp_path / "protocol"
    folder.mkdir()
    (tmp_path / "outside.png").write_bytes(PNG)
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    (folder / "text.png").write_text("not a picture")
    (folder / "jpeg.png").write_bytes(b"\xff\xd8\xff\xe0")
    (folder / "huge.png").write_bytes(PNG + bytes(4 * 2**20))
    with pytest.raises(ProtocolError, match="line 21: exemplar") as raised:
        load_with(folder, 'label = "soft"', f'label = "soft", exemplar = "{exemplar}"')
    assert complaint in str(raised.value)
