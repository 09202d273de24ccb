import os
import re
from datetime import date, timedelta

import pytest

from qcbench.errors import UsageError
from qcbench.prepare.pseudonyms import Key, load, without_names

KEY, OTHER = Key(secret=b"\1" * 32), Key(secret=b"\2" * 32)


def test_a_pseudonym_depends_on_the_patient_and_the_key_alone():
    assert KEY.participant("0007") == KEY.participant("0007") == "sub-dvyzqpiatzmq"
    assert len({KEY.participant("0007"), KEY.participant("7"), OTHER.participant("0007")}) == 3
    assert KEY.participant("0007", "Hospital A") != KEY.participant("0007", "Hospital B")
    assert KEY.participant("12", "3") != KEY.participant("1", "23")


@pytest.mark.parametrize("spelt", ["ab 12", " AB  12 ", "\uff21\uff22 12"])
def test_one_patient_spelt_in_two_ways_is_one(spelt):
    assert KEY.participant(spelt) == KEY.participant("AB 12")


@pytest.mark.parametrize("patient_id", ["../../x", "", "山田", "\ud800", "x" * 10_000, "a\0b"])
def test_any_text_becomes_letters_and_digits(patient_id):
    assert re.fullmatch(r"sub-[a-z2-7]{12}", KEY.participant(patient_id))


def test_days_of_a_patient_move_together_and_lie_before_1926():
    first, second = date(2010, 3, 1), date(2019, 12, 31)
    moved = KEY.moved(first, "sub-a"), KEY.moved(second, "sub-a")
    assert moved[1] - moved[0] == second - first
    assert moved[1].year < 1926
    assert len({KEY.moved(first, f"sub-{number}") for number in range(50)}) > 45


def test_moving_twice_is_moving_once():
    once = KEY.moved(date(2035, 1, 1), "sub-a")
    assert KEY.moved(once, "sub-a") == once


def test_years_of_a_scanner_all_land_in_the_past():
    days = [date(1970, 1, 1) + timedelta(days=400 * number) for number in range(65)]
    assert all(KEY.moved(day, f"sub-{number}").year <= 1925 for number, day in enumerate(days))


def test_a_missing_key_is_made_and_found_again(tmp_path):
    made = load(tmp_path / "safe" / "key", outside=())
    assert ((tmp_path / "safe" / "key").stat().st_mode & 0o777, len(made.secret)) == (0o600, 32)
    assert load(tmp_path / "safe" / "key", outside=(), expected=made.check) == made
    assert load(tmp_path / "safe" / "other", outside=()) != made
    assert made.secret.hex() not in f"{made!r} {made.check}"


def write(path, text="ab" * 32, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    with pytest.raises(UsageError, match="chmod 600"):
        load(write(tmp_path / "key", mode=mode), outside=())


@pytest.mark.parametrize("text", ["", "password", "ab" * 31, "zz" * 32])
def test_what_is_no_key_is_refused(tmp_path, text):
    with pytest.raises(UsageError, match="is no key"):
        load(write(tmp_path / "key", text), outside=())


def test_a_key_in_the_study_or_under_another_name_of_it_is_refused(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "study")
    for path in (tmp_path / "study" / "key", tmp_path / "alias" / "sub" / "key"):
        with pytest.raises(UsageError, match="lie inside"):
            load(path, outside=(tmp_path / "study",))
    assert os.listdir(tmp_path / "study") == []


def test_a_link_a_pipe_and_a_dangling_link_are_refused(tmp_path):
    write(tmp_path / "key")
    (tmp_path / "link").symlink_to(tmp_path / "key")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "dangling", "pipe"):
        with pytest.raises(UsageError):
            load(tmp_path / name, outside=())
    assert not (tmp_path / "nothing").exists()


def test_a_lost_key_is_told_and_no_new_one_is_made(tmp_path):
    with pytest.raises(UsageError, match="Restore it from a backup"):
        load(tmp_path / "key", outside=(), expected=KEY.check)
    assert not (tmp_path / "key").exists()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("T1 3D dupont anne", "T1 3D *** ***"),
        ("T1_DÜPONT_3D", "T1_***_3D"),
        ("T1 0007 LE", "T1 *** LE"),
        ("T1 3D Dupontel", "T1 3D ***"),
        ("T1 MPRAGE SAG p2 iso 1.0mm", "T1 MPRAGE SAG p2 iso 1.0mm"),
        ("T1 du 03/04/1950", "T1 du ***"),
        ("T1 20210405", "T1 ***"),
        ("", ""),
        (None, None),
    ],
)
def test_words_of_a_name_are_taken_out_of_a_description(text, shown):
    assert without_names(text, ["LE^DUPONT^ANNE"], ["0007"]) == shown


@pytest.mark.parametrize(
    ("text", "name", "patient_id", "shown"),
    [
        ("T1 DUPONT GADO", "DUPONT_ANNE", "1", "T1 *** GADO"),
        ("T1 DUPONT", "DUPONT1^ANNE", "1", "T1 ***"),
        ("T1 IPP8001234567", None, "8001234567", "T1 ***"),
        ("T1_DUPONTANNE", "DUPONT^ANNE", "2", "T1_***"),
        ("T1 OBRIEN", "O'BRIEN^ANNE", "3", "T1 ***"),
        ("T1 1234567", None, "12-345-67", "T1 ***"),
        ("T1 12-345-67", None, "1234567", "T1 ***"),
        ("T1 LI WU", "LI^WU", "5", "T1 ***"),
        ("T1 LI AX", "LI^WU", "5", "T1 LI AX"),
    ],
)
def test_other_spellings_of_a_name_or_an_id_are_taken_out_too(text, name, patient_id, shown):
    assert without_names(text, [name], [patient_id]) == shown
