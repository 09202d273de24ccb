import pandas as pd
import pytest

from qcbench import protocol, schema
from qcbench.report import associations
from qcbench.report.inputs import to_frame


def consensus_of(rows):
    """Consensus rows from (image, straight_reject, gadolinium, motion, contrast, noise)."""
    found = protocol.load("t1w-warehouse")
    made = []
    for image_id, *noted in rows:
        answers = dict(zip(("straight_reject", "gadolinium", "motion", "contrast", "noise"), noted, strict=True))
        made.append({"image_id": image_id, **answers, "tier": found.tier(answers)})
    return to_frame(made, schema.CONSENSUS)


def images_of(rows):
    return to_frame([{"image_id": image_id, **more} for image_id, more in rows], schema.IMAGES)


def test_the_tier_rules_are_those_of_the_protocol_file():
    rules = associations.tier_rules(protocol.load("t1w-warehouse"))
    assert rules["Tier"].tolist() == [1, 2, 3]
    assert rules["Holds when"].tolist() == [
        "none of motion, contrast, noise above 0",
        "any of motion, contrast, noise at least 1, none at 2 or above",
        "any of motion, contrast, noise at least 2",
    ]
    assert associations.tier_rules(protocol.load("mriqc")).empty


def test_dicom_words_against_labels_are_those_of_the_paper():
    counts = {(True, True): 2033, (True, False): 383, (False, True): 987, (False, False): 642}
    rows = [(truth, noted) for (truth, noted), n in counts.items() for _ in range(n)]
    consensus = consensus_of((str(n), False, truth, 0, 0, 0) for n, (truth, _) in enumerate(rows))
    images = images_of((str(n), {"dicom_gadolinium": noted}) for n, (_, noted) in enumerate(rows))
    found = associations.dicom_words(images, consensus).set_index("Figure")["Value"]
    assert found["with gadolinium, noted"] == 2033
    expected = {"sensitivity, %": 84.1, "specificity, %": 39.4, "PPV, %": 67.3, "NPV, %": 62.6}
    assert {name: round(found[name], 1) for name in expected} == expected
    assert round(found["kappa"], 4) == 0.2507


def test_images_without_a_description_or_a_grade_are_left_out_of_the_dicom_words():
    consensus = consensus_of(
        [("a", False, True, 0, 0, 0), ("b", True, None, None, None, None), ("c", False, True, 0, 0, 0)]
    )
    images = images_of([("a", {"dicom_gadolinium": True}), ("b", {"dicom_gadolinium": True}), ("c", {})])
    found = associations.dicom_words(images, consensus).set_index("Figure")["Value"]
    assert (found["with gadolinium, noted"], found["sensitivity, %"]) == (1, 100)
    assert pd.isna(found["specificity, %"])
    assert pd.isna(found["kappa"])


def test_table_4_counts_what_is_not_stated_and_adds_up():
    consensus = consensus_of(
        [("a", False, False, 0, 0, 0), ("b", False, True, 2, 0, 0), ("c", True, None, None, None, None)]
    )
    people = {"manufacturer": "Siemens", "field_strength_t": 1.5, "sex": "F", "age_years": 60.0}
    images = images_of([("a", people), ("b", {**people, "sex": "M", "age_years": 70.0}), ("c", {})])
    table = associations.people_by_class(images, consensus).set_index(["Attribute", "Value"])
    assert table.loc[("Images", "")].tolist() == [1, 1, 0, 1, 3]
    assert table.loc[("Manufacturer", "Siemens")].tolist() == [0, 1, 0, 1, 2]
    assert table.loc[("Sex", "not stated")].tolist() == [1, 0, 0, 0, 1]
    assert table.loc[("Age, years", "mean ± sd [range]"), "all"] == "65.0 ± 7.1 [60, 70]"
    assert table.loc[("Age, years", "not stated")].tolist() == [1, 0, 0, 0, 1]


def test_a_class_of_another_age_and_scanner_is_found_and_the_correction_counts_defined_tests():
    rows, images = [], []
    for number in range(60):
        is_bad = number < 30
        rows.append((str(number), False, False, 2 if is_bad else 0, 0, 0))
        people = {"manufacturer": "GE" if is_bad or number % 5 == 0 else "Siemens", "sex": "FM"[number % 2]}
        images.append((str(number), {**people, "age_years": (80.0 if is_bad else 40.0) + number % 7}))
    tests = associations.people_tests(images_of(images), consensus_of(rows)).set_index(["Class", "Attribute"])
    age, maker = tests.loc[("tier 3", "age")], tests.loc[("tier 3", "manufacturer")]
    assert (age["p, corrected"] < 1e-9, round(age["Effect"])) == (True, 40)
    assert (maker["p, corrected"] < 1e-6, maker["Effect"] > 0.6) == (True, True)
    assert tests.loc[("tier 3", "field strength"), "Caution"] == "a row or a column has no image"
    defined = tests["p"].notna().sum()
    assert age["p, corrected"] == pytest.approx(age["p"] * defined)


def test_severe_grades_that_go_together_and_why_images_are_of_tier_3():
    consensus = consensus_of(
        [
            ("a", False, True, 2, 2, 0),
            ("b", False, True, 0, 2, 0),
            ("c", False, False, 2, 1, 0),
            ("d", False, False, 0, 0, 0),
        ]
    )
    together = associations.grades_together(consensus).set_index(["Of images with", "also have"])
    assert together.loc[("motion 2", "contrast 2"), ["Images", "of", "%"]].tolist() == [1, 2, 50]
    assert pd.isna(together.loc[("noise 2", "motion 2"), "%"])
    reasons = associations.tier3_reasons(consensus).set_index("Tier 3 with")["Images"]
    assert reasons.to_dict() == {
        "motion 2": 2,
        "motion 2, with gadolinium": 1,
        "contrast 2": 2,
        "contrast 2, with gadolinium": 2,
        "noise 2": 0,
        "noise 2, with gadolinium": 0,
    }
