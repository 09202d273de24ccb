"""Two people at two pages settle what they disagree on."""

from pathlib import Path

import pytest

from qcbench import store
from qcbench.annotate import consensus, queue, review
from qcbench.annotate.journal import Journal
from qcbench.widgets import serve
from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser
GOOD = {"gadolinium": False, "motion": 0, "contrast": 1, "noise": 0}
REJECT = {"straight_reject": True}


@pytest.fixture
def two_desks(chromium, labelling_study):
    """Alice and bob have labelled all six images and disagree on two; each has a page in a browser of their own."""
    for rater, rejected in (("alice", {1, 2, 3}), ("bob", {1})):
        journal = Journal(labelling_study, rater)
        for number, image in enumerate(sorted(queue.load(labelling_study, "alice"), key=lambda each: each.image_id)):
            label = labelling_study.protocol.check(REJECT if number in rejected else GOOD)
            journal.append(event_id=f"{rater}-{number}", slot=image.slot, label=label)
    consensus.consensus(labelling_study)
    desks, contexts = {}, []
    with (
        serve.running(labelling_study, rater="alice", notebook="03_review.ipynb") as (alice, _),
        serve.running(labelling_study, rater="bob", notebook="03_review.ipynb") as (bob, _),
    ):
        for name, address in (("alice", alice), ("bob", bob)):
            contexts.append(chromium.new_context(viewport={"width": 1280, "height": 720}))
            desks[name] = Desk(contexts[-1].new_page()).open(address)
        yield desks["alice"], desks["bob"]
        for name, desk in desks.items():
            desk.picture(f"last-review-{name}")
            assert desk.went_out == []
        for context in contexts:
            context.close()


def test_two_people_settle_two_disagreements_and_the_consensus_is_complete(labelling_study, two_desks):
    alice, bob = two_desks
    for desk in two_desks:
        desk.waits_at(0)
        desk.sees(".qc-position", "disagreement 1 of 2")
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
    for desk in two_desks:
        desk.press("ArrowRight")
        desk.waits_at(1)
    bob.press("q", "Enter")
    alice.sees(".qc-standing", "bob proposes")
    alice.press("Enter")
    for desk in two_desks:
        desk.sees(".qc-done", "all are settled")
    alice.picture("review-settled-1280")
    assert len(review.events_of(labelling_study)) == 6
    summary = consensus.consensus(labelling_study)
    assert (summary.done, summary.facts["waiting_for_joint_review"]) == (6, 0)
    decided = {row["image_id"][:7]: row for row in store.rows(labelling_study, "consensus")}
    assert (decided["sub-002"]["motion"], decided["sub-002"]["contrast"], decided["sub-002"]["tier"]) == (1, 1, 2)
    assert decided["sub-003"]["straight_reject"] is True
    assert {name: row["decided_by"] for name, row in decided.items() if row["decided_by"] == "review"} == {
        "sub-002": "review",
        "sub-003": "review",
    }
    assert [label["straight_reject"] for label in store.labels(labelling_study, ["bob"])].count(True) == 1


def test_a_study_without_disagreements_says_what_to_do(chromium, labelling_study):
    with serve.running(labelling_study, rater="alice", notebook="03_review.ipynb") as (address, _):
        context = chromium.new_context()
        desk = Desk(context.new_page()).open(address)
        desk.sees(".qc-frame", "qcbench consensus", timeout_s=60)
        context.close()


def test_the_notebook_for_jupyterlab_is_the_one_that_is_served():
    notebook = Path(__file__).parents[2] / "notebooks" / "03_review.ipynb"
    assert notebook.read_text() == serve.notebook_text("03_review.ipynb")
