import pytest

from qcbench import store
from qcbench.learn import runs
from qcbench.learn.datasets import build_cache, open_cache
from qcbench.learn.runs import Run
from qcbench.learn.splits import split
from qcbench.learn.task_data import identity, task_data
from tests.learn.conftest import add_image, consensus_row, copy_of, image_row, make_study


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    """Four participants with 16 cached volumes in two folds. Not to be changed by a test."""
    study = make_study(tmp_path_factory.mktemp("runs") / "cached", 4)
    split(study, test_images=4, folds=2)
    build_cache(study, spacing=4, show_progress=False)
    return study


def as_if_fitted(study, name, *, copies=None, folds=(0, 1), task="sr", **more):
    """A run on today's data whose folds have no weights."""
    data = task_data(study, task, open_cache(study, spacing=4).hashes)
    asked = {"task": task, "architecture": "lean3d", "preset": "quick", "spacing": 4, "seed": 0, "folds": data.folds}
    run = Run(folder=study.runs / name, config={**asked, **more, **identity(study, data)})
    run.save_config()
    run.save_fitted_to(data.fitted_to(), copies)
    (run.folder / "architecture.json").write_text("{}")
    for fold in folds:
        run.fold_folder(fold).mkdir()
        (run.fold_folder(fold) / "fold.json").write_text("{}")
    return run


@pytest.fixture
def fitted(cached, tmp_path):
    study = copy_of(cached, tmp_path)
    return study, as_if_fitted(study, "sr-a")


def add_labelled(study, image_id, participant_id, place):
    store.upsert(study, "images", [image_row(image_id, participant_id)])
    store.upsert(study, "consensus", [consensus_row(image_id, "good")])
    set_, fold = place
    row = {"image_id": image_id, "participant_id": participant_id, "set": set_, "fold": fold, "seed": 0}
    store.upsert(study, "splits", [row])


def move(study, participant_id, place):
    rows = store.rows(study, "splits")
    moved = [row for row in rows if row["participant_id"] == participant_id]
    store.upsert(study, "splits", [{**row, "set": place[0], "fold": place[1]} for row in moved])


def people(study, set_):
    return sorted({row["participant_id"] for row in store.rows(study, "splits") if row["set"] == set_})


def test_labels_that_are_added_make_no_run_false(fitted):
    study, run = fitted
    add_labelled(study, "sub-08_good", "sub-08", ("cv", 1))
    add_labelled(study, "sub-09_good", "sub-09", ("test", None))
    assert runs.of_these_splits(study, runs.find(study)) == ([run], [])


@pytest.mark.parametrize("place", [("test", None), ("cv", 7)])
def test_a_run_whose_people_are_in_another_place_now_is_told_apart(fitted, place):
    study, run = fitted
    move(study, people(study, "cv")[0], place)
    assert runs.of_these_splits(study, runs.find(study)) == ([], [run.run_id])


def test_a_new_image_in_the_test_set_of_someone_who_was_fitted_to_counts_as_such(fitted):
    study, _ = fitted
    who = people(study, "cv")[0]
    add_labelled(study, f"{who}_second", who, ("test", None))
    assert runs.of_these_splits(study, runs.find(study))[0] == []


def test_who_was_known_by_copies_only_must_not_be_in_the_test_set_later(fitted):
    study, _ = fitted
    run = as_if_fitted(study, "sr-pretrained", copies={"sub-08": None})
    assert runs.of_these_splits(study, [run])[0] == [run]
    add_labelled(study, "sub-08_good", "sub-08", ("test", None))
    assert runs.of_these_splits(study, [run])[0] == []


def test_a_run_that_does_not_say_what_it_was_fitted_to_is_of_the_same_table_of_splits_only(fitted):
    study, run = fitted
    (run.folder / "fitted_to.json").unlink()
    assert runs.of_these_splits(study, [run]) == ([run], [])
    assert runs.outdated(study, [run]) == {}
    add_labelled(study, "sub-09_good", "sub-09", ("test", None))
    assert runs.of_these_splits(study, [run]) == ([], [run.run_id])
    assert str(runs.outdated(study, [run])[run.run_id]) == "17 in a consensus that was another one"


def test_what_changed_since_a_run_was_fitted_is_counted(fitted):
    study, run = fitted
    assert runs.outdated(study, [run]) == {}
    in_cv = people(study, "cv")
    # Of the test set, and of a grade that the task does not ask for: neither is a change.
    store.upsert(study, "consensus", [consensus_row(f"{people(study, 'test')[0]}_good", "reject")])
    store.upsert(study, "consensus", [consensus_row(f"{in_cv[0]}_moderate", "bad")])
    assert runs.outdated(study, [run]) == {}
    store.upsert(study, "consensus", [consensus_row(f"{in_cv[0]}_good", "reject")])
    gone = f"{in_cv[0]}_bad"
    store.write(study, "consensus", [row for row in store.rows(study, "consensus") if row["image_id"] != gone])
    failed = {"image_id": f"{in_cv[1]}_bad", "preprocessing_preset": "fast", "volume_path": None, "error": "failed"}
    store.upsert(study, "preprocessed", [add_image(study, "sub-08_good", "good", 99), failed])
    add_image(study, f"{in_cv[1]}_good", "reject", 77)
    add_labelled(study, "sub-08_good", "sub-08", ("cv", 0))
    build_cache(study, spacing=4, show_progress=False)
    changes = runs.outdated(study, [run])[run.run_id]
    assert len(changes) == 5
    assert str(changes) == (
        "1 labelled otherwise, 1 labelled no more, 1 labelled since, 1 preprocessed anew, 1 without a volume now"
    )


def test_the_run_on_newer_labels_takes_the_place_of_one_asked_for_alike_once_it_has_its_folds(fitted):
    study, first = fitted
    other = as_if_fitted(study, "sr-b", seed=1)
    store.upsert(study, "consensus", [consensus_row(f"{people(study, 'cv')[0]}_good", "reject")])
    begun = as_if_fitted(study, "sr-c", folds=[0])
    assert runs.closest(study, [first, other, begun]) == ([first, other, begun], [])
    whole = as_if_fitted(study, "sr-d")
    assert runs.closest(study, [first, other, begun, whole]) == ([other, begun, whole], ["sr-a"])


def test_a_copied_folder_is_no_fold(fitted):
    _, run = fitted
    for name in ("fold-0-Copy1", "fold-x", "fold-01"):
        (run.folder / name).mkdir()
        (run.folder / name / "fold.json").write_text("{}")
    assert run.fitted_folds() == [0, 1]
