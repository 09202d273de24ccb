import json

import pytest

from qcbench.prepare import headers

SIDECAR = {
    "Manufacturer": "Siemens",
    "ManufacturersModelName": "Skyra",
    "MagneticFieldStrength": 2.89,
    "InstitutionName": "Hospital A",
    "PatientAge": "067Y",
    "PatientSex": "F",
    "PatientName": "DUPONT^MARIE",
    "PatientBirthDate": "19540101",
    "AcquisitionDateTime": "2021-03-04T10:11:12",
    "StudyDescription": "IRM  cerebrale",
    "SeriesDescription": "T1 MPRAGE SAG GADO",
    "BodyPartExamined": "HEAD",
    "ContrastBolusAgent": "DOTAREM",
    "EchoTime": 0.003,
    "QcbenchSimulation": {"simulated": True, "derived_from": "sub-01_T1w", "planted": {"motion": 2}},
}


def test_a_sidecar_fills_the_catalogue():
    row = headers.columns(SIDECAR, {})
    simulation = json.loads(row.pop("simulation"))
    assert simulation["planted"] == {"motion": 2}
    assert row == {
        "manufacturer": "Siemens",
        "model_name": "Skyra",
        "field_strength_t": 3.0,
        "hospital": "Hospital A",
        "age_years": 67.0,
        "sex": "F",
        "diagnosis": None,
        "study_description": "IRM cerebrale",
        "series_description": "T1 MPRAGE SAG GADO",
        "body_part": "HEAD",
        "contrast_agent": "DOTAREM",
        "dicom_gadolinium": True,
        "described_injection": True,
        "simulated": True,
        "derived_from": "sub-01_T1w",
    }


def test_names_and_dates_do_not_enter_the_study():
    assert not {"PatientName", "PatientBirthDate", "AcquisitionDateTime"} & set(headers.kept(SIDECAR))
    assert {"EchoTime", "PatientAge", "QcbenchSimulation"} <= set(headers.kept(SIDECAR))


def test_nothing_known_is_null_and_not_simulated():
    row = headers.columns({}, {})
    assert row.pop("simulated") is False
    assert set(row.values()) == {None}


def test_participants_tsv_speaks_where_the_sidecar_is_silent():
    assert headers.columns({"PatientAge": "030Y"}, {"age": "99", "sex": "male"})["age_years"] == 30
    row = headers.columns({}, {"age": "61.5", "sex": "male", "diagnosis": "AD"})
    assert (row["age_years"], row["sex"], row["diagnosis"]) == (61.5, "M", "AD")


@pytest.mark.parametrize(
    ("value", "tesla"), [(1.494, 1.5), ("3", 3.0), (15000, 1.5), (0.0, None), (None, None), ("x", None), (2.0, 2.0)]
)
def test_field_strength_is_the_nominal_one(value, tesla):
    assert headers.field_strength_t(value) == tesla


@pytest.mark.parametrize(
    ("value", "years"),
    [("045Y", 45), ("006M", 0.5), ("89+", 89), (17, 17), ("", None), ("n/a", None), (-3, None), (999, None), (True, 1)],
)
def test_ages_are_years(value, years):
    assert headers.age_years(value) == years


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("3D T1 GADO", True),
        ("IRM avec injection", True),
        ("MR BRAIN W IV", True),
        ("T1_IV_post", True),
        ("drive sag", False),
        ("t1 mprage", False),
        (None, None),
    ],
)
def test_words_of_an_injection_are_found(text, noted):
    assert headers.noted_as_injected(text) is noted


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ("SIEMENS", "Siemens"),
        ("Siemens Healthineers", "Siemens"),
        ("GE MEDICAL SYSTEMS", "GE"),
        ("GE Healthcare", "GE"),
        ("GEMS", "GEMS"),
        ("Philips Medical Systems", "Philips"),
        ("TOSHIBA_MEC", "Canon"),
        ("CANON_MEC", "Canon"),
        ("UIH", "United Imaging"),
        ("Nobody Ltd", "Nobody Ltd"),
        (None, None),
    ],
)
def test_a_manufacturer_has_one_name(spelt, name):
    assert headers.manufacturer(spelt) == name


def test_no_age_above_89_is_in_a_sidecar():
    assert headers.kept({"PatientAge": "094Y"}) == {"PatientAge": "089Y"}
    assert headers.kept({"PatientAge": "089Y"}) == {"PatientAge": "089Y"}
    assert headers.kept({"PatientAge": "018M"}) == {"PatientAge": "018M"}


def test_what_a_machine_wrote_holds_no_text_of_the_staff():
    assert headers.acquisition({"EchoTime": 0.003, "StudyDescription": "x", "ImageComments": "x"}) == {
        "EchoTime": 0.003
    }
