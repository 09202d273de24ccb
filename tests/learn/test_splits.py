from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench import store
from qcbench.errors import LeakError, StudyError, UsageError
from qcbench.learn.splits import grown_rows, refuse_leak, split, split_rows
from qcbench.learn.tasks import CLASSES
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


def test_new_labels_move_nobody_and_new_people_are_placed(study):
    label_people(study, range(20))
    split(study, test_share=0.2)
    before = {row["image_id"]: row for row in store.rows(study, "splits")}
    label_people(study, range(20, 40))
    summary = split(study, test_share=0.2)
    after = {row["image_id"]: row for row in store.rows(study, "splits")}
    assert {image_id: after[image_id] for image_id in before} == before
    assert (summary.done, summary.unchanged, summary.facts["kept_where_they_were"]) == (60, 60, 20)
    assert Counter(row["set"] for row in after.values()) == {"test": 24, "cv": 96}
    sizes = Counter(row["fold"] for row in after.values() if row["set"] == "cv")
    assert max(sizes.values()) - min(sizes.values()) <= 3
    assert split(study, test_share=0.2).done == 0
    redrawn = split(study, test_share=0.2, redraw=True)
    assert redrawn.facts["kept_where_they_were"] == 0
    assert store.rows(study, "splits") != list(after.values())


def test_a_new_image_of_somebody_goes_where_their_others_are():
    first = cases([f"sub-{n}" for n in range(10)])
    places = {row["participant_id"]: (row["set"], row["fold"]) for row in split_rows(first, test_images=8)}
    more = [{**case, "image_id": case["image_id"] + "-again"} for case in first]
    grown = grown_rows([*first, *more], places, test_images=8)
    assert all((row["set"], row["fold"]) == places[row["participant_id"]] for row in grown)
    assert len(grown) == 80


def test_new_people_go_to_the_fold_that_has_the_fewest_of_their_classes():
    places = {"sub-t": ("test", None), "sub-a": ("cv", 0), "sub-b": ("cv", 1)}
    kinds = {"sub-t": "tier 1", "sub-a": "tier 1", "sub-b": "tier 3", "sub-new": "tier 1", "sub-more": "tier 3"}
    images = [
        {"image_id": who, "participant_id": who, "class": kind, "gadolinium": False} for who, kind in kinds.items()
    ]
    found = {row["participant_id"]: row["fold"] for row in grown_rows(images, places, test_images=1, folds=2)}
    assert (found["sub-new"], found["sub-more"]) == (1, 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 12), st.integers(0, 12), st.integers(1, 20))
def test_a_grown_split_leaks_nobody_and_keeps_everybody_where_there_are_as_many_folds(n_before, n_new, test_images):
    first = cases([f"sub-{n:02d}" for n in range(n_before)])
    places = {row["participant_id"]: (row["set"], row["fold"]) for row in split_rows(first, test_images=4)}
    everyone = cases([f"sub-{n:02d}" for n in range(n_before + n_new)])
    grown = grown_rows(everyone, places, test_images=test_images)
    found = {row["participant_id"]: (row["set"], row["fold"]) for row in grown}
    assert len({(who, *place) for who, place in found.items()}) == n_before + n_new
    kept = {who: place for who, place in places.items() if found[who] == place}
    assert {who for who, place in places.items() if place[0] == "test"} <= set(kept)
    n_folds = [len({fold for _, fold in some.values()} - {None}) for some in (places, found)]
    assert n_folds[1] == min(5, sum(set_ == "cv" for set_, _ in found.values()))
    assert n_folds[0] < n_folds[1] or kept == places


def label_people(study, numbers):
    ids = [(f"sub-{n:02d}_{kind}", f"sub-{n:02d}", kind) for n in numbers for kind in ("reject", "good", "bad")]
    store.upsert(study, "images", [image_row(image_id, who) for image_id, who, _ in ids])
    store.upsert(study, "consensus", [consensus_row(image_id, kind) for image_id, _, kind in ids])


def test_too_few_people_for_the_folds_are_cut_anew_when_more_come_and_the_test_set_stays(study):
    label_people(study, range(3))
    assert split(study).facts["folds"] == 2
    tested = {row["participant_id"] for row in store.rows(study, "splits") if row["set"] == "test"}
    label_people(study, range(3, 40))
    grown = split(study)
    assert grown.facts["folds"] == 5
    assert any("5 folds instead of the 2 before" in note for note in grown.notes)
    assert tested <= {row["participant_id"] for row in store.rows(study, "splits") if row["set"] == "test"}
    assert split(study).done == 0


def test_another_number_of_folds_leaves_the_test_set_alone(study):
    label_people(study, range(20))
    split(study)
    before = store.rows(study, "splits")
    assert split(study, folds=4).facts["folds"] == 4
    after = store.rows(study, "splits")
    assert [row["set"] for row in after] == [row["set"] for row in before]
    assert split(study, folds=4).done == 0
    split(study, folds=5)
    assert store.rows(study, "splits") == before


@pytest.mark.parametrize("size", [{"test_share": 10}, {"test_share": 0}, {"test_images": -3}, {"test_images": 60}])
def test_a_test_set_of_nothing_or_everything_is_refused(study, size):
    label_people(study, range(20))
    with pytest.raises(UsageError, match="got"):
        split(study, **size)


def test_a_scanner_that_is_missing_from_the_test_set_is_named(study):
    people = [(f"sub-{n:02d}", "Rare" if n == 0 else "Siemens") for n in range(20)]
    store.write(study, "images", [image_row(f"{who}_{k}", who, manufacturer=m) for who, m in people for k in range(3)])
    store.write(study, "consensus", [consensus_row(f"{who}_{k}", "good") for who, _ in people for k in range(3)])
    seeds = {seed: split(study, test_share=0.35, seed=seed) for seed in range(4)}
    tested = {}
    for seed in seeds:
        split(study, test_share=0.35, seed=seed)
        tested[seed] = any(row["set"] == "test" for row in store.rows(study, "splits") if "sub-00" in row["image_id"])
    said = {seed: any("manufacturer 'Rare' (3 in all)" in note for note in seeds[seed].notes) for seed in seeds}
    assert said == {seed: not is_tested for seed, is_tested in tested.items()}
    assert set(said.values()) == {True, False}
