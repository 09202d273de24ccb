"""Window, zoom, loupe, brightened air and the open volume: off by default, on the record, gone with the next image."""

import hashlib
import io
import json
import time

import numpy as np
import pytest
from PIL import Image

from qcbench import images, store
from qcbench.annotate import sampling
from qcbench.imaging import screenshot
from qcbench.imaging.geometry import CANONICAL_AFFINE, CANONICAL_SHAPE
from qcbench.study import Study

pytestmark = pytest.mark.browser


def phantom(number):
    """A head-like volume with ripples in the air and a bright block in the patient's right front."""
    x, y, z = (np.linspace(-1, 1, n) for n in CANONICAL_SHAPE)
    radius = np.sqrt((x[:, None, None] / 0.8) ** 2 + (y[:, None] / 0.85) ** 2 + (z / 0.9) ** 2)
    random = np.random.default_rng(number)
    volume = np.where(radius < 1, 900 - 500 * radius, 12) + random.normal(0, 25, CANONICAL_SHAPE)
    volume = np.where((radius > 0.85) & (radius < 0.9), 120, volume)
    volume[120:140, 150:170, 70:90] = 1400
    return np.clip(volume, 0, None).astype(np.int16)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Three volumes with their pictures, as `preprocess` leaves them."""
    folder = tmp_path_factory.mktemp("drawn")
    for number in range(3):
        volume = phantom(number)
        images.save_volume(folder / f"{number}.nii.gz", volume, CANONICAL_AFFINE)
        images.save_png(folder / f"{number}.png", screenshot.screenshot(volume))
    return folder


def make_study(folder, drawn, *, open_volume):
    study = Study.create(folder / "study", raters=["alice", "bob"])
    text = (study.folder / "study.toml").read_text()
    (study.folder / "study.toml").write_text(
        text.replace("open_volume = false", f"open_volume = {open_volume}".lower())
    )
    study = Study(study.folder)
    catalogue, preprocessed = [], []
    for number in range(3):
        stem = f"sub-{number:03d}_T1w"
        files = {}
        for kind, suffix in (("volume", ".nii.gz"), ("screenshot", ".png")):
            path = study.derivatives / f"{stem}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((drawn / f"{number}{suffix}").read_bytes())
            files[f"{kind}_path"] = study.relative(path)
        sha256 = hashlib.sha256((drawn / f"{number}.png").read_bytes()).hexdigest()
        catalogue.append(
            {"image_id": stem, "participant_id": stem[:7], "source_path": f"{stem}.nii.gz", "simulated": True}
        )
        preprocessed.append(
            {
                "image_id": stem,
                **files,
                "screenshot_sha256": sha256,
                "preprocessing_preset": "drawn",
                "convention": "radiological",
            }
        )
    store.write(study, "images", catalogue)
    store.write(study, "preprocessed", preprocessed)
    return study


GRADES = ("KeyE", "Digit1", "KeyA", "KeyZ", "Space")


def displays(study):
    """What is on the record of each label, in the order of labelling."""
    events = sorted(store.label_events(study, "alice"), key=lambda event: event["sequence"])
    return [json.loads(event["display"]) for event in events]


def in_use(desk):
    return desk.page.locator(".qc-stage").get_attribute("data-seeing")


def pixels(desk, box):
    """Mean grey of a part of the screen (left, top, width, height)."""
    left, top, width, height = box
    shot = desk.page.screenshot(clip={"x": left, "y": top, "width": width, "height": height})
    return float(np.asarray(Image.open(io.BytesIO(shot)).convert("L")).mean())


def test_ways_of_seeing_are_off_then_recorded_then_gone(voila, desk, drawn, tmp_path):
    study = make_study(tmp_path, drawn, open_volume=False)
    desk.open(voila(study))
    desk.label(0, *GRADES)
    desk.waits_at(1)
    assert in_use(desk) == ""
    assert not desk.page.locator(".qc-seeing-bar").is_visible()
    desk.picture("seeing-plain")
    desk.press("ArrowUp", "ArrowUp", "ArrowUp", "BracketRight", "BracketRight")
    assert in_use(desk) == "window zoom"
    desk.sees(".qc-seeing-told", "grey 0 to 231 · zoom 195 %")
    desk.picture("seeing-zoomed")
    desk.press("KeyL")
    desk.picture("seeing-air")
    desk.press("KeyL")
    desk.page.mouse.move(300, 300)
    desk.page.keyboard.down("KeyM")
    assert in_use(desk) == "window zoom loupe"
    desk.picture("seeing-loupe")
    desk.page.keyboard.up("KeyM")
    assert in_use(desk) == "window zoom"
    desk.press(*GRADES)
    desk.waits_at(2)
    assert in_use(desk) == ""
    desk.press("KeyN")  # this study is labelled from the picture alone
    assert in_use(desk) == ""
    desk.press(*GRADES)
    desk.sees(".qc-words-only", "All 3 images are labelled")
    plain, seen, last = displays(study)
    assert not {"zoom", "zoom_s", "window_s", "loupe_s", "stretch_s"} & {*plain, *last}
    assert (seen["window_low"], seen["window_high"], seen["zoom"]) == (0, 231, 1.95)
    assert seen["zoom_s"] >= seen["window_s"] > 0
    assert seen["stretch_s"] > 0 and seen["loupe_s"] > 0
    assert "volume_s" not in seen
    assert desk.went_out == []


def test_the_air_becomes_visible_and_escape_shows_what_everybody_sees(voila, desk, drawn, tmp_path):
    desk.open(voila(make_study(tmp_path, drawn, open_volume=False)))
    desk.waits_at(0)
    box = desk.page.locator(".qc-frame").bounding_box()
    corner = (box["x"] + box["width"] * 0.77, box["y"] + box["height"] / 2 - 210, 25, 25)
    dark = pixels(desk, corner)
    desk.press("KeyL")
    bright = pixels(desk, corner)
    desk.press("Escape")
    assert (dark < 8, bright > 3 * dark) == (True, True)
    assert pixels(desk, corner) == dark
    assert in_use(desk) == ""


def test_the_volume_is_scrolled_where_the_study_allows_it(voila, desk, drawn, tmp_path):
    study = make_study(tmp_path, drawn, open_volume=True)
    desk.open(voila(study))
    desk.waits_at(0)
    desk.press("KeyN")
    desk.sees(".qc-seeing-told", "volume: z 0 mm")
    desk.press("ArrowUp", "ArrowUp")
    desk.sees(".qc-seeing-told", "volume: z 2 mm")
    desk.press("ArrowRight")
    desk.sees(".qc-seeing-told", "volume: x -5 mm")
    desk.press("PageUp", "PageUp", "PageUp", "PageUp")
    desk.sees(".qc-seeing-told", "volume: x 35 mm")
    box = desk.page.locator(".qc-frame").bounding_box()
    # The bright block lies at x 36 to 55: it is in the sagittal panel once that slice has come.
    scale = box["width"] / 1108
    top = box["y"] + (box["height"] - 416 * scale) / 2
    block = (box["x"] + 322 * scale, top + (29 + 2 * (178 - 80) - 8) * scale, 12 * scale, 12 * scale)
    before = pixels(desk, block)
    desk.press("ArrowUp", "ArrowUp", "ArrowUp", "ArrowUp")
    until = time.monotonic() + 15
    while pixels(desk, block) <= before + 40:
        assert time.monotonic() < until, "the slice with the block never came"
    desk.picture("seeing-volume")
    desk.press("Escape")
    assert in_use(desk) == ""
    desk.press(*GRADES)
    desk.waits_at(1)
    desk.saved()
    [display] = displays(study)
    assert display["volume_s"] > 0
    assert desk.went_out == []


def test_an_image_of_the_sub_study_comes_last_with_its_volume_open(voila, desk, drawn, tmp_path):
    study = make_study(tmp_path, drawn, open_volume=False)
    sampling.draw(study, 1, purpose="volume")
    desk.open(voila(study))
    for position in range(3):
        desk.label(position, *GRADES)
    desk.waits_at(3)
    desk.sees(".qc-seeing-told", "volume: z 0 mm")
    assert in_use(desk) == "volume"
    desk.press("KeyE", "Digit2", "KeyA", "KeyZ", "Space")
    desk.sees(".qc-words-only", "All 4 images are labelled")
    [again] = [event for event in store.label_events(study, "alice") if event["purpose"] == "volume"]
    assert (again["motion"], json.loads(again["display"])["volume_s"] > 0) == (1, True)


def test_help_lists_the_keys_of_seeing_and_the_bar_has_a_button_for_each(voila, desk, drawn, tmp_path):
    desk.open(voila(make_study(tmp_path, drawn, open_volume=True)))
    desk.waits_at(0)
    desk.press("KeyH")
    for words in ("zoom in", "brighten the air", "loupe, while it is held", "open the volume: arrows go through it"):
        desk.sees(".qc-dialog dd", words)
    desk.picture("seeing-help")
    desk.press("KeyH")
    desk.page.locator(".qc-head button", has_text="view").click()
    desk.picture("seeing-bar")
    desk.page.locator(".qc-seeing-bar button", has_text="brighten the air").click()
    assert in_use(desk) == "stretch"
    desk.page.locator(".qc-seeing-bar button", has_text="as everybody sees it").click()
    assert in_use(desk) == ""


def test_what_was_used_of_a_picture_that_was_left_is_on_its_record_when_it_is_labelled_later(
    voila, desk, drawn, tmp_path
):
    study = make_study(tmp_path, drawn, open_volume=False)
    desk.open(voila(study))
    desk.label(0, *GRADES)
    desk.waits_at(1)
    desk.press("ArrowUp")
    desk.page.wait_for_timeout(300)
    desk.press("Backspace")  # back to the first, and again to this one
    desk.waits_at(0)
    assert in_use(desk) == ""
    desk.press("ArrowRight")
    desk.waits_at(1)
    desk.press(*GRADES)
    desk.waits_at(2)
    desk.saved()
    assert displays(study)[1]["zoom_s"] >= 0.25
    assert "zoom" not in displays(study)[1]
