import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from qcbench.errors import TableError, UsageError
from qcbench.records import audit, sql
from qcbench.records.comparison import difference
from qcbench.records.snapshot import CURATED, KEYS, read_manifest, take
from tests.records.samples import a_record, md5_of


@pytest.fixture
def filled(api):
    for number in range(3):
        record = a_record(cjv=0.3 + number / 10, provenance={"md5sum": md5_of(number)})
        assert api.post("/api/v2/records/T1w", record).status_code == 201
    series = a_record("bold", provenance={"md5sum": md5_of(9)}, bids_meta={"MagneticFieldStrength": 1.0})
    assert api.post("/api/v2/records/bold", series).status_code == 201
    rated(api, 3.0, md5sum=md5_of(1))
    return api


def rated(api, score, **more):
    return api.post("/api/v2/ratings", {"rating": score} | more, scope="rate").json()["id"]


def change(api, statement):
    with api.database.writing() as connection:
        connection.execute(sa.text(statement))


def rewrite(path, change):
    """Alter the rows of a Parquet file and give the manifest its hash, as somebody would who covers traces."""
    from qcbench.records.snapshot import _sha256

    rows = [change(row) for row in pq.read_table(path).to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(path)), path)
    manifest = json.loads((path.parent / "manifest.json").read_text())
    manifest["tables"][path.stem]["sha256"] = _sha256(path)
    (path.parent / "manifest.json").write_text(json.dumps(manifest))


def test_a_snapshot_holds_every_table_with_its_hash_and_where_the_audit_log_stood(filled, tmp_path):
    summary = take(filled.database, tmp_path / "s")
    counts = {"t1w": 3, "t2w": 0, "bold": 1, "rating": 1, "flag": 1, "image_file": 4, "raw_record": 4, "audit": 5}
    counts["decision"] = 0
    assert summary.facts["rows"] == counts
    manifest = read_manifest(tmp_path / "s")
    assert {name: each["rows"] for name, each in manifest["tables"].items()} == counts
    assert manifest["audit_head"]["sha256"] == pq.read_table(tmp_path / "s" / "audit.parquet").to_pylist()[-1]["sha256"]
    assert manifest["schema_revision"] == "0003"
    [first, *_] = pq.read_table(tmp_path / "s" / "t1w.parquet").to_pylist()
    assert (first["cjv"], first["image_id"], first["size_x"]) == (0.3, md5_of(0), 10)
    [raw, *_] = pq.read_table(tmp_path / "s" / "raw_record.parquet").to_pylist()
    assert (raw["client"], json.loads(raw["payload"])["bids_meta"]["modality"]) == ("c-write", "T1w")


def test_no_token_is_in_a_snapshot(filled, tmp_path):
    take(filled.database, tmp_path / "s")
    assert {path.stem for path in (tmp_path / "s").glob("*.parquet")} == set(KEYS) - set(CURATED)
    assert "token" not in KEYS


def test_a_snapshot_is_of_one_moment_whoever_writes_meanwhile(filled, tmp_path, monkeypatch):
    from qcbench.records import snapshot

    original, later = snapshot._write, iter(range(20, 40))

    def writes_between(path, query, connection):
        filled.post("/api/v2/records/T1w", a_record(provenance={"md5sum": md5_of(next(later))}))
        return original(path, query, connection)

    monkeypatch.setattr(snapshot, "_write", writes_between)
    rows = take(filled.database, tmp_path / "s").facts["rows"]
    assert (rows["t1w"], rows["raw_record"], rows["image_file"], rows["audit"]) == (3, 4, 4, 5)
    assert filled.get("/api/v2/statistics").json()["records"]["T1w"]["records"] == 3 + len(rows)


def test_nothing_is_overwritten(filled, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        take(filled.database, tmp_path / "s")


def test_a_folder_without_a_manifest_is_no_snapshot_and_a_changed_file_is_named(filled, tmp_path):
    take(filled.database, tmp_path / "s")
    (tmp_path / "s" / "rating.parquet").write_bytes(b"PAR1")
    with pytest.raises(TableError, match=r"rating\.parquet"):
        read_manifest(tmp_path / "s")
    (tmp_path / "s" / "manifest.json").unlink()
    with pytest.raises(UsageError, match="records snapshot"):
        read_manifest(tmp_path / "s")


def test_a_difference_says_what_was_added_superseded_and_learnt(filled, tmp_path):
    take(filled.database, tmp_path / "a")
    old = filled.get("/api/v2/ratings").json()["items"][0]["rating_id"]
    rated(filled, 2.0, md5sum=md5_of(1), supersedes=old)
    same_file = a_record(cjv=0.77, provenance={"md5sum": md5_of(0), "voxels_sha256": "a" * 64})
    filled.post("/api/v2/records/T1w", same_file)
    take(filled.database, tmp_path / "b")
    found = difference(tmp_path / "a", tmp_path / "b")
    assert (found.faults, found.superseded, found.exit_status) == ([], [old], 0)
    assert found.tables["t1w"] == {"added": 1, "gone": 0, "changed": 1, "fields": {"image_id": 1}}
    assert found.tables["rating"] == {"added": 1, "gone": 0, "changed": 1, "fields": {"current": 1}}
    assert found.tables["image_file"]["fields"] == {"voxels_sha256": 1, "image_id": 1}
    assert "1 added, 0 gone, 1 changed (image_id: 1)" in str(found)


def test_two_snapshots_of_the_same_state_do_not_differ(filled, tmp_path):
    take(filled.database, tmp_path / "a")
    take(filled.database, tmp_path / "b")
    found = difference(tmp_path / "a", tmp_path / "b")
    assert "no difference" in str(found)
    assert not found.faults and not found.superseded


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE t1w SET cjv = 0.1 WHERE file_md5 LIKE '%1'", "t1w: cjv"),
        ("UPDATE rating SET score = 4", "rating: score"),
        ("DELETE FROM flag", "flag: 1 rows are gone"),
        ("UPDATE audit SET sha256 = 'x' WHERE sequence = (SELECT max(sequence) FROM audit)", "another database"),
    ],
)
def test_what_was_altered_between_two_snapshots_is_a_fault(filled, tmp_path, statement, fault):
    take(filled.database, tmp_path / "a")
    change(filled, statement)
    take(filled.database, tmp_path / "b")
    found = difference(tmp_path / "a", tmp_path / "b")
    assert any(fault in each for each in found.faults)
    assert found.exit_status == 1


def test_snapshots_in_the_wrong_order_are_told(filled, tmp_path):
    take(filled.database, tmp_path / "a")
    take(filled.database, tmp_path / "b")
    assert any("older one first" in fault for fault in difference(tmp_path / "b", tmp_path / "a").faults)


def test_an_altered_row_is_found_although_its_hash_was_made_anew(filled, tmp_path):
    take(filled.database, tmp_path / "a")
    take(filled.database, tmp_path / "b")
    rewrite(tmp_path / "b" / "bold.parquet", lambda row: row | {"tsnr": 99.0})
    assert difference(tmp_path / "a", tmp_path / "b").faults == ["bold: tsnr of rows that never change was altered"]


QUESTION = "SELECT t.cjv, r.score FROM t1w t JOIN rating r ON r.image_id = t.image_id"


def test_a_question_is_answered_over_the_tables_and_over_a_snapshot(filled, tmp_path):
    take(filled.database, tmp_path / "s")
    answer = sql.ask_database(filled.database, QUESTION)
    assert (answer.columns, answer.rows) == (["cjv", "score"], [(0.4, 3.0)])
    assert answer.to_json() == [{"cjv": 0.4, "score": 3.0}]
    assert str(answer) == "cjv  score\n---  -----\n0.4  3\n(1 rows)"
    filled.post("/api/v2/records/T1w", a_record(provenance={"md5sum": md5_of(30)}))
    count = "SELECT count(*) AS n FROM T1W"
    assert sql.ask_snapshot(tmp_path / "s", count).rows == [(3,)]
    assert sql.ask_database(filled.database, count).rows == [(4,)]


@pytest.mark.parametrize(
    "question",
    [
        "DELETE FROM t1w",
        "SELECT 1; SELECT 2",
        "COPY t1w TO '/tmp/out.csv'",
        "ATTACH '/tmp/x.db'",
        "SET enable_external_access = true",
        "SELEC",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_parquet('https://example.org/x.parquet')",
        "SELECT getenv('HOME')",
        "SELECT * FROM token",
        "SELECT * FROM tables",
    ],
)
def test_only_a_select_over_the_records_is_answered(api_sqlite, question):
    with pytest.raises(UsageError, match=r"question|SELECT"):
        sql.ask_database(api_sqlite.database, question)


def test_a_question_changes_nothing(filled):
    sql.ask_database(filled.database, "SELECT * FROM rating")
    with filled.database.reading(one_state=True) as connection:
        assert audit.verify(connection) == []
