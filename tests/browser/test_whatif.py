"""A radiologist moves the sliders of WhatIf under voila in a real browser."""

import pytest

from qcbench import store
from qcbench.study import Study
from qcbench.widgets import serve

pytestmark = pytest.mark.browser

# The scan of the study stands for a real one: reading and aligning one is not what is tried here.
NOTEBOOK = """
import os
from qcbench.imaging.heads import synthetic_head
from qcbench.prepare import pool
from qcbench.widgets.whatif import WhatIf

pool.source_head = lambda study, image, aligned: synthetic_head(seed=2, spacing_mm=(2, 2, 2))
WhatIf(
    os.environ["QCBENCH_STUDY"],
    "sub-01_T1w",
    model=lambda volume: {"tier 3 <b>": min(1.0, float((volume[:, :, 170] > 60).mean()))},
)
"""


@pytest.fixture
def address(tmp_path, monkeypatch):
    study = Study.create(tmp_path / "study", raters=["alice"])
    image = {"image_id": "sub-01_T1w", "participant_id": "sub-01", "source_path": "x.nii", "bids_path": "bids/x.nii"}
    store.write(study, "images", [{**image, "simulated": True}])
    store.write(study, "preprocessed", [{"image_id": "sub-01_T1w", "preprocessing_preset": "fast"}])
    monkeypatch.setitem(serve._CELLS, "whatif.ipynb", (("code", NOTEBOOK),))
    with serve.running(study, rater="alice", notebook="whatif.ipynb") as (address, _):
        yield address


def control(desk, family):
    return desk.page.locator(f'.qc-control[data-family="{family}"]')


def copy_shown(desk, earlier=""):
    """Wait until another copy than the earlier one is shown; return its number."""
    desk.page.wait_for_selector(f'.qc-whatif[data-shown]:not([data-shown="{earlier}"]) .qc-copy img', timeout=30_000)
    return desk.page.locator(".qc-whatif").get_attribute("data-shown")


def added(desk):
    """Return what the two pictures on the screen differ by, per pixel; the mark at the top is left out."""
    return desk.page.evaluate(
        """() => {
            const [one, two] = ["original", "copy"].map((name) => {
                const image = document.querySelector(`.qc-${name} img`);
                const { naturalWidth: width, naturalHeight: height } = image;
                const canvas = Object.assign(document.createElement("canvas"), { width, height });
                canvas.getContext("2d").drawImage(image, 0, 0);
                return canvas.getContext("2d").getImageData(0, 30, width, height - 30).data;
            });
            return one.reduce((sum, value, place) => sum + Math.abs(value - two[place]), 0) / one.length;
        }"""
    )


def test_a_slider_moved_by_keys_changes_picture_grade_and_tier(address, desk):
    page = desk.page
    page.set_viewport_size({"width": 1440, "height": 900})
    desk.open(address)
    untouched = copy_shown(desk)
    desk.sees(".qc-tier", "tier 1: all grades 0")
    desk.sees('[data-family="motion"] .qc-told', "0 - none")
    assert page.locator(".qc-copy .qc-detail").inner_text().startswith("nothing added")
    assert added(desk) == 0

    # JupyterLab would take keys from a control without this, and delete cells.
    assert page.locator(".qc-whatif :is(input, select, button):not([data-lm-suppress-shortcuts])").count() == 0

    control(desk, "motion").locator("input").focus()
    for _ in range(3):
        desk.press("PageUp")
    moved = copy_shown(desk, untouched)
    desk.sees('[data-family="motion"] .qc-told', "1 - some: structures still distinguishable")
    desk.sees(".qc-tier", "tier 2: motion 1")
    assert page.locator(".qc-copy .qc-detail").inner_text() == "abrupt moves 30 % · draw 0"
    assert added(desk) > 1

    desk.press("Tab", "Tab", "End")  # on to the artefacts of contrast, and to its slider
    ruined = copy_shown(desk, moved)
    desk.sees('[data-family="contrast"] .qc-told', "2 - hard to tell apart everywhere")
    desk.sees(".qc-tier", "tier 3: contrast 2")
    desk.sees(".qc-model", "tier 3 <b>")  # a name is a text and never markup
    page.locator(".qc-model:not(.qc-outdated)").wait_for()
    desk.picture("whatif-1440")

    first_draw = added(desk)
    page.get_by_role("button", name="another draw").click()
    redrawn = copy_shown(desk, ruined)
    assert page.locator(".qc-copy .qc-detail").inner_text().endswith("draw 1")
    assert added(desk) not in (0, first_draw)
    page.get_by_role("button", name="reset").click()
    copy_shown(desk, redrawn)
    desk.sees(".qc-tier", "tier 1: all grades 0")
    assert added(desk) == 0
    assert desk.went_out == []
