import threading
import time

import numpy as np
import pytest

from qcbench import store
from qcbench.errors import ImageError
from qcbench.imaging import crop, simulate
from qcbench.imaging.heads import synthetic_head
from qcbench.prepare import pool
from qcbench.protocol import load
from qcbench.widgets.whatif import WhatIf, verdict

TO_CANONICAL = crop.to_canonical
IMAGE = {
    "image_id": "sub-1_T1w",
    "participant_id": "sub-1",
    "source_path": "1.nii.gz",
    "bids_path": "bids/sub-1_T1w.nii.gz",
    "simulated": False,
}


@pytest.fixture(scope="module")
def head():
    return synthetic_head(seed=1, spacing_mm=(4, 4, 4))


@pytest.fixture
def scanned(study, head, monkeypatch):
    """A study of one scan, whose head is a small synthetic one."""
    store.write(study, "images", [IMAGE])
    store.write(study, "preprocessed", [{"image_id": "sub-1_T1w", "preprocessing_preset": "fast"}])
    monkeypatch.setattr(pool, "source_head", lambda study, image, aligned: head)
    monkeypatch.setattr(crop, "to_canonical", lambda data, affine, template_to_scanner: data)  # half a second each
    return study


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(WhatIf, "send", lambda self, content, buffers=None: messages.append((content, buffers)))
    return messages


def say(widget, *messages):
    """Say these to the widget and wait until it has nothing left to do."""
    for message in messages:
        widget._on_message(None, message, [])
    until = time.monotonic() + 20
    while widget._newest._is_busy:
        assert time.monotonic() < until
        time.sleep(0.005)


def asked(number=1, seed=0, **strengths):
    return {"kind": "set", "number": number, "seed": seed, "strengths": strengths}


def only(sent, kind):
    [content] = [content for content, _ in sent if content["kind"] == kind]
    return content


def test_the_page_gets_the_controls_the_original_and_a_copy_with_nothing_added(scanned, sent):
    say(WhatIf(scanned, "sub-1_T1w"), {"kind": "hello"})
    state = only(sent, "state")
    assert [family["label"] for family in state["families"]] == ["Gadolinium", "Motion", "Contrast", "Noise"]
    assert state["families"][1]["artefacts"][0] == {"name": "abrupt", "label": "abrupt moves"}
    assert state["has_model"] is False
    copy = only(sent, "copy")
    assert copy["tier"] == "tier 1: all grades 0"
    assert copy["told"]["motion"] == {"grade": 0, "words": "0 - none", "severity": 0.0}
    assert copy["told"]["gadolinium"]["words"] == "none added"
    pictures = {content["kind"]: buffers[0] for content, buffers in sent if buffers}
    assert pictures["original"].startswith(b"\x89PNG")
    assert pictures["copy"] != pictures["original"]  # the word SIMULATED is part of it


def test_what_is_measured_is_told_in_the_words_of_the_protocol(scanned, sent):
    say(WhatIf(scanned, "sub-1_T1w"), asked(7, seed=3, slow=0.4, gadolinium=0.8))
    copy = only(sent, "copy")
    assert (copy["number"], copy["seed"], copy["strengths"]) == (7, 3, {"slow": 0.4, "gadolinium": 0.8})
    assert copy["told"]["motion"]["words"] == "1 - some: structures still distinguishable"
    assert copy["told"]["motion"]["severity"] > 0.1
    assert copy["told"]["gadolinium"]["words"] == "added"
    assert (copy["tier"], copy["rule"]) == ("tier 2: motion 1", "at least one grade 1, none 2")


def test_another_seed_draws_another_picture_and_the_same_one_the_same(scanned, sent):
    widget = WhatIf(scanned, "sub-1_T1w")
    for number, seed in enumerate((3, 4, 3)):
        say(widget, asked(number, seed=seed, noise=0.5))
    first, second, third = [buffers[0] for content, buffers in sent if content["kind"] == "copy"]
    assert first != second
    assert first == third


@pytest.mark.parametrize(
    ("graded", "tier"),
    [
        ({"motion": 2, "contrast": 1, "noise": 2}, "tier 3: motion 2, noise 2"),
        ({"motion": 0, "contrast": 1, "noise": 0}, "tier 2: contrast 1"),
        ({"motion": 0, "contrast": 0, "noise": 0}, "tier 1: all grades 0"),
        ({"motion": 1}, "no tier"),
    ],
)
def test_the_tier_says_which_grades_make_it_so(graded, tier):
    assert verdict(load("t1w-warehouse"), graded)[0] == tier


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (asked(1, melting=0.5), "an artefact is one of"),
        (asked(1, noise=1.5), "the strength of noise must be from 0 to 1, got 1.5"),
        (asked(1, noise=-0.1), "from 0 to 1"),
        (asked(1, noise=float("nan")), "from 0 to 1, got nan"),
        (asked(1, noise=True), "from 0 to 1, got True"),
        (asked(1, noise="0.5"), "from 0 to 1, got '0.5'"),
        (asked(1, noise=[0.5]), "from 0 to 1"),
        (asked(1, slow=0.5, abrupt=0.5), "one artefact each"),
        (asked(1.0, noise=0.5), "number must be a whole number"),
        (asked(2**60, noise=0.5), "number must be a whole number"),
        (asked(1, seed=-1, noise=0.5), "seed must be a whole number"),
        (asked(1, seed="x" * 5000), "got 'xxx"),
        ({"kind": "set"}, "number must be a whole number"),
        ({"kind": "set", "number": 1, "seed": 0, "strengths": ["noise"]}, "strengths must be numbers by artefact"),
        ({"kind": "eval"}, "a hello, a ping or a set"),
        ({}, "a hello, a ping or a set"),
        ("hello", "a hello, a ping or a set"),
        (None, "a hello, a ping or a set"),
    ],
)
def test_a_message_that_is_not_to_be_trusted_is_refused_with_a_sentence(scanned, sent, message, why):
    say(WhatIf(scanned, "sub-1_T1w"), message)
    [(content, buffers)] = sent
    assert content["kind"] == "refused"
    assert why in content["why"]
    assert len(content["why"]) < 400
    assert buffers is None


def test_only_the_newest_setting_is_computed_while_a_slider_moves(scanned, sent, monkeypatch):
    widget = WhatIf(scanned, "sub-1_T1w")
    say(widget, {"kind": "hello"})
    begun, go_on, computed = threading.Event(), threading.Event(), []
    make = simulate.with_strengths

    def slowly(head, strengths, **options):
        computed.append(strengths["noise"])
        begun.set()
        assert go_on.wait(20)
        return make(head, strengths, **options)

    monkeypatch.setattr(simulate, "with_strengths", slowly)
    widget._on_message(None, asked(1, noise=0.1), [])
    assert begun.wait(20)
    for number in range(2, 30):
        widget._on_message(None, asked(number, noise=number / 100), [])
    go_on.set()
    say(widget)
    assert computed == [0.1, 0.29]
    assert [content["number"] for content, _ in sent if content["kind"] == "copy"] == [0, 29]


def test_what_is_asked_for_twice_is_made_once_and_answered_again(scanned, sent, monkeypatch):
    widget = WhatIf(scanned, "sub-1_T1w")
    say(widget, asked(5, noise=0.2))
    monkeypatch.setattr(simulate, "with_strengths", None)  # a second copy would fail
    say(widget, asked(5, noise=0.2))
    answers = [content for content, _ in sent if content["kind"] in ("copy", "failed")]
    assert [answer["number"] for answer in answers] == [5, 5]
    assert answers[0] == answers[1]


def test_a_page_that_is_loaded_again_gets_what_was_shown(scanned, sent):
    widget = WhatIf(scanned, "sub-1_T1w", model=lambda volume: {"tier 3": 0.25})
    say(widget, {"kind": "hello"}, asked(9, ghosting=0.3))
    sent.clear()
    say(widget, {"kind": "hello"})
    assert [content["kind"] for content, _ in sent] == ["state", "original", "copy", "probabilities"]
    assert only(sent, "copy")["strengths"] == {"ghosting": 0.3}


def test_no_pixel_and_no_name_reaches_the_state_of_the_widget(scanned, sent):
    widget = WhatIf(scanned, "sub-1_T1w")
    say(widget, {"kind": "hello"}, asked(1, spikes=0.5))
    state = widget.get_state()
    assert not any(isinstance(value, bytes | memoryview) for value in state.values())
    assert "sub-1" not in str(state) + str([content for content, _ in sent])


def test_a_model_judges_the_original_and_the_copy_on_the_canonical_grid(scanned, sent, monkeypatch):
    monkeypatch.setattr(crop, "to_canonical", TO_CANONICAL)
    seen = []

    def model(volume):
        seen.append((volume.shape, volume.dtype, float(np.percentile(volume, 99.8))))
        return {"tier 3": len(seen) / 10}

    widget = WhatIf(scanned, "sub-1_T1w", model=model)
    say(widget, {"kind": "hello"})
    say(widget, asked(1, noise=0.5))
    assert seen == [((169, 208, 179), np.float32, 1000.0)] * 2
    answers = [content["rows"] for content, _ in sent if content["kind"] == "probabilities"]
    assert answers == [
        [{"name": "tier 3", "original": 0.1, "copy": 0.1}],
        [{"name": "tier 3", "original": 0.1, "copy": 0.2}],
    ]


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (lambda volume: 1 / 0, "the model failed: ZeroDivisionError: division by zero"),
        (lambda volume: {"tier 3": float("nan")}, "the probability of tier 3 must be from 0 to 1, got nan"),
        (lambda volume: {"tier 3": 7}, "must be from 0 to 1"),
        (lambda volume: {}, "1 to 20 probabilities by name"),
        (lambda volume: 0.5, "probabilities by name, got 0.5"),
        (lambda volume: {"tier 3": "high"}, "ValueError: could not convert"),
        ("a path", "'str' object is not callable"),
    ],
)
def test_a_model_that_fails_says_why_and_the_pictures_go_on(scanned, sent, says, why):
    widget = WhatIf(scanned, "sub-1_T1w", model=says)
    say(widget, {"kind": "hello"})
    say(widget, asked(1, noise=0.5))
    assert [content["number"] for content, _ in sent if content["kind"] == "copy"] == [0, 1]
    told = [content for content, _ in sent if content["kind"] == "probabilities"]
    assert all(why in answer["why"] and answer["rows"] == [] for answer in told)
    assert len(told) == 2


@pytest.mark.parametrize(
    ("image_id", "row", "why"),
    [
        ("sub-9_T1w", {}, "'sub-9_T1w' is not among the images"),
        (["sub-1_T1w"], {}, "is not among the images"),
        ("sub-1_T1w", {"error": "TRUNCATED: ends early"}, "cannot be used, ingest failed on it: TRUNCATED"),
        ("sub-1_T1w", {"bids_path": None}, "has no scan of its own"),
    ],
)
def test_an_image_that_cannot_be_used_is_said_on_the_page(scanned, sent, image_id, row, why):
    store.write(scanned, "images", [{**IMAGE, **row}])
    widget = WhatIf(scanned, image_id)
    say(widget, {"kind": "hello"}, asked(1, noise=0.5))
    assert why in widget.problem
    assert [content for content, _ in sent] == [{"kind": "problem", "why": widget.problem}] * 2


def test_a_file_that_cannot_be_read_is_said_on_the_page(scanned, sent, monkeypatch):
    def unreadable(study, image, aligned):
        raise ImageError("TRUNCATED", "sub-1_T1w.nii.gz ends early")

    monkeypatch.setattr(pool, "source_head", unreadable)
    widget = WhatIf(scanned, "sub-1_T1w")
    say(widget, {"kind": "hello"})
    assert only(sent, "problem")["why"] == "the scan cannot be loaded: TRUNCATED: sub-1_T1w.nii.gz ends early"


def test_a_folder_that_is_no_study_and_a_study_without_images_are_said_on_the_page(tmp_path, study):
    assert "is no study" in WhatIf(tmp_path, "sub-1_T1w").problem
    assert "qcbench ingest" in WhatIf(study, "sub-1_T1w").problem


def test_a_copy_that_cannot_be_made_is_said_and_the_next_one_is_made(scanned, sent, monkeypatch):
    widget = WhatIf(scanned, "sub-1_T1w")
    with monkeypatch.context() as broken:
        broken.setattr(simulate, "with_strengths", lambda *args, **options: 1 / 0)
        say(widget, asked(1, noise=0.5))
    assert only(sent, "failed")["why"] == "the copy cannot be made: ZeroDivisionError: division by zero"
    say(widget, asked(2, noise=0.5))
    assert only(sent, "copy")["number"] == 2
