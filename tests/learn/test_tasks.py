import pytest

from qcbench.errors import UsageError
from qcbench.learn.tasks import chosen_tasks, class_weights, missing_class, rater_decisions, task_labels

ROWS = [
    {"image_id": "reject", "straight_reject": True, "gadolinium": None, "tier": None},
    {"image_id": "t1", "straight_reject": False, "gadolinium": False, "tier": 1},
    {"image_id": "t2", "straight_reject": False, "gadolinium": True, "tier": 2},
    {"image_id": "t3", "straight_reject": False, "gadolinium": True, "tier": 3},
]

# Images with label 1 and 0 among the 5,000 of training and validation (Bottani et al. 2022, reconstructed),
# and the weights of the positive and the negative class.
PUBLISHED = {
    "sr": (1340, 3660, 1.8657, 0.6831),
    "gadolinium": (2196, 1464, 0.8333, 1.2500),
    "tier3": (1478, 2182, 1.2382, 0.8387),
    "tier2": (1380, 802, 0.7906, 1.3603),
}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("sr", {"reject": 1, "t1": 0, "t2": 0, "t3": 0}),
        ("gadolinium", {"t1": 0, "t2": 1, "t3": 1}),
        ("tier3", {"t1": 0, "t2": 0, "t3": 1}),
        ("tier2", {"t1": 0, "t2": 1}),
    ],
)
def test_each_task_takes_its_images_with_its_positive_class(task, expected):
    assert task_labels(ROWS, task) == expected


def test_an_image_without_grades_is_in_no_graded_task():
    ungraded = [{"image_id": "x", "straight_reject": False, "gadolinium": None, "tier": None}]
    assert [task_labels(ungraded, task) for task in ("sr", "gadolinium", "tier3", "tier2")] == [{"x": 0}, {}, {}, {}]


def test_an_unknown_task_is_refused_with_the_list():
    with pytest.raises(UsageError, match="sr, gadolinium, tier3, tier2"):
        chosen_tasks("tier4")


@pytest.mark.parametrize("task", PUBLISHED)
def test_class_weights_are_those_of_the_paper(task):
    n_positive, n_negative, positive, negative = PUBLISHED[task]
    found = class_weights([1] * n_positive + [0] * n_negative)
    assert found == (pytest.approx(negative, abs=5e-5), pytest.approx(positive, abs=5e-5))


def test_the_class_without_an_image_is_named():
    assert missing_class([1, 1], "sr") == "not straight reject"
    assert missing_class([0], "tier2") == "tier 2"
    assert missing_class([0, 1], "tier2") is None


def test_a_rater_counts_only_where_the_consensus_says_the_task_applies():
    truth = {"t1": 0, "t2": 1}
    rater = [
        {"image_id": "t1", "straight_reject": True, "gadolinium": None, "tier": None},
        {"image_id": "t2", "straight_reject": False, "gadolinium": False, "tier": 3},
        {"image_id": "t3", "straight_reject": False, "gadolinium": False, "tier": 3},
    ]
    assert rater_decisions(rater, truth, "tier2") == {"t2": 1}
