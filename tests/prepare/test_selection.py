import pytest

from qcbench.errors import UsageError
from qcbench.prepare.selection import Marks, read_marks

SERIES, BODY, STUDY = "SeriesDescription", "BodyPartExamined", "StudyDescription"


def row(series="T1 3D", body="BRAIN", study="IRM"):
    return {"series_description": series, "body_part": body, "study_description": study}


def marks(rule="all", **kept):
    names = {"series": SERIES, "body": BODY, "study": STUDY}
    return Marks(kept={(names[of], value): yes for of, told in kept.items() for value, yes in told.items()}, rule=rule)


def test_every_attribute_that_is_asked_must_agree():
    both = marks(series={"T1 3D": True}, body={"BRAIN": True})
    assert both.refusal(row()) is None
    assert both.refusal(row(body=None)) is None
    assert both.refusal(row(body="KNEE")) == "not kept: its BodyPartExamined is not marked"
    assert both.refusal(row(series="T2")) == "not kept: its SeriesDescription is not marked"
    assert both.refusal(row(series=None, body=None)) == "not kept: it has no description that is marked"


def test_an_attribute_without_any_mark_is_not_asked():
    assert marks(series={"T1 3D": True}).refusal(row(body="KNEE", study="genou")) is None


def test_a_no_is_stronger_than_a_yes():
    told = marks(series={"T1 3D": True}, study={"genou": False})
    assert told.refusal(row(study="genou")) == "not kept: its StudyDescription is marked as not to be kept"
    assert told.refusal(row(study="IRM")) is None


def test_an_empty_value_can_be_marked():
    assert marks(series={"": True}).refusal(row(series=None)) is None
    assert "not to be kept" in marks(series={"": False, "T1 3D": True}).refusal(row(series=None))


def test_with_the_rule_any_one_kept_value_is_enough():
    told = marks("any", study={"IRM": True}, series={"T2": False})
    assert told.refusal(row(series="T2", body="KNEE")) is None
    assert told.refusal(row(study="genou")) == "not kept: none of its descriptions is marked"


def test_no_value_of_a_header_is_in_a_reason():
    told = marks(series={"T1 3D": True, "T1 DUPONT": False}, body={"BRAIN": True})
    for secret in (row(series="T1 DUPONT"), row(series="T2 DUPONT"), row(body="DUPONT")):
        assert "DUPONT" not in told.refusal(secret)


def write(path, *lines):
    path.write_text("\n".join(["attribute,value,keep", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("mark", ["yes", "OUI", "x", "X ", "1", "TRUE", "vrai", "Gardé", "✓"])
def test_many_words_mean_yes(tmp_path, mark):
    assert read_marks(write(tmp_path / "l.csv", f"{SERIES},T1,{mark}")).kept == {(SERIES, "T1"): True}


@pytest.mark.parametrize("mark", ["no", "NON", "0", "faux", "Exclure"])
def test_many_words_mean_no_and_nothing_means_not_marked(tmp_path, mark):
    path = write(tmp_path / "l.csv", f"{SERIES},T1,x", f"{SERIES},T2,{mark}", f"{SERIES},T3,")
    assert read_marks(path).kept == {(SERIES, "T1"): True, (SERIES, "T2"): False}


@pytest.mark.parametrize("mark", ["maybe", "?", "2", "yes no"])
def test_an_unknown_mark_is_refused_with_its_line(tmp_path, mark):
    path = write(tmp_path / "l.csv", f"{SERIES},T1,x", f'{SERIES},"T1\nin two lines",x', f"{SERIES},T2,{mark}")
    with pytest.raises(UsageError, match=r"l\.csv, line 5: `keep` must be yes"):
        read_marks(path)


def test_an_unknown_attribute_is_refused_with_its_line(tmp_path):
    with pytest.raises(UsageError, match="line 2: the attribute must be one of"):
        read_marks(write(tmp_path / "l.csv", "PatientName,DUPONT,x"))


def test_a_list_that_keeps_nothing_or_is_missing_is_refused(tmp_path):
    with pytest.raises(UsageError, match="keeps nothing"):
        read_marks(write(tmp_path / "l.csv", f"{SERIES},T1,", f"{SERIES},T2,no"))
    with pytest.raises(UsageError, match="qcbench attributes"):
        read_marks(tmp_path / "missing.csv")


def test_an_unknown_rule_is_refused(tmp_path):
    with pytest.raises(UsageError, match="'some'"):
        read_marks(write(tmp_path / "l.csv", f"{SERIES},T1,x"), rule="some")
