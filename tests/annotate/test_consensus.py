import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench import protocol, store
from qcbench.annotate import consensus as room
from qcbench.annotate.events import label_event
from qcbench.annotate.review import ReviewJournal

PROTOCOL = protocol.load("t1w-warehouse")
START = datetime(2026, 1, 1, tzinfo=UTC)
GRADES = st.fixed_dictionaries(
    {"gadolinium": st.booleans(), **{name: st.integers(0, 2) for name in ("motion", "contrast", "noise")}}
)


def label(rater, *, event="e", source="rater", **answers):
    noted = PROTOCOL.check(answers or {"straight_reject": True})
    return {
        "image_id": "sub-01_T1w",
        "rater": rater,
        "event_id": f"{event}-{rater}",
        "source": source,
        "comment": None,
        **noted,
    }


def graded(rater, gadolinium=False, motion=0, contrast=0, noise=0, **more):
    return label(rater, gadolinium=gadolinium, motion=motion, contrast=contrast, noise=noise, **more)


@given(GRADES, GRADES)
def test_the_consensus_is_the_maximum_of_each_characteristic_and_the_tier_follows_from_it(first, second):
    row = room.combine([graded("alice", **first), graded("bob", **second)], PROTOCOL)
    for name in first:
        assert row[name] == max(first[name], second[name])
    worst = max(row["motion"], row["contrast"], row["noise"])
    assert row["tier"] == worst + 1
    assert row["decided_by"] == "raters"


@given(GRADES, GRADES)
def test_the_order_of_the_raters_does_not_matter(first, second):
    labels = [graded("alice", **first), graded("bob", **second)]
    assert room.combine(labels, PROTOCOL) == room.combine(labels[::-1], PROTOCOL)


@given(GRADES, GRADES)
def test_the_consensus_is_below_no_grade_and_a_consensus_with_itself_stays(first, second):
    row = room.combine([graded("alice", **first), graded("bob", **second)], PROTOCOL)
    noted = {name: row[name] for name in first}
    assert all(noted[name] >= given[name] for name in first for given in (first, second))
    again = room.combine([graded("alice", **noted), graded("bob", **noted)], PROTOCOL)
    assert {name: again[name] for name in (*first, "tier")} == {**noted, "tier": row["tier"]}


@given(st.lists(st.none() | GRADES, min_size=2, max_size=5))
def test_raters_who_disagree_on_straight_reject_never_get_a_consensus_by_themselves(verdicts):
    labels = [
        label(f"rater-{number}") if grades is None else graded(f"rater-{number}", **grades)
        for number, grades in enumerate(verdicts)
    ]
    row = room.combine(labels, PROTOCOL)
    assert (row is None) == (len({each is None for each in verdicts}) == 2)


def test_two_tier_2_raters_of_different_artefacts_stay_tier_2():
    row = room.combine([graded("alice", motion=1), graded("bob", noise=1)], PROTOCOL)
    assert (row["motion"], row["noise"], row["tier"]) == (1, 1, 2)


def test_agreed_straight_reject_has_neither_grades_nor_tier():
    row = room.combine([label("alice"), label("bob")], PROTOCOL)
    assert row["straight_reject"] is True
    assert [row[name] for name in ("gadolinium", "motion", "contrast", "noise", "tier")] == [None] * 5


def test_disagreement_on_straight_reject_waits_for_a_joint_review():
    assert room.combine([label("alice"), graded("bob", motion=2)], PROTOCOL) is None


def test_a_review_that_keeps_the_image_takes_the_grades_that_exist():
    review = {
        "straight_reject": False,
        "gadolinium": None,
        "motion": None,
        "contrast": 2,
        "noise": None,
        "reviewers": ["alice", "bob"],
    }
    row = room.combine([label("alice"), graded("bob", motion=1, gadolinium=True)], PROTOCOL, review)
    assert (row["gadolinium"], row["motion"], row["contrast"], row["noise"], row["tier"]) == (True, 1, 2, 0, 3)
    assert row["decided_by"] == "review"
    assert row["reviewers"] == ["alice", "bob"]


def write_labels(study, rater, labels):
    log = store.SegmentLog(study.label_folder(rater) / "session", "label_events")
    for sequence, (image_id, answers) in enumerate(labels):
        log.append(
            {
                "event_id": f"{rater}-{sequence}",
                "rater": rater,
                "source": "rater",
                "session": "session",
                "sequence": sequence,
                "image_id": image_id,
                "purpose": "label",
                **PROTOCOL.check(answers),
                "saved_at": START + timedelta(seconds=sequence),
                "protocol": PROTOCOL.name,
                "protocol_sha256": PROTOCOL.sha256,
                "version": "test",
            }
        )


GOOD = {"gadolinium": False, "motion": 0, "contrast": 0, "noise": 0}
REJECT = {"straight_reject": True}


def test_a_study_with_open_disagreements_yields_a_consensus_for_the_rest_and_says_so(study):
    write_labels(study, "alice", [("a", GOOD), ("b", REJECT), ("c", GOOD)])
    write_labels(study, "bob", [("a", {**GOOD, "noise": 2}), ("b", GOOD)])
    summary = room.consensus(study)
    assert [(row["image_id"], row["tier"]) for row in store.rows(study, "consensus")] == [("a", 3)]
    assert [(row["image_id"], row["rater"]) for row in store.rows(study, "open_reviews")] == [
        ("b", "alice"),
        ("b", "bob"),
    ]
    assert summary.facts["waiting_for_joint_review"] == 1
    assert summary.facts["labelled_by_one_rater_only"] == 1


def test_the_same_labels_give_the_same_bytes(study):
    write_labels(study, "alice", [("a", GOOD), ("b", REJECT)])
    write_labels(study, "bob", [("b", REJECT), ("a", GOOD)])
    room.consensus(study)
    before = study.table_path("consensus").read_bytes()
    room.consensus(study)
    assert study.table_path("consensus").read_bytes() == before


@pytest.mark.parametrize("raters", [["alice", "bob", "carol"]])
def test_more_than_two_raters_follow_the_same_rule(raters):
    row = room.combine([graded(name, motion=number) for number, name in enumerate(raters)], PROTOCOL)
    assert (row["motion"], row["tier"]) == (2, 3)
    assert room.combine([graded("alice"), graded("bob"), label("carol")], PROTOCOL) is None


def test_a_label_revised_after_the_review_reopens_it_unless_the_raters_agree_now(study):
    write_labels(study, "alice", [("a", GOOD), ("b", REJECT)])
    write_labels(study, "bob", [("a", REJECT), ("b", GOOD)])
    room.consensus(study)
    for image_id in ("a", "b"):
        proposal = ReviewJournal(study, "alice").propose(image_id, f"p-{image_id}", REJECT, None)
        ReviewJournal(study, "bob").sign(image_id, f"s-{image_id}", proposal["event_id"])
    assert room.consensus(study).facts["waiting_for_joint_review"] == 0
    assert {row["image_id"]: row["reviewers"] for row in store.rows(study, "consensus")} == {
        "a": ["alice", "bob"],
        "b": ["alice", "bob"],
    }
    revised = {**store.label_events(study, "bob")[1], "event_id": "bob-9", "sequence": 9, "supersedes": "bob-1"}
    store.SegmentLog(study.label_folder("bob") / "later", "label_events").append({**revised, "noise": 2})
    assert store.stale_consensus(study) == {"b"}
    assert room.consensus(study).facts["waiting_for_joint_review"] == 1
    assert [row["image_id"] for row in store.rows(study, "consensus")] == ["a"]


def test_what_is_computed_while_raters_write_is_the_consensus_of_labels_that_are_there(study):
    """Each table of a race is that of one moment: every row follows from the labels that it names."""
    images = [f"image-{number:02d}" for number in range(40)]

    def write(rater, grade):
        log = store.SegmentLog(study.label_folder(rater) / "race", "label_events")
        for number, image_id in enumerate(images):
            noted = PROTOCOL.check({**GOOD, "motion": (number + grade) % 3})
            log.append(
                label_event(
                    PROTOCOL,
                    noted,
                    rater=rater,
                    source="rater",
                    session="race",
                    sequence=number,
                    event_id=f"{rater}-{number}",
                    image_id=image_id,
                )
            )

    writers = [threading.Thread(target=write, args=each) for each in (("alice", 0), ("bob", 1))]
    for writer in writers:
        writer.start()
    tables = []
    while any(writer.is_alive() for writer in writers) or len(tables) < 2:
        room.consensus(study)
        tables.append(store.rows(study, "consensus"))
    room.consensus(study)
    events = {each["event_id"]: each for rater in ("alice", "bob") for each in store.label_events(study, rater)}
    for row in (row for table in tables for row in table):
        labels = [events[event_id] for event_id in row["label_event_ids"]]
        assert row == {**row, **room.combine(labels, PROTOCOL)}
    assert len(store.rows(study, "consensus")) == len(images)
    before = study.table_path("consensus").read_bytes()
    room.consensus(study)
    assert study.table_path("consensus").read_bytes() == before
