import numpy as np
import pytest

from qcbench import store
from qcbench.learn import runs
from qcbench.learn.metrics import METRICS
from qcbench.learn.scores import (
    Truth,
    about,
    ensemble,
    mean,
    of_decisions,
    of_nothing,
    of_probabilities,
    predictions_of,
)


def made_up(n=24):
    """Two images of each participant in the test set; every second participant is positive."""
    ids = [f"i{number:02d}" for number in range(n)]
    splits = {
        image_id: {"image_id": image_id, "participant_id": f"sub-{number // 2}", "set": "test", "fold": None}
        for number, image_id in enumerate(ids)
    }
    labels = {image_id: number // 2 % 2 for number, image_id in enumerate(ids)}
    return Truth(labels={"sr": labels}, splits=splits, simulated=frozenset({"i03"})), labels


def row_of(score, metric):
    return next(row for row in score.rows if row["metric"] == metric)


def test_a_score_has_every_metric_with_an_interval_around_it():
    truth, labels = made_up(40)
    probability_of = {image_id: 0.9 if label else 0.1 for image_id, label in labels.items()}
    probability_of["i00"] = probability_of["i04"] = 0.8  # two false alarms of twenty
    score = of_probabilities(truth, labels, probability_of, truth.draws("test"))
    assert tuple(row["metric"] for row in score.rows) == METRICS
    row = row_of(score, "specificity")
    assert row["value"] == pytest.approx(18 / 20)
    assert row["low"] < 18 / 20 < row["high"]
    assert (row["n"], row["n_participants"], row["n_positive"], row["reason"]) == (40, 20, 20, None)
    assert score.draws["specificity"].shape == (1000,)


def test_fewer_than_ten_participants_have_a_value_and_no_interval():
    truth, labels = made_up(18)
    row = row_of(of_decisions(truth, labels, labels, truth.draws("test")), "balanced_accuracy")
    assert (row["value"], row["low"], row["high"], row["n_participants"]) == (1, None, None, 9)


def test_what_was_not_predicted_does_not_count():
    truth, labels = made_up()
    score = of_probabilities(truth, labels, {"i02": 0.9, "i00": 0.1, "elsewhere": 0.9}, truth.draws("test"))
    assert {row["n"] for row in score.rows} == {2}
    assert row_of(score, "auc")["value"] == 1


def test_the_mean_is_over_what_is_defined_and_says_what_is_left_out():
    truth, labels = made_up(40)
    right = of_probabilities(truth, labels, {i: float(label) for i, label in labels.items()}, truth.draws("test"))
    wrong = of_probabilities(truth, labels, {i: 1.0 - label for i, label in labels.items()}, truth.draws("test"))
    together = mean([right, wrong, of_nothing(labels, "not fitted: no image")], METRICS, truth)
    row = row_of(together, "mcc")
    assert (row["value"], row["sd"], row["sd_population"]) == (0, pytest.approx(np.sqrt(2)), 1)
    # Where one is right the other is wrong, whatever is drawn: that their mean never varies is no certainty.
    assert (row["low"], row["high"]) == (None, None)
    assert row["n"] == 40
    assert row["reason"] == "undefined in 1 of 3, which are left out"
    assert row_of(mean([of_nothing(labels, "x")], METRICS, truth), "mcc")["reason"] == "x"


def test_the_ensemble_takes_the_mean_where_every_fold_has_a_word():
    folds = {0: {"a": 0.2, "b": 0.9, "c": 0.5}, 1: {"a": 0.6, "b": 0.7}, 2: {"a": 0.1, "b": 0.8}}
    assert ensemble(folds) == {"a": pytest.approx(0.3), "b": pytest.approx(0.8)}
    assert ensemble({}) == {}


def test_predictions_come_by_run_and_fold_without_the_empty_ones(study):
    row = {"task": "sr", "architecture": "lean3d", "run_id": "one", "preprocessing_preset": "fast"}
    rows = [
        {**row, "fold": fold, "image_id": image_id, "probability": probability}
        for fold in (0, 1)
        for image_id, probability in (("a", 0.25), ("b", None), ("warehouse", 0.5))
    ]
    store.write(study, "predictions", rows)
    run = runs.Run(folder=study.runs / "one", config={})
    assert predictions_of(study, [run], {"a", "b"}) == {("one", "sr"): {0: {"a": 0.25}, 1: {"a": 0.25}}}


def test_a_simulated_image_is_noticed():
    truth, labels = made_up()
    assert truth.rests_on_simulation(labels)
    assert not truth.rests_on_simulation({"i00", "i01"})


def test_a_network_that_began_with_simulated_copies_rests_on_them(study):
    truth, _ = made_up()
    config = {"task": "sr", "architecture": "lean3d", "preset": "better"}
    run = runs.Run(folder=study.runs / "one", config=config)
    begun = runs.Run(folder=study.runs / "two", config={**config, "pretraining": {"source": "simulated"}})
    assert [about(each, "sr", truth, ["i00"])["simulated"] for each in (run, begun)] == [False, True]
