import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench.learn.intervals import Draws, groups_of, interval, mean_of, metrics_of_draws
from qcbench.learn.metrics import metrics_from_probabilities
from qcbench.learn.scores import Truth

PEOPLE = dict.fromkeys(("positive", "negative", "decided positive", "decided negative"), range(40))


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


def test_places_with_as_many_people_are_drawn_apart():
    people = [f"sub-{number}" for number in range(12)]
    truth = Truth(
        labels={},
        splits={who: {"participant_id": who, "set": "test", "fold": None} for who in people},
        simulated=frozenset(),
    )
    north, again, south = (truth.draws("test", seed=seed).of_images(people) for seed in (1, 1, 2))
    assert np.array_equal(north, again)
    assert not np.array_equal(north, south)


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
        groups = groups_of(labels, decided, owners)
        low, high = interval("sensitivity", metrics_of_draws(labels, decided, None, counts)["sensitivity"], groups)
        widths.append(high - low)
    assert widths[0] > 2.5 * widths[1]


@pytest.mark.parametrize(("n_people", "sensitivity"), [(60, 0.7), (10, 0.8), (20, 0.95), (12, 1.0)])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(n_people, sensitivity):
    generator = np.random.default_rng(1)
    covered = 0
    for trial in range(200):
        right = (generator.random(n_people) < sensitivity).astype(int)
        owners = [f"sub-{number}" for number in range(n_people)]
        counts = Draws(owners, n_draws=400, seed=trial).of_images(owners)
        labels = [1] * n_people
        draws = metrics_of_draws(labels, right, None, counts)["sensitivity"]
        low, high = interval("sensitivity", draws, groups_of(labels, right, owners))
        covered += low <= sensitivity <= high
    assert covered / 200 >= 0.85


def test_a_metric_that_is_often_undefined_has_no_interval():
    values = np.append(np.linspace(0, 1, 900), [np.nan] * 100)
    assert interval("mcc", values, PEOPLE) == (None, None)
    assert interval("mcc", np.append(values[:900], [np.nan] * 40), PEOPLE) == pytest.approx((0.025, 0.975), abs=1e-3)


def test_few_people_of_the_class_that_a_metric_rests_on_give_no_interval_however_many_there_are():
    few = {**PEOPLE, "positive": range(9)}
    values = np.linspace(0, 1, 1001)
    for metric in ("sensitivity", "balanced_accuracy", "auc", "f1", "mcc"):
        assert interval(metric, values, few) == (None, None)
    assert interval("specificity", values, few) == (0.025, 0.975)
    assert interval("ppv", values, {**PEOPLE, "decided positive": range(4)}) == (None, None)


def test_what_is_always_right_is_not_certain():
    right, wrong = np.ones(1000), np.zeros(1000)
    assert interval("sensitivity", right, PEOPLE) == pytest.approx((0.9119, 1), abs=1e-4)
    assert interval("specificity", wrong, PEOPLE) == pytest.approx((0, 0.0881), abs=1e-4)
    assert interval("balanced_accuracy", right, PEOPLE) == pytest.approx((0.9119, 1), abs=1e-4)
    assert interval("auc", right, PEOPLE) == (None, None)


def test_the_mean_over_folds_is_taken_within_a_draw():
    folds = [{"mcc": np.array([0.0, 1.0])}, {"mcc": np.array([1.0, np.nan])}]
    assert mean_of(folds, "mcc").tolist() == pytest.approx([0.5, np.nan], nan_ok=True)
