import hashlib
import json

import pytest

from qcbench import iqm_keys
from qcbench.iqm import mriqc_json

WARNINGS = {"small_air_mask": False, "large_rot_frame": True}


def row_of(modality="T1w", reasons=None, **values):
    metrics = {key.name: 1 if key.dtype == "int64" else 0.5 for key in iqm_keys.keys_of(modality)}
    row = {"modality": modality, "iqm_profile": "mriqc-24", **metrics, **values}
    return row | {"reasons": json.dumps(reasons) if reasons else None}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "sub-5_ses-M00_acq-iso_run-01_T1w.nii.gz"
    path.write_bytes(b"voxels")
    path.with_name("sub-5_ses-M00_acq-iso_run-01_T1w.json").write_text('{"EchoTime": 0.002, "PatientID": "17"}')
    return path


def test_at_the_top_are_the_metrics_and_what_mriqc_says_of_them(path):
    found = mriqc_json.document(path, row_of(), WARNINGS)
    assert found.keys() == {key.name for key in iqm_keys.keys_of("T1w")} | {"bids_meta", "provenance"}
    assert found["bids_meta"] == {
        "EchoTime": 0.002,
        "FileSize": 6 / 2**30,
        "FileSizeUnits": "GB",
        "NumberOfVolumes": 1,
        "acquisition": "iso",
        "dataset": "<unset>",
        "datatype": "anat",
        "extension": ".nii.gz",
        "modality": "T1w",
        "run": 1,
        "session": "M00",
        "subject": "5",
        "suffix": "T1w",
    }
    provenance = found["provenance"]
    assert provenance["md5sum"] == hashlib.md5(b"voxels", usedforsecurity=False).hexdigest()
    assert (provenance["software"], provenance["iqm_profile"]) == ("qcbench", "mriqc-24")
    assert (provenance["settings"], provenance["warnings"]) == ({"testing": False}, WARNINGS)


def test_a_metric_that_failed_has_the_number_that_mriqc_writes_for_none(path):
    row = row_of(fber=None, qi_2=None, snrd_wm=None, cjv=None, reasons={"fber": "the air has no signal at all"})
    found = mriqc_json.document(path, row, WARNINGS)
    assert (found["fber"], found["qi_2"], found["snrd_wm"], found["cjv"]) == (-1.0, 0.0, -1.0, None)
    assert found["provenance"]["reasons"] == {"fber": "the air has no signal at all"}


def test_where_nothing_was_found_nothing_is_made_up(path):
    row = row_of(**{key.name: None for key in iqm_keys.keys_of("T1w")})
    found = mriqc_json.document(path, row, WARNINGS)
    assert {found[key.name] for key in iqm_keys.keys_of("T1w")} == {None}


def test_a_series_has_what_the_web_api_asks_for(tmp_path):
    path = tmp_path / "sub-5_task-rest_bold.nii"
    path.write_bytes(b"voxels")
    found = mriqc_json.document(path, row_of("bold", spacing_tr=2.5, size_t=200), {})
    meta = found["bids_meta"]
    assert (meta["TaskName"], meta["RepetitionTime"], meta["NumberOfVolumes"]) == ("rest", 2.5, 200)
    assert (meta["datatype"], meta["extension"]) == ("func", ".nii")
    assert found["provenance"]["settings"] == {"testing": False, "fd_thres": 0.2}
    assert "warnings" not in found["provenance"]


def test_a_damaged_sidecar_costs_no_metrics(path):
    path.with_name("sub-5_ses-M00_acq-iso_run-01_T1w.json").write_text("{")
    found = mriqc_json.document(path, row_of(), WARNINGS)
    assert "EchoTime" not in found["bids_meta"] and found["cjv"] == 0.5


def test_a_file_that_failed_says_why(path):
    found = mriqc_json.failure(path, "T1w", "TRUNCATED: it ends early")
    assert found["provenance"]["error"] == "TRUNCATED: it ends early"
    assert found["bids_meta"]["subject"] == "5" and "cjv" not in found


def test_what_is_no_number_is_not_written():
    with pytest.raises(ValueError, match="JSON compliant"):
        mriqc_json.to_text({"cjv": float("nan")})


@pytest.mark.parametrize(
    ("name", "suffix"), [("ds004917_sub-05_T1w.json", "T1w"), ("ds004917_sub-01_task-pdm_bold.json", "bold")]
)
def test_the_names_are_those_of_a_real_file_of_mriqc(real_data, tmp_path, name, suffix):
    theirs = json.loads((real_data / "mriqc" / "webapi_fixtures" / "mriqc24" / name).read_text())
    path = tmp_path / f"sub-05_task-pdm_{suffix}.nii.gz"
    path.write_bytes(b"voxels")
    warnings = WARNINGS if suffix == "T1w" else {}
    ours = mriqc_json.document(path, row_of(suffix), warnings)
    assert ours.keys() == theirs.keys()
    for name in ("dataset", "datatype", "extension", "modality", "subject", "suffix", "NumberOfVolumes"):
        assert name in theirs["bids_meta"] and type(ours["bids_meta"][name]) is type(theirs["bids_meta"][name])
    assert theirs["provenance"].keys() <= ours["provenance"].keys()
    assert theirs["provenance"]["settings"] == ours["provenance"]["settings"]
    assert theirs["provenance"].get("warnings", {}).keys() == warnings.keys()
