import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench.learn.intervals import Draws, interval, mean_of, metrics_of_draws
from qcbench.learn.metrics import metrics_from_probabilities


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10)), min_size=1, max_size=30))
def test_a_draw_that_takes_each_image_once_has_the_metrics_themselves(pairs):
    labels = [label for label, _ in pairs]
    probabilities = [tenths / 10 for _, tenths in pairs]
    decided = [int(probability >= 0.5) for probability in probabilities]
    found = metrics_of_draws(labels, decided, probabilities, np.ones((1, len(pairs))))
    for name, value in metrics_from_probabilities(labels, probabilities).items():
        assert found[name][0] == pytest.approx(np.nan if value is None else value, nan_ok=True), name


def test_an_image_that_is_drawn_twice_counts_as_two_images():
    labels, probabilities = [1, 0, 1, 0], [0.9, 0.6, 0.3, 0.1]
    twice = metrics_of_draws(labels, [1, 1, 0, 0], probabilities, np.array([[1, 2, 0, 1]]))
    written_out = metrics_from_probabilities([1, 0, 0, 0], [0.9, 0.6, 0.6, 0.1])
    assert {name: float(values[0]) for name, values in twice.items()} == pytest.approx(written_out)


def test_participants_are_drawn_whole_and_as_many_as_there_are():
    counts = Draws(["a", "b", "c", "d"], n_draws=200).of_images(["a", "a", "b", "c", "d"])
    assert np.array_equal(counts[:, 0], counts[:, 1])
    assert set(counts[:, 1:].sum(axis=1)) == {4}
    assert counts[:, 0].mean() == pytest.approx(1, abs=0.2)


def test_images_of_one_participant_widen_the_interval():
    generator = np.random.default_rng(0)
    # Who is hard is hard in all ten images: 400 images of 40 people tell little more than 40 images.
    people = [f"sub-{number:02d}" for number in range(40)]
    is_right = generator.random(40) < 0.8
    labels = [1] * 400
    decided = [int(right) for right in is_right for _ in range(10)]
    by_participant = [name for name in people for _ in range(10)]
    by_image = [f"image-{number}" for number in range(400)]
    widths = []
    for owners in (by_participant, by_image):
        counts = Draws(owners).of_images(owners)
        low, high = interval(metrics_of_draws(labels, decided, None, counts)["sensitivity"], len(set(owners)))
        widths.append(high - low)
    assert widths[0] > 2.5 * widths[1]


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        right = (generator.random(60) < 0.7).astype(int)
        owners = [f"sub-{number}" for number in range(60)]
        counts = Draws(owners, n_draws=400, seed=trial).of_images(owners)
        low, high = interval(metrics_of_draws([1] * 60, right, None, counts)["sensitivity"], 60)
        covered += low <= 0.7 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_metric_that_is_often_undefined_has_no_interval():
    values = np.array([0.5] * 900 + [np.nan] * 100)
    assert interval(values, 40) == (None, None)
    assert interval(np.array([0.5] * 960 + [np.nan] * 40), 40) == (0.5, 0.5)


def test_the_mean_over_folds_is_taken_within_a_draw():
    folds = [{"mcc": np.array([0.0, 1.0])}, {"mcc": np.array([1.0, np.nan])}]
    assert mean_of(folds, "mcc").tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
