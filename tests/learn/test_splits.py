from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench import store
from qcbench.errors import LeakError, StudyError, UsageError
from qcbench.learn.splits import CLASSES, refuse_leak, split, split_rows
from tests.learn.conftest import consensus_row, image_row


def cases(participants, classes=("straight reject", "tier 1", "tier 2", "tier 3")):
    return [
        {"image_id": f"{who}_{kind}", "participant_id": who, "class": kind, "gadolinium": kind == "tier 3"}
        for who in participants
        for kind in classes
    ]


@settings(max_examples=40, deadline=None)
@given(
    owners=st.lists(st.tuples(st.integers(0, 14), st.sampled_from(CLASSES)), min_size=3, max_size=60).filter(
        lambda owners: len({who for who, _ in owners}) >= 3
    ),
    share=st.floats(0.05, 0.5),
    seed=st.integers(0, 5),
)
def test_a_participant_is_never_in_two_sets_or_folds(owners, share, seed):
    images = [
        {"image_id": f"image-{n}", "participant_id": f"sub-{who}", "class": kind, "gadolinium": False}
        for n, (who, kind) in enumerate(owners)
    ]
    rows = split_rows(images, test_images=round(share * len(images)), seed=seed)
    places = {(row["participant_id"], row["set"], row["fold"]) for row in rows}
    assert len(places) == len({row["participant_id"] for row in rows})
    assert sorted(row["image_id"] for row in rows) == sorted(image["image_id"] for image in images)
    assert {row["set"] for row in rows} == {"test", "cv"}
    folds = {row["fold"] for row in rows if row["set"] == "cv"}
    assert folds == set(range(len(folds))) and len(folds) >= 2


@pytest.mark.parametrize(("n_participants", "least", "folds"), [(12, 2, 5), (8, 1, 5), (4, 1, 3), (3, 1, 2)])
def test_few_participants_still_give_a_test_set_and_folds(n_participants, least, folds):
    rows = split_rows(cases([f"sub-{n}" for n in range(n_participants)]), test_images=1)
    assert len({row["participant_id"] for row in rows if row["set"] == "test"}) == least
    assert len({row["fold"] for row in rows} - {None}) == folds


def test_the_test_set_has_the_class_proportions_of_the_rest():
    # One class a participant: a draw that ignores classes would often miss one.
    images = [
        {
            "image_id": f"sub-{n}_{k}",
            "participant_id": f"sub-{n}",
            "class": CLASSES[n % 4],
            "gadolinium": n % 8 < 4,
        }
        for n in range(80)
        for k in range(3)
    ]
    rows = split_rows(images, test_images=24)
    test = [row["image_id"] for row in rows if row["set"] == "test"]
    class_of = {image["image_id"]: image["class"] for image in images}
    assert len(test) == 24
    assert max(abs(count - 6) for count in Counter(class_of[image_id] for image_id in test).values()) <= 3
    assert len({class_of[image_id] for image_id in test}) == 4


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    images = cases([f"sub-{n}" for n in range(20)])
    assert split_rows(images, test_images=8) == split_rows(images[::-1], test_images=8)
    assert split_rows(images, test_images=8) != split_rows(images, test_images=8, seed=1)


def test_two_participants_are_too_few():
    with pytest.raises(UsageError, match="at least 3 participants"):
        split_rows(cases(["sub-1", "sub-2"]), test_images=1)


def test_a_leak_names_the_participant():
    rows = [
        {"image_id": "a", "participant_id": "sub-1", "set": "cv", "fold": 0},
        {"image_id": "b", "participant_id": "sub-1", "set": "cv", "fold": 1},
        {"image_id": "c", "participant_id": "sub-2", "set": "test", "fold": None},
    ]
    with pytest.raises(LeakError, match=r"sub-1 \(cv fold 0, cv fold 1\)"):
        refuse_leak(rows)
    refuse_leak(rows[1:])


def test_split_needs_a_consensus(study):
    with pytest.raises(StudyError, match="qcbench consensus"):
        split(study)


def test_a_second_split_changes_nothing_and_a_new_label_is_told(study):
    ids = [(f"sub-{n}_{k}", f"sub-{n}") for n in range(8) for k in range(2)]
    store.write(study, "images", [image_row(image_id, who) for image_id, who in ids])
    store.write(study, "consensus", [consensus_row(image_id, "good") for image_id, _ in ids])
    first = split(study)
    assert (first.done, first.unchanged, first.facts["participants"]) == (16, 0, 8)
    assert "the class 'straight reject' has no image" in first.notes
    assert (split(study).done, split(study).unchanged) == (0, 16)
    other = split(study, seed=3)
    assert any("changed between test and cross-validation" in note for note in other.notes)


def test_an_image_that_left_the_catalogue_is_reported(study):
    store.write(study, "images", [image_row(f"i{n}", f"sub-{n}") for n in range(4)])
    store.write(study, "consensus", [consensus_row(f"i{n}", "bad") for n in range(5)])
    summary = split(study)
    assert set(summary.failed) == {"i4"}
    assert len(store.rows(study, "splits")) == 4
