"""What the records amount to, counted for whoever looks after them."""

import pytest

from qcbench.records.identity import Pseudonyms
from qcbench.records.importing import import_records
from qcbench.records.overview import overview
from tests.records.samples import a_record, md5_of


def counted(api, **options):
    with api.database.reading(one_state=True) as connection:
        return overview(connection, **options)


@pytest.fixture
def filled(api):
    for number in range(3):
        meta = {"MagneticFieldStrength": 1.0} if number else {}
        api.post("/api/v2/records/T1w", a_record(bids_meta=meta, provenance={"md5sum": md5_of(number)}))
    api.post("/api/v2/records/bold", a_record("bold", bids_meta={"EchoTime": 0.4}), scope="admin")
    for md5 in (md5_of(1), md5_of(8), md5_of(8), md5_of(9)):
        api.post("/api/v2/ratings", {"rating": 3, "md5sum": md5, "key": md5 + str(len(md5))}, scope="rate")
    api.post("/api/v2/ratings", {"rating": 2, "md5sum": md5_of(8)}, scope="write")
    api.post("/api/v1/rating", {"rating": "3.0", "md5sum": "unspecified"}, scope="rate")
    return api


def test_records_and_ratings_are_counted_by_who_sent_them_and_on_which_day(filled):
    found = counted(filled)
    assert found["modalities"]["T1w"] == {"records": 3, "files": 3, "flagged": 2}
    assert {each["client"]: each["n"] for each in found["clients"]} == {
        "c-write": {"T1w": 3, "rating": 1},
        "c-admin": {"bold": 1},
        "c-rate": {"rating": 4},
    }
    assert [each["n"] for each in found["days"]] == [{"T1w": 3, "bold": 1, "rating": 5}]


def test_flags_are_counted_by_code_field_and_modality(filled):
    found = {(each["code"], each["field"]): each["n"] for each in counted(filled)["flags"]}
    assert found == {
        ("field-truncated", "MagneticFieldStrength"): {"T1w": 2},
        ("range", "EchoTime"): {"bold": 1},
        ("unlinked", "md5sum"): {"rating": 1},
    }


def test_ratings_that_wait_are_counted_by_the_file_they_wait_for(filled):
    found = counted(filled)
    assert found["links"] == {"linked": 1, "waiting": 3, "unlinked": 1}
    assert [(each["file_md5"], each["n"]) for each in found["waiting"]] == [(md5_of(8), 2), (md5_of(9), 1)]
    assert len(counted(filled, waiting=1)["waiting"]) == 1


def test_nobody_s_verdict_and_no_subject_is_in_it(filled):
    text = str(counted(filled))
    assert "acceptable" not in text and "score" not in text and "subject" not in text


def test_three_thousand_real_records_have_the_counts_that_are_known_of_them(api_sqlite, real_data):
    import_records(api_sqlite.database, Pseudonyms(bytes(range(32))), real_data / "mriqc" / "webapi_sample")
    found = {(each["code"], each["field"]): each["n"] for each in counted(api_sqlite)["flags"]}
    assert found["field-truncated", "MagneticFieldStrength"] == {"T1w": 13, "bold": 66}
    assert found["range", "EchoTime"] == {"bold": 52}
    # 35 rows of the table are 18 records: the others were sent twice.
    assert found["header-tr-unit", "spacing_tr"] == {"bold": 18}
    assert counted(api_sqlite)["clients"][0]["n"] == {"T1w": 931, "T2w": 1000, "bold": 904}
