from pathlib import Path

import orjson
import pytest

from qcbench.records import checks
from qcbench.records.identity import Pseudonyms
from qcbench.records.payloads import RefusedError, json_schema, record_form
from tests.records.samples import a_record, fixtures

PSEUDONYMS = Pseudonyms(bytes(range(32)))


def checked(modality="T1w", **changes):
    return checks.check(modality, a_record(modality, **changes), PSEUDONYMS)


def flags(modality="T1w", **changes):
    return [(flag.code, flag.field, flag.found, flag.proposed) for flag in checked(modality, **changes).flags]


def issues(modality="T1w", **changes):
    with pytest.raises(RefusedError) as refused:
        checked(modality, **changes)
    return refused.value.issues


def test_a_plausible_record_is_accepted_as_it_is():
    for modality in ("T1w", "T2w", "bold"):
        assert flags(modality) == []
    row = checked(cjv=0.4, bids_meta={"FlipAngle": 8.5}).row
    assert (row["cjv"], row["FlipAngle"], row["size_x"], row["file_md5"]) == (0.4, 8.5, 10, "0" * 32)


@pytest.mark.parametrize(
    ("modality", "changes", "flag"),
    [
        ("T1w", {"bids_meta": {"MagneticFieldStrength": 1}}, ("field-truncated", "MagneticFieldStrength", 1.0, 1.5)),
        ("T1w", {"bids_meta": {"MagneticFieldStrength": 15000}}, ("unit", "MagneticFieldStrength", 15000.0, 1.5)),
        ("T1w", {"bids_meta": {"EchoTime": 2.98}}, ("unit", "EchoTime", 2.98, 0.00298)),
        ("T2w", {"bids_meta": {"EchoTime": 100.0}}, ("unit", "EchoTime", 100.0, 0.1)),
        ("bold", {"bids_meta": {"EchoTime": 0.4}}, ("range", "EchoTime", 0.4, None)),
        ("T1w", {"bids_meta": {"RepetitionTime": 2300}}, ("unit", "RepetitionTime", 2300.0, 2.3)),
        ("bold", {"spacing_tr": 0.002}, ("header-tr-unit", "spacing_tr", 0.002, 2.0)),
        ("bold", {"spacing_tr": 1.0}, ("header-tr", "spacing_tr", 1.0, 2.0)),
        ("bold", {"bids_meta": {"RepetitionTime": 2000}}, ("unit", "RepetitionTime", 2000.0, 2.0)),
        ("bold", {"bids_meta": {"EchoTime": 0.1, "RepetitionTime": 0.1}, "spacing_tr": 0.1},
         ("echo-after-repetition", "EchoTime", 0.1, None)),
        ("T1w", {"bids_meta": {"Manufacturer": "GE_MEDICAL_SYSTEMS"}},
         ("vendor-spelling", "Manufacturer", "GE_MEDICAL_SYSTEMS", "GE")),
        ("T1w", {"bids_meta": {"ImagingFrequency": 123249959}}, ("unit", "ImagingFrequency", 123249959.0, 123.249959)),
        ("T1w", {"bids_meta": {"ImagingFrequency": 123.2, "MagneticFieldStrength": 1.5}},
         ("field-against-frequency", "MagneticFieldStrength", 1.5, 3.0)),
        ("T1w", {"spacing_x": 44.4}, ("range", "spacing_x", 44.4, None)),
        ("T1w", {"cnr": None}, ("no-value", "cnr", None, None)),
        ("T1w", {"fber": -1.0}, ("stands-for-none", "fber", -1.0, None)),
        ("bold", {"spikes_num": 3}, ("unknown-field", "payload", "spikes_num", None)),
    ],
)  # fmt: skip
def test_what_is_implausible_is_kept_and_flagged_with_a_repair_where_there_is_one(modality, changes, flag):
    assert flags(modality, **changes) == [flag]


@pytest.mark.parametrize(
    ("modality", "changes"),
    [
        ("T2w", {"bids_meta": {"EchoTime": 0.565}}),
        ("T1w", {"bids_meta": {"MagneticFieldStrength": 1.0, "ImagingFrequency": 42.6}}),
        ("T1w", {"bids_meta": {"ImagingFrequency": 123.248, "MagneticFieldStrength": 3.0}}),
        ("T1w", {"bids_meta": {"RepetitionTime": 0.008, "EchoTime": 0.0037}}),
        ("T1w", {"bids_meta": {"PartialFourier": 0.75, "PixelBandwidth": 199.5, "PercentPhaseFieldOfView": 93.75}}),
        ("T1w", {"bids_meta": {"ScanOptions": ["FS", "PFP"], "DeviceSerialNumber": 35343}}),
        ("bold", {"bids_meta": {"EchoTime": [0.012, 0.028, 0.044]}}),
        ("T1w", {"bids_meta": {"Manufacturer": "Acme"}}),
        ("bold", {"bids_meta": {"NumberOfVolumes": 216}}),
    ],
)
def test_what_valid_bids_and_real_scanners_have_is_no_fault(modality, changes):
    assert flags(modality, **changes) == []


@pytest.mark.parametrize(
    ("modality", "changes", "where"),
    [
        ("T1w", {"bids_meta": {"EchoTime": -1}}, ("bids_meta", "EchoTime")),
        ("T1w", {"cjv": -5}, ("cjv",)),
        ("T1w", {"cjv": "0.5"}, ("cjv",)),
        ("T1w", {"cjv": True}, ("cjv",)),
        ("T1w", {"cjv": float("nan")}, ("cjv",)),
        ("T1w", {"cnr": float("inf")}, ("cnr",)),
        ("T1w", {"cnr": 10**400}, ("cnr",)),
        ("T1w", {"spacing_y": 0.0}, ("spacing_y",)),
        ("T1w", {"spacing_y": 1000.0}, ("spacing_y",)),
        ("T1w", {"size_x": 1.5}, ("size_x",)),
        ("T1w", {"bids_meta": {"modality": "T2w"}}, ("bids_meta", "modality")),
        ("T1w", {"provenance": {"md5sum": "unspecified"}}, ("provenance", "md5sum")),
        ("bold", {"bids_meta": {"TaskName": None}}, ("bids_meta", "TaskName")),
        ("bold", {"bids_meta": {"acquisition": {}}}, ("bids_meta", "acquisition")),
    ],
)
def test_nonsense_is_refused_and_the_field_is_named(modality, changes, where):
    found = issues(modality, **changes)
    for step in where:
        found = found[step]
    assert isinstance(found, str)


def test_every_fault_of_a_payload_is_told_at_once():
    assert set(issues(cjv=-5, cnr="x", bids_meta={"EchoTime": -1})) == {"cjv", "cnr", "bids_meta"}


def test_a_number_that_stands_for_none_is_null_in_the_table_and_kept_in_the_payload():
    accepted = checked(fber=-1.0)
    assert accepted.row["fber"] is None
    assert '"fber":-1.0' in accepted.payload


def test_the_same_payload_is_the_same_record_however_it_is_written():
    one = a_record(cjv=1, size_x=176)
    other = dict(reversed(a_record(cjv=1.0, size_x=176.0).items()))
    assert checks.check("T1w", one, PSEUDONYMS).record_id == checks.check("T1w", other, PSEUDONYMS).record_id
    assert checks.check("T1w", one, PSEUDONYMS).record_id != checked(cjv=1.01).record_id


def test_no_identity_reaches_what_is_stored():
    accepted = checked(
        PatientName="DOE^JANE",
        PatientID=8675309,
        mrn=8675309,
        bids_meta={
            "subject_id": "jane.doe",
            "session_id": "20190304",
            "DeviceSerialNumber": "SN35343",
            "InstitutionName": "Saint Elsewhere",
            "InstitutionAddress": "1 Long Road",
            "PatientName": "DOE^JANE",
            "ProtocolName": "T1 ask ann@hospital.org",
        },
        provenance={"email": "jane@hospital.org"},
    )
    stored = accepted.payload + str(accepted.row)
    for secret in ("jane", "DOE", "20190304", "SN35343", "Elsewhere", "Long Road", "ann@", "hospital.org", "8675309"):
        assert secret not in stored
    assert accepted.row["ProtocolName"] == "T1 ask [e-mail]"


def test_a_metric_of_a_known_family_is_kept_before_it_is_known():
    accepted = checked(cjv_roi=0.5, spikes_num=3, cnr_text="x", weight_kg=70)
    assert '"cjv_roi":0.5' in accepted.payload and '"spikes_num":3' in accepted.payload
    assert "weight_kg" not in accepted.payload and "cnr_text" not in accepted.payload


def test_a_subject_is_the_same_whether_its_client_hashed_it_or_not():
    import hashlib

    plain, hashed = checked(bids_meta={"subject_id": "sub-01"}), hashlib.sha256(b"01").hexdigest()
    assert plain.row["subject_id"] == checked(bids_meta={"subject_id": hashed}).row["subject_id"] != hashed
    other_site = checks.check("T1w", a_record(), Pseudonyms(bytes(32)))
    assert other_site.row["subject_id"] != plain.row["subject_id"]


def test_text_that_no_database_takes_is_made_harmless():
    accepted = checked(bids_meta={"ProtocolName": "a\0b", "SequenceName": ["x", 1.0, True]})
    assert accepted.row["ProtocolName"] == "a\ufffdb"
    assert accepted.row["SequenceName"] == "x, 1, True"


def test_the_records_that_mriqcs_server_is_tested_with_fare_as_they_should(real_data):
    for name, record in fixtures(real_data, "[Tbm]*/**/*.json").items():
        modality = "bold" if "bold" in name else "T1w"
        if "missingField" in name:
            with pytest.raises(RefusedError, match="bids_meta"):
                checks.check(modality, record, PSEUDONYMS)
        else:
            assert checks.check(modality, record, PSEUDONYMS).flags == []


def test_the_page_for_administrators_names_every_reason_for_a_flag():
    page = Path("docs/records.md").read_text()
    assert [code for code in checks.FLAGS if code not in page] == []


def test_entities_under_the_names_of_bids_are_stored_under_ours_and_both_are_described():
    named = {"acquisition": "mprage", "session": "01", "run": 2.0}
    accepted = checked(bids_meta=named)
    meta = orjson.loads(accepted.payload)["bids_meta"]
    assert (meta["acq_id"], meta["run_id"]) == ("mprage", 2.0)
    assert not meta.keys() & named.keys()
    assert checked(bids_meta={"acq_id": "mprage", "session_id": "01", "run_id": 2.0}).record_id == accepted.record_id
    described = json_schema(record_form("T1w"))["properties"]["bids_meta"]["properties"]
    for theirs, ours in (("acquisition", "acq_id"), ("run", "run_id")):
        assert described[theirs]["anyOf"] == described[ours]["anyOf"]
