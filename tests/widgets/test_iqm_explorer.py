"""What the page of the metrics is told, and what it is refused."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from qcbench import images, store
from qcbench.iqm import apart
from qcbench.widgets.iqm_explorer import IqmExplorer

IDS = [f"sub-{number:02d}_T1w" for number in range(13)]
#: Eleven of North, of which the last stands apart; two of nowhere, one of them null.
VALUES = (0.41, 0.42, 0.43, 0.44, 0.45, 0.46, 0.47, 0.48, 0.49, 0.50, 0.95, 0.45, None)


@pytest.fixture
def measured(study):
    """A study of 13 images; the pictures and the card of the one that stands apart are there."""
    catalogue, metrics = [], []
    for number, (image_id, value) in enumerate(zip(IDS, VALUES, strict=True)):
        known = {"hospital": "North", "manufacturer": "GE", "field_strength_t": 2.9} if number < 11 else {}
        catalogue.append(
            {
                "image_id": image_id,
                "participant_id": image_id[:6],
                "source_path": "x.nii",
                "simulated": number == 11,
                **known,
            }
        )
        reasons = None if value is not None else '{"cjv": "no white matter was found"}'
        row = {"image_id": image_id, "modality": "T1w", "iqm_profile": "qcbench", "cjv": value, "reasons": reasons}
        metrics.append(row)
    store.write(study, "images", catalogue)
    store.write(study, "iqms", metrics)
    screenshot = study.derivatives / "screenshot.png"
    drawn = {
        "image_id": IDS[10],
        "preprocessing_preset": "fast",
        "screenshot_path": study.relative(screenshot),
        "screenshot_sha256": images.save_png(screenshot, np.full((4, 6), 50, np.uint8)),
    }
    store.write(study, "preprocessed", [drawn])
    outputs = apart.output_paths(IDS[10], "T1w", study.derivatives / "iqm" / "qcbench")
    images.save_png(outputs["masks"], np.full((4, 6), 200, np.uint8))
    outputs["card"].write_text("<html>card of sub-10")
    return SimpleNamespace(study=study, outputs=outputs, screenshot=screenshot)


def asked(kind="show", **changes):
    return {"kind": kind, "number": 3, "collection": 0, "by": "hospital", "metric": "cjv", **changes}


def answers(widget, message):
    return [(content["kind"], content, buffer) for content, buffer in widget.receive(message)]


def test_the_greeting_has_the_choices_and_the_first_strips(measured):
    [(_, state, _), (kind, strips, dots)] = answers(IqmExplorer(measured.study), {"kind": "hello"})
    assert state["collections"] == ["T1w, profile qcbench"]
    assert [name for name, _ in state["groupings"]] == [
        "hospital",
        "manufacturer",
        "model_name",
        "field_strength_t",
        None,
    ]
    assert (kind, strips["number"], strips["metric"], strips["by"]) == ("strips", 0, "cjv", "hospital")
    assert strips["definition"]["direction"] == "lower is better"
    assert strips["definition"]["definition"] == "(mad wm + mad gm) / |median wm - median gm|"
    assert strips["metrics"][:2] == [["cjv", 1], ["cnr", 0]]
    assert [group["group"] for group in strips["groups"]] == ["North", "not stated"]
    assert strips["groups"][0]["median"] == 0.46
    assert strips["usual"] == [0.361271, 0.598023]
    assert (strips["n_images"], strips["n_simulated"], strips["n_null"]) == (13, 1, 1)
    assert strips["nulls"] == [["no white matter was found", 1]]
    values, groups, sides = np.frombuffer(dots, np.float32).reshape(3, 13)
    assert np.array_equal(values, np.array(VALUES, np.float32), equal_nan=True)
    assert list(groups) == [0] * 11 + [1, 1]
    assert list(sides) == [0] * 10 + [1, 0, 0]


def test_the_image_that_stands_apart_is_listed_in_words(measured):
    [(_, strips, _)] = answers(IqmExplorer(measured.study), asked())
    [row] = strips["outliers"]
    assert (row["place"], row["image_id"], row["value"], row["side"]) == (10, IDS[10], "0.95", "worse")
    # North's median is 0.46 and its median absolute deviation 0.03; those of all are 0.455 and 0.025.
    assert row["why"] == "11.0 robust SD above North, 13.4 above all images"


def test_whatever_is_told_is_json_without_nan(measured):
    widget = IqmExplorer(measured.study)
    messages = [{"kind": "hello"}, asked(metric="cnr"), asked(metric="cnr", by=None), asked("image", place=12)]
    for content, _ in (answer for message in messages for answer in widget.receive(message)):
        json.dumps(content, allow_nan=False)


def test_an_image_comes_with_its_facts_and_both_pictures(measured):
    [(_, facts, _), screenshot, masks] = answers(IqmExplorer(measured.study), asked("image", place=10))
    assert (facts["image_id"], facts["value"], facts["side"]) == (IDS[10], "0.95", "worse")
    assert facts["from"] == "North, GE, 2.9 T"
    assert facts["usual"] == "worse than three quarters of public records"
    assert (facts["has_card"], facts["is_simulated"]) == (True, False)
    assert (screenshot[1]["name"], screenshot[2]) == ("screenshot", measured.screenshot.read_bytes())
    assert (masks[1]["name"], masks[2]) == ("masks", measured.outputs["masks"].read_bytes())


def test_a_null_says_why_and_a_missing_picture_says_what_makes_it(measured):
    [(_, facts, _), screenshot, masks] = answers(IqmExplorer(measured.study), asked("image", place=12))
    assert (facts["value"], facts["why"]) == ("null", "no white matter was found")
    assert facts["from"] == "hospital and scanner not stated"
    assert facts["has_card"] is False
    assert "qcbench preprocess" in screenshot[1]["why"] and screenshot[2] is None
    assert "cannot be read" in masks[1]["why"] and masks[2] is None


def test_a_simulated_image_is_called_so(measured):
    [(_, facts, _), *_] = answers(IqmExplorer(measured.study), asked("image", place=11))
    assert facts["is_simulated"] is True


def test_the_card_comes_as_its_bytes_and_a_missing_one_is_said(measured):
    widget = IqmExplorer(measured.study)
    [(kind, content, card)] = answers(widget, asked("card", place=10))
    assert (kind, content["number"], card) == ("card", 3, b"<html>card of sub-10")
    [(kind, content, _)] = answers(widget, asked("card", place=0))
    assert kind == "refused" and "qcbench iqm" in content["why"]


def test_another_grouping_and_metric_are_answered_under_their_number(measured):
    [(_, strips, _)] = answers(IqmExplorer(measured.study), asked(number=8, by="field_strength_t", metric="snr_wm"))
    assert (strips["number"], strips["by"], strips["metric"]) == (8, "field_strength_t", "snr_wm")
    assert [group["group"] for group in strips["groups"]] == ["2.9 T", "not stated"]
    assert strips["groups"][0]["median"] is None
    assert strips["definition"]["direction"] == "higher is better"


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (asked(metric="cjvv"), "is no metric of T1w"),
        (asked(metric=["cjv"]), "metric must be the name of one"),
        (asked(by="image_id"), "grouped by one of hospital"),
        (asked(by=["hospital"]), "grouped by one of hospital"),
        (asked(collection=1), "collection must be below 1, got 1"),
        (asked(collection=-1), "collection must be a whole number from 0"),
        (asked(number=True), "number must be a whole number from 0"),
        (asked("image", place=13), "place must be below 13, got 13"),
        (asked("image", place="../../x"), "place must be a whole number"),
        (asked("card"), "place must be a whole number from 0, got None"),
        (asked("card", place=0, metric="x" * 5000), "cannot be read"),
        ({"kind": "eval"}, "a message is one of hello, show, image, card"),
        ({"kind": ["hello"]}, "a message is one of"),
        ("hello", "a message is one of"),
    ],
)
def test_a_message_that_is_not_to_be_trusted_is_refused_with_a_sentence(measured, message, why):
    [(kind, content, buffer)] = answers(IqmExplorer(measured.study), message)
    assert kind == "refused"
    assert why in content["why"]
    assert len(content["why"]) < 400
    assert buffer is None


def test_no_pixel_and_no_name_reaches_the_state_of_the_widget(measured):
    widget = IqmExplorer(measured.study)
    answers(widget, {"kind": "hello"})
    answers(widget, asked("image", place=10))
    state = widget.get_state()
    assert not any(isinstance(value, bytes | memoryview) for value in state.values())
    assert "sub-10" not in str(state)


def test_what_is_missing_is_said_on_the_page(study, tmp_path):
    assert "Run first: qcbench iqm" in IqmExplorer(study).problem
    widget = IqmExplorer(tmp_path)
    assert answers(widget, {"kind": "hello"}) == [("problem", {"kind": "problem", "why": widget.problem}, None)]
    assert "is no study" in widget.problem


def test_a_wrong_option_is_said_on_the_page(measured):
    assert "is no metric of T1w" in IqmExplorer(measured.study, metric="tsnr").problem
    assert "got modality bold" in IqmExplorer(measured.study, modality="bold").problem
    assert "grouped by one of" in IqmExplorer(measured.study, by="sex").problem
