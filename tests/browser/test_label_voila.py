"""Alice labels under voila in a real browser: by keys, by mouse, with a full disk, with a dead kernel."""

import os
import signal
import urllib.parse
from pathlib import Path

import pytest

from qcbench import store
from qcbench.annotate import queue

pytestmark = pytest.mark.browser


def test_five_labels_by_keys_survive_a_reload_and_one_is_changed(labelling_study, voila, desk):
    desk.open(voila(labelling_study))
    desk.label(0, "e", "1", "a", "z", "Space")
    desk.label(1, "q")
    desk.label(2, "w", "2", "a", "z", "Enter")
    desk.label(3, "e", "1", "a")
    desk.press("Space")
    desk.sees(".qc-note", "Not set: noise")
    desk.picture("voila-not-set-1280")
    desk.press("c")
    desk.sees(".qc-verdict", "at least one grade 2")
    desk.press("Space")
    desk.label(4, "e", "1", "s", "x", "Space")
    desk.saved()

    desk.page.reload()
    desk.waits_at(5)
    desk.sees(".qc-position", "6 of 6")
    desk.press("Backspace")
    desk.waits_at(4)
    desk.sees(".qc-relabelling", "labelled")
    desk.press("a", "Space")
    desk.sees(".qc-dialog", "Why the change?")
    desk.picture("voila-reason-1280")
    desk.press("2")
    desk.waits_at(5)
    desk.saved()

    order = [image.image_id for image in queue.load(labelling_study, "alice")]
    events = store.label_events(labelling_study, "alice")
    labels = {label["image_id"]: label for label in store.labels(labelling_study, ["alice"])}
    assert len(events) == 6
    assert [labels[image_id]["tier"] for image_id in order[:5]] == [1, None, 2, 3, 2]
    assert [labels[image_id]["gadolinium"] for image_id in order[:5]] == [False, None, True, False, False]
    assert (labels[order[4]]["contrast"], labels[order[4]]["reason"]) == (0, "looked again")
    assert labels[order[4]]["n_revisions"] == 1
    assert order[5] not in labels
    assert desk.went_out == []


def test_one_can_label_by_mouse_alone(labelling_study, voila, desk):
    desk.page.set_viewport_size({"width": 1920, "height": 1080})
    desk.open(voila(labelling_study))
    button = desk.page.locator
    desk.waits_at(0)
    for criterion, words in (("gadolinium", "no"), ("motion", "some"), ("contrast", "good"), ("noise", "none")):
        button(f'[data-criterion="{criterion}"] button', has_text=words).click()
    desk.picture("voila-graded-1920")
    button(".qc-commit").click()
    desk.waits_at(1)
    button("button", has_text="reject").click()
    desk.waits_at(2)
    button("button", has_text="back").click()
    desk.waits_at(1)
    for criterion, words in (("gadolinium", "yes"), ("motion", "none"), ("contrast", "good"), ("noise", "severe")):
        button(f'[data-criterion="{criterion}"] button', has_text=words).click()
    button(".qc-commit").click()
    button(".qc-dialog button", has_text="wrong key").click()
    desk.waits_at(2)
    desk.saved()
    order = [image.image_id for image in queue.load(labelling_study, "alice")]
    tiers = {label["image_id"]: label["tier"] for label in store.labels(labelling_study, ["alice"])}
    assert tiers == {order[0]: 2, order[1]: 3}


def test_keys_held_down_with_control_or_in_the_comment_are_no_labels(labelling_study, voila, desk):
    desk.open(voila(labelling_study))
    desk.waits_at(0)
    desk.press("Control+1", "Alt+a")
    desk.press("Tab")
    desk.page.keyboard.type("q1 quite odd ")
    desk.press("Enter")
    assert desk.page.locator('[aria-checked="true"]').count() == 0
    desk.press("e", "1", "a")
    for _ in range(3):  # a key that is held repeats; only its first press counts
        desk.page.keyboard.down("z")
    desk.page.keyboard.up("z")
    desk.page.keyboard.down("Space")
    desk.page.keyboard.down("Space")
    desk.page.keyboard.up("Space")
    desk.waits_at(1)
    desk.saved()
    [label] = store.labels(labelling_study, ["alice"])
    assert (label["comment"], label["tier"]) == ("q1 quite odd", 1)


def test_a_disk_that_refuses_is_shown_and_the_label_is_kept_until_it_is_saved(labelling_study, voila, desk):
    desk.open(voila(labelling_study))
    desk.waits_at(0)
    obstacle = labelling_study.folder / "labels"
    obstacle.write_text("no folder can be made here")
    desk.press("q")
    desk.sees(".qc-banner", "NOT SAVED: the disk refused the label")
    desk.sees(".qc-saved", "NOT SAVED")
    desk.picture("voila-disk-1280")
    obstacle.unlink()
    desk.saved()
    desk.page.locator(".qc-banner").wait_for(state="hidden")
    assert len(store.label_events(labelling_study, "alice")) == 1


def test_a_dead_kernel_is_shown_and_the_next_page_saves_what_it_did_not_take(labelling_study, voila, desk):
    desk.open(voila(labelling_study))
    desk.label(0, "q")
    desk.waits_at(1)
    desk.saved()
    pid = voila.process.pid
    for kernel in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(kernel), signal.SIGKILL)
    desk.sees(".qc-banner", "Not connected")
    desk.press("e", "1", "a", "c", "Space")
    desk.sees(".qc-banner", "NOT SAVED: the kernel does not answer. 1 label is kept here, in this browser")
    desk.picture("voila-dead-kernel-1280")
    assert len(store.label_events(labelling_study, "alice")) == 1
    desk.page.reload()
    desk.waits_at(2)
    desk.saved()
    events = sorted(store.label_events(labelling_study, "alice"), key=lambda event: event["saved_at"])
    assert [event["noise"] for event in events] == [None, 2]


def test_the_end_is_told_with_counts_and_no_picture_has_an_address(labelling_study, voila, desk):
    desk.open(voila(labelling_study))
    for position in range(6):
        desk.label(position, "q")
    desk.sees(".qc-frame", "All 6 images are labelled")
    desk.sees(".qc-frame", "straight reject: 6")
    desk.picture("voila-end-1280")
    picture = store.rows(labelling_study, "preprocessed")[0]["screenshot_path"]
    name = Path(picture).name
    base = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(desk.page.url))
    for path in (name, picture, f"../study/{picture}", f"%2e%2e/{picture}", str(labelling_study.folder / picture)):
        for root in ("/voila/files/", "/files/", "/static/", "/voila/static/"):
            assert desk.page.request.get(base + root + path).status in (403, 404), root + path


def test_a_study_without_screenshots_says_what_to_do(study, voila, desk):
    desk.open(voila(study))
    desk.sees(".qc-frame", "qcbench preprocess", timeout_s=60)
    desk.picture("voila-problem-1280")
    assert "Traceback" not in desk.page.content()
