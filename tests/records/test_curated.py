"""Tables with accepted repairs in place, in snapshots, in files, and under questions."""

import csv
import io

import pyarrow.parquet as pq
import pytest

from qcbench.records import checks, curate, curated, schema, sql
from qcbench.records.comparison import difference
from qcbench.records.identity import Pseudonyms
from qcbench.records.snapshot import CURATED, KEYS, take
from tests.records.samples import a_record, md5_of

QUESTION = 'SELECT "MagneticFieldStrength", "EchoTime", "Manufacturer", repaired FROM t1w_curated ORDER BY sequence'
FAULTY = {"MagneticFieldStrength": 1.0, "EchoTime": 2.9, "Manufacturer": "SIEMENS"}


@pytest.fixture
def filled(api):
    """One record with three proposals, one without a flag, and a rating that is no class."""
    api.post("/api/v2/records/T1w", a_record(bids_meta=FAULTY, provenance={"md5sum": md5_of(1)}))
    good = {"MagneticFieldStrength": 3.0, "EchoTime": 0.003, "Manufacturer": "GE"}
    api.post("/api/v2/records/T1w", a_record(bids_meta=good, provenance={"md5sum": md5_of(2)}))
    api.post("/api/v1/rating", {"rating": "good", "md5sum": md5_of(1)})
    return api


def decide(api, verdict, code):
    with api.database.writing() as connection:
        group = next(each.group for each in curate.proposals(connection).groups if each.code == code)
        curate.decide(connection, verdict, group, by="carla", why="seen")


def test_accepted_repairs_stand_in_place_with_the_fields_named(filled):
    good = (3.0, 0.003, "GE", None)
    assert sql.ask_database(filled.database, QUESTION).rows == [(1.0, 2.9, "SIEMENS", None), good]
    for code in ("field-truncated", "vendor-spelling", "unit"):
        decide(filled, "accepted", code)
    repaired = "EchoTime, MagneticFieldStrength, Manufacturer"
    assert sql.ask_database(filled.database, QUESTION).rows == [(1.5, 0.0029, "Siemens", repaired), good]
    raw = 'SELECT "MagneticFieldStrength", "EchoTime", "Manufacturer" FROM t1w LIMIT 1'
    assert sql.ask_database(filled.database, raw).rows == [(1.0, 2.9, "SIEMENS")]


def test_what_was_refused_or_reopened_reads_as_it_came(filled):
    decide(filled, "refused", "unit")
    decide(filled, "accepted", "field-truncated")
    decide(filled, "accepted", "vendor-spelling")
    decide(filled, "reopened", "field-truncated")
    [first, _] = sql.ask_database(filled.database, QUESTION).rows
    assert first == (1.0, 2.9, "Siemens", "Manufacturer")


def test_the_class_of_a_rating_is_repaired(filled):
    question = 'SELECT given, "class", repaired FROM rating_curated'
    assert sql.ask_database(filled.database, question).rows == [("good", None, None)]
    decide(filled, "accepted", "not-a-class")
    assert sql.ask_database(filled.database, question).rows == [("good", "acceptable", "class")]


def test_every_repair_that_is_proposed_has_a_column(api):
    """A flag on a field without one could be accepted and would change nothing."""
    odd = {"MagneticFieldStrength": 15000.0, "EchoTime": 30.0, "RepetitionTime": 2000.0, "InversionTime": 900.0}
    odd |= {"ImagingFrequency": 63_900_000.0, "EffectiveEchoSpacing": 0.5, "TotalReadoutTime": 40.0}
    odd |= {"Manufacturer": "SIEMENS"}
    record = a_record("bold", spacing_tr=2000.0, bids_meta=odd)
    flags = checks.check("bold", record, Pseudonyms(bytes(range(32)))).flags
    proposed = {flag.field for flag in flags if flag.proposed is not None}
    assert proposed == {*odd, "spacing_tr"} - {"RepetitionTime"} | {"RepetitionTime"}
    assert proposed <= set(curated.repairable(schema.TYPED["bold"]))


def test_a_snapshot_has_curated_tables_where_they_are_asked_for(filled, tmp_path):
    decide(filled, "accepted", "field-truncated")
    assert set(take(filled.database, tmp_path / "plain").facts["rows"]) == set(KEYS) - set(CURATED)
    rows = take(filled.database, tmp_path / "s", with_curated=True).facts["rows"]
    assert (rows["t1w_curated"], rows["decision"], rows["rating_curated"]) == (2, 1, 1)
    [first, second] = pq.read_table(tmp_path / "s" / "t1w_curated.parquet").to_pylist()
    assert (first["MagneticFieldStrength"], first["repaired"], first["cjv"]) == (1.5, "MagneticFieldStrength", 1.0)
    assert (second["MagneticFieldStrength"], second["repaired"]) == (3.0, None)
    assert pq.read_table(tmp_path / "s" / "t1w.parquet")["MagneticFieldStrength"].to_pylist() == [1.0, 3.0]
    assert sql.ask_snapshot(tmp_path / "s", "SELECT count(repaired) FROM t1w_curated").rows == [(1,)]


def test_a_decision_between_two_snapshots_is_a_change_and_no_fault(filled, tmp_path):
    take(filled.database, tmp_path / "a", with_curated=True)
    decide(filled, "accepted", "field-truncated")
    take(filled.database, tmp_path / "b", with_curated=True)
    found = difference(tmp_path / "a", tmp_path / "b")
    assert found.faults == []
    assert found.tables["decision"]["added"] == 1
    assert found.tables["t1w_curated"]["fields"] == {"MagneticFieldStrength": 1, "repaired": 1}
    take(filled.database, tmp_path / "plain")
    assert "t1w_curated" not in difference(tmp_path / "b", tmp_path / "plain").tables


def test_a_file_of_records_has_repairs_and_is_filtered_by_them(filled):
    decide(filled, "accepted", "field-truncated")

    def file(**asked):
        text = filled.get("/api/v2/records/T1w/export", **asked).text
        return list(csv.DictReader(io.StringIO(text)))

    assert [row["MagneticFieldStrength"] for row in file()] == ["1.0", "3.0"]
    assert "repaired" not in file()[0]
    rows = file(repaired="true", filter="MagneticFieldStrength==1.5")
    assert [(row["MagneticFieldStrength"], row["repaired"]) for row in rows] == [("1.5", "MagneticFieldStrength")]
    assert file(repaired="true", filter="repaired==null")[0]["MagneticFieldStrength"] == "3.0"
    assert file(filter="MagneticFieldStrength==1.5") == []
