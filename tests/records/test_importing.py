import json

import pytest
import sqlalchemy as sa

from qcbench.errors import UsageError
from qcbench.records import audit, schema
from qcbench.records.identity import Pseudonyms
from qcbench.records.importing import import_records
from tests.records.samples import a_record, md5_of

PSEUDONYMS = Pseudonyms(bytes(range(32)))


def flag_counts(database, modality):
    table, flag = schema.TYPED[modality], schema.FLAG
    joined = flag.join(table, table.c.record_id == flag.c.item_id)
    query = sa.select(flag.c.code, flag.c.field, flag.c.found, flag.c.proposed, sa.func.count()).select_from(joined)
    with database.reading() as connection:
        rows = connection.execute(query.group_by(*list(query.selected_columns)[:4])).all()
    return {(code, field, found, proposed): n for code, field, found, proposed, n in rows}


def test_mriqcs_files_in_a_folder_are_imported_and_sidecars_are_left_alone(api_sqlite, tmp_path):
    (tmp_path / "sub-01").mkdir()
    (tmp_path / "sub-01" / "sub-01_T1w.json").write_text(json.dumps(a_record()))
    (tmp_path / "sub-01" / "sub-02_T1w.json").write_text(json.dumps(a_record(cjv=-5)))
    (tmp_path / "sub-01" / "sidecar.json").write_text('{"EchoTime": 0.003}')
    summary = import_records(api_sqlite.database, PSEUDONYMS, tmp_path)
    assert (summary.done, summary.unchanged) == (1, 0)
    assert list(summary.failed) == ["sub-01/sub-02_T1w.json"] and "cjv" in summary.failed["sub-01/sub-02_T1w.json"]
    assert import_records(api_sqlite.database, PSEUDONYMS, tmp_path).unchanged == 1


@pytest.mark.parametrize("content", [json.dumps(a_record(efc=float("nan"))), json.dumps(a_record())[:99], "\xff"])
def test_a_file_in_a_folder_that_cannot_be_read_is_told_and_the_others_are_stored(api_sqlite, tmp_path, content):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sub-01_T1w.json").write_text(content, encoding="latin-1")
    (tmp_path / "c.json").write_text(json.dumps(a_record()))
    summary = import_records(api_sqlite.database, PSEUDONYMS, tmp_path)
    assert (summary.done, list(summary.failed)) == (1, ["a/sub-01_T1w.json", "b/sub-01_T1w.json"])
    assert summary.failed["a/sub-01_T1w.json"].startswith("it cannot be read as JSON: ")


@pytest.mark.parametrize("end", ["\xf4pital", '"' + 200_000 * "x"])
def test_a_table_that_cannot_be_read_to_its_end_is_told_and_the_others_are_stored(api_sqlite, tmp_path, end):
    (tmp_path / "a.json").write_text(json.dumps(a_record()))
    (tmp_path / "b.csv").write_text(f"bids_meta.modality,bids_meta.InstitutionName\nT1w,{end}\n", encoding="latin-1")
    (tmp_path / "c.json").write_text(json.dumps(a_record(provenance={"md5sum": md5_of(3)})))
    summary = import_records(api_sqlite.database, PSEUDONYMS, tmp_path)
    assert (summary.done, list(summary.failed)) == (2, ["b.csv after line 1"])


@pytest.mark.parametrize("content", ["{", "[]", '{"bids_meta": {"modality": "dwi"}}'])
def test_a_file_that_is_no_record_is_told(api_sqlite, tmp_path, content):
    (tmp_path / "x.json").write_text(content)
    assert "x.json" in import_records(api_sqlite.database, PSEUDONYMS, tmp_path / "x.json").failed


def test_a_folder_that_is_not_there_is_refused(api_sqlite, tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        import_records(api_sqlite.database, PSEUDONYMS, tmp_path / "nowhere")


def test_a_table_of_the_web_api_is_read_as_the_records_it_was_made_of(api_sqlite, tmp_path):
    record = a_record(provenance={"md5sum": md5_of(5), "settings": {"testing": False}})
    cells = {"_id": "599f4c0b265d200008a1d8a7", "_links.self.title": "T1w", "bids_meta.run_id": "1.0"}
    cells |= {"bids_meta.ImageType": "['ORIGINAL', 'PRIMARY']", "provenance.settings.testing": "False"}
    for name, value in record.items():
        entries = {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
        cells |= {key: each for key, each in entries.items() if not isinstance(each, dict)}
    names = ",".join(f'"{name}"' for name in cells)
    values = ",".join(f'"{value}"' for value in cells.values())
    (tmp_path / "T1w.csv").write_text(f"{names}\n{values}\n")
    assert import_records(api_sqlite.database, PSEUDONYMS, tmp_path).done == 1
    (item,) = api_sqlite.get("/api/v1/T1w").json()["_items"]
    assert (item["bids_meta"]["run_id"], item["bids_meta"]["ImageType"]) == ("1", ["ORIGINAL", "PRIMARY"])
    assert item["provenance"]["settings"] == {"testing": False}
    assert set(item) == set(record) | {"_id", "_created", "_updated", "_etag", "_links"}


def test_three_thousand_real_records_have_the_faults_that_are_known_of_them(api, real_data):
    """The counts of the reference are of rows; 165 rows repeat another in everything but their id in the Web-API."""
    summary = import_records(api.database, PSEUDONYMS, real_data / "mriqc" / "webapi_sample")
    assert (summary.done, summary.unchanged, summary.failed) == (2835, 165, {})
    facts = summary.facts["flags"]
    assert (facts["T1w"]["field-truncated"], facts["bold"]["field-truncated"]) == (13, 66)
    assert (facts["bold"]["header-tr-unit"], facts["bold"]["header-tr"]) == (35, 14)
    assert [facts[modality]["vendor-spelling"] for modality in ("T1w", "T2w", "bold")] == [52, 2, 551]
    stored = flag_counts(api.database, "bold")
    # 35 rows are 18 records: the others were sent twice.
    assert stored["header-tr-unit", "spacing_tr", "0.002000001", "2.0"] == 18
    assert stored["header-tr", "spacing_tr", "1.0", "2.5"] == 14
    assert stored["range", "EchoTime", "0.4", None] == 52
    assert stored["field-truncated", "MagneticFieldStrength", "1.0", "1.5"] == 66
    assert not any(field == "EchoTime" for _, field, _, _ in flag_counts(api.database, "T2w"))
    counted = api.get("/api/v2/statistics").json()["records"]
    assert {modality: counted[modality]["files"] for modality in counted} == {"T1w": 927, "T2w": 1000, "bold": 904}
    assert {modality: counted[modality]["records"] for modality in counted} == {"T1w": 931, "T2w": 1000, "bold": 904}
    with api.database.reading(one_state=True) as connection:
        assert audit.verify(connection) == []
