import pandas as pd
import pytest

from qcbench.report import reliability

CONSENSUS = pd.DataFrame(
    {
        "image_id": list("abcdef"),
        "straight_reject": [True, True, False, False, False, False],
        "gadolinium": pd.array([None, None, True, False, True, False], dtype="boolean"),
        "tier": pd.array([None, None, 1, 2, 3, 3], dtype="Int64"),
    }
)
SPLITS = pd.DataFrame({"image_id": list("abcdef"), "set": ["test"] * 4 + ["cv"] * 2})


def predictions(*rows, architecture="conv5_fc3", run_id="r", task="sr"):
    """Rows of (image, fold, probability)."""
    return pd.DataFrame(
        [
            {
                "task": task,
                "architecture": architecture,
                "run_id": run_id,
                "fold": fold,
                "image_id": image_id,
                "probability": probability,
                "probability_calibrated": None,
            }
            for image_id, fold, probability in rows
        ]
    )


def judged(*rows, **about):
    return reliability.judged(predictions(*rows, **about), CONSENSUS, SPLITS)


TWO_FOLDS = judged(*[(i, f, p) for f in (0, 1) for i, p in zip("abcd", (0.9, 0.2, 0.1, 0.6 - 0.3 * f), strict=True)])


def test_only_test_images_that_the_task_is_about_are_judged():
    rows = judged(("a", 0, 0.9), ("c", 0, 0.2), ("e", 0, 0.9), task="gadolinium")
    assert rows[["image_id", "is_positive"]].to_numpy().tolist() == [["c", True]]


def test_two_runs_of_one_architecture_are_told_apart_and_baselines_come_last():
    parts = [predictions(("a", 0, 0.9), run_id=run) for run in ("one", "two")]
    parts.append(predictions(("a", 0, 0.9), architecture="forest_25"))
    rows = reliability.judged(pd.concat(parts), CONSENSUS, SPLITS)
    assert rows["series"].tolist() == ["conv5_fc3 (one)", "conv5_fc3 (two)", "forest_25"]


def test_bins_hold_every_prediction_once_and_their_share_of_positives():
    bins = reliability.reliability(judged(("a", 0, 1.0), ("b", 0, 0.95), ("c", 0, 0.91), ("d", 0, 0.0)))
    assert bins["predictions"].tolist() == [1, *[0] * 8, 3]
    assert bins["positive"].iloc[-1] == pytest.approx(2 / 3)
    assert bins["mean_probability"].iloc[-1] == pytest.approx(2.86 / 3)
    assert bins["positive"].iloc[3:5].isna().all()


def test_the_brier_score_is_that_of_the_definition_over_the_folds():
    [row] = reliability.calibration_table(TWO_FOLDS).to_dict("records")
    # (0.1² + 0.8² + 0.1² + 0.6²) / 4 = 0.255; with 0.3 instead of 0.6: 0.1875
    assert row["Brier score"] == "0.221 ± 0.048"
    assert row["Brier, no network"] == "0.250"
    assert (row["Test images"], row["Folds"]) == (4, 2)


def test_a_calibrated_probability_is_a_series_of_its_own():
    rows = TWO_FOLDS.assign(probability_calibrated=0.5)
    assert set(reliability.reliability(rows)["series"]) == {"conv5_fc3", "conv5_fc3, calibrated"}


def test_decisions_are_counted_for_each_fold():
    names = ["true_positives", "false_negatives", "false_positives", "true_negatives"]
    assert reliability.confusion(TWO_FOLDS)[names].to_numpy().tolist() == [[1, 1, 1, 1], [1, 1, 0, 2]]


def test_images_that_half_of_the_folds_got_wrong_are_listed_the_surest_first():
    wrong = reliability.errors(TWO_FOLDS)
    assert wrong[["image_id", "kind", "folds_wrong", "folds"]].to_numpy().tolist() == [
        ["d", "false alarm", 1, 2],
        ["b", "missed", 2, 2],
    ]
    assert wrong["probability"].tolist() == pytest.approx([0.45, 0.2])


def test_a_hospital_with_one_class_has_no_balanced_accuracy():
    images = pd.DataFrame({"image_id": list("abcd"), "hospital": ["A", "B", "A", None]})
    table = reliability.by_hospital(TWO_FOLDS, images)
    assert table[["Hospital", "Test images", "BA, %"]].to_numpy().tolist() == [
        ["A", 2, "100.0 ± 0.0"],
        ["B", 1, "undefined: one class only"],
        ["not stated", 1, "undefined: one class only"],
    ]


def test_places_left_out_of_training_have_their_mean_below_them():
    row = {"task": "sr", "architecture": "conv5_fc3", "training_preset": "fast", "metric": "balanced_accuracy"}
    row |= {"set": "left-out hospital", "n": 40, "simulated": False, "reason": None, "sd": None}
    metrics = pd.DataFrame(
        [
            {
                **row,
                "run_id": "mean over places x",
                "left_out": None,
                "value": 0.75,
                "low": 0.7,
                "high": 0.8,
                "sd": 0.05,
            },
            {**row, "run_id": "x", "left_out": "B", "value": None, "low": None, "high": None, "reason": "one class"},
            {**row, "run_id": "y", "left_out": "A", "value": 0.8, "low": 0.7, "high": 0.9},
            {**row, "run_id": "z", "set": "test", "left_out": None, "value": 0.9, "low": None, "high": None},
        ]
    )
    table = reliability.left_out_places(metrics)
    assert table[["Left out", "Place", "BA, %"]].to_numpy().tolist() == [
        ["hospital", "B", "undefined: one class"],
        ["hospital", "A", "80.0 [70.0, 90.0]"],
        ["hospital", "mean over places x", "75.0 ± 5.0"],
    ]
