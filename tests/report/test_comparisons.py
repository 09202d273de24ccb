import pandas as pd
import pytest

from qcbench import schema
from qcbench.report import comparisons
from qcbench.report.inputs import to_frame
from qcbench.report.published import METRICS, TABLE_S1
from qcbench.report.statistics import smallest_difference
from tests.report.test_associations import consensus_of, images_of

CONSENSUS = consensus_of(
    [
        ("rejected", True, None, None, None, None),
        ("one", False, True, 0, 0, 0),
        ("two", False, False, 1, 0, 0),
        ("three", False, True, 0, 2, 0),
    ]
)


@pytest.mark.parametrize(
    ("task", "truth"),
    [
        ("sr", {"rejected": True, "one": False, "two": False, "three": False}),
        ("gadolinium", {"one": True, "two": False, "three": True}),
        ("tier3", {"one": False, "two": False, "three": True}),
        ("tier2", {"one": False, "two": True}),
    ],
)
def test_the_truth_of_a_task_leaves_out_what_it_is_not_about(task, truth):
    assert comparisons.labels_of_task(CONSENSUS, task).to_dict() == truth


def predictions_of(rows):
    """Rows of (image, architecture, fold, probability)."""
    made = [
        {
            "image_id": image_id,
            "task": "sr",
            "architecture": architecture,
            "run_id": f"sr-{architecture}",
            "fold": fold,
            "probability": probability,
        }
        for image_id, architecture, fold, probability in rows
    ]
    return to_frame(made, schema.PREDICTIONS)


IMAGES = [f"image-{number:02d}" for number in range(20)]
TRUTH = pd.Series([number % 2 == 0 for number in range(20)], index=IMAGES)


def right_until(n, architecture, fold=0):
    """Predictions that are right for the first `n` images and wrong for the others."""
    return [
        (image_id, architecture, fold, 0.9 if TRUTH[image_id] == (number < n) else 0.1)
        for number, image_id in enumerate(IMAGES)
    ]


def test_mcnemar_counts_images_that_one_network_alone_gets_right():
    predictions = predictions_of([*right_until(20, "conv5_fc3"), *right_until(10, "resnet3d")])
    [row] = comparisons.architecture_tests(predictions, TRUTH, IMAGES).to_dict("records")
    assert (row["first alone right"], row["second alone right"], row["Images"]) == (10, 0, 20)
    assert row["p"] == row["p, corrected"] == pytest.approx(2 * 0.5**10)


def test_networks_are_compared_fold_by_fold_and_on_test_images_alone():
    predictions = predictions_of(
        [row for fold in (0, 1) for row in (*right_until(20, "a", fold), *right_until(20, "b", fold))]
    )
    found = comparisons.architecture_tests(predictions, TRUTH, IMAGES[:8])
    assert found["Images"].tolist() == [8, 8]
    assert set(found["Caution"]) == {"both are right and wrong on the same images"}


def test_a_group_on_which_a_network_errs_is_found():
    people = [
        (image_id, {"sex": "F" if number < 10 else "M", "age_years": 50.0}) for number, image_id in enumerate(IMAGES)
    ]
    found = comparisons.subgroup_tests(predictions_of(right_until(10, "a")), TRUTH, IMAGES, images_of(people))
    sex = found[found["Attribute"] == "sex"].iloc[0]
    assert (sex["Group"], sex["right in the group, %"], sex["in the others, %"]) == ("F", 100, 0)
    assert sex["p, corrected"] < 0.001
    assert found["Attribute"].tolist() == ["sex", "age"]  # one manufacturer, one field strength: nothing to compare


def test_what_the_study_lacks_beside_the_paper_is_empty_and_not_left_out():
    empty = {name: to_frame([], schema.TABLES[name]) for name in ("agreement", "consensus", "metrics")}
    found = comparisons.beside_the_paper(**empty)
    assert len(found) == 5 + len(TABLE_S1) + len(METRICS)
    assert found["This study"].isna().all()
    assert found["Published"].notna().all()


def test_the_published_classes_beside_themselves_differ_by_nothing():
    grades = {"tier 1": (0, 0, 0), "tier 2": (1, 0, 0), "tier 3": (2, 0, 0)}
    rows = []
    for (name, gadolinium), n in TABLE_S1.items():
        noted = (True, *[None] * 4) if name == "SR" else (False, gadolinium == "with", *grades[name])
        rows += [(f"{name}-{gadolinium}-{number}", *noted) for number in range(n)]
    empty = {name: to_frame([], schema.TABLES[name]) for name in ("agreement", "metrics")}
    found = comparisons.beside_the_paper(consensus=consensus_of(rows), **empty)
    assert found.loc[found["Table"] == "S1", "Difference"].abs().max() < 1e-9


def test_a_missing_prediction_leaves_out_its_image_alone():
    people = [(image_id, {"sex": "F" if number < 10 else "M"}) for number, image_id in enumerate(IMAGES)]
    rows = [*right_until(10, "a"), *right_until(10, "b")[:-1]]
    found = comparisons.subgroup_tests(predictions_of(rows), TRUTH, IMAGES, images_of(people))
    assert found["Images"].tolist() == [20, 19]
    assert found["p, corrected"].max() < 0.01


def test_the_smallest_difference_is_that_of_groups_of_these_sizes():
    people = [(image_id, {"sex": "F" if number < 2 else "M"}) for number, image_id in enumerate(IMAGES)]
    [few] = comparisons.subgroup_tests(predictions_of(right_until(15, "a")), TRUTH, IMAGES, images_of(people)).to_dict(
        "records"
    )
    assert few["smallest difference, %"] == pytest.approx(100 * smallest_difference(2, 18, share=0.99))
