"""Labels that are not acknowledged outlive the page; two pages of one rater know of each other."""

import pytest

from qcbench import store
from tests.browser.bare_page import Kernel, bare, bench  # noqa: F401

pytestmark = pytest.mark.browser


def silent(kernel):
    """Have a kernel take no label and say nothing, as one that died does."""
    kernel.answer["label"] = lambda message: []
    return kernel


def refusing(kernel, why="the rules changed"):
    """Have a kernel refuse every label for good."""
    kernel.answer["label"] = lambda message: [
        {"kind": "nack", "event_id": message["event_id"], "why": why, "retry": False}
    ]
    return kernel


def noise(study):
    events = sorted(store.label_events(study, "alice"), key=lambda event: event["saved_at"])
    return [event["noise"] for event in events]


def leave_two_labels(study, desk):
    """Label two images on a page whose kernel takes nothing."""
    desk.begin(silent(Kernel(study)))
    desk.label(0, "e", "1", "a", "z", "Space")
    desk.label(1, "w", "2", "a", "c", "Space")
    desk.waits_at(2)
    desk.sees(".qc-saved", "not saved")


def test_the_next_page_saves_what_was_left_in_order_before_it_begins(labelling_study, bench):  # noqa: F811
    leave_two_labels(labelling_study, bench)
    bench.begin(Kernel(labelling_study))
    bench.waits_at(2)
    assert noise(labelling_study) == [0, 2]
    assert [message["kind"] for message in bench.kernel.asked][:5] == ["hello", "painted", "label", "painted", "label"]
    bench.begin(Kernel(labelling_study))  # and what is saved is sent no more
    bench.waits_at(2)
    assert bench.kernel.asked_for("label") == []


def test_what_another_rater_left_is_never_sent(labelling_study, bench):  # noqa: F811
    leave_two_labels(labelling_study, bench)
    bench.begin(Kernel(labelling_study, "bob"))
    bench.label(0, "q")
    bench.waits_at(1)
    bench.saved()
    assert len(bench.kernel.asked_for("label")) == 1
    bench.begin(Kernel(labelling_study))
    bench.waits_at(2)
    assert noise(labelling_study) == [0, 2]


def test_what_is_refused_for_good_is_shown_set_aside_and_can_be_tried_again(labelling_study, bench):  # noqa: F811
    leave_two_labels(labelling_study, bench)
    bench.begin(refusing(Kernel(labelling_study), why="<b>the rules</b> changed"))
    bench.sees(".qc-banner", "NOT SAVED: a label of an earlier page (gadolinium no, motion 0 none")
    bench.sees(".qc-banner", "<b>the rules</b> changed")
    bench.picture("page-refused-1280")
    bench.waits_at(0)
    bench.press("q")
    bench.sees(".qc-note", "Not committed. Look first at the label that was not saved")
    bench.press("Backspace")
    bench.sees(".qc-banner", "gadolinium yes, motion 1 some, contrast 0 good, noise 2 severe")
    bench.press("Backspace")
    bench.page.locator(".qc-banner").wait_for(state="hidden")
    bench.sees(".qc-aside", "2 set aside")

    bench.begin(Kernel(labelling_study))
    bench.waits_at(0)
    assert bench.kernel.asked_for("label") == []  # set aside is not sent by itself
    bench.page.locator(".qc-aside").click()
    bench.picture("page-set-aside-1280")
    bench.page.locator(".qc-dialog button", has_text="throw away").first.click()
    bench.page.locator(".qc-aside", has_text="1 set aside").click()
    bench.page.locator(".qc-dialog button", has_text="try again").click()
    bench.page.locator(".qc-aside").wait_for(state="hidden")
    bench.saved()
    assert noise(labelling_study) == [2]


def test_a_label_that_does_not_get_through_holds_up_nobody_for_ever(labelling_study, bench):  # noqa: F811
    leave_two_labels(labelling_study, bench)
    kernel = Kernel(labelling_study)
    first = []

    def stuck(message):
        first.append(message["event_id"])
        if message["event_id"] != first[0]:
            return [content for content, _ in kernel.session.receive(message)]
        return [{"kind": "nack", "event_id": message["event_id"], "why": "the disk is full", "retry": True}]

    kernel.answer["label"] = stuck
    bench.begin(kernel)
    bench.sees(".qc-banner", "the disk is full. 1 label is kept here")
    bench.press("Backspace")
    bench.waits_at(1)
    bench.sees(".qc-aside", "1 set aside")
    assert noise(labelling_study) == [2]


def test_a_label_refused_on_its_page_is_noted_again_and_then_no_longer_kept(labelling_study, bench):  # noqa: F811
    bench.begin(refusing(Kernel(labelling_study)))
    bench.label(0, "e", "3", "a", "z", "Space")
    bench.sees(".qc-banner", "NOT SAVED: image 1: the rules changed. Press Backspace (back) to note it again")
    bench.picture("page-not-saved-1280")
    bench.kernel.answer.clear()
    bench.press("Backspace")
    bench.label(0)
    bench.sees(".qc-verdict", "Tier 3")
    bench.sees(".qc-aside", "1 set aside")
    bench.press("1", "Space")
    bench.waits_at(1)
    bench.saved()
    assert bench.page.locator(".qc-aside").is_hidden()
    assert [event["motion"] for event in store.label_events(labelling_study, "alice")] == [0]
    bench.begin(Kernel(labelling_study))
    bench.waits_at(1)
    assert bench.kernel.asked_for("label") == []


@pytest.mark.parametrize("broken", ["undefined", "{ open() { throw new Error('not here') } }", "{ open: () => ({}) }"])
def test_without_an_outbox_labels_wait_in_the_page(labelling_study, bench, broken):  # noqa: F811
    bench.page.add_init_script(f"Object.defineProperty(window, 'indexedDB', {{ value: {broken} }});")
    bench.begin(Kernel(labelling_study))
    bench.waits_at(0)
    silent(bench.kernel)
    bench.press("q")
    bench.waits_at(1)
    bench.sees(".qc-banner", "1 label is kept here")
    bench.kernel.answer.clear()
    bench.saved()
    assert noise(labelling_study) == [None]


def test_two_pages_of_one_rater_are_told_of_each_other_and_both_work(labelling_study, bare):  # noqa: F811
    first = bare()
    leave_two_labels(labelling_study, first)
    second = bare()
    second.begin(Kernel(labelling_study))
    second.waits_at(0)
    for desk in (first, second):
        desk.sees(".qc-elsewhere", "also open in another page")
    second.picture("page-two-pages-1280")
    assert second.kernel.asked_for("label") == []  # the first page is alive and sends its labels itself
    second.label(0, "q")
    second.waits_at(1)
    second.saved()
    first.kernel.answer.clear()
    first.saved()
    first.sees(".qc-elsewhere", "image 1 also labelled in another page; both are kept")
    assert sorted(noise(labelling_study), key=str) == [0, 2, None]
    second.page.close()
    first.page.wait_for_function("!document.querySelector('.qc-elsewhere').textContent.includes('open')")


def test_two_pages_of_two_raters_do_not_hear_each_other(labelling_study, bare):  # noqa: F811
    first, second = bare(), bare()
    first.begin(Kernel(labelling_study)).waits_at(0)
    second.begin(Kernel(labelling_study, "bob")).waits_at(0)
    second.page.wait_for_timeout(500)
    assert [desk.page.locator(".qc-elsewhere").inner_text() for desk in (first, second)] == ["", ""]
