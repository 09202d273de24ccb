from datetime import UTC, datetime, timedelta

import pytest

from qcbench import store
from qcbench.annotate import consensus, progress
from qcbench.annotate.events import label_event
from qcbench.annotate.journal import Journal

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
REJECT = {"straight_reject": True}


def graded(motion):
    return {"gadolinium": False, "motion": motion, "contrast": 0, "noise": 0}


@pytest.fixture
def labelled(study):
    """Four images; alice labels three in two sittings a day apart, bob one, and puts one off."""
    names = ["a", "b", "c", "d"]
    rows = [{"image_id": name, "participant_id": "sub-1", "source_path": "x", "simulated": False} for name in names]
    store.write(study, "images", rows)
    drawn = {"screenshot_path": "a.png", "screenshot_sha256": "0" * 64, "preprocessing_preset": "x"}
    store.write(study, "preprocessed", [{"image_id": name, **drawn} for name in names])
    moments = [0, 20, 24 * 3600]
    for number, (name, answers) in enumerate([("a", REJECT), ("b", graded(2)), ("c", graded(1))]):
        event = label_event(
            study.protocol,
            study.protocol.check(answers),
            rater="alice",
            source="rater",
            session="s",
            sequence=number,
            event_id=f"a{number}",
            image_id=name,
            seconds=[4.0, 8.0, 30.0][number],
            saved_at=START + timedelta(seconds=moments[number]),
        )
        store.SegmentLog(study.label_folder("alice") / "s", "label_events").append(event)
    bob = Journal(study, "bob")
    bob.append(event_id="b0", slot=("a", "label"), label=study.protocol.check(graded(0)))
    bob.defer(("d", "label"))
    return study


def test_each_rater_has_progress_and_a_pace_that_leaves_breaks_out(labelled):
    alice, bob = progress.by_rater(labelled)
    assert (alice["rater"], alice["n_images"], alice["n_labelled"], alice["n_put_off"]) == ("alice", 4, 3, 0)
    assert (alice["share_rejected"], alice["median_seconds"]) == (pytest.approx(1 / 3), 8.0)
    assert alice["labels_per_hour"] == pytest.approx(180)  # 20 s between two of one sitting; the night is no work
    assert alice["hours_left"] == pytest.approx(1 / 180)
    assert (bob["n_labelled"], bob["n_put_off"], bob["labels_per_hour"], bob["hours_left"]) == (1, 1, None, None)


def test_a_day_s_grades_and_times_show_drift(labelled):
    first, second, _ = progress.by_day(labelled)
    assert (first["rater"], first["n"], first["median_seconds"], first["mean_motion"]) == ("alice", 2, 6.0, 2.0)
    assert (second["n"], second["median_seconds"], second["mean_motion"], second["share_rejected"]) == (1, 30.0, 1.0, 0)
    assert first["day"] < second["day"]


def test_the_list_says_who_has_to_do_what(labelled):
    consensus.consensus(labelled)
    assert progress.waiting(labelled) == [
        {"image_id": "a", "waits_for": "review", "raters": "alice,bob"},
        {"image_id": "b", "waits_for": "label", "raters": "bob"},
        {"image_id": "c", "waits_for": "label", "raters": "bob"},
        {"image_id": "d", "waits_for": "label", "raters": "alice"},
        {"image_id": "d", "waits_for": "put off", "raters": "bob"},
    ]


def test_a_study_in_which_nobody_began_has_rows_without_numbers(study):
    assert [row["labels_per_hour"] for row in progress.by_rater(study)] == [None, None]
    assert progress.by_day(study) == progress.waiting(study) == []
