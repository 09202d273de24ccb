import pytest

from qcbench.errors import UsageError
from qcbench.learn.options import PRESETS, train_options


def test_the_preset_of_the_paper_is_that_of_the_paper():
    paper = PRESETS["paper-2022"]
    assert (paper.learning_rate, paper.weight_decay, paper.batch_size, paper.epochs) == (1e-4, 1e-4, 2, 50)
    assert (paper.patience, paper.loss_norm, paper.class_weights_of) == (10, "batch", "all")
    assert (paper.optimiser, paper.schedule, paper.augment, paper.precision) == ("adam", "constant", False, "float32")


def test_the_better_preset_counts_each_image_by_the_classes_of_its_fold():
    better = PRESETS["better"]
    assert (better.loss_norm, better.class_weights_of, better.augment) == ("images", "fit", True)


def test_epochs_and_learning_rate_take_the_place_of_the_presets():
    options = train_options("better", epochs=3, learning_rate=1e-5)
    assert (options.epochs, options.learning_rate, options.batch_size) == (3, 1e-5, PRESETS["better"].batch_size)
    assert train_options("quick") == PRESETS["quick"]


@pytest.mark.parametrize(
    ("preset", "asked", "words"),
    [
        ("best", {}, "paper-2022, quick, better"),
        ("quick", {"epochs": 0}, "at least 1"),
        ("quick", {"learning_rate": 0.0}, "above 0"),
    ],
)
def test_wrong_options_are_refused(preset, asked, words):
    with pytest.raises(UsageError, match=words):
        train_options(preset, **asked)
