"""Each state of the labeller at two sizes and in two themes: a picture to look at, and the contrast of every text."""

import pytest

from tests.browser.bare_page import Kernel, bare, bench, drawn_study  # noqa: F401

pytestmark = pytest.mark.browser

#: Contrast ratios by WCAG 2.2 of all texts that are shown, with the colours under them laid over each other.
CONTRASTS = """() => {
  const root = document.querySelector(".qc-labeller");
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = (top, under) => [...[0, 1, 2].map((band) => top[band] * top[3] + under[band] * (1 - top[3])), 1];
  const ground = (node) => {
    const under = node === root ? [0, 0, 0, 1] : ground(node.parentElement);
    // A picture under a veil may be white.
    const picture = node.classList.contains("qc-veil") ? [255, 255, 255, 1] : under;
    return over(parse(getComputedStyle(node).backgroundColor), picture);
  };
  const light = ([r, g, b]) => {
    const linear = [r, g, b].map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const found = [];
  for (const node of [root, ...root.querySelectorAll("*")]) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    const hint = node.placeholder && !node.value;
    if ((!own && !hint) || !node.checkVisibility({ visibilityProperty: true }) || node.closest(".qc-spoken")) continue;
    let opacity = 1;
    for (let each = node; each && each !== root.parentElement; each = each.parentElement) opacity *= getComputedStyle(each).opacity;
    const under = ground(node);
    const ink = parse(getComputedStyle(node, hint ? "::placeholder" : null).color);
    ink[3] *= opacity;
    found.push([node.className || node.tagName, node.textContent || node.placeholder, ratio(over(ink, under), under)]);
  }
  return found;
}"""  # noqa: E501


def fresh(desk):
    desk.waits_at(0)


def not_set(desk):
    desk.label(0, "e", "1", "Space")
    desk.sees(".qc-note", "Not set")


def graded(desk):
    desk.label(0, "e", "2", "a", "z")


def rejected_again(desk):
    desk.label(0, "q")
    desk.waits_at(1)
    desk.press("Backspace")
    desk.waits_at(0)


def relabelling(desk):
    desk.label(0, "e", "2", "a", "z", "Space")
    desk.waits_at(1)
    desk.press("Backspace")
    desk.label(0, "w", "3", "Space")
    desk.sees(".qc-dialog", "Why the change?")


def going_to(desk):
    for position in range(5):
        desk.label(position, "f" if position == 1 else "q")
    desk.waits_at(5)
    desk.press("j")


def helped(desk):
    desk.label(0, "h")


def not_saved(desk):
    desk.waits_at(0)
    desk.kernel.answer["label"] = lambda message: [
        {"kind": "nack", "event_id": message["event_id"], "why": "the disk refused the label", "retry": True}
    ]
    desk.press("q")
    desk.sees(".qc-banner", "NOT SAVED")
    desk.waits_at(1)


def veiled(desk):
    desk.waits_at(0)
    desk.page.evaluate("document.activeElement.blur()")
    desk.sees(".qc-veil", "Click here")


def finished(desk):
    for position in range(6):
        desk.label(position, "q")
    desk.sees(".qc-frame", "straight reject: 6")


def compared(desk):
    desk.waits_at(0)
    desk.press("2")
    desk.page.keyboard.down("g")
    desk.page.locator(".qc-figures img").nth(2).wait_for()


def assert_readable(desk, name):
    for width, height in ((1280, 720), (1920, 1080)):
        desk.page.set_viewport_size({"width": width, "height": height})
        desk.picture(f"{name}-{width}")
        found = desk.page.evaluate(CONTRASTS)
        assert len(found) > 5
        assert [text for text in found if text[2] < 4.5] == []
        outside = desk.page.evaluate("""() => [...document.querySelectorAll(
              ".qc-labeller button, .qc-labeller input, .qc-group, .qc-level-words, .qc-figures figcaption"
            )]
            .filter((node) => node.checkVisibility({ visibilityProperty: true }))
            .filter((node) => {
              const box = node.getBoundingClientRect();
              const isCut = node.scrollWidth > node.clientWidth + 1 || node.scrollHeight > node.clientHeight + 1;
              return box.right > innerWidth || box.bottom > innerHeight || isCut;
            }).map((node) => node.textContent)""")
        assert outside == []


STATES = [fresh, not_set, graded, rejected_again, relabelling, going_to, helped, not_saved, veiled, finished, compared]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_text_can_be_read_and_nothing_is_cut_off(labelling_study, bench, state, theme):  # noqa: F811
    bench.begin(Kernel(labelling_study), theme=theme)
    state(bench)
    assert_readable(bench, f"looks-{state.__name__}-{theme}")


def rated(desk):
    desk.label(0, "3", "Equal", "Equal", "q", "w", "u", "d", "v", "Comma")


def half_rated(desk):
    desk.label(0, "o", "y", "Space")
    desk.sees(".qc-note", "Not set")


def rated_again(desk):
    desk.label(0, "2", "Equal", "q", "x", "Space")
    desk.waits_at(1)
    desk.press("Backspace")
    desk.label(0, "4", "w", "q", "Period")


def without_examples(desk):
    desk.waits_at(0)
    desk.page.keyboard.down("k")


RATINGS = [fresh, rated, half_rated, rated_again, helped, without_examples]


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("state", RATINGS, ids=lambda state: state.__name__)
def test_levels_and_flags_can_be_read_and_leave_the_picture_its_place(tmp_path, bench, state, theme):  # noqa: F811
    bench.begin(Kernel(drawn_study(tmp_path / "study", protocol="mriqc")), theme=theme)
    state(bench)
    assert_readable(bench, f"looks-mriqc-{state.__name__}-{theme}")
    bench.page.set_viewport_size({"width": 1280, "height": 720})
    assert bench.page.locator(".qc-stage").bounding_box()["height"] > 0.62 * 720


def test_nothing_moves_whatever_is_chosen_and_when_the_next_image_comes(labelling_study, bench):  # noqa: F811
    places = """(names) => names.map((name) => {
        const { x, y, width, height } = document.querySelector(name).getBoundingClientRect();
        return [name, x, y, width, height];
    })"""
    names = [".qc-frame img", ".qc-strip", ".qc-saved", ".qc-commit", ".qc-choice", ".qc-comment", ".qc-progress"]
    bench.begin(Kernel(labelling_study))
    bench.waits_at(0)
    before = bench.page.evaluate(places, names)
    assert before[0][4] > 0.65 * 720  # the picture has priority over what is around it
    bench.press("e", "1", "Space")
    assert bench.page.evaluate(places, names) == before
    bench.press("q")
    bench.waits_at(1)
    assert bench.page.evaluate(places, names) == before
    bench.press("Backspace")
    bench.waits_at(0)  # a relabel, of a straight reject
    assert bench.page.evaluate(places, names) == before


def test_the_focus_is_seen_by_a_frame_and_a_button_by_a_ring(labelling_study, bench):  # noqa: F811
    bench.begin(Kernel(labelling_study))
    bench.waits_at(0)
    assert (
        bench.page.evaluate("getComputedStyle(document.querySelector('.qc-labeller'), '::after').borderTopWidth")
        == "2px"
    )
    bench.press("Tab")
    assert bench.page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "2px"
    assert bench.page.evaluate("document.activeElement.className") == "qc-comment"


def test_answers_and_what_is_unset_are_told_in_words_and_signs_too(labelling_study, bench):  # noqa: F811
    bench.begin(Kernel(labelling_study))
    bench.label(0, "2")
    mark = "(node) => getComputedStyle(node.querySelector('.qc-mark'), '::before').content"
    buttons = bench.page.locator('[data-criterion="motion"] button')
    assert [buttons.nth(number).evaluate(mark) for number in range(3)] == ['"○"', '"●"', '"○"']
    assert bench.page.locator(".qc-state").all_inner_texts() == ["", "not set", "", "not set", "not set"]
