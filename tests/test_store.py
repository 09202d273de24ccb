from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench import store
from qcbench.errors import StudyError, TableError
from qcbench.study import Study

SPLIT = {"image_id": "sub-01_T1w", "participant_id": "sub-01", "set": "cv", "fold": 0, "seed": 0}
START = datetime(2026, 1, 1, tzinfo=UTC)


def event(number, *, image_id="sub-01_T1w", motion=0, supersedes=None, minute=None, purpose="label"):
    return {
        "event_id": f"event-{number}",
        "rater": "alice",
        "source": "rater",
        "session": "session",
        "sequence": number,
        "image_id": image_id,
        "purpose": purpose,
        "straight_reject": False,
        "gadolinium": False,
        "motion": motion,
        "contrast": 0,
        "noise": 0,
        "supersedes": supersedes,
        "saved_at": START + timedelta(minutes=number if minute is None else minute),
        "protocol": "t1w-warehouse",
        "protocol_sha256": "0",
        "version": "test",
    }


def write_events(study, events, session="session"):
    store.SegmentLog(study.label_folder("alice") / session, "label_events").extend(events)


def test_a_table_that_was_not_written_is_empty_and_has_its_columns(study):
    table = store.read(study, "splits")
    assert (table.num_rows, table.column_names) == (0, ["image_id", "participant_id", "set", "fold", "seed"])


def test_rows_come_back_as_they_were_in_the_order_of_their_key(study):
    later = {**SPLIT, "image_id": "sub-02_T1w", "participant_id": "sub-02", "set": "test", "fold": None}
    store.write(study, "splits", [later, SPLIT])
    assert store.rows(study, "splits") == [SPLIT, later]


def test_further_columns_are_kept(study):
    store.write(study, "splits", [{**SPLIT, "hospital": "A"}])
    assert store.rows(study, "splits")[0]["hospital"] == "A"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"participant_id": None}, "participant_id is missing"),
        ({"set": "validation"}, "set must be one of"),
        ({"fold": "first"}, "wrong type"),
    ],
)
def test_a_bad_row_is_refused_and_the_old_table_stands(study, change, complaint):
    store.write(study, "splits", [SPLIT])
    with pytest.raises(TableError, match=complaint):
        store.write(study, "splits", [{**SPLIT, **change}])
    assert store.rows(study, "splits") == [SPLIT]


def test_a_key_names_one_row(study):
    with pytest.raises(TableError, match="two rows"):
        store.write(study, "splits", [SPLIT, SPLIT])


PREDICTION = {"task": "sr", "architecture": "lean3d", "run_id": "r", "preprocessing_preset": "fast"}
SOME_PREDICTIONS = st.lists(
    st.fixed_dictionaries(
        {
            **{name: st.just(value) for name, value in PREDICTION.items()},
            "image_id": st.sampled_from(["a", "B", "é", "z-1", "z"]),
            "fold": st.integers(0, 2),
            "probability": st.one_of(st.none(), st.floats(0, 1)),
        },
        optional={"weights_sha256": st.sampled_from(["x", "y"]), "seconds": st.floats(0, 1)},
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(SOME_PREDICTIONS, min_size=1, max_size=4))
def test_adding_bit_by_bit_gives_the_table_of_writing_all_at_once(tmp_path_factory, batches):
    study = Study.create(tmp_path_factory.mktemp("bits") / "study", raters=["alice"])
    latest = {}
    for batch in batches:
        store.upsert(study, "predictions", batch)
        latest.update({(row["image_id"], row["fold"]): row for row in batch})
    bit_by_bit = store.read(study, "predictions")
    store.write(study, "predictions", latest.values())
    once = store.read(study, "predictions")
    assert bit_by_bit.to_pylist() == [
        {name: row.get(name) for name in bit_by_bit.column_names} for row in once.to_pylist()
    ]
    # A column that only replaced rows had stays, all null.
    if bit_by_bit.column_names == once.column_names:
        assert bit_by_bit.equals(once)


def test_a_null_in_the_key_is_a_key_like_another(study):
    row = {"task": "sr", "architecture": "lean3d", "run_id": "r", "set": "test", "metric": "mcc", "n": 4}
    row |= {"simulated": False}
    store.write(study, "metrics", [{**row, "fold": 0, "value": 0.1}, {**row, "fold": None, "value": 0.2}])
    store.upsert(study, "metrics", [{**row, "fold": None, "value": 0.3}])
    assert [(found["fold"], found["value"]) for found in store.rows(study, "metrics")] == [(None, 0.3), (0, 0.1)]


def test_upsert_replaces_the_row_with_the_same_key(study):
    store.write(study, "splits", [SPLIT, {**SPLIT, "image_id": "sub-02_T1w"}])
    store.upsert(study, "splits", [{**SPLIT, "fold": 3}])
    assert [row["fold"] for row in store.rows(study, "splits")] == [3, 0]


def test_writers_of_one_table_at_the_same_time_lose_no_row(study):
    def add(part):
        for number in range(5):
            store.upsert(study, "splits", [{**SPLIT, "image_id": f"sub-{part}_run-{number}_T1w"}])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert len(store.rows(study, "splits")) == 20


def test_collected_rows_reach_the_table_even_when_the_batch_is_interrupted(study):
    with pytest.raises(KeyboardInterrupt), store.collect(study, "splits") as rows:
        rows.append(SPLIT)
        raise KeyboardInterrupt
    assert store.rows(study, "splits") == [SPLIT]


def test_collected_rows_reach_the_table_while_the_batch_runs(study):
    with store.collect(study, "splits", every_s=0) as rows:
        rows.append(SPLIT)
        assert store.rows(study, "splits") == [SPLIT]


def test_a_flipped_bit_is_an_error_and_never_a_wrong_number(study):
    store.write(study, "splits", [{**SPLIT, "image_id": f"sub-{number:03d}"} for number in range(200)])
    path = study.table_path("splits")
    content = path.read_bytes()
    truth = store.rows(study, "splits")
    for position in range(4, len(content) - 8, max(1, len(content) // 60)):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        try:
            assert store.rows(study, "splits") == truth
        except TableError as error:
            assert "splits.parquet" in str(error)


def test_a_table_of_another_program_is_refused(study):
    store.write(study, "splits", [SPLIT])
    study.table_path("splits").rename(study.table_path("consensus"))
    with pytest.raises(TableError, match="lacks the column 'straight_reject'"):
        store.read(study, "consensus")


def test_a_stage_that_needs_a_missing_table_says_which_command_makes_it(study):
    with pytest.raises(StudyError, match="qcbench split"):
        store.require(study, "splits", "split")


def test_a_frame_has_nullable_dtypes(study):
    store.write(study, "splits", [{**SPLIT, "set": "test", "fold": None}])
    frame = store.frame(study, "splits")
    assert str(frame["fold"].dtype) == "Int64"
    assert frame["fold"].isna().all()


def test_events_survive_in_segments_and_full_segments_are_never_written_again(study):
    log = store.SegmentLog(study.label_folder("alice") / "session", "label_events")
    log.extend(event(number, image_id=f"image-{number}") for number in range(256))
    first = (log.folder / "seg-000000.parquet").read_bytes()
    log.append(event(256, image_id="one more"))
    assert (log.folder / "seg-000000.parquet").read_bytes() == first
    assert len(store.label_events(study, "alice")) == 257


def test_a_new_log_in_an_old_folder_overwrites_nothing(study):
    write_events(study, [event(0)])
    write_events(study, [event(1)])
    assert [row["event_id"] for row in store.label_events(study, "alice")] == ["event-0", "event-1"]


def test_an_event_that_was_written_twice_counts_once(study):
    write_events(study, [event(0)], session="first-tab")
    write_events(study, [event(0)], session="second-tab")
    assert len(store.label_events(study, "alice")) == 1


def test_a_damaged_segment_is_named_and_the_labels_are_not_folded_without_it(study):
    write_events(study, [event(0)], session="good")
    write_events(study, [event(1)], session="bad")
    path = study.label_folder("alice") / "bad" / "seg-000000.parquet"
    path.write_bytes(path.read_bytes()[:100])
    events, damaged = store.read_log(study.label_folder("alice"), "label_events")
    assert [row["event_id"] for row in events] == ["event-0"]
    assert "seg-000000.parquet" in damaged[0]
    with pytest.raises(TableError, match="backup"):
        store.labels(study)


def test_a_relabelled_image_has_its_latest_grades_and_both_versions_stay(study):
    write_events(study, [event(0, motion=0), event(1, motion=2, supersedes="event-0")])
    (label,) = store.labels(study)
    assert (label["motion"], label["tier"], label["n_revisions"]) == (2, 3, 1)
    assert len(store.label_events(study, "alice")) == 2


def test_a_clock_that_went_back_does_not_bring_an_old_grade_back(study):
    write_events(study, [event(0, motion=0, minute=60), event(1, motion=2, supersedes="event-0", minute=0)])
    assert store.labels(study)[0]["motion"] == 2


def test_only_labels_are_folded_not_rater_school_or_repeats(study):
    write_events(study, [event(0, motion=1), event(1, motion=2, purpose="repeat"), event(2, purpose="school")])
    (label,) = store.labels(study)
    assert (label["motion"], label["n_revisions"]) == (1, 0)


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(5)), supersedes=st.lists(st.integers(-1, 4), min_size=5, max_size=5))
def test_the_current_label_does_not_depend_on_the_order_of_the_files(tmp_path_factory, order, supersedes):
    study = Study.create(tmp_path_factory.mktemp("s") / "study", raters=["alice"])
    events = [
        event(number, motion=number % 3, supersedes=None if earlier < 0 else f"event-{earlier}", minute=0)
        for number, earlier in enumerate(supersedes)
    ]
    expected = store._current(events, study)["event_id"]
    for number in order:
        write_events(study, [events[number]], session=f"session-{order.index(number)}")
    assert store.labels(study)[0]["event_id"] == expected


def test_a_segment_is_not_overwritten_when_an_earlier_one_was_moved_away(study):
    write_events(study, [event(number, image_id=f"image-{number}") for number in range(300)])
    folder = study.label_folder("alice") / "session"
    (folder / "seg-000000.parquet").unlink()
    (folder / "seg-000000.seal").rename(folder / "seg-000000.seal.lost")
    write_events(study, [event(300, image_id="image-300")])
    kept = {row["event_id"] for row in store.label_events(study, "alice")}
    assert kept == {f"event-{number}" for number in range(256, 301)}


def test_a_consensus_is_stale_once_a_label_it_rests_on_was_revised(study):
    write_events(study, [event(0)])
    row = {"image_id": "sub-01_T1w", "straight_reject": False, "decided_by": "raters", "stale": False}
    store.write(study, "consensus", [{**row, "label_event_ids": ["event-0"], "simulated": False}])
    assert store.stale_consensus(study) == set()
    write_events(study, [event(1, motion=2, supersedes="event-0")])
    assert store.stale_consensus(study) == {"sub-01_T1w"}


def test_text_that_is_no_unicode_is_a_clear_error(study):
    with pytest.raises(TableError, match="wrong type"):
        store.write(study, "splits", [{**SPLIT, "image_id": "h\udce9l"}])


@settings(max_examples=60, deadline=None)
@given(
    comment=st.none() | st.text(max_size=40),
    seconds=st.none() | st.floats(allow_nan=True, allow_infinity=True),
    motion=st.none() | st.integers(0, 2),
    saved_at=st.datetimes(datetime(1960, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
)
def test_an_event_is_read_back_as_it_was_whatever_it_holds(tmp_path_factory, comment, seconds, motion, saved_at):
    study = Study.create(tmp_path_factory.mktemp("s") / "study", raters=["alice"])
    given_event = {**event(0), "comment": comment, "seconds": seconds, "motion": motion, "saved_at": saved_at}
    write_events(study, [given_event])
    [found] = store.label_events(study, "alice")
    for name, value in given_event.items():
        assert found[name] == value or (value != value and found[name] != found[name]), name


def test_an_event_with_a_column_of_its_own_keeps_it(study):
    write_events(study, [{**event(0), "mood": "good"}])
    assert store.label_events(study, "alice")[0]["mood"] == "good"


def test_a_grade_that_is_a_text_is_refused(study):
    with pytest.raises(TableError, match="wrong type"):
        write_events(study, [{**event(0), "seconds": "two"}])
