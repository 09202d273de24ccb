import numpy as np
import pytest

from qcbench import store
from qcbench.learn import runs, tabular
from qcbench.learn.tabular import ARCHITECTURE, NUMBERS, forest, global_numbers, otsu_threshold


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
    assert [path.name for path in run.folder.iterdir()] == ["config.json"]
