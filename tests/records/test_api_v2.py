import csv
import io

import pyarrow.parquet as pq
import pytest

from qcbench.records import api_v2
from tests.records.samples import a_record, md5_of

HASH = "ab" * 32


def records(n, modality="bold"):
    return [a_record(modality, fd_mean=i, provenance={"md5sum": md5_of(i)}) for i in range(n)]


def rate(api, rating=3.0, scope="rate", **more):
    return api.post("/api/v2/ratings", {"rating": rating, "md5sum": md5_of(1)} | more, scope=scope)


def test_a_record_is_created_once_and_says_its_flags(api):
    record = a_record(bids_meta={"MagneticFieldStrength": 1.0})
    first, second = api.post("/api/v2/records/T1w", record), api.post("/api/v2/records/T1w", record)
    assert (first.status_code, second.status_code) == (201, 200)
    assert (first.json()["created"], second.json()["created"]) == (True, False)
    assert first.json()["id"] == second.json()["id"]
    assert first.json()["flags"] == [
        {"code": "field-truncated", "field": "MagneticFieldStrength", "found": 1.0, "proposed": 1.5}
    ]
    shown = api.get(f"/api/v2/records/T1w/{first.json()['id']}").json()
    assert shown["MagneticFieldStrength"] == shown["payload"]["bids_meta"]["MagneticFieldStrength"] == 1.0
    assert shown["flags"][0]["proposed"] == "1.5"


def test_many_are_stored_at_once_and_each_has_its_own_outcome(api):
    payloads = [*records(3), a_record("bold", tsnr=-1), records(1)[0]]
    items = api.post("/api/v2/records/bold/bulk", payloads).json()["items"]
    assert [item["status"] for item in items] == [201, 201, 201, 422, 201]
    assert items[0]["id"] == items[4]["id"] and "tsnr" in items[3]["issues"]
    again = api.post("/api/v2/records/bold/bulk", payloads).json()["items"]
    assert [item["status"] for item in again] == [200, 200, 200, 422, 200]
    assert api.get("/api/v2/statistics").json()["records"]["bold"]["records"] == 3


def test_pages_go_on_from_a_cursor_while_others_write(api):
    api.post("/api/v2/records/bold/bulk", records(5))
    first = api.get("/api/v2/records/bold", limit=3).json()
    api.post("/api/v2/records/bold/bulk", records(8)[5:])
    second = api.get("/api/v2/records/bold", limit=3, cursor=first["next"]).json()
    third = api.get("/api/v2/records/bold", limit=3, cursor=second["next"]).json()
    pages = [[item["fd_mean"] for item in page["items"]] for page in (first, second, third)]
    assert pages == [[0, 1, 2], [3, 4, 5], [6, 7]] and third["next"] is None


def test_filters_choose(api):
    api.post("/api/v2/records/bold/bulk", records(5))
    found = api.get("/api/v2/records/bold", filter=["fd_mean>=2", "fd_mean!=3", "version=24.0.2"]).json()["items"]
    assert [item["fd_mean"] for item in found] == [2, 4]
    for bad in ("payload=1", "fd_mean", "fd_mean>'x'", "testing=1"):
        assert api.get("/api/v2/records/bold", filter=bad).status_code == 400, bad
    assert "filters" in api.get("/api/v2/records/bold", filters="fd_mean>2").json()["_issues"]


def test_files_with_the_same_voxels_are_one_image(api):
    packed = a_record(provenance={"md5sum": md5_of(1), "voxels_sha256": HASH})
    repacked = a_record(cjv=0.9, provenance={"md5sum": md5_of(2), "voxels_sha256": HASH})
    unknown = a_record(cjv=0.8, provenance={"md5sum": md5_of(3)})
    for record in (packed, repacked, unknown):
        api.post("/api/v2/records/T1w", record)
    assert api.get("/api/v2/statistics").json()["images"] == 2
    # Later the voxels of the third file become known too.
    api.post("/api/v2/records/T1w", a_record(cjv=0.7, provenance={"md5sum": md5_of(3), "voxels_sha256": HASH}))
    assert api.get("/api/v2/statistics").json()["images"] == 1
    assert {item["image_id"] for item in api.get("/api/v2/records/T1w").json()["items"]} == {HASH}
    # What is known of a file stays: neither silence nor other voxels take it away.
    api.post("/api/v2/records/T1w", a_record(cjv=0.6, provenance={"md5sum": md5_of(3)}))
    api.post("/api/v2/records/T1w", a_record(cjv=0.5, provenance={"md5sum": md5_of(3), "voxels_sha256": "cd" * 32}))
    assert len(api.get("/api/v2/records/T1w").json()["items"]) == 6
    assert {item["image_id"] for item in api.get("/api/v2/records/T1w").json()["items"]} == {HASH}


def test_a_hash_in_capitals_is_the_same_hash(api):
    api.post("/api/v2/records/T1w", a_record(provenance={"md5sum": "ab" * 16, "voxels_sha256": "cd" * 32}))
    api.post("/api/v2/records/T1w", a_record(provenance={"md5sum": "EF" * 16, "voxels_sha256": "CD" * 32}))
    items = api.get("/api/v2/records/T1w", filter="voxels_sha256=" + "CD" * 32).json()["items"]
    assert [item["image_id"] for item in items] == ["cd" * 32] * 2
    assert len(api.get("/api/v2/records/T1w", filter="file_md5=" + "AB" * 16).json()["items"]) == 1


def test_a_table_leaves_as_csv_that_a_spreadsheet_opens_safely(api):
    api.post("/api/v2/records/bold", a_record("bold", bids_meta={"ProtocolName": "=1+1"}))
    answer = api.get("/api/v2/records/bold/export")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["ProtocolName"], row["spacing_tr"], row["image_id"]) == ("'=1+1", "2.0", "0" * 32)
    assert answer.headers["content-disposition"] == 'attachment; filename="bold.csv"'


def test_a_table_leaves_as_parquet_with_its_types(api):
    api.post("/api/v2/records/bold/bulk", records(5))
    table = pq.read_table(
        io.BytesIO(api.get("/api/v2/records/bold/export", form="parquet", filter="fd_mean>1").content)
    )
    assert table.column("fd_mean").to_pylist() == [2.0, 3.0, 4.0]
    assert (str(table.schema.field("size_x").type), str(table.schema.field("hmc_fsl").type)) == ("int64", "bool")


def test_long_tables_leave_whole(api_sqlite):
    for start in range(0, 2_100, 300):
        payloads = [a_record("bold", fd_num=start + i, provenance={"md5sum": md5_of(start + i)}) for i in range(300)]
        assert api_sqlite.post("/api/v2/records/bold/bulk", payloads).status_code == 200
    rows = list(csv.DictReader(io.StringIO(api_sqlite.get("/api/v2/records/bold/export").text)))
    assert [int(row["fd_num"]) for row in rows] == list(range(2_100))


def test_more_ratings_of_an_image_than_are_shown_are_counted_and_the_rest_has_an_address(api, monkeypatch):
    monkeypatch.setattr(api_v2, "_RATINGS_SHOWN", 2)
    made = api.post("/api/v2/records/T1w", a_record(provenance={"md5sum": md5_of(1), "voxels_sha256": HASH})).json()
    for score in (1.0, 2.0):
        rate(api, score)
    shown = api.get(f"/api/v2/records/T1w/{made['id']}").json()
    assert (shown["n_ratings"], len(shown["ratings"]), shown["ratings_next"]) == (2, 2, None)
    for score in (3.0, 4.0):
        rate(api, score)
    shown = api.get(f"/api/v2/records/T1w/{made['id']}").json()
    assert (shown["n_ratings"], [each["score"] for each in shown["ratings"]]) == (4, [1.0, 2.0])
    rest = api.http.get(f"/api/v2/{shown['ratings_next']}", headers=api.headers("read")).json()["items"]
    assert [each["score"] for each in rest] == [3.0, 4.0]


def test_statistics_leave_out_what_stands_for_none(api):
    for number, fber in enumerate((-1.0, 10.0, 20.0)):
        api.post("/api/v2/records/T1w", a_record(fber=fber, provenance={"md5sum": md5_of(number)}))
    assert api.get("/api/v2/statistics/T1w").json()["fber"] == {"n": 2, "mean": 15.0, "min": 10.0, "max": 20.0}
    assert api.get("/api/v2/statistics").json()["flags"] == {"stands-for-none": 1}


@pytest.mark.parametrize("payload", [{}, [1], [[]], "x", None, [a_record("bold")] * 1001])
def test_a_bulk_is_a_list_of_objects(api_sqlite, payload):
    answer = api_sqlite.post("/api/v2/records/bold/bulk", payload)
    assert answer.status_code in (413, 422)
