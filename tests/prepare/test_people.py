import pytest

from qcbench.errors import UsageError
from qcbench.prepare.people import known, read_people
from qcbench.prepare.pseudonyms import Key

KEY = Key(secret=b"\1" * 32)


def table(tmp_path, text):
    (tmp_path / "people.tsv").write_text(text, encoding="utf-8")
    return read_people(tmp_path / "people.tsv", KEY)


def test_rows_of_pseudonyms_and_of_patients_meet(tmp_path):
    people = table(tmp_path, "participant_id\tpatient_id\tage\tsex\nsub-a\t\t40\tF\nb\t\t41\t\n\t0007\t42\tmale\n")
    assert people == {
        ("sub-a", None): {"age_years": 40.0, "sex": "F"},
        ("sub-b", None): {"age_years": 41.0},
        (KEY.participant("0007"), None): {"age_years": 42.0, "sex": "M"},
    }


def test_the_issuer_of_an_id_counts(tmp_path):
    people = table(tmp_path, "patient_id,issuer,diagnosis\n0007,Hospital A,G30\n")
    assert people == {(KEY.participant("0007", "Hospital A"), None): {"diagnosis": "G30"}}


def test_what_is_said_of_an_examination_counts_before_what_is_said_of_the_person(tmp_path):
    text = "participant_id;session_id;age_years;hospital\nsub-a;;60;Nord\nsub-a;ses-1;58.5;\n"
    people = table(tmp_path, text)
    assert known(people, "sub-a", "ses-1") == {"age_years": 58.5, "hospital": "Nord"}
    assert known(people, "sub-a", "ses-2") == {"age_years": 60.0, "hospital": "Nord"}
    assert known(people, "sub-b", None) == {}


def test_what_is_unknown_or_implausible_is_not_told(tmp_path):
    text = "participant_id\tage\tsex\tdiagnosis\tstudy_date\nsub-a\tn/a\t?\tNA\t31/12/2015\nsub-b\t400\t\t\t\n"
    assert table(tmp_path, text) == {("sub-a", None): {}, ("sub-b", None): {}}


def test_days_of_a_table_of_patients_are_moved_and_those_of_pseudonyms_were(tmp_path):
    text = "participant_id\tpatient_id\tstudy_date\nsub-a\t\t2015-06-01\n\t0007\t2015-06-01\n"
    people = table(tmp_path, text)
    assert people[("sub-a", None)] == {"study_date": "2015-06-01"}
    assert people[(KEY.participant("0007"), None)]["study_date"] < "1926"


def test_two_ages_of_one_person_are_refused_with_the_line(tmp_path):
    with pytest.raises(UsageError, match="line 3: another age_years"):
        table(tmp_path, "participant_id\tage\nsub-a\t40\nsub-a\t41\n")


@pytest.mark.parametrize("text", ["name\tage\nX\t40\n", ""])
def test_a_table_that_names_nobody_is_refused(tmp_path, text):
    with pytest.raises(UsageError, match="participant_id"):
        table(tmp_path, text)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_people(tmp_path / "missing.tsv", KEY)
