import numpy as np
import pytest

from qcbench import store
from qcbench.learn import runs, tabular
from qcbench.learn.infer import predict
from qcbench.learn.tabular import ARCHITECTURE, NUMBERS, forest, global_numbers, otsu_threshold
from qcbench.learn.train import train
from tests.learn.conftest import add_image


def numbers(volume):
    return dict(zip(NUMBERS, global_numbers(volume), strict=True))


def test_there_are_25_numbers_and_they_know_what_they_measure():
    volume = np.zeros((4, 4, 4), np.uint8)
    volume[2:] = 255
    found = numbers(volume)
    assert len(NUMBERS) == 25
    assert (found["mean"], found["foreground_fraction"], found["zero_fraction"]) == (0.5, 0.5, 0.5)
    assert (found["entropy_bits"], found["foreground_mean"], found["background_mean"]) == (1.0, 1.0, 0.0)
    assert found["edge_x"] == pytest.approx(1 / 3)
    assert (found["edge_y"], found["edge_z"]) == (0, 0)


def test_noise_raises_the_edges_and_the_curvature():
    generator = np.random.default_rng(0)
    smooth = np.tile(np.arange(20, dtype=np.uint8) * 10, (20, 20, 1))
    noisy = smooth + generator.integers(0, 20, smooth.shape, dtype=np.uint8)
    assert numbers(noisy)["edge_x"] > numbers(smooth)["edge_x"]
    assert numbers(noisy)["curvature"] > numbers(smooth)["curvature"]


def test_a_constant_volume_gives_finite_numbers():
    assert np.isfinite(global_numbers(np.full((3, 3, 3), 7, np.uint8))).all()


def test_otsu_separates_two_peaks():
    counts = np.zeros(256)
    counts[[10, 11, 200, 201]] = 50
    assert 11 <= otsu_threshold(counts) < 200


def test_the_forest_predicts_every_image_on_the_same_splits(labelled_copy, monkeypatch):
    monkeypatch.setattr(tabular, "N_TREES", 20)  # quicker; more are no other way
    summary = forest(labelled_copy, task="sr", show_progress=False)
    rows = store.rows(labelled_copy, "predictions")
    assert (summary.done, {row["architecture"] for row in rows}) == (72, {ARCHITECTURE})
    again = forest(labelled_copy, task="sr", show_progress=False)
    assert (again.done, again.unchanged) == (0, 72)
    store.write(labelled_copy, "predictions", [])
    forest(labelled_copy, task="sr", show_progress=False)
    assert store.rows(labelled_copy, "predictions") == rows
    (run,) = runs.find(labelled_copy)
    assert sorted(path.name for path in run.folder.iterdir()) == ["config.json", "fitted_to.json"]


def test_volumes_made_anew_are_another_forest_where_it_was_fitted_to_them(labelled_copy, monkeypatch):
    monkeypatch.setattr(tabular, "N_TREES", 5)
    asked = {"task": "sr", "show_progress": False}
    first = forest(labelled_copy, **asked).facts["runs"]
    in_cv, tested = (
        next(row["image_id"] for row in store.rows(labelled_copy, "splits") if row["set"] == set_)
        for set_ in ("cv", "test")
    )
    add_image(labelled_copy, tested, "reject", 998)
    again = forest(labelled_copy, **asked)
    assert (again.facts["runs"], again.done) == (first, 3)
    add_image(labelled_copy, in_cv, "reject", 999)
    other = forest(labelled_copy, **asked)
    assert other.done == 72
    assert {row["run_id"] for row in store.rows(labelled_copy, "predictions")} == {first, other.facts["runs"]}


def test_predictions_are_of_the_forests_that_were_trained(labelled_copy, monkeypatch):
    monkeypatch.setattr(tabular, "N_TREES", 5)
    asked = {"task": "sr", "architecture": ARCHITECTURE, "show_progress": False}
    train(labelled_copy, seed=3, **asked)
    assert predict(labelled_copy, **asked).unchanged == 72
    (run,) = runs.find(labelled_copy)
    assert run.config["seed"] == 3
    lost = {"image_id": "sub-00_good", "preprocessing_preset": "fast", "volume_path": None, "error": "not registered"}
    store.upsert(labelled_copy, "preprocessed", [lost])
    assert predict(labelled_copy, **asked).failed == {"sub-00_good": "has no volume: not registered"}
