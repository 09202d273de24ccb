"""A page is not trusted: whatever it sends to a real kernel, it stays alice's and answers afterwards."""

import hashlib
import os
import shutil
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench import images, store
from qcbench.study import Study
from qcbench.widgets.labeller import Labeller
from qcbench.widgets.transport import BURST, MESSAGES_A_SECOND
from tests.faults.kernel import ANSWERS, RaterPage

LONG = bool(os.environ.get("QCBENCH_LONG_FAULTS"))
#: Sent without a pause: more than 10,000 a second.
FLOOD = 10_000 if LONG else 2_000
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
ELSEWHERE = ["../../../../etc/passwd", "/etc/passwd", "..\\..\\study.toml", "labels/rater=bob", "%2e%2e/study.toml"]
TRAITS = "(widget._esm, widget._css, widget.theme, widget.fills_page)"


def label(key, **more):
    return {"kind": "label", "key": key, "event_id": str(uuid.uuid4()), "replaces": None, "answers": ANSWERS, **more}


def fingerprint(study):
    """Return what every file of the study holds, but for alice's labels."""
    own = study.label_folder("alice")
    files = [path for path in study.folder.rglob("*") if path.is_file() and own not in path.parents]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def watched(page):
    """The page; its kernel notes from here on which files it opens. Bob has a label with a secret comment."""
    study = page.study
    bob = RaterPage()
    bob.open(page.kernel, study, "bob")
    bob.label(comment="bob-has-a-secret")
    page.open(page.kernel, study)
    page.before = fingerprint(study)
    page.traits = page.kernel.value(TRAITS)
    page.kernel.run(
        "import sys\nopened = []\n"
        "sys.addaudithook(lambda name, about: opened.append(str(about[0])) if name == 'open' else None)"
    )
    return page


def is_unharmed(page):
    """The kernel still answers as alice's, its traits are its own, and it touched nothing that is not hers."""
    page.send({"kind": "ping"})
    assert page.wait_for("pong"), page.kernel.said()
    page.hello()
    assert page.state["rater"] == "alice"
    assert page.kernel.value(TRAITS) == page.traits
    assert fingerprint(page.study) == page.before
    folder, own = str(page.study.folder), str(page.study.label_folder("alice"))
    opened = [path for path in page.kernel.value("opened") if path.startswith(folder)]
    allowed = (own, str(page.study.derivatives))
    # labels/ itself is opened to be flushed when the rater's folder is made in it.
    assert [path for path in opened if not path.startswith(allowed) and path != str(Path(own).parent)] == []
    assert [path for path in page.kernel.value("opened") if "passwd" in path] == []


def test_who_labels_which_image_is_never_taken_from_a_message(watched):
    answer = watched.label(rater="bob", image_id="sub-0007_ses-M00_T1w", purpose="school", path="/etc/passwd")
    assert answer["kind"] == "ack"
    [row] = store.label_events(watched.study, "alice")
    assert (row["rater"], row["purpose"]) == ("alice", "label")
    assert len(store.label_events(watched.study, "bob")) == 1
    is_unharmed(watched)


def test_places_that_are_none_are_refused(watched):
    for place in [*ELSEWHERE, -1, 10**30, 1.0, True, None, [0], {"0": 0}, "0"]:
        watched.send({"kind": "goto", "position": place, "missing": [0]})
        assert watched.wait_for("refused", "image")["kind"] == "refused", place
        watched.send({"kind": "goto", "position": 0, "missing": [place]})
        assert watched.wait_for("refused", "image")["kind"] == "refused", place
    watched.send({"kind": "goto", "position": 0, "missing": list(range(40))})
    assert watched.wait_for("refused", "image")["kind"] == "refused"
    is_unharmed(watched)


def test_keys_that_were_never_given_are_refused(watched):
    for key in [*ELSEWHERE, "0" * 32, "sub-0001_ses-M00_T1w", 0, None, ["key"], {"key": 1}]:
        watched.send({"kind": "painted", "key": key})
        assert watched.wait_for("refused", "ack")["kind"] == "refused", key
        watched.send({"kind": "defer", "key": key})
        assert watched.wait_for("refused", "deferred")["kind"] == "refused", key
        watched.send(label(key))
        answer = watched.wait_for("nack", "ack")
        assert (answer["kind"], answer["retry"]) == ("nack", False), key
    assert store.label_events(watched.study, "alice") == []
    is_unharmed(watched)


WRONG = [
    {"event_id": "../../evil"},
    {"event_id": 7},
    {"event_id": None},
    {"replaces": ["x"]},
    {"replaces": str(uuid.UUID(int=7))},
    {"answers": [1, 2]},
    {"answers": {"motion": "0; drop table"}},
    {"answers": {**ANSWERS, "rater": "bob"}},
    {"answers": {**ANSWERS, "noise": 10**400}},
    {"comment": {"$ne": 1}},
    {"comment": "x" * 3000},
    {"reason": 5},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:40])
def test_labels_of_wrong_types_are_refused_and_make_no_row(make_study, monkeypatch, wrong):
    answers = []
    monkeypatch.setattr(Labeller, "send", lambda self, content, buffers=None: answers.append(content))
    study = make_study(3)
    widget = Labeller(study, rater="alice")
    for message in ({"kind": "hello"}, {"kind": "goto", "position": 0, "missing": [0]}):
        widget._on_message(None, message, [])
    key = answers[-1]["key"]
    widget._on_message(None, {"kind": "painted", "key": key}, [])
    widget._on_message(None, {**label(key), **wrong}, [])
    assert answers[-1]["kind"] in ("nack", "refused")
    assert store.label_events(study, "alice") == []
    widget._on_message(None, label(key), [])
    assert answers[-1]["kind"] == "ack"


def test_the_code_and_the_traits_cannot_be_replaced_from_outside(watched):
    evil = {"_esm": "alert(1)", "_css": "*{display:none}", "theme": "light", "fills_page": True, "rater": "bob"}
    for data in (
        {"method": "update", "state": evil, "buffer_paths": []},
        {"method": "update", "state": {"_esm": None}, "buffer_paths": [["_esm"]]},
        {"method": "update", "state": [], "buffer_paths": "x"},
        {"method": "update"},
        {"method": "__class__"},
        {"method": "custom"},
        {"state": evil},
        {},
    ):
        watched.post(data)
    is_unharmed(watched)


def test_messages_for_other_channels_reach_nothing(watched):
    client = watched.kernel._client
    state = {"_model_module": "anywidget", "_model_name": "AnyModel", "rater": "bob", "study": "/etc"}
    for target in ("jupyter.widget", "jupyter.widget.control", "qcbench", "os.system"):
        content = {"comm_id": str(uuid.uuid4()), "target_name": target, "data": {"state": state, "buffer_paths": []}}
        client.session.send(client.shell_channel.socket, client.session.msg("comm_open", content))
    watched.kernel.post("no-such-channel", {"method": "custom", "content": {"kind": "hello"}})
    is_unharmed(watched)


@pytest.mark.slow
def test_a_buffer_of_100_mb_is_not_acted_on_and_leaves_a_line_in_the_log(watched):
    key = watched.image(0)["key"]
    watched.send(label(key), buffers=[bytes(100_000_000)])
    assert watched.wait_for("ack", "nack", "refused", timeout_s=5) is None
    watched.send(label(key, comment="x" * 10_000_000))
    is_unharmed(watched)
    assert store.label_events(watched.study, "alice") == []
    assert "too large" in watched.kernel.said()


@pytest.mark.slow
def test_a_flood_of_messages_is_dropped_and_the_next_label_is_saved(watched):
    started = time.monotonic()
    for _ in range(FLOOD):
        watched.send({"kind": "goto", "position": 0, "missing": [0, 1, 2, 3, 4, 5]})
    watched.kernel.value("1")  # it has been through all of them
    let_through = BURST + MESSAGES_A_SECOND * (time.monotonic() - started)
    pictures = 0
    while watched.notice(timeout_s=0.5):
        pictures += 1
    assert pictures <= 6 * let_through < 6 * FLOOD
    assert watched.label()["kind"] == "ack"
    is_unharmed(watched)
    assert "too many" in watched.kernel.said()


def test_what_is_refused_leaves_a_line_in_the_log(watched):
    watched.send({"kind": "goto", "position": "../../etc/passwd", "missing": []})
    assert watched.wait_for("refused")
    assert "a message from the browser is refused: a position" in watched.kernel.said()


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
json_values = st.recursive(
    scalars | st.sampled_from(ELSEWHERE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KINDS = ["hello", "goto", "painted", "label", "defer", "summary", "ping", "update", "state", "_esm", "__init__"]
fields = ["key", "event_id", "replaces", "answers", "comment", "reason", "seconds", "display", "position", "missing"]
KINDS += ["volume", "slices", "exemplars"]
fields += ["plane", "numbers", "criterion"]


messages = st.tuples(st.sampled_from(KINDS), st.dictionaries(st.sampled_from(fields), json_values))


@settings(max_examples=2000 if LONG else 60, deadline=None)
@given(conversation=st.lists(messages, max_size=12))
def test_no_conversation_whatsoever_raises_or_leaves_the_raters_folder(conversation, fuzzed):
    """Wrong values beside right ones, in any order: half of each message is what a page would send."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        study = fuzzed(folder)
        widget = Labeller(study, rater="alice")
        answers = []
        widget.send = lambda content, buffers=None: answers.append(content)
        before = fingerprint(study)
        for message in ({"kind": "hello"}, {"kind": "goto", "position": 0, "missing": [0]}):
            widget._on_message(None, message, [])
        key = answers[-1]["key"]
        for kind, wrong in conversation:
            right = {**label(key), "position": 0, "missing": [0]}
            widget._on_message(None, {**right, **wrong, "kind": kind}, [])
        assert all(isinstance(answer["kind"], str) for answer in answers)
        assert {row["rater"] for row in store.label_events(study, "alice")} <= {"alice"}
        assert fingerprint(study) == before
        widget._on_message(None, {"kind": "ping"}, [])
        assert answers[-1] == {"kind": "pong"}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """A function that returns a small study in a folder, copied from one that is made once."""

    import numpy as np

    made = Study.create(tmp_path_factory.mktemp("fuzzed") / "study", raters=["alice", "bob"])
    path = made.derivatives / "drawn.png"
    sha256 = images.save_png(path, np.zeros((4, 12), dtype="uint8"))
    scan = {"image_id": "sub-0001", "participant_id": "sub-0001", "source_path": "x", "simulated": True}
    shown = {"image_id": "sub-0001", "screenshot_path": made.relative(path), "screenshot_sha256": sha256}
    store.write(made, "images", [scan])
    store.write(made, "preprocessed", [{**shown, "preprocessing_preset": "drawn"}])
    return lambda folder: Study(shutil.copytree(made.folder, Path(folder) / "study"))
