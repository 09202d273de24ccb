"""Alice labels in JupyterLab, where a stray key deletes cells and restarts kernels."""

import json
import string
import time

import pytest

from qcbench import store
from qcbench.annotate import queue

pytestmark = pytest.mark.browser


def menu(desk, name, entry):
    desk.page.locator(".lm-MenuBar-itemLabel", has_text=name).first.click()
    desk.page.locator(".lm-Menu-itemLabel", has_text=entry).first.click()


def save(desk):
    menu(desk, "File", "Save Notebook")
    desk.page.locator(".jp-mod-dirty").first.wait_for(state="detached", timeout=15_000)


def cells(lab):
    """The cells as saved; JupyterLab saves by itself too, and a file that is being written is no JSON yet."""
    for _ in range(50):
        try:
            content = json.loads(lab.notebook.read_text())
        except json.JSONDecodeError:
            time.sleep(0.2)
        else:
            return ["".join(cell["source"]) for cell in content["cells"]]
    raise AssertionError(f"{lab.notebook} holds no JSON for ten seconds")


def test_five_labels_survive_a_reload_one_is_changed_and_no_key_reaches_the_notebook(labelling_study, lab, desk):
    desk.open(lab.address)
    desk.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=45_000)
    desk.sees("#jp-main-statusbar", "| Idle", timeout_s=45)  # cells that are run sooner are lost
    before = cells(lab)
    menu(desk, "Run", "Run All Cells")
    desk.page.locator(".qc-frame img").wait_for(timeout=45_000)
    desk.page.locator(".qc-stage").click()
    for position, codes in enumerate(("e1az ", "q", "w2az ", "e1sc ", "e1ax ")):
        desk.label(position, *codes)
    desk.saved()
    desk.picture("lab-1280")
    save(desk)
    assert "iVBOR" not in lab.notebook.read_text()

    desk.page.reload()
    menu_bar = desk.page.locator(".lm-MenuBar-itemLabel").first
    menu_bar.wait_for(timeout=45_000)
    desk.page.locator(".qc-frame img").wait_for(timeout=45_000)
    desk.page.locator(".qc-stage").click()
    desk.label(5, "Backspace")
    desk.label(4, "s", " ")
    desk.sees(".qc-dialog", "Why the change?")
    desk.page.keyboard.type("vessels")
    desk.press("Enter")
    desk.waits_at(5)
    desk.saved()

    order = [image.image_id for image in queue.load(labelling_study, "alice")]
    labels = {label["image_id"]: label for label in store.labels(labelling_study, ["alice"])}
    assert len(store.label_events(labelling_study, "alice")) == 6
    assert [labels[image_id]["tier"] for image_id in order[:5]] == [1, None, 2, 3, 2]
    assert (labels[order[4]]["contrast"], labels[order[4]]["reason"]) == (1, "vessels")

    keys = (*string.ascii_letters, *string.digits, "Escape", "Enter", "Backspace", "Delete", "Shift+M", "ArrowUp")
    for focus in (".qc-labeller", ".qc-commit", ".qc-choice", ".qc-position", ".qc-help"):
        for key in keys:
            for _ in range(2):  # D and 0 delete a cell and restart a kernel when they are pressed twice
                focus_on(desk, focus)
                desk.press(key)
    assert desk.page.locator(".jp-Dialog").count() == 0
    save(desk)
    assert cells(lab) == before
    assert desk.went_out == []


def focus_on(desk, selector):
    """Give an element the focus as a script or a screen reader does, which no click gives it."""
    if desk.page.locator(".qc-at-end").count():  # there the buttons are gone
        desk.page.locator(".qc-labeller").evaluate("(root) => root.focus()")
        desk.press("Backspace")
    held = desk.page.evaluate(
        """(selector) => {
            const node = document.querySelector(selector);
            node.focus();
            return document.activeElement === node;
        }""",
        selector,
    )
    assert held
