import pytest
import sqlalchemy as sa

from qcbench.records import audit, schema
from tests.records.samples import a_record, md5_of


@pytest.fixture
def filled(api):
    for number in range(3):
        api.post("/api/v2/records/T1w", a_record(provenance={"md5sum": md5_of(number)}))
    api.post("/api/v2/ratings", {"rating": 3, "md5sum": md5_of(1)}, scope="rate")
    return api


def faults(api):
    return api.get("/api/v2/audit", scope="admin").json()["faults"]


def change(api, statement):
    with api.database.writing() as connection:
        connection.execute(sa.text(statement))


def test_an_untouched_database_has_no_fault_and_says_who_did_what(filled):
    assert faults(filled) == []
    with filled.database.reading() as connection:
        rows = connection.execute(sa.select(schema.AUDIT.c.client, schema.AUDIT.c.action)).all()
    assert rows == [("c-write", "records added")] * 3 + [("c-rate", "ratings added")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET client = 'mallory' WHERE sequence = (SELECT min(sequence) + 1 FROM audit)",
        "DELETE FROM audit WHERE sequence = (SELECT min(sequence) FROM audit)",
        "DELETE FROM audit WHERE sequence = (SELECT min(sequence) + 1 FROM audit)",
        "UPDATE raw_record SET payload = replace(payload, '24.0.2', '24.0.3')",
        "UPDATE rating SET payload = replace(payload, '3', '4')",
        "UPDATE rating SET class = 'excellent'",
        "UPDATE rating SET file_md5 = NULL",
        "DELETE FROM rating",
        "UPDATE t1w SET cjv = 0.1",
        "UPDATE t1w SET version = '1' WHERE sequence = (SELECT min(sequence) FROM t1w)",
        "DELETE FROM t1w WHERE sequence = (SELECT max(sequence) FROM t1w)",
        "UPDATE raw_record SET modality = 'dwi'",
        "UPDATE image_file SET image_id = 'x'",
        "DELETE FROM image_file",
    ],
)
def test_what_is_altered_behind_the_api_is_found(filled, statement):
    change(filled, statement)
    assert faults(filled)


def test_a_record_that_was_taken_away_is_named(filled):
    with filled.database.reading() as connection:
        last = connection.execute(sa.select(sa.func.max(schema.TYPED["T1w"].c.sequence))).scalar_one()
        gone = connection.execute(
            sa.select(schema.TYPED["T1w"].c.record_id).where(schema.TYPED["T1w"].c.sequence == last)
        ).scalar_one()
    change(filled, f"DELETE FROM t1w WHERE record_id = '{gone}'")
    change(filled, f"DELETE FROM raw_record WHERE record_id = '{gone}'")
    assert faults(filled) == [f"record {gone} is gone, of which the audit log tells"]


def test_what_was_stored_with_flags_and_without_values_is_no_fault(api):
    odd = {"fber": -1.0, "qi_2": None, "size_x": 7, "not_known": 2.0}
    meta = {"Manufacturer": "SIEMENS", "EchoTime": 3.0, "ImageType": ["A", 1], "DeviceSerialNumber": 35343}
    known = {"md5sum": "AB" * 16, "voxels_sha256": "CD" * 32, "settings": {"testing": True}, "email": "a@example.org"}
    assert api.post("/api/v1/T1w", a_record(**odd, bids_meta=meta, provenance=known)).status_code == 201
    assert (
        api.post("/api/v1/rating", {"rating": "good", "md5sum": "unspecified", "comment": '["inu"]'}).status_code == 201
    )
    assert api.post("/api/v2/ratings", {"rating": 3.05, "md5sum": md5_of(9), "confidence": 71.3}).status_code == 201
    assert faults(api) == []


def test_a_record_that_was_slipped_in_is_found(filled):
    with filled.database.writing() as connection:
        row = dict(connection.execute(sa.select(schema.RAW_RECORD).limit(1)).mappings().one())
        from qcbench.records.checks import record_id

        row |= {"payload": "{}", "record_id": record_id("T1w", b"{}")}
        connection.execute(schema.RAW_RECORD.insert(), row)
    assert faults(filled) == [f"no entry of the audit log tells of record {row['record_id']}"]


def test_the_last_entries_cannot_be_cut_off_without_losing_what_they_tell_of(filled):
    change(filled, "DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)")
    assert any(fault.startswith("rating") for fault in faults(filled))


def test_the_chain_begins_at_its_origin(api):
    with api.database.writing() as connection:
        audit.append(connection, client="a", action="x", detail={})
        first = connection.execute(sa.select(schema.AUDIT.c.previous_sha256)).scalar_one()
    assert first == "0" * 64
