from collections import Counter

import pytest

from qcbench import store
from qcbench.annotate import queue, sampling
from qcbench.errors import UsageError


@pytest.fixture
def warehouse(study):
    """Forty participants with one to three images each, half of them from either hospital."""
    names = [
        (f"sub-{person:03d}", f"sub-{person:03d}_run-{run}_T1w")
        for person in range(40)
        for run in range(1 + person % 3)
    ]
    store.write(
        study,
        "images",
        [
            {
                "image_id": image_id,
                "participant_id": person,
                "source_path": "x",
                "simulated": False,
                "hospital": "north" if int(person[4:]) < 20 else "south",
            }
            for person, image_id in names
        ],
    )
    store.write(
        study,
        "preprocessed",
        [
            {
                "image_id": image_id,
                "screenshot_path": "a.png",
                "screenshot_sha256": "0" * 64,
                "preprocessing_preset": "x",
            }
            for _, image_id in names
        ],
    )
    return study


def sampled(study):
    return {row["image_id"] for row in store.rows(study, "sample")}


def test_whole_participants_are_drawn_and_raters_are_asked_for_nothing_else(warehouse):
    summary = sampling.draw(warehouse, 30, seed=3)
    drawn = store.rows(warehouse, "sample")
    assert (summary.done, summary.facts["images"], len(drawn)) == (30, 30, 30)
    assert {row["seed"] for row in drawn} == {3}
    of_all = Counter(row["participant_id"] for row in store.rows(warehouse, "images"))
    partly = [person for person, n in Counter(row["participant_id"] for row in drawn).items() if n < of_all[person]]
    assert len(partly) <= 1
    assert {image.image_id for image in queue.load(warehouse, "alice")} == sampled(warehouse)


def test_the_same_seed_draws_the_same_images_and_another_seed_others(warehouse, tmp_path):
    draws = []
    for seed in (0, 0, 1):
        warehouse.table_path("sample").unlink(missing_ok=True)
        sampling.draw(warehouse, 20, seed=seed)
        draws.append(sampled(warehouse))
    assert draws[0] == draws[1] != draws[2]


def test_a_larger_sample_adds_to_the_smaller_and_a_smaller_one_is_refused(warehouse):
    sampling.draw(warehouse, 20)
    small = sampled(warehouse)
    assert sampling.draw(warehouse, 33, seed=7).done == 13
    assert small < sampled(warehouse)
    with pytest.raises(UsageError, match="only ever added to"):
        sampling.draw(warehouse, 10)


def test_strata_get_their_shares(warehouse):
    sampling.draw(warehouse, 40, stratify="hospital")
    all_images = Counter(row["hospital"] for row in store.rows(warehouse, "images"))
    drawn = Counter(row["hospital"] for row in store.rows(warehouse, "images") if row["image_id"] in sampled(warehouse))
    for hospital, n in all_images.items():
        assert abs(drawn[hospital] - 40 * n / sum(all_images.values())) <= 2


@pytest.mark.parametrize("n", [0, 80])
def test_more_images_than_there_are_is_refused_with_the_number_that_can_be_had(warehouse, n):
    with pytest.raises(UsageError, match=f"{n} images were asked for, and 79 can be labelled"):
        sampling.draw(warehouse, n)


def test_a_column_that_is_none_is_refused_with_the_columns(warehouse):
    with pytest.raises(UsageError, match=r"'town' is no column of the catalogue; it has .*hospital"):
        sampling.draw(warehouse, 5, stratify="town")


def with_volumes(study):
    store.upsert(
        study, "preprocessed", [{**row, "volume_path": "v.nii.gz"} for row in store.rows(study, "preprocessed")]
    )


def test_a_sub_study_from_the_whole_volume_is_drawn_among_the_sampled_and_comes_last(warehouse):
    with_volumes(warehouse)
    sampling.draw(warehouse, 30, seed=3)
    sampling.draw(warehouse, 10, seed=1, purpose="volume")
    again = {row["image_id"] for row in store.rows(warehouse, "volume_sample")}
    waiting = queue.load(warehouse, "alice")
    assert len(again) == 10 and again < sampled(warehouse)
    assert {image.image_id for image in waiting[-10:]} == again
    assert [image.purpose for image in waiting[-11:]] == ["label"] + ["volume"] * 10
    assert all(image.purpose != "volume" for image in waiting[:-10])


def test_an_image_without_a_volume_cannot_be_labelled_from_it(warehouse):
    with pytest.raises(UsageError, match="no image can be labelled"):
        sampling.draw(warehouse, 1, purpose="volume")


def test_an_unknown_purpose_is_refused(warehouse):
    with pytest.raises(UsageError, match="label or volume, got 'repeat'"):
        sampling.draw(warehouse, 1, purpose="repeat")
