import subprocess
import sys

import pytest

import qcbench
from qcbench import images, store
from qcbench.widgets.labeller import Labeller


@pytest.fixture
def labelling_study(study):
    import numpy as np

    path = study.derivatives / "sub-secret.png"
    row = {
        "image_id": "sub-secret",
        "screenshot_path": study.relative(path),
        "screenshot_sha256": images.save_png(path, np.zeros((4, 12), dtype="uint8")),
        "preprocessing_preset": "drawn",
    }
    store.write(study, "preprocessed", [row])
    scan = {"image_id": "sub-secret", "participant_id": "sub-secret", "source_path": "x", "simulated": False}
    store.write(study, "images", [scan])
    return study


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(Labeller, "send", lambda self, content, buffers=None: messages.append((content, buffers)))
    return messages


def test_pixels_travel_as_buffers_and_never_as_traits(labelling_study, sent):
    widget = qcbench.Labeller(labelling_study, rater="alice")
    widget._on_message(None, {"kind": "hello"}, [])
    widget._on_message(None, {"kind": "goto", "position": 0, "missing": [0]}, [])
    [png] = sent[-1][1]
    assert png.startswith(b"\x89PNG")
    state = widget.get_state()
    assert not any(isinstance(value, bytes | memoryview) for value in state.values())
    assert "sub-secret" not in str(state) + str(sent)
    assert "alice" not in str(state)


@pytest.mark.parametrize(
    ("rater", "words"), [("mallory", "'mallory' is no rater"), ("alice", "qcbench preprocess"), ("../bob", "no rater")]
)
def test_what_is_missing_is_said_on_the_page_and_not_as_a_traceback(study, sent, rater, words):
    widget = Labeller(study.folder, rater=rater)
    widget._on_message(None, {"kind": "hello"}, [])
    widget._on_message(None, {"kind": "label", "event_id": "x"}, [])
    assert all(content["kind"] == "problem" and words in content["why"] for content, _ in sent)
    assert len(sent) == 2
    assert not (study.folder / "labels").exists()


def test_a_folder_that_is_no_study_is_said_on_the_page(tmp_path):
    assert "is no study" in Labeller(tmp_path, rater="alice").problem


LABEL_ONE = """
import sys, uuid, qcbench
from qcbench.widgets.labeller import Labeller
sent = []
Labeller.send = lambda self, content, buffers=None: sent.append(content)
widget = Labeller(sys.argv[1], rater="alice")
for message in ({"kind": "hello"}, {"kind": "goto", "position": 0, "missing": [0]}):
    widget._on_message(None, message, [])
key = sent[-1]["key"]
widget._on_message(None, {"kind": "painted", "key": key}, [])
label = {"kind": "label", "key": key, "event_id": str(uuid.uuid4()), "answers": {"straight_reject": True}}
widget._on_message(None, label, [])
print(sent[-1]["kind"], *(set(sys.modules) & set(sys.argv[2:])))
"""


def test_the_labelling_kernel_stays_small_after_a_label_too(labelling_study):
    heavy = ["pandas", "torch", "ants", "nibabel", "matplotlib", "sklearn", "scipy", "PIL"]
    command = [sys.executable, "-c", LABEL_ONE, str(labelling_study.folder), *heavy]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["ack"]


@pytest.mark.parametrize("source", ["JUPYTERHUB_USER", "HTTP_X_FORWARDED_USER"])
def test_who_logged_in_under_another_name_cannot_label(labelling_study, monkeypatch, source):
    monkeypatch.setenv(source, "mallory")
    assert "'mallory' logged in" in Labeller(labelling_study, rater="alice").problem
    monkeypatch.setenv(source, "alice")
    assert Labeller(labelling_study, rater="alice").problem is None


def test_the_address_of_the_page_names_no_rater(labelling_study, monkeypatch, sent):
    monkeypatch.setenv("QUERY_STRING", "rater=bob")
    monkeypatch.setenv("VOILA_REQUEST_URL", "http://127.0.0.1/?rater=bob")
    widget = Labeller(labelling_study, rater="alice")
    widget._on_message(None, {"kind": "hello", "rater": "bob"}, [])
    assert sent[0][0]["rater"] == "alice"
