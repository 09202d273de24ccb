import errno
import hashlib
import os
import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench import durable, store
from qcbench.annotate.journal import Journal
from qcbench.annotate.queue import QueuedImage
from qcbench.annotate.session import Session
from qcbench.errors import ImageError, StudyError
from qcbench.study import Study

GRADES = {"gadolinium": False, "motion": 0, "contrast": 1, "noise": 0}
#: Many small studies: where there is a disk in memory, flushing to it is free.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
PNG = b"\x89PNG\r\n\x1a\n"


def picture(image):
    return PNG + image.image_id.encode()


def queued(number, purpose="label"):
    image_id = f"sub-{number:03d}"
    sha256 = hashlib.sha256(PNG + image_id.encode()).hexdigest()
    return QueuedImage(image_id=image_id, screenshot_path=f"{number}.png", screenshot_sha256=sha256, purpose=purpose)


def open_session(study, n=5, read=picture, repeats=()):
    waiting = [*map(queued, range(n)), *(queued(number, "repeat") for number in repeats)]
    return Session(waiting, Journal(study, "alice"), study.protocol, read, salt="salt")


def ask(session, **message):
    [answer] = session.receive(message)
    return answer.content


def state(session):
    return ask(session, kind="hello")


def show(session, position, *, paint=True):
    """Have one picture sent and painted; return the message that came with it."""
    image = ask(session, kind="goto", position=position, missing=[position])
    if paint and "error" not in image:
        assert session.receive({"kind": "painted", "key": image["key"]}) == []
    return image


def label(image, answers=GRADES, **more):
    fields = {"kind": "label", "key": image["key"], "event_id": str(uuid.uuid4()), "replaces": None, "answers": answers}
    return {**fields, **more}


def send(session, message):
    [answer] = session.receive(message)
    return answer.content


@pytest.fixture
def session(study):
    session = open_session(study)
    session.receive({"kind": "hello"})
    return session


def test_a_label_is_on_the_disk_when_it_is_acknowledged(study, session):
    message = label(show(session, 0), comment=" odd ", seconds=3.25, display={"css_width": 900, "zoom": "x"})
    answer = send(session, message)
    assert (answer["kind"], answer["event_id"]) == ("ack", message["event_id"])
    [event] = store.label_events(study, "alice")
    assert (event["image_id"], event["contrast"], event["comment"]) == ("sub-000", 1, "odd")
    assert (event["seconds"], event["display"]) == (3.25, '{"css_width": 900.0}')
    assert len(event["screenshot_sha256"]) == 64


def test_nothing_is_written_before_a_commit(study, session):
    state(session)
    show(session, 0)
    ask(session, kind="summary")
    assert not (study.folder / "labels").exists()


def test_no_identity_and_no_path_leaves_the_session(study, session):
    answers = session.receive({"kind": "hello"})
    answers += session.receive({"kind": "goto", "position": 0, "missing": [0, 1, 2, 3]})
    answers += session.receive(label(show(session, 0)))
    answers += session.receive({"kind": "summary"})
    text = " ".join(str(answer.content) for answer in answers)
    assert "sub-0" not in text
    assert ".png" not in text
    assert str(study.folder) not in text


def test_a_label_for_a_picture_that_was_not_painted_waits(study, session):
    image = show(session, 0, paint=False)
    answer = send(session, label(image))
    assert (answer["kind"], answer["retry"]) == ("nack", True)
    assert "painted" in answer["why"]
    assert store.label_events(study, "alice") == []


def test_no_key_is_known_before_its_picture_was_sent(session):
    answers = [*session.receive({"kind": "hello"}), *session.receive({"kind": "goto", "position": 0, "missing": [0]})]
    told = " ".join(str(answer.content) for answer in answers)
    assert [key for key in session.walk if key in told] == [session.walk[0]]
    assert ask(session, kind="painted", key="0" * 32)["kind"] == "refused"


def test_the_label_belongs_to_the_key_it_carries_and_not_to_the_place(study, session):
    first, second = show(session, 0), show(session, 1)
    assert send(session, label(first))["kind"] == "ack"
    assert send(session, label(second, {"straight_reject": True}))["kind"] == "ack"
    noted = {event["image_id"]: event["straight_reject"] for event in store.label_events(study, "alice")}
    assert noted == {"sub-000": False, "sub-001": True}


def test_a_resent_label_gets_its_ack_again_and_no_second_row(study, session):
    message = label(show(session, 0))
    assert send(session, message) == send(session, message)
    assert len(store.label_events(study, "alice")) == 1


def test_an_event_id_cannot_be_used_for_another_image(session):
    message = label(show(session, 0))
    send(session, message)
    answer = send(session, {**message, "key": show(session, 1)["key"]})
    assert (answer["kind"], answer["retry"]) == ("nack", False)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({}, "gadolinium is not set"),
        ({**GRADES, "noise": None}, "noise is not set"),
        ({**GRADES, "noise": 3}, "noise must be one of 0, 1, 2"),
        ({**GRADES, "noise": True}, "noise must be one of"),
        ({**GRADES, "noise": 1.0}, "noise must be one of"),
        ({**GRADES, "tier": 1}, "no criterion"),
        ({"straight_reject": "yes"}, "straight_reject must be"),
    ],
)
def test_a_label_that_breaks_the_protocol_is_refused_with_words(study, session, answers, words):
    answer = send(session, label(show(session, 0), answers))
    assert (answer["kind"], answer["retry"]) == ("nack", False)
    assert words in answer["why"]
    assert store.label_events(study, "alice") == []


@pytest.mark.parametrize("claim", [{"rater": "bob"}, {"image_id": "sub-004"}, {"purpose": "school"}, {"session": "x"}])
def test_what_a_message_claims_about_identity_is_not_believed(study, session, claim):
    send(session, label(show(session, 0), **claim))
    [event] = store.label_events(study, "alice")
    assert (event["rater"], event["image_id"], event["purpose"]) == ("alice", "sub-000", "label")
    assert not study.label_folder("bob").exists()


def test_a_relabel_names_what_it_replaces_and_gives_a_reason(study, session):
    first = label(show(session, 0))
    send(session, first)
    seen = show(session, 0)
    assert seen["label"]["answers"]["contrast"] == 1
    better = {**GRADES, "contrast": 0}
    refused = send(session, label(seen, better, replaces=seen["label"]["event_id"]))
    assert (refused["kind"], refused["retry"]) == ("nack", False)
    accepted = send(session, label(seen, better, replaces=seen["label"]["event_id"], reason="looked again"))
    assert accepted["kind"] == "ack"
    [current] = store.labels(study, ["alice"])
    assert (current["contrast"], current["tier"], current["n_revisions"]) == (0, 1, 1)
    assert store.label_events(study, "alice")[1]["supersedes"] == first["event_id"]


def test_a_label_for_an_image_that_was_labelled_meanwhile_is_refused(session):
    image = show(session, 0)
    send(session, label(image))
    answer = send(session, label(image, {"straight_reject": True}))
    assert (answer["kind"], answer["retry"]) == ("nack", False)
    assert "meanwhile" in answer["why"]


def test_a_relabel_that_overtakes_its_first_label_waits_for_it(session):
    image = show(session, 0)
    first = label(image)
    second = label(image, {"straight_reject": True}, replaces=first["event_id"], reason="wrong key")
    assert send(session, second)["retry"] is True
    assert send(session, first)["kind"] == "ack"
    assert send(session, second)["kind"] == "ack"


def test_a_full_disk_is_told_and_the_same_label_is_accepted_later(study, session, monkeypatch):
    message = label(show(session, 0))

    def full(path, content, **options):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as broken:
        broken.setattr(durable, "write_bytes", full)
        answer = send(session, message)
    assert (answer["kind"], answer["retry"]) == ("nack", True)
    assert "No space left on device" in answer["why"]
    assert str(study.folder) not in answer["why"]
    assert send(session, message)["kind"] == "ack"
    assert len(store.label_events(study, "alice")) == 1


def test_a_session_resumes_at_the_first_image_without_a_label(study, session):
    for position in range(3):
        send(session, label(show(session, position)))
    later = open_session(study)
    assert (state(later)["cursor"], state(later)["total"]) == (3, 5)
    assert show(later, 2)["label"]["answers"] == {"straight_reject": False, **GRADES}
    assert show(later, 3)["label"] is None
    assert len(store.label_events(study, "alice")) == 3


def test_a_damaged_picture_is_told_without_naming_it_and_takes_no_label(study):
    def read(image):
        raise ImageError("NOT_A_FILE", f"{image.image_id}.png cannot be read")

    session = open_session(study, read=read)
    session.receive({"kind": "hello"})
    image = show(session, 0)
    assert "damaged" in image["error"]
    assert "sub-0" not in str(image)
    assert send(session, label(image))["kind"] == "nack"


def test_any_six_pictures_can_be_asked_for_at_once_and_no_more(study):
    session = open_session(study, 9)
    session.receive({"kind": "hello"})
    answers = session.receive({"kind": "goto", "position": 0, "missing": [0, 8, 4, 9]})
    assert [answer.content["position"] for answer in answers] == [0, 8, 4]
    assert all(answer.buffer.startswith(PNG) for answer in answers)
    assert ask(session, kind="goto", position=0, missing=list(range(7)))["kind"] == "refused"


def test_a_picture_that_was_drawn_anew_since_is_not_shown(study):
    session = open_session(study, read=lambda image: PNG + b"another")
    session.receive({"kind": "hello"})
    assert "damaged" in show(session, 0)["error"]


def test_a_label_that_the_dead_kernel_never_got_is_saved_by_the_next(study, session):
    message = label(show(session, 1))
    later = open_session(study)
    assert later.receive({"kind": "painted", "key": message["key"]}) == []
    assert send(later, message)["kind"] == "ack"
    [event] = store.label_events(study, "alice")
    assert (event["image_id"], event["event_id"]) == ("sub-001", message["event_id"])


def test_a_label_that_the_dead_kernel_saved_without_telling_is_no_second_row(study, session):
    message = label(show(session, 1))
    send(session, message)
    later = open_session(study)
    assert send(later, message)["kind"] == "ack"
    assert len(store.label_events(study, "alice")) == 1


def test_a_key_says_nothing_and_is_the_same_for_the_next_kernel_but_not_for_another_rater(study):
    def keys(rater):
        return Session([queued(0)], Journal(study, rater), study.protocol, picture, salt="salt").pictures.keys()

    assert keys("alice") == keys("alice") != keys("bob")
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys("alice"))


def test_two_pages_of_one_rater_both_save_and_the_second_is_told(study, session):
    other = open_session(study)
    other.receive({"kind": "hello"})
    first, second = label(show(session, 0)), label(show(other, 0), {"straight_reject": True})
    assert send(session, first)["elsewhere"] is False
    assert send(other, second)["elsewhere"] is True
    assert send(other, label(show(other, 1)))["elsewhere"] is False
    assert len(store.label_events(study, "alice")) == 3
    current = {row["image_id"]: row["event_id"] for row in store.labels(study)}
    assert current["sub-000"] == second["event_id"]
    assert state(session)["cursor"] == 2


def test_an_image_that_was_put_off_comes_last_in_the_next_session_until_it_is_labelled(study, session):
    for position in (3, 1):
        assert ask(session, kind="defer", key=show(session, position)["key"])["kind"] == "deferred"
    send(session, label(show(session, 0)))
    later = open_session(study)
    assert (state(later)["cursor"], state(later)["n_deferred"]) == (1, 2)
    assert [later.pictures[key].image_id for key in later.walk] == [
        "sub-000",
        "sub-002",
        "sub-004",
        "sub-003",
        "sub-001",
    ]
    send(later, label(show(later, 4)))
    assert state(open_session(study))["n_deferred"] == 1


def test_a_repeat_looks_like_any_image_and_is_noted_as_a_repeat(study):
    session = open_session(study, n=2, repeats=[0])
    session.receive({"kind": "hello"})
    send(session, label(show(session, 0)))
    again = show(session, 2)
    assert again["label"] is None
    assert send(session, label(again, {**GRADES, "noise": 2}))["kind"] == "ack"
    events = store.label_events(study, "alice")
    assert [(event["image_id"], event["purpose"]) for event in events] == [("sub-000", "label"), ("sub-000", "repeat")]
    [counts] = store.labels(study, ["alice"])
    assert (counts["noise"], counts["n_revisions"]) == (0, 0)
    assert state(open_session(study, n=2, repeats=[0]))["cursor"] == 2


def test_exemplars_of_a_criterion_are_sent_with_the_grade_they_show(session):
    answers = session.receive({"kind": "exemplars", "criterion": "motion"})
    assert [answer.content["value"] for answer in answers] == [0, 1, 2]
    assert all(answer.buffer.startswith(b"\xff\xd8\xff") for answer in answers)
    assert ".jpg" not in str([answer.content for answer in answers])
    for wrong in ("no-criterion", "../motion", None, 3, ["motion"]):
        assert ask(session, kind="exemplars", criterion=wrong)["kind"] == "refused"


def test_what_was_labelled_today_is_counted(study, session):
    assert state(session)["done_today"] == 0
    send(session, label(show(session, 0)))
    assert state(open_session(study))["done_today"] == 1


def test_the_summary_counts_the_own_labels_by_tier(session):
    send(session, label(show(session, 0)))
    send(session, label(show(session, 1), {"straight_reject": True}))
    assert ask(session, kind="summary")["counts"] == {"straight reject": 1, "tier 2": 1, "waiting": 3}


def test_a_study_without_screenshots_says_what_to_do(study):
    with pytest.raises(StudyError, match="qcbench preprocess"):
        Session.open(study, "alice")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
kinds = st.sampled_from(
    ["hello", "goto", "painted", "label", "defer", "exemplars", "summary", "ping", "_esm", "update"]
)
fields = [
    "criterion",
    "key",
    "event_id",
    "replaces",
    "answers",
    "comment",
    "reason",
    "seconds",
    "display",
    "position",
    "missing",
]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_message_whatsoever_raises_or_breaks_the_log(data):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        study = Study.create(Path(folder) / "study", raters=["alice", "bob"])
        session = open_session(study)
        session.receive({"kind": "hello"})
        whole = label(show(session, 0))
        for _ in range(6):
            changed = data.draw(st.dictionaries(st.sampled_from(fields), json_values, max_size=3))
            message = data.draw(st.one_of(json_values, st.just({**whole, **changed})))
            if isinstance(message, dict) and data.draw(st.booleans()):
                message = {**message, "kind": data.draw(kinds)}
            for answer in session.receive(message):
                assert isinstance(answer.content["kind"], str)
        assert all(event["image_id"] == "sub-000" for event in store.label_events(study, "alice"))


@settings(max_examples=50, deadline=None)
@given(
    commits=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=6),
    data=st.data(),
)
def test_any_interleaving_of_lost_doubled_and_late_messages_gives_one_row_a_commit(commits, data):
    """The page's side: labels and relabels are kept until acknowledged and resent in any order."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        study = Study.create(Path(folder) / "study", raters=["alice"])
        session = open_session(study)
        session.receive({"kind": "hello"})
        pictures = [show(session, position) for position in range(3)]
        shown: dict[int, str] = {}
        sent = []
        for position, noise in commits:
            answers = {**GRADES, "noise": noise}
            message = label(pictures[position], answers, replaces=shown.get(position), reason="looked again")
            shown[position] = message["event_id"]
            sent.append(message)
        acknowledged: set[str] = set()
        deliveries = data.draw(st.lists(st.sampled_from(range(len(sent))), max_size=12))
        for place in [*deliveries, *list(range(len(sent))) * len(sent)]:
            answer = send(session, sent[place])
            assert answer["kind"] == "ack" or answer["retry"]
            if answer["kind"] == "ack" and not data.draw(st.booleans()):  # else the ack is lost
                acknowledged.add(answer["event_id"])
        events = store.label_events(study, "alice")
        assert sorted(event["event_id"] for event in events) == sorted(message["event_id"] for message in sent)
        for position, event_id in shown.items():
            current = next(row for row in store.labels(study) if row["image_id"] == f"sub-{position:03d}")
            assert current["event_id"] == event_id
        assert acknowledged <= {event["event_id"] for event in events}
