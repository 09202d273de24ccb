from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench import store
from qcbench.annotate import queue
from qcbench.errors import StudyError
from qcbench.study import Study


def row(image_id, screenshot_path="a.png"):
    return {"image_id": image_id, "screenshot_path": screenshot_path, "screenshot_sha256": "0" * 64}


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


def slots(number, share=0.05):
    rows = [row(f"sub-{each:05d}") for each in range(number)]
    return [image.slot for image in queue.order(rows, rater="alice", repeat_share=share)]


def test_the_chosen_share_of_images_comes_again_long_after_the_first_time():
    shown = slots(4000)
    repeats = [image_id for image_id, purpose in shown if purpose == "repeat"]
    assert 160 <= len(repeats) <= 240
    gaps = [shown.index((image_id, "repeat")) - shown.index((image_id, "label")) for image_id in repeats]
    assert min(gaps) > queue.MIN_GAP
    assert sorted(gaps)[len(gaps) // 2] > 1000
    last_quarter = shown[-len(shown) // 4 :]
    assert 0.3 < sum(purpose == "repeat" for _, purpose in last_quarter) / len(repeats) < 0.7  # spread, not heaped up


def test_repeats_stay_when_images_are_added():
    small, large = slots(1000), slots(1500)
    kept = [slot for slot in large if slot in set(small)]
    assert kept == small


def test_a_small_study_has_no_repeats_for_they_would_be_remembered():
    assert all(purpose == "label" for _, purpose in slots(20, share=0.5))


def fill(study, names, sampled=()):
    catalogue = [
        {"image_id": name, "participant_id": "sub-1", "source_path": "x", "simulated": False} for name in names
    ]
    store.write(study, "images", catalogue)
    store.write(study, "preprocessed", [{**row(name), "preprocessing_preset": "fast"} for name in names])
    drawn = {"participant_id": "sub-1", "seed": 0, "drawn_at": datetime.now(UTC)}
    store.write(study, "sample", [{"image_id": name, **drawn} for name in sampled])


def test_of_a_sampled_study_only_the_sample_is_queued(study):
    fill(study, ["a", "b", "c"], sampled=["c", "b"])
    assert sorted(ids(queue.load(study, "alice"))) == ["b", "c"]


def with_order(study, text):
    (study.folder / "order.csv").write_text(text)
    settings = study.folder / "study.toml"
    settings.write_text(settings.read_text() + 'order = "order.csv"\n')
    return Study(study.folder)


def test_the_order_can_be_given_as_a_table_for_all_raters_or_one(study):
    fill(study, ["a", "b", "c"])
    study = with_order(study, "image_id,rater,purpose\nc,,\na,bob,\nb,alice,label\nc,alice,repeat\n")
    alice, bob = ([image.slot for image in queue.load(study, rater)] for rater in ("alice", "bob"))
    assert alice == [("c", "label"), ("b", "label"), ("c", "repeat"), ("a", "label")]
    assert bob == [("c", "label"), ("a", "label"), ("b", "label")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name\na\n", "needs a column image_id; it has name"),
        ("image_id\na\nzz\n", "line 3: 'zz' is no image that can be labelled here"),
        ("image_id,purpose\na,school\n", "line 2: purpose must be label, repeat or empty, got 'school'"),
    ],
)
def test_a_wrong_order_table_is_refused_with_its_line(study, text, words):
    fill(study, ["a"])
    with pytest.raises(StudyError, match=words):
        queue.load(with_order(study, text), "alice")


def test_an_order_table_outside_the_study_is_refused(study):
    settings = study.folder / "study.toml"
    settings.write_text(settings.read_text() + 'order = "../../etc/passwd"\n')
    with pytest.raises(StudyError, match="outside the study"):
        queue.load(Study(study.folder), "alice")


def test_the_queue_is_empty_before_preprocessing(study):
    assert queue.load(study, "alice") == []


def test_a_stranger_has_no_queue(study):
    with pytest.raises(StudyError, match="'mallory' is no rater"):
        queue.load(study, "mallory")
