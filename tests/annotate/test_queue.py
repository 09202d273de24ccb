import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench import store
from qcbench.annotate import queue
from qcbench.errors import StudyError


def row(image_id, screenshot_path="a.png"):
    return {"image_id": image_id, "screenshot_path": screenshot_path}


def ids(images):
    return [image.image_id for image in images]


@given(st.sets(st.text("abc0123", min_size=1), max_size=20), st.sets(st.text("abc0123", min_size=1), max_size=5))
def test_added_images_leave_the_order_of_the_others_as_it_was(before, added):
    old = ids(queue.order(map(row, before), rater="alice"))
    new = ids(queue.order(map(row, before | added), rater="alice"))
    assert [image_id for image_id in new if image_id in before] == old
    assert sorted(new) == sorted(before | added)


def test_two_raters_see_the_images_in_different_orders():
    rows = [row(f"sub-{number}") for number in range(30)]
    assert ids(queue.order(rows, rater="alice")) != ids(queue.order(rows, rater="bob"))


def test_the_order_of_the_rows_does_not_matter():
    rows = [row(f"sub-{number}") for number in range(30)]
    assert queue.order(rows, rater="alice") == queue.order(reversed(rows), rater="alice")


def test_an_image_without_screenshot_or_excluded_is_not_queued(study):
    catalogue = [
        {"image_id": name, "participant_id": "sub-1", "source_path": "x", "simulated": False, "excluded_reason": reason}
        for name, reason in (("kept", None), ("excluded", "too few slices"), ("failed", None))
    ]
    preprocessed = [
        {**row(name, path), "preprocessing_preset": "fast"}
        for name, path in (("kept", "kept.png"), ("excluded", "excluded.png"), ("failed", None))
    ]
    store.write(study, "images", catalogue)
    store.write(study, "preprocessed", preprocessed)
    assert ids(queue.load(study, "alice")) == ["kept"]


def test_the_queue_is_empty_before_preprocessing(study):
    assert queue.load(study, "alice") == []


def test_a_stranger_has_no_queue(study):
    with pytest.raises(StudyError, match="'mallory' is no rater"):
        queue.load(study, "mallory")
