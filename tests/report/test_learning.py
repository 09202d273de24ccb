import pandas as pd
import pytest

from qcbench.report import learning
from qcbench.report.inputs import read_tables

CURVE = pd.DataFrame(
    [
        ("sr", "conv5_fc3", "fast", None, 2, 0, asked, n_images, 70, fold, value, False)
        for asked, n_images, fold, value in (
            (100, 99, 0, 0.70),
            (100, 101, 1, 0.80),
            (200, 200, 0, 0.90),
            (200, 200, 1, None),
        )
    ],
    columns=[
        "task",
        "architecture",
        "training_preset",
        "epochs",
        "spacing_mm",
        "seed",
        "n_asked",
        "n_images",
        "n_participants",
        "fold",
        "balanced_accuracy",
        "simulated",
    ],
)


def test_a_size_is_a_row_with_mean_sd_and_what_it_gained():
    table = learning.curve_table(CURVE)
    assert table["Images"].tolist() == [100, 200]
    assert table["BA, %"].tolist() == pytest.approx([75, 90])
    assert table["sd"].iloc[0] == pytest.approx(7.0711, abs=1e-3)
    assert table["Folds"].tolist() == [2, 1]
    assert table["gain"].iloc[1] == pytest.approx(15)


def test_the_annotators_line_is_their_mean_on_the_test_set(filled_once):
    assert learning.annotators(read_tables(filled_once).metrics).to_dict() == {"sr": 0.97}
