import json

import pytest

from qcbench import store
from qcbench.annotate.journal import Journal
from qcbench.errors import UsageError
from qcbench.widgets import serve
from qcbench.widgets.coordinator import Coordinator


def asked(widget, message=None):
    [(content, buffer)] = widget.receive(message or {"kind": "hello"})
    assert buffer is None
    return content


@pytest.fixture
def labelled(study):
    store.write(study, "images", [{"image_id": "a", "participant_id": "sub-1", "source_path": "x", "simulated": False}])
    drawn = {"screenshot_path": "a.png", "screenshot_sha256": "0" * 64, "preprocessing_preset": "x"}
    store.write(study, "preprocessed", [{"image_id": "a", **drawn}])
    label = study.protocol.check({"straight_reject": True})
    Journal(study, "alice").append(event_id="e", slot=("a", "label"), label=label)
    return study


def test_the_page_gets_numbers_and_what_waits_and_no_trait_holds_them(labelled):
    widget = Coordinator(labelled)
    state = asked(widget)
    assert [(row["rater"], row["n_labelled"]) for row in state["raters"]] == [("alice", 1), ("bob", 0)]
    assert state["waiting"] == [{"image_id": "a", "waits_for": "label", "raters": "bob"}]
    json.dumps(state)
    assert "alice" not in str(widget.get_state())


@pytest.mark.parametrize("source", ["JUPYTERHUB_USER", "HTTP_X_FORWARDED_USER"])
def test_a_rater_does_not_see_what_others_noted(labelled, monkeypatch, source):
    monkeypatch.setenv(source, "bob")
    assert "'bob' is a rater of this study" in asked(Coordinator(labelled))["why"]
    monkeypatch.setenv(source, "carol")
    assert asked(Coordinator(labelled))["kind"] == "state"


def test_whatever_else_is_asked_is_refused(labelled):
    for message in ({"kind": "label"}, {"kind": None}, 3, None):
        [(content, _)] = Coordinator(labelled).receive(message)
        assert content["kind"] == "refused"
    assert asked(Coordinator(labelled), {"kind": "ping"}) == {"kind": "pong"}


def test_a_damaged_table_is_said_on_the_page(labelled):
    next(labelled.label_folder("alice").rglob("*.parquet")).write_bytes(b"PAR1")
    assert "cannot be read" in asked(Coordinator(labelled))["why"]


def test_only_the_coordinator_s_notebook_is_served_without_a_rater(study):
    with pytest.raises(UsageError, match="is for a rater; say which one"), serve.running(study):
        pass
