import pandas as pd
import pytest

from qcbench.report import figures, learning

WAY = {"training_preset": "fast", "epochs": None, "spacing_mm": 2, "seed": 0, "simulated": False, "n_participants": 90}


def rows(*values, architecture="conv5_fc3", task="sr", **changed):
    return [
        {
            "task": task,
            "architecture": architecture,
            "n_asked": size,
            "n_images": size + fold,
            "fold": fold,
            "balanced_accuracy": value,
            **WAY,
            **changed,
        }
        for size, folds in values
        for fold, value in enumerate(folds)
    ]


CURVE = pd.DataFrame([*rows((100, [0.7, 0.8]), (400, [0.8, 0.9])), *rows((100, [0.9, None]), task="gadolinium")])


def test_the_mean_and_one_mark_a_fold_are_drawn_and_the_annotators_are_a_line():
    first, second = figures.learning_curves(learning.by_size(CURVE), pd.Series({"sr": 0.97})).axes
    means = [line for line in first.lines if line.get_label() == "conv5_fc3"]
    assert means[0].get_ydata() == pytest.approx([75, 85])
    assert [text.get_text() for text in first.texts] == ["annotators 97.0"]
    assert [text.get_text() for text in second.texts] == []
    assert len(first.collections) == 1  # the band


def test_sizes_without_room_for_their_label_have_none():
    curve = pd.DataFrame(rows(*((size, [0.8]) for size in (100, 110, 120, 400, 410))))
    (axes,) = figures.learning_curves(learning.by_size(curve), pd.Series(dtype=float)).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["120", "410"]


def test_one_architecture_fitted_in_two_ways_is_two_lines():
    curve = pd.DataFrame([*rows((100, [0.8])), *rows((100, [0.7]), spacing_mm=1, epochs=20)])
    found = learning.by_size(curve.astype({"epochs": "Int64"}))
    assert dict(zip(found["architecture"], found["value"], strict=True)) == {
        "conv5_fc3 (fast, 2 mm, seed 0)": 0.8,
        "conv5_fc3 (fast, 20 epochs, 1 mm, seed 0)": 0.7,
    }
