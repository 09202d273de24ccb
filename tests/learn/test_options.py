import numpy as np
import pytest

from qcbench.errors import UsageError
from qcbench.learn.options import LAST_SEED, PRESETS, chosen_folds, train_options, whole_number


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


def test_whole_numbers_and_folds_of_numpy_become_python_s_own():
    assert [type(whole_number("seed", value)) for value in (3, np.int64(3))] == [int, int]
    for asked in (2, np.int64(2), [2, 2], np.arange(2, 3), (np.int64(2), 2)):
        chosen = chosen_folds(asked, [0, 1, 2])
        assert (chosen, type(chosen[0])) == ([2], int)
    assert type(train_options("quick", epochs=np.int64(2)).epochs) is int
    assert type(train_options("quick", learning_rate=np.float32(2)).learning_rate) is float


@pytest.mark.parametrize("value", [-1, 4.0, True, "4", None, 2**32])
def test_what_is_no_whole_number_in_the_range_is_refused(value):
    with pytest.raises(UsageError, match="seed must be a whole number from 0 to 4294967295, got"):
        whole_number("seed", value, most=LAST_SEED)


@pytest.mark.parametrize(
    ("folds", "words"),
    [
        ([], "no fold was asked for; the splits have 0, 1"),
        ("1", "there is no fold '1'; the splits have 0, 1; say a number, several, or all"),
        ([0, 7], "there is no fold 7"),
        (1.0, "a fold must be a whole number of at least 0, got 1.0"),
        ([None], "a fold must be a whole number of at least 0, got None"),
    ],
)
def test_folds_that_cannot_be_meant_are_refused(folds, words):
    with pytest.raises(UsageError, match=words):
        chosen_folds(folds, [0, 1])
