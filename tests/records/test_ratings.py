import json

import pytest

from qcbench.records import ratings
from qcbench.records.payloads import RefusedError
from tests.records.samples import fixtures, md5_of


def v1(rating, **more):
    return ratings.check_v1({"rating": rating, "md5sum": md5_of(1)} | more, rater="alice")


def v2(rating=3.0, **more):
    return ratings.check_v2({"rating": rating, "md5sum": md5_of(1)} | more, rater="alice")


@pytest.mark.parametrize(
    ("given", "score", "word"),
    [
        ("1.0", 1.0, "exclude"),
        ("1.45", 1.45, "exclude"),
        ("1.5", 1.5, "poor"),
        ("2.5", 2.5, "acceptable"),
        ("3.5", 3.5, "acceptable"),
        ("3.55", 3.55, "excellent"),
        ("4", 4.0, "excellent"),
        (2, 2.0, "poor"),
        (3.05, 3.05, "acceptable"),
        ("excellent", None, "excellent"),
        ("exclude", None, "exclude"),
    ],
)
def test_scores_and_class_words_are_taken(given, score, word):
    row = v1(given).row
    assert (row["score"], row["class"], row["given"]) == (score, word, str(given))
    assert v1(given).flags == []


@pytest.mark.parametrize(("given", "probably"), [("good", "acceptable"), ("bad", "exclude")])
def test_words_that_are_no_class_are_taken_and_flagged(given, probably):
    rated = v1(given)
    assert (rated.row["class"], rated.row["score"]) == (None, None)
    assert [(flag.code, flag.found, flag.proposed) for flag in rated.flags] == [("not-a-class", given, probably)]


@pytest.mark.parametrize(
    "given", ["banana", "", "0.95", "4.05", 0.99, 4.01, 5, -1, None, True, "3,5", "nan", [3], "Good"]
)
def test_anything_else_is_refused(given):
    with pytest.raises(RefusedError, match="rating"):
        v1(given)


def test_the_post_of_mriqcs_report_is_read():
    posted = {"rating": "1.85", "md5sum": "unspecified", "name": "", "comment": '["head-motion","ghosts-other"]'}
    rated = ratings.check_v1(posted, rater="alice")
    assert json.loads(rated.row["artifacts"]) == ["head-motion", "ghost-other"]
    assert (rated.row["comment"], rated.row["file_md5"], rated.row["rater"]) == (None, None, "alice")
    assert [flag.code for flag in rated.flags] == ["unlinked"]


def test_the_download_of_mriqcs_report_is_read():
    rated = v1(
        "3.0",
        dataset="ds",
        subject="sub-01_T1w.nii.gz",
        artifacts=["inu"],
        time_sec=20.1,
        confidence="85.5",
        comments="ok",
    )
    row = rated.row
    assert (row["image_name"], row["seconds"], row["confidence"], row["comment"]) == (
        "sub-01_T1w.nii.gz",
        20.1,
        85.5,
        "ok",
    )


def test_a_rater_is_no_address_that_would_be_taken_out_and_leave_nobody():
    posted = {"rating": "3", "md5sum": md5_of(1), "rater_id": "ann@example.org"}
    with pytest.raises(RefusedError, match="rater_id: an e-mail address is not kept"):
        ratings.check_v1(posted, rater="alice")


def test_two_ratings_without_an_image_are_two_however_alike_they_are():
    posted = {"rating": "3", "md5sum": "unspecified", "name": "", "comment": "[]"}
    first, second = (ratings.check_v1(posted, rater="alice").row["rating_id"] for _ in range(2))
    assert first != second
    assert v1("3").row["rating_id"] == v1("3").row["rating_id"]


def test_one_of_our_own_is_the_same_however_often_it_is_sent_and_a_key_tells_repeats_apart():
    assert v2().row["rating_id"] == v2().row["rating_id"]
    assert v2(key="second-look").row["rating_id"] != v2().row["rating_id"]
    assert v2().row["rating_id"] != ratings.check_v2({"rating": 3.0, "md5sum": md5_of(1)}, rater="bob").row["rating_id"]


def test_one_of_our_own_names_its_image_or_says_that_it_has_none():
    with pytest.raises(RefusedError, match="unlinked true"):
        ratings.check_v2({"rating": 3}, rater="alice")
    assert ratings.check_v2({"rating": 3, "unlinked": True}, rater="alice").row["file_md5"] is None


@pytest.mark.parametrize(
    "more", [{"artifacts": ["rain"]}, {"confidence": 101}, {"seconds": -1}, {"rater": "A b"}, {"x": 1}]
)
def test_one_of_our_own_is_read_strictly(more):
    with pytest.raises(RefusedError, match=next(iter(more))):
        v2(**more)


def test_the_ratings_that_mriqcs_server_is_tested_with_are_taken_and_flagged(real_data):
    found = [ratings.check_v1(rating, rater="a") for rating in fixtures(real_data, "rating/**/*.json").values()]
    assert [rated.flags[0].code for rated in found] == ["not-a-class"] * 4
