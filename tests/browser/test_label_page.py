"""The labeller's page, its session behind it without a kernel: the walk, putting off, going to, relabelling, time."""

import json

import pytest

from qcbench import store
from qcbench.annotate import queue
from qcbench.widgets.transport import static_text
from tests.browser.bare_page import Kernel, bare, bench  # noqa: F401

pytestmark = pytest.mark.browser

AZERTY = "navigator.keyboard.getLayoutMap = async () => new Map([['KeyQ', 'a'], ['KeyW', 'z'], ['KeyA', 'q']]);"
PRESS = "code => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { code, bubbles: true }))"


def test_what_is_put_off_comes_again_at_the_end_in_its_order_and_on_the_next_page(labelling_study, bench):  # noqa: F811
    bench.begin(Kernel(labelling_study))
    bench.label(0, "f")
    bench.label(1, "q")
    bench.label(2, "f")
    bench.label(3, "q")
    bench.sees(".qc-done", "2 done, 2 for later, 2 today")
    bench.picture("page-put-off-1280")
    bench.label(4, "q")
    bench.label(5, "q")
    bench.label(0, "f")  # once more: now behind the other one
    bench.label(2, "q")
    bench.waits_at(0)
    bench.saved()
    assert [len(bench.kernel.asked_for(kind)) for kind in ("defer", "label")] == [3, 5]

    bench.begin(Kernel(labelling_study))
    bench.label(5, "q")
    bench.sees(".qc-frame", "All 6 images are labelled")
    assert len(store.labels(labelling_study, ["alice"])) == 6


def test_one_can_go_to_any_image_by_its_number_and_back_to_where_one_was(labelling_study, bench):  # noqa: F811
    bench.begin(Kernel(labelling_study))
    bench.label(0, "q")
    bench.waits_at(1)
    bench.press("j")
    bench.page.keyboard.type("7")
    bench.press("Enter")
    bench.sees(".qc-dialog", "There are images 1 to 6.")
    bench.picture("page-go-to-1280")
    bench.press("Backspace", "5", "Enter")
    bench.label(4, "q")
    bench.waits_at(1)  # the first that waits
    bench.press("Backspace")
    bench.waits_at(4)
    bench.press("ArrowRight")
    bench.waits_at(1)
    bench.press("ArrowRight")  # an image that waits is not passed by accident
    bench.page.locator(".qc-position").click()
    bench.press("6", "Escape")
    assert bench.page.locator(".qc-dialog").is_hidden()
    bench.label(1, "q")
    bench.label(2, "q")
    bench.label(3, "q")
    bench.waits_at(5)
    bench.saved()
    order = [image.image_id for image in queue.load(labelling_study, "alice")]
    assert {label["image_id"] for label in store.labels(labelling_study, ["alice"])} == set(order[:5])


def test_the_next_picture_is_there_before_the_kernel_answers(labelling_study, bench):  # noqa: F811
    bench.begin(Kernel(labelling_study))
    bench.waits_at(0)
    bench.page.wait_for_function("document.querySelectorAll('.qc-frame img').length === 1")
    bench.page.wait_for_timeout(300)
    bench.kernel.lose = {"ack", "image"}
    changes = bench.page.evaluate("""() => {
        const shown = () => document.querySelector(".qc-frame img")?.src;
        const places = [];
        for (const code of ["KeyQ"]) {
          const before = shown();
          document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { code, bubbles: true }));
          places.push([document.querySelector(".qc-position").textContent, shown() !== before]);
        }
        return places;
    }""")
    assert changes == [["2 of 6", True]]  # within the handler of the key, before any frame
    bench.label(1, "q")
    bench.label(2, "q")
    bench.waits_at(3)
    bench.press("q")
    bench.sees(".qc-frame", "Loading the picture")
    assert [message["missing"] for message in bench.kernel.asked_for("goto")][:1] == [[0, 1, 2, 3]]


def test_eight_labels_may_wait_and_the_next_one_follows_by_itself(labelling_study, bench):  # noqa: F811
    bench.begin(Kernel(labelling_study))
    bench.waits_at(0)
    bench.kernel.lose = {"ack"}
    for position in range(6):
        bench.label(position, "q")
    for times in (1, 2):  # back from the end, and from there to the one before
        bench.page.locator(".qc-at-end").wait_for()
        bench.press(*["Backspace"] * times)
        bench.label(6 - times, "e", "1", "a", "z", "Space", "1")
    bench.page.locator(".qc-at-end").wait_for()
    bench.press("j", "1", "Enter")
    bench.label(0, "e", "1", "a", "z", "Space")
    bench.sees(".qc-note", "Wait: 8 labels are not saved yet")
    assert len({message["event_id"] for message in bench.kernel.asked_for("label")}) == 8
    bench.kernel.lose = set()
    bench.sees(".qc-dialog", "Why the change?")
    bench.press("1")
    bench.page.locator(".qc-at-end").wait_for()
    bench.saved()
    assert len(store.label_events(labelling_study, "alice")) == 9


def test_a_relabel_shows_what_was_noted_beside_what_is_noted_now(labelling_study, bench):  # noqa: F811
    bench.begin(Kernel(labelling_study))
    bench.label(0, "e", "2", "a", "z", "Space")
    bench.waits_at(1)
    bench.press("Backspace")
    bench.waits_at(0)
    state = bench.page.locator('[data-criterion="motion"] .qc-state')
    assert state.inner_text() == ""
    bench.press("3")
    assert state.inner_text() == "was 1"
    assert bench.page.locator(".qc-before").inner_text().split() == ["2", "1", "some"]
    bench.picture("page-relabelling-1280")
    bench.press("q")
    bench.sees('[data-criterion="gadolinium"] .qc-state', "was no")
    bench.press("4")
    bench.waits_at(1)
    bench.saved()
    [first, second] = store.label_events(labelling_study, "alice")
    assert (first["motion"], second["straight_reject"], second["reason"]) == (1, True, "rule made clear")


def test_an_azerty_keyboard_is_named_by_what_is_printed_and_read_by_place(labelling_study, bench):  # noqa: F811
    bench.page.add_init_script(AZERTY)
    bench.begin(Kernel(labelling_study))
    bench.waits_at(0)
    legends = {
        name: bench.page.locator(f'[data-criterion="{name}"] kbd').all_inner_texts()
        for name in ("straight_reject", "gadolinium", "contrast", "motion")
    }
    assert legends["straight_reject"] == ["A"]
    assert legends["gadolinium"] == ["E", "Z"]
    assert legends["contrast"][0] == "Q"
    assert legends["motion"] == ["1", "2", "3"]
    press = (
        "code => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {code, key: 'a', bubbles: true}))"
    )
    bench.page.evaluate(press, "KeyA")  # prints q there; it stands where contrast 0 is
    assert bench.page.locator('[data-criterion="contrast"] [aria-checked="true"] kbd').all_inner_texts() == ["Q"]
    bench.page.evaluate(PRESS, "KeyQ")
    bench.waits_at(1)
    bench.saved()
    [label] = store.labels(labelling_study, ["alice"])
    assert label["straight_reject"]


def test_time_is_counted_while_somebody_is_there_and_looks(bench):  # noqa: F811
    counted = bench.page.evaluate(
        static_text("stopwatch.js")
        + """
        let now = 0;
        const watch = new Stopwatch(() => now);
        const at = (second, what) => { now = 1000 * second; watch[what]?.(); };
        const stretch = watch.begin();
        at(10, "touch");
        at(100, "touch"); // 90 s without a key: 30 of them count
        at(105, "hide");
        at(500, "touch"); // a hidden page has no keys, whatever comes
        at(600, "show");
        at(602, "");
        const { seconds, idle_s } = stretch();
        const pace = new Pace();
        for (const second of [0, 3, 6, 9]) pace.mark(1000 * second);
        const early = pace.perHour();
        pace.mark(12000);
        [seconds, idle_s, early, pace.perHour(), pace.timeLeft(1000), pace.timeLeft(5500)];
    """
    )
    assert counted == [10 + 30 + 5 + 2, 602 - 47, None, 1200, "about 50 min left", "about 5 h left"]


def test_a_label_says_how_long_was_looked_and_how_long_not(labelling_study, bench):  # noqa: F811
    bench.page.clock.install()
    bench.begin(Kernel(labelling_study))
    bench.waits_at(0)
    bench.page.clock.run_for(100_000)
    bench.press("q")
    bench.page.clock.run_for(1000)
    bench.saved()
    [event] = store.label_events(labelling_study, "alice")
    assert 25 < event["seconds"] <= 31
    assert 65 < json.loads(event["display"])["idle_s"] < 80


EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'`&lt;😀"


def test_words_of_the_protocol_and_of_the_kernel_are_shown_as_the_text_that_they_are(labelling_study, bench):  # noqa: F811
    opened = []
    bench.page.on("dialog", lambda dialog: opened.append(dialog.message))
    kernel = Kernel(labelling_study)
    [state] = [content for content, _ in kernel.session.receive({"kind": "hello"})]
    for criterion in state["protocol"]["criteria"]:
        criterion |= {"label": EVIL, "help": EVIL}
        criterion["choices"] = [{**choice, "label": f"{EVIL}: {EVIL}"} for choice in criterion["choices"]]
    kernel.answer["hello"] = lambda message: [state]
    kernel.answer["label"] = lambda message: [
        {"kind": "nack", "event_id": message["event_id"], "why": EVIL, "retry": False}
    ]
    kernel.answer["summary"] = lambda message: [{"kind": "summary", "counts": {EVIL: 1}}]
    bench.begin(kernel)
    bench.label(0, "h", "h", "q")
    bench.sees(".qc-banner", EVIL)
    bench.press("Backspace")
    bench.page.locator(".qc-aside").click()
    bench.sees(".qc-dialog", EVIL)
    kernel.answer["hello"] = lambda message: [{"kind": "problem", "why": EVIL}]
    bench.begin(kernel)
    bench.sees(".qc-frame", EVIL)
    foreign = bench.page.locator(".qc-labeller").locator("script, iframe, a, img:not(.qc-frame > img)")
    assert (foreign.count(), opened) == (0, [])


def test_what_cannot_be_put_off_is_said(labelling_study, bench):  # noqa: F811
    bench.begin(Kernel(labelling_study))
    bench.kernel.answer["defer"] = lambda message: [{"kind": "refused", "why": "the disk refused"}]
    bench.label(0, "f")
    bench.sees(".qc-note", "Put off on this page only: the disk refused.")
    bench.waits_at(1)


def test_a_picture_that_is_damaged_is_passed_and_not_labelled(labelling_study, bench):  # noqa: F811
    damaged = queue.load(labelling_study, "alice")[1]
    labelling_study.absolute(damaged.screenshot_path).write_bytes(b"no picture")
    bench.begin(Kernel(labelling_study))
    bench.label(0, "q")
    bench.sees(".qc-frame", "Image 2 cannot be shown")
    bench.press("q", "Space")
    bench.waits_at(2)
    bench.saved()
    assert len(store.labels(labelling_study, ["alice"])) == 1


def test_a_key_before_the_picture_was_on_the_screen_is_no_answer(labelling_study, bench):  # noqa: F811
    bench.begin(Kernel(labelling_study))
    bench.waits_at(0)
    bench.page.evaluate(f"for (const code of ['KeyQ', 'KeyQ', 'KeyQ']) ({PRESS})(code)")  # between two frames
    bench.waits_at(1)
    bench.saved()
    assert len(store.labels(labelling_study, ["alice"])) == 1
