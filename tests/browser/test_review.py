"""Two people at two pages settle what they disagree on."""

from contextlib import contextmanager
from pathlib import Path

import pytest

from qcbench import store
from qcbench.annotate import consensus, queue, review
from qcbench.study import Study
from qcbench.widgets import serve
from tests.browser.conftest import Desk, drawn_study

pytestmark = pytest.mark.browser


@contextmanager
def two_pages(chromium, study, notebook):
    """The pages of alice and bob, each in a browser and from a server of their own."""
    desks, contexts = {}, []
    with (
        serve.running(study, rater="alice", notebook=notebook) as (alice, _),
        serve.running(study, rater="bob", notebook=notebook) as (bob, _),
    ):
        for name, address in (("alice", alice), ("bob", bob)):
            contexts.append(chromium.new_context(viewport={"width": 1280, "height": 720}))
            desks[name] = Desk(contexts[-1].new_page()).open(address)
        yield desks["alice"], desks["bob"]
        for name, desk in desks.items():
            desk.picture(f"last-{notebook[3:9]}-{name}")
            assert desk.went_out == []
        for context in contexts:
            context.close()


@pytest.fixture
def study(tmp_path):
    """Ten images; no hidden repeats, which would make more."""
    made = drawn_study(tmp_path / "study", n=10)
    text = (made.folder / "study.toml").read_text()
    (made.folder / "study.toml").write_text(text.replace("repeat_share = 0.05", "repeat_share = 0"))
    return Study(made.folder)


def label_all(study, desks):
    """Both raters label all ten images at their pages; they disagree on two."""
    rejected = {"alice": {"sub-001", "sub-002", "sub-003"}, "bob": {"sub-001"}}
    for desk, (rater, theirs) in zip(desks, rejected.items(), strict=True):
        for position, image in enumerate(queue.load(study, rater)):
            desk.label(position, *("q" if image.image_id[:7] in theirs else "e1sz "))
        desk.sees(".qc-words-only", "All 10 images are labelled")


def test_two_raters_finish_ten_images_and_settle_their_two_disagreements(chromium, study):
    with two_pages(chromium, study, "02_label.ipynb") as desks:
        label_all(study, desks)
    summary = consensus.consensus(study)
    assert (summary.done, summary.facts["waiting_for_joint_review"]) == (8, 2)
    with two_pages(chromium, study, "03_review.ipynb") as desks:
        settle(*desks)
    assert len(review.events_of(study)) == 6
    summary = consensus.consensus(study)
    assert (summary.done, summary.facts["waiting_for_joint_review"]) == (10, 0)
    decided = {row["image_id"][:7]: row for row in store.rows(study, "consensus")}
    assert (decided["sub-002"]["motion"], decided["sub-002"]["contrast"], decided["sub-002"]["tier"]) == (1, 1, 2)
    assert decided["sub-003"]["straight_reject"] is True
    assert {name for name, row in decided.items() if row["decided_by"] == "review"} == {"sub-002", "sub-003"}
    assert [label["straight_reject"] for label in store.labels(study, ["bob"])].count(True) == 1


def settle(alice, bob):
    """Go through both disagreements, each person at their own page."""
    for desk in (alice, bob):
        desk.waits_at(0)
        desk.sees(".qc-position", "disagreement 1 of 2")
    alice.press("ArrowUp")
    assert alice.page.locator(".qc-stage").get_attribute("data-seeing") == "zoom"
    alice.press("Escape")
    assert alice.page.locator(".qc-side").all_inner_texts()[0].startswith("alice\nreject")
    alice.press("q")
    alice.press("Space")
    alice.sees(".qc-standing", "You propose")
    alice.press("Space")  # nobody signs their own proposal
    alice.sees(".qc-note", "Choose first")
    bob.sees(".qc-standing", "alice proposes")
    bob.picture("review-asks-1280")
    bob.press("o")
    bob.sees(".qc-note", "Say in a word")
    bob.page.keyboard.type("the brain is whole")
    bob.press("Enter", "o")
    alice.sees(".qc-standing", "bob objects: “the brain is whole”")
    alice.press("k")
    alice.sees('[data-criterion="contrast"] [aria-checked="true"]', "1")
    alice.press("2")  # motion 1, seen together
    alice.picture("review-keep-1280")
    alice.press("Space")
    bob.sees(".qc-standing", "keep: gadolinium no, motion 1")
    bob.press("Space")
    bob.sees(".qc-standing", "Settled by alice and bob")
    for desk in (alice, bob):
        desk.press("ArrowRight")
        desk.waits_at(1)
    bob.press("q", "Enter")
    alice.sees(".qc-standing", "bob proposes")
    alice.press("Enter")
    for desk in (alice, bob):
        desk.sees(".qc-done", "all are settled")
    alice.picture("review-settled-1280")


def test_a_study_without_disagreements_says_what_to_do(chromium, labelling_study):
    with serve.running(labelling_study, rater="alice", notebook="03_review.ipynb") as (address, _):
        context = chromium.new_context()
        desk = Desk(context.new_page()).open(address)
        desk.sees(".qc-frame", "qcbench consensus", timeout_s=60)
        context.close()


def test_the_notebook_for_jupyterlab_is_the_one_that_is_served():
    notebook = Path(__file__).parents[2] / "notebooks" / "03_review.ipynb"
    assert notebook.read_text() == serve.notebook_text("03_review.ipynb")
