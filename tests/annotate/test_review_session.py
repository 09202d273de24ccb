import hashlib
import uuid

import pytest

from qcbench import store
from qcbench.annotate import consensus, review
from qcbench.annotate.events import label_event
from qcbench.annotate.journal import Journal
from qcbench.annotate.review import ReviewJournal
from qcbench.annotate.review_session import ReviewSession
from qcbench.errors import ReviewError, StudyError
from qcbench.study import Study

PNG = b"\x89PNG\r\n\x1a\n"
KEEP = {"gadolinium": True, "motion": 1, "contrast": 0, "noise": 2}
REJECT = {"straight_reject": True}


@pytest.fixture
def disagreement(study):
    """Alice rejects the image sub-0 that bob keeps; on sub-1 both agree."""
    catalogue, preprocessed = [], []
    for name in ("sub-0", "sub-1"):
        path = study.derivatives / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG + name.encode())
        catalogue.append({"image_id": name, "participant_id": name, "source_path": "x", "simulated": False})
        preprocessed.append(
            {
                "image_id": name,
                "screenshot_path": study.relative(path),
                "screenshot_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "preprocessing_preset": "drawn",
            }
        )
    store.write(study, "images", catalogue)
    store.write(study, "preprocessed", preprocessed)
    for rater, answers in (("alice", [REJECT, KEEP]), ("bob", [KEEP, KEEP])):
        log = store.SegmentLog(study.label_folder(rater) / "s", "label_events")
        for number, each in enumerate(answers):
            log.append(
                label_event(
                    study.protocol,
                    study.protocol.check(each),
                    rater=rater,
                    source="rater",
                    session="s",
                    sequence=number,
                    event_id=f"{rater}-{number}",
                    image_id=f"sub-{number}",
                    comment="cut off" if each is REJECT else None,
                )
            )
    consensus.consensus(study)
    return study


def page(study, reviewer):
    """Return a session that has said hello and shown the first image, and that image's message."""
    session = ReviewSession.open(study, reviewer)
    session.receive({"kind": "hello"})
    [image] = session.receive({"kind": "goto", "position": 0, "missing": [0]})
    session.receive({"kind": "painted", "key": image.content["key"]})
    return session, image


def ask(session, kind, key, **more):
    [answer] = session.receive({"kind": kind, "key": key, "event_id": str(uuid.uuid4()), **more})
    return answer.content


def test_only_the_disagreement_is_shown_with_both_labels_and_no_id(disagreement):
    session, image = page(disagreement, "alice")
    assert session.receive({"kind": "hello"})[0].content["total"] == 1
    assert image.buffer == PNG + b"sub-0"
    assert [(label["rater"], label["answers"]["straight_reject"]) for label in image.content["labels"]] == [
        ("alice", True),
        ("bob", False),
    ]
    assert image.content["labels"][0]["comment"] == "cut off"
    assert "sub-0" not in str(image.content) + str(session.receive({"kind": "look"}))


def test_one_proposes_and_the_other_signs_what_was_on_the_screen(disagreement):
    alice, image = page(disagreement, "alice")
    bob, _ = page(disagreement, "bob")
    key = image.content["key"]
    assert key not in bob.pictures, "everybody has keys of their own"
    answer = ask(alice, "propose", key, answers={**KEEP, "noise": 1}, comment="look at the vertex")
    assert (answer["kind"], answer["review"]["proposal"]["is_own"]) == ("ack", True)
    [reviews] = bob.receive({"kind": "look"})
    [seen] = reviews.content["reviews"]
    assert (seen["proposal"]["by"], seen["proposal"]["is_own"]) == ("alice", False)
    signed = ask(bob, "sign", next(iter(bob.pictures)), proposal_id=seen["proposal"]["event_id"])
    assert (signed["review"]["is_settled"], signed["review"]["reviewers"]) == (True, ["alice", "bob"])
    consensus.consensus(disagreement)
    rows = {row["image_id"]: row for row in store.rows(disagreement, "consensus")}
    assert (rows["sub-0"]["noise"], rows["sub-0"]["tier"], rows["sub-0"]["decided_by"]) == (1, 2, "review")


def test_the_same_person_cannot_sign_whatever_the_message_says(disagreement):
    alice, image = page(disagreement, "alice")
    key = image.content["key"]
    proposal = ask(alice, "propose", key, answers=REJECT)["review"]["proposal"]
    answer = ask(alice, "sign", key, proposal_id=proposal["event_id"], reviewer="bob", rater="bob")
    assert (answer["kind"], answer["retry"]) == ("nack", False)
    assert "nobody signs their own proposal" in answer["why"]
    other_page, _ = page(disagreement, "alice")
    assert ask(other_page, "sign", key, proposal_id=proposal["event_id"])["kind"] == "nack"
    assert review.settled(review.reviews(review.events_of(disagreement))) == {}


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("propose", {"answers": {"motion": 1}}, "gadolinium is not set"),
        ("propose", {"answers": "keep"}, "carries its answers"),
        ("sign", {}, "names the proposal"),
        ("sign", {"proposal_id": "no-such"}, "changed or withdrawn"),
        ("object", {"proposal_id": "no-such", "comment": "no"}, "changed or withdrawn"),
    ],
)
def test_what_cannot_be_done_is_said_and_writes_nothing(disagreement, kind, more, words):
    session, image = page(disagreement, "bob")
    answer = ask(session, kind, image.content["key"], **more)
    assert answer["kind"] == "nack"
    assert words in answer["why"]
    assert review.events_of(disagreement) == []


def test_a_step_that_is_sent_again_is_written_once_and_acknowledged_again(disagreement):
    session, image = page(disagreement, "alice")
    message = {
        "kind": "propose",
        "key": image.content["key"],
        "event_id": str(uuid.uuid4()),
        "answers": REJECT,
    }
    assert session.receive(message)[0].content["kind"] == "ack"
    assert session.receive(message)[0].content["kind"] == "ack"
    assert len(review.events_of(disagreement)) == 1


def test_a_picture_must_have_been_on_the_screen(disagreement):
    session = ReviewSession.open(disagreement, "alice")
    session.receive({"kind": "hello"})
    answer = ask(session, "propose", session.walk[0], answers=REJECT)
    assert (answer["kind"], answer["retry"]) == ("nack", True)


def test_a_study_without_disagreements_says_what_to_do(study):
    with pytest.raises(StudyError, match="qcbench consensus"):
        ReviewSession.open(study, "alice")


def test_who_has_not_labelled_an_image_does_not_see_what_others_noted_of_it(tmp_path):
    """Of three raters two disagree; the third still has the image before them, blind."""
    study = Study.create(tmp_path / "study", raters=["alice", "bob", "carol"])
    store.write(study, "images", [{"image_id": "a", "participant_id": "sub-1", "source_path": "x", "simulated": False}])
    drawn = {"screenshot_path": "a.png", "screenshot_sha256": "0" * 64, "preprocessing_preset": "x"}
    store.write(study, "preprocessed", [{"image_id": "a", **drawn}])
    for rater, noted in (("alice", {"straight_reject": True}), ("bob", KEEP)):
        label = study.protocol.check(noted)
        Journal(study, rater).append(event_id=f"e-{rater}", slot=("a", "label"), label=label)
    consensus.consensus(study)
    assert len(ReviewSession.open(study, "alice").pictures) == 1
    with pytest.raises(StudyError, match="waits for a joint review by 'carol'"):
        ReviewSession.open(study, "carol")
    with pytest.raises(ReviewError):
        ReviewJournal(study, "carol").propose("a", "p", {"straight_reject": True}, None)
