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
    ],
)
def test_what_is_altered_behind_the_api_is_found(filled, statement):
    change(filled, statement)
    assert faults(filled)


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
