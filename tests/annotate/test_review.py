from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench import store
from qcbench.annotate import consensus, review
from qcbench.annotate.events import label_event
from qcbench.annotate.review import ReviewJournal
from qcbench.errors import ReviewError, StudyError

START = datetime(2026, 1, 1, tzinfo=UTC)
KEEP = {"straight_reject": False, "gadolinium": True, "motion": 1, "contrast": 0, "noise": 2}
REJECT = {"straight_reject": True}


def review_event(reviewer, role, minute, *, straight_reject=True, image_id="sub-01_T1w"):
    return {
        "event_id": f"{reviewer}-{minute}",
        "image_id": image_id,
        "reviewer": reviewer,
        "role": role,
        "straight_reject": straight_reject,
        **dict.fromkeys(("gadolinium", "motion", "contrast", "noise", "comment")),
        "saved_at": START + timedelta(minutes=minute),
    }


def test_nobody_countersigns_their_own_proposal():
    events = [review_event("alice", "proposes", 0), review_event("alice", "countersigns", 1)]
    assert review.settled(review.reviews(events)) == {}


def test_another_persons_signature_under_the_same_verdict_settles_a_review():
    events = [review_event("alice", "proposes", 0), review_event("bob", "countersigns", 1)]
    assert review.settled(review.reviews(events))["sub-01_T1w"]["reviewers"] == ["alice", "bob"]


def test_a_signature_under_another_verdict_settles_nothing():
    events = [
        review_event("alice", "proposes", 0),
        review_event("bob", "countersigns", 1, straight_reject=False),
    ]
    assert review.settled(review.reviews(events)) == {}


def test_a_later_proposal_needs_a_new_signature():
    events = [
        review_event("alice", "proposes", 0),
        review_event("bob", "countersigns", 1),
        review_event("bob", "proposes", 2, straight_reject=False),
    ]
    assert review.settled(review.reviews(events)) == {}


def test_an_objection_takes_the_proposal_back_and_keeps_its_word():
    events = [review_event("alice", "proposes", 0), {**review_event("bob", "objects", 1), "comment": "a whole brain"}]
    found = review.reviews(events)["sub-01_T1w"]
    assert (found.proposal, found.is_settled, found.objection["comment"]) == (None, False, "a whole brain")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["alice", "bob"]), st.sampled_from(["proposes", "countersigns", "objects"]), st.booleans()
        ),
        max_size=8,
    )
)
def test_one_person_alone_never_settles_anything(steps):
    events = [review_event(who, role, n, straight_reject=reject) for n, (who, role, reject) in enumerate(steps)]
    settled = review.settled(review.reviews(events))
    if settled:
        assert settled["sub-01_T1w"]["reviewers"] == ["alice", "bob"]
        assert {"proposes", "countersigns"} <= {event["role"] for event in events}
    assert review.settled(review.reviews([event for event in events if event["reviewer"] == "alice"])) == {}


@pytest.fixture
def disagreement(study):
    """Alice rejects what bob keeps, and the coordinator has made the list of disagreements."""
    for rater, answers in (("alice", REJECT), ("bob", {name: KEEP[name] for name in KEEP})):
        store.SegmentLog(study.label_folder(rater) / "s", "label_events").append(
            label_event(
                study.protocol,
                study.protocol.check(answers),
                rater=rater,
                source="rater",
                session="s",
                sequence=0,
                event_id=f"label-of-{rater}",
                image_id="image",
            )
        )
    consensus.consensus(study)
    return study


def test_one_proposes_the_other_signs_and_the_consensus_is_complete(disagreement):
    alice, bob = ReviewJournal(disagreement, "alice"), ReviewJournal(disagreement, "bob")
    proposal = alice.propose("image", "p", KEEP, " blurred ")
    bob.refresh()
    assert bob.reviews["image"].proposal["comment"] == "blurred"
    bob.sign("image", "s", proposal["event_id"])
    consensus.consensus(disagreement)
    [row] = store.rows(disagreement, "consensus")
    assert (row["decided_by"], row["reviewers"], row["motion"], row["tier"]) == ("review", ["alice", "bob"], 1, 3)
    assert store.rows(disagreement, "open_reviews") == []
    assert [label["straight_reject"] for label in store.labels(disagreement)] == [True, False]
    assert store.rows(disagreement, "consensus")[0]["label_event_ids"] == ["label-of-alice", "label-of-bob"]


def test_the_proposer_cannot_sign_and_nothing_is_written(disagreement):
    alice = ReviewJournal(disagreement, "alice")
    alice.propose("image", "p", REJECT, None)
    with pytest.raises(ReviewError, match="nobody signs their own proposal"):
        alice.sign("image", "s", "p")
    assert len(review.events_of(disagreement)) == 1


def test_what_was_changed_meanwhile_cannot_be_signed(disagreement):
    alice, bob = ReviewJournal(disagreement, "alice"), ReviewJournal(disagreement, "bob")
    alice.propose("image", "p1", REJECT, None)
    alice.propose("image", "p2", KEEP, None)
    with pytest.raises(ReviewError, match="changed or withdrawn meanwhile"):
        bob.sign("image", "s", "p1")
    bob.sign("image", "s", "p2")
    with pytest.raises(ReviewError, match="two people have settled this image"):
        alice.propose("image", "p3", REJECT, None)


def test_an_objection_needs_a_word(disagreement):
    ReviewJournal(disagreement, "alice").propose("image", "p", REJECT, None)
    bob = ReviewJournal(disagreement, "bob")
    with pytest.raises(ReviewError, match="needs a word"):
        bob.object_to("image", "o", "p", "  ")
    bob.object_to("image", "o", "p", "it is whole")
    assert ReviewJournal(disagreement, "alice").reviews["image"].objection["comment"] == "it is whole"


def test_an_event_that_is_sent_again_is_written_once(disagreement):
    alice = ReviewJournal(disagreement, "alice")
    first = alice.propose("image", "p", REJECT, None)
    assert (
        ReviewJournal(disagreement, "alice").propose("image", "p", KEEP, None)["straight_reject"]
        is first["straight_reject"]
    )
    assert len(review.events_of(disagreement)) == 1


def test_only_disagreements_are_reviewed_and_only_by_raters(disagreement):
    with pytest.raises(ReviewError, match="waits for no review"):
        ReviewJournal(disagreement, "alice").propose("another", "p", REJECT, None)
    with pytest.raises(StudyError, match="'mallory' is no rater"):
        ReviewJournal(disagreement, "mallory")
    assert not (disagreement.folder / "reviews" / "reviewer=alice").exists()


@pytest.mark.parametrize("role", ["countersigns", "objects"])
def test_an_answer_counts_also_when_the_clock_of_its_machine_is_behind_the_proposers(role):
    proposal = review_event("alice", "proposes", 60)
    answer = {**review_event("bob", role, 0), "proposal_id": proposal["event_id"]}
    found = review.reviews([answer, proposal])["sub-01_T1w"]
    assert (found.signature or found.objection)["event_id"] == answer["event_id"]
