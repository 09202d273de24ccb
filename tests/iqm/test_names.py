import json

import pytest

from qcbench.errors import UsageError
from qcbench.iqm import names


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("sub-01_T1w.nii.gz", "T1w"),
        ("sub-01_ses-2_T2w.nii", "T2w"),
        ("sub-01_task-rest_bold.nii.gz", "bold"),
        ("head_T2w.nii", "T2w"),
        ("my_scan.nii", "T1w"),
        ("sub-01.nii", "T1w"),
    ],
)
def test_the_suffix_tells_the_modality_and_without_one_it_is_t1w(name, modality):
    assert names.modality_of(name) == modality


def test_a_name_of_something_else_is_refused_unless_the_modality_is_asked_for():
    with pytest.raises(UsageError, match="named as FLAIR; IQMs are measured of T1w, T2w, bold"):
        names.modality_of("sub-01_FLAIR.nii.gz")
    assert names.modality_of("sub-01_FLAIR.nii.gz", "T2w") == "T2w"
    with pytest.raises(UsageError, match="got 'dwi'"):
        names.modality_of("sub-01_T1w.nii.gz", "dwi")


def test_entities_have_their_long_names_and_a_file_without_them_is_its_own_subject():
    assert names.entities("ds1_sub-7_ses-M00_task-rest_run-02_bold.nii.gz") == {
        "subject": "7",
        "session": "M00",
        "task": "rest",
        "run": 2,
    }
    assert names.entities("Patient 7 (b)_T1w.nii") == {"subject": "Patient7b"}
    assert names.entities("頭.nii") == {"subject": "unnamed"}


def test_where_an_image_lies():
    assert names.folder_of("sub-7_ses-M00_T1w", "T1w").as_posix() == "sub-7/ses-M00/anat"
    assert names.folder_of("sub-7_task-rest_bold", "bold").as_posix() == "sub-7/func"


def test_of_a_sidecar_only_the_acquisition_is_taken(tmp_path):
    told = {"EchoTime": 0.03, "PatientName": "Ada", "InstitutionAddress": "Main Street 1", "Manufacturer": "Siemens"}
    (tmp_path / "sub-1_T1w.json").write_text(json.dumps(told))
    assert names.sidecar(tmp_path / "sub-1_T1w.nii.gz") == {"EchoTime": 0.03, "Manufacturer": "Siemens"}
    assert names.sidecar(tmp_path / "sub-2_T1w.nii.gz") == {}


def test_a_number_of_a_sidecar_that_is_none_is_not_known(tmp_path):
    told = '{"EchoTime": NaN, "RepetitionTime": -Infinity, "InversionTime": null, "FlipAngle": 9}'
    (tmp_path / "sub-1_T1w.json").write_text(told)
    assert names.sidecar(tmp_path / "sub-1_T1w.nii.gz") == {"FlipAngle": 9}


@pytest.mark.parametrize("content", ["no JSON", "[1, 2]"])
def test_a_damaged_sidecar_is_named(tmp_path, content):
    (tmp_path / "sub-1_T1w.json").write_text(content)
    with pytest.raises(UsageError, match=r"sub-1_T1w\.json, the sidecar"):
        names.sidecar(tmp_path / "sub-1_T1w.nii.gz")
