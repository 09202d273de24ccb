"""Every kind of criterion on the labeller's page, by the rules of the kernel, and the examples beside a picture."""

import json
import random

import pytest

from qcbench import export_labels, protocol, store
from qcbench.annotate import queue
from qcbench.errors import LabelError
from qcbench.widgets.transport import static_text
from tests.browser.bare_page import Kernel, bare, bench, drawn_study  # noqa: F401
from tests.browser.test_label_looks import assert_readable

pytestmark = pytest.mark.browser

#: Every kind, with and without need, and conditions on conditions.
OWN = """name = "own"
version = "1"
title = "All kinds"
[keys]
commit = ["Space"]
back = ["Backspace"]
[[criteria]]
name = "unusable"
kind = "yes_no"
label = "Unusable"
ends_label = true
choices = [{ value = true, key = "KeyQ", label = "unusable" }]
[[criteria]]
name = "lesion"
kind = "yes_no"
label = "Lesion"
choices = [{ value = true, key = "KeyW", label = "yes" }, { value = false, key = "KeyE", label = "no" }]
[[criteria]]
name = "side"
kind = "flags"
label = "Side"
required = true
only_when = { criterion = "lesion", values = [true] }
choices = [{ value = "left", key = "KeyA", label = "left" }, { value = "right", key = "KeyS", label = "right" }]
[[criteria]]
name = "burden"
kind = "grade"
label = "Burden"
required = false
only_when = { criterion = "lesion", values = [true] }
choices = [{ value = 0, key = "Digit1", label = "one" }, { value = 1, key = "Digit2", label = "some" },
  { value = 2, key = "Digit3", label = "many" }]
[[criteria]]
name = "count"
kind = "level"
label = "Count"
minimum = 1
maximum = 4
step = 0.05
keys = ["Comma", "Period"]
only_when = { criterion = "burden", values = [1, 2] }
[[criteria]]
name = "size"
kind = "level"
label = "Size"
minimum = -1
maximum = 2
step = 0.5
keys = ["Minus", "Equal"]
choices = [{ value = 2, key = "Digit0", label = "as large as can be" }]
bands = [{ below = 0.5, label = "small" }, { label = "large" }]
[[criteria]]
name = "reader"
kind = "text"
label = "Seen by"
longest = 12
required = true
[[criteria]]
name = "remark"
kind = "text"
label = "Remark"
"""

#: Returns for each move the answers after it, what is unset, and the verdict.
PLAY = """
(() => {
  const grading = new Grading(PROTOCOL);
  let answers = {};
  return MOVES.map(([how, name, value]) => {
    if (how === "afresh") answers = {};
    else if (how === "step") answers = grading.noted(answers, name, grading.stepped(answers, name, value));
    else answers = grading[how](answers, name, value);
    return [answers, grading.unset(answers).map((criterion) => criterion.name), grading.verdict(answers)];
  });
})()
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    return tmp_path / "own.toml"


@pytest.fixture
def mriqc_study(tmp_path):
    return drawn_study(tmp_path / "study", protocol="mriqc")


def play(page, rules, moves):
    script = PLAY.replace("PROTOCOL", json.dumps(rules.for_display())).replace("MOVES", json.dumps(moves))
    return page.evaluate(static_text("grading.js") + script)


def moves_of(rules, *, n, seed):
    """Random moves: answers to criteria, seldom the end of the label or another image, so that some become whole."""
    draw = random.Random(seed)
    words = ["", " ", "Ada", " Ada ", "é" * 12, "🧠" * 14, "a longer text than may be kept"]
    moves = []
    for _ in range(n):
        criterion = draw.choice(rules.criteria)
        if draw.random() < 0.15:
            moves.append(["afresh"])
        elif criterion.ends_label and draw.random() < 0.6:
            continue
        elif criterion.kind == "text":
            moves.append(["noted", criterion.name, draw.choice(words)])
        elif criterion.kind == "level" and draw.random() < 0.7:
            slid = draw.uniform(criterion.minimum, criterion.maximum)
            moves.append(draw.choice([["step", criterion.name, draw.choice([-1, 1])], ["noted", criterion.name, slid]]))
        elif criterion.choices:
            moves.append(["chosen", criterion.name, draw.choice(criterion.values)])
    return moves


def verdict_of(rules, answers):
    """What the kernel derives, None where it derives nothing."""
    if rules.tier_rules:
        tier = rules.tier(answers)
        return tier and f"Tier {tier}"
    first = next(criterion.name for criterion in rules.criteria if criterion.bands)
    return rules.bands(answers).get(first)


@pytest.mark.parametrize("name", ["own", "mriqc", "t1w-warehouse"])
def test_what_the_page_calls_whole_is_accepted_and_what_it_calls_unset_is_refused(name, own, bench):  # noqa: F811
    rules = protocol.load(own if name == "own" else name)
    moves = moves_of(rules, n=3000, seed=4)
    known = {criterion.name: criterion for criterion in rules.criteria}
    n_whole = 0
    for answers, unset, verdict in play(bench.page, rules, moves):
        if unset:
            with pytest.raises(LabelError, match="|".join(unset)):
                rules.check(answers)
            continue
        n_whole += 1
        stored = rules.check(answers)
        kept = {each: value for each, value in stored.items() if value not in (None, []) and value is not False}
        assert kept == {each: value for each, value in answers.items() if value is not False}
        ended = any(known[each].ends_label for each in answers)
        if not ended:
            assert verdict[0] == verdict_of(rules, answers)
    assert 200 < n_whole < len(moves) - 200


def test_levels_read_as_their_scale_has_them_and_begin_in_the_middle(own, bench):  # noqa: F811
    steps = [["step", "rating", 1]] + [["step", "rating", -1]] * 40 + [["step", "rating", 1]] * 3
    played = play(bench.page, protocol.load("mriqc"), steps)
    values = [answers["rating"] for answers, _, _ in played]
    assert (values[0], values[1], values[30], values[40], values[-1]) == (2.5, 2.45, 1, 1, 1.15)
    assert [verdict[0] for _, _, verdict in (played[0], played[30])] == ["acceptable", "exclude"]


def test_a_t1w_a_t2w_and_a_bold_image_are_rated_by_keys_and_exported_as_mriqc_writes_them(
    mriqc_study, voila, desk, tmp_path
):
    desk.open(voila(mriqc_study))
    desk.label(0, "3", "Equal", "Equal", "d", "q", "v", "Comma")
    desk.sees(".qc-verdict", "acceptable")
    desk.picture("voila-mriqc-1280")
    desk.press("Space")
    desk.label(1, "1", "z", "Enter")
    desk.label(2, "Minus", "Tab")
    desk.page.keyboard.type('"q" été 1')
    desk.press("Enter", "o", "y", "q", "y", "Space")
    desk.sees(".qc-note", "Not set: confidence")
    desk.press("Period", "Space")
    desk.sees(".qc-frame", "All 3 images are labelled")
    desk.saved()

    export_labels(mriqc_study, tmp_path / "out", form="mriqc")
    order = [image.image_id for image in queue.load(mriqc_study, "alice")]
    seconds = {label["image_id"]: label["seconds"] for label in store.labels(mriqc_study)}
    rest = [
        '"rating":"3.1","artifacts":["head-motion","processing"],"time_sec":SECONDS,"confidence":"2.95","comments":""}',
        '"rating":"1","artifacts":[],"time_sec":SECONDS,"confidence":"0","comments":""}',
        '"rating":"2.5","artifacts":["head-motion","ghost-aliasing"],"time_sec":SECONDS,"confidence":"2",'
        '"comments":"\\"q\\" été 1"}',
    ]
    assert sorted(order) == ["sub-000_T1w", "sub-001_T2w", "sub-002_bold"]
    for image_id, text in zip(order, rest, strict=True):
        took = f"{seconds[image_id]:.3f}".rstrip("0").rstrip(".")
        written = (tmp_path / "out" / "alice" / f"study_{image_id}.json").read_bytes().decode()
        begins = f'{{"dataset":"study","subject":"{image_id}.nii.gz",'
        assert written == begins + text.replace("SECONDS", took)
        twin = json.loads((tmp_path / "out" / "alice" / f"study_{image_id}_qcbench.json").read_text())
        assert twin["md5sum"] == f"{int(image_id[4:7]):032x}"
    assert desk.went_out == []


def test_the_slider_is_for_the_mouse_and_leaves_the_keys_to_the_page(mriqc_study, bench):  # noqa: F811
    bench.begin(Kernel(mriqc_study))
    bench.waits_at(0)
    rating = bench.page.locator('[data-criterion="rating"]')
    slider = rating.locator(".qc-slider")
    assert rating.locator(".qc-level").inner_text() == "\N{EN DASH}"
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    bench.page.mouse.click(box["x"] + box["width"] / 2, middle)  # where the unset slider is already
    assert rating.locator(".qc-level-words").inner_text().split() == ["2.50", "acceptable"]
    bench.page.mouse.down()
    bench.page.mouse.move(box["x"] + box["width"] * 0.7, middle, steps=4)
    bench.page.mouse.move(box["x"] + box["width"] + 40, middle, steps=4)
    bench.page.mouse.up()
    assert rating.locator(".qc-level").inner_text() == "4.00"
    assert bench.page.evaluate("document.activeElement.className.split(' ')[0]") == "qc-labeller"
    bench.press("Minus", "q", "c", "Space")
    bench.waits_at(1)
    bench.saved()
    [label] = store.labels(mriqc_study, ["alice"])
    assert json.loads(label["answers"]) == {"rating": 3.95, "artifacts": ["head-motion"], "confidence": 2.0}


def test_the_key_of_a_step_may_be_held_and_no_other(mriqc_study, bench):  # noqa: F811
    bench.begin(Kernel(mriqc_study))
    bench.waits_at(0)
    for key in ("Equal", "q"):
        for _ in range(5):
            bench.page.keyboard.down(key)
        bench.page.keyboard.up(key)
    assert bench.page.locator('[data-criterion="rating"] .qc-level').inner_text() == "2.70"
    assert bench.page.locator('[role="checkbox"][aria-checked="true"] kbd').all_inner_texts() == ["Q"]


def test_what_is_not_asked_takes_no_answer_and_what_ceases_to_be_asked_is_dropped(tmp_path, own, bench):  # noqa: F811
    study = drawn_study(tmp_path / "study", protocol=own)
    bench.begin(Kernel(study))
    bench.label(0, "a")
    bench.sees(".qc-note", "Side is asked only when lesion is yes.")
    state = {name: bench.page.locator(f'[data-criterion="{name}"] .qc-state') for name in ("side", "count", "burden")}
    assert [each.inner_text() for each in state.values()] == ["not asked"] * 3
    bench.press("w", "a", "2", "Period")
    assert [each.inner_text() for each in state.values()] == ["1 noted", "", ""]
    assert_readable(bench, "kinds-all-dark")
    bench.press("2")  # what may stay unset goes off again, and what depends on it with it
    assert [each.inner_text() for each in state.values()] == ["1 noted", "not asked", ""]
    bench.press("0", "Space")
    bench.sees(".qc-note", "Not set: seen by.")
    bench.press("Tab")
    bench.page.keyboard.type("wq A. longer name")
    bench.press("Escape", "Space")
    bench.waits_at(1)
    bench.saved()
    [label] = store.labels(study, ["alice"])
    noted = {name: value for name, value in json.loads(label["answers"]).items() if value is not None}
    assert noted == {"unusable": False, "lesion": True, "side": ["left"], "size": 2.0, "reader": "wq A. longer"}


def test_a_relabel_says_what_flags_levels_and_words_were(tmp_path, own, bench):  # noqa: F811
    study = drawn_study(tmp_path / "study", protocol=own)
    bench.begin(Kernel(study))
    bench.label(0, "w", "a", "Equal", "Tab")
    bench.page.keyboard.type("Ada")
    bench.press("Enter", "Space")
    bench.waits_at(1)
    bench.press("Backspace")
    bench.waits_at(0)
    bench.sees(".qc-commit", "go on")
    bench.press("s", "Equal", "1", "Tab", "End", "x", "Enter")
    names = ("side", "size", "burden", "reader", "remark")
    states = [bench.page.locator(f'[data-criterion="{name}"] .qc-state').inner_text() for name in names]
    assert states == ["was left", "was 0.5", "was unset", "was “Ada”", ""]
    bench.press("Space", "2")
    bench.waits_at(1)
    bench.saved()
    label = store.labels(study, ["alice"])[0]
    assert json.loads(label["answers"])["side"] == ["left", "right"]


def test_examples_are_beside_the_picture_while_the_key_is_held(labelling_study, bench):  # noqa: F811
    bench.begin(Kernel(labelling_study))
    bench.waits_at(0)
    whole = bench.page.locator(".qc-frame img").bounding_box()["height"]
    bench.page.keyboard.down("g")
    figures = bench.page.locator(".qc-exemplars figure:has(img)")
    figures.nth(1).wait_for()
    assert figures.all_inner_texts() == ["E\nno", "W\nyes"]  # of the first criterion that is not set
    shrunk = bench.page.locator(".qc-frame img").bounding_box()
    panel = bench.page.locator(".qc-exemplars").bounding_box()
    assert 0.45 * whole < shrunk["height"] < 0.55 * whole
    assert panel["y"] >= shrunk["y"] + shrunk["height"]
    bench.press("2")
    bench.page.locator('.qc-exemplars figure[aria-current="true"]', has_text="1 some").wait_for()
    figures.nth(2).wait_for()
    bench.picture("page-examples-1280")
    bench.press("ArrowLeft")
    bench.page.locator(".qc-exemplars figure", has_text="yes").wait_for()
    bench.page.keyboard.up("g")
    bench.page.locator(".qc-exemplars").wait_for(state="hidden")
    assert bench.page.locator(".qc-frame img").bounding_box()["height"] == whole
    bench.press("g", "g", "3", "g")
    assert [message["criterion"] for message in bench.kernel.asked_for("exemplars")] == ["gadolinium", "motion"]
    assert bench.page.locator('[data-criterion="motion"] [aria-checked="true"]').inner_text().split()[0] == "3"


def test_the_button_keeps_examples_until_it_is_pressed_again(labelling_study, bench):  # noqa: F811
    bench.begin(Kernel(labelling_study))
    bench.waits_at(0)
    button = bench.page.locator(".qc-head button", has_text="examples")
    button.click()
    bench.page.locator(".qc-tabs button", has_text="Straight reject").click()
    bench.page.locator(".qc-exemplars figure img").wait_for()
    assert bench.page.locator(".qc-exemplars figure").all_inner_texts() == ["Q\nreject"]
    button.click()
    bench.page.locator(".qc-exemplars").wait_for(state="hidden")
    button.click()
    bench.press("Escape")
    bench.page.locator(".qc-exemplars").wait_for(state="hidden")


def test_a_protocol_without_examples_says_so_and_its_own_keys_are_left_to_it(mriqc_study, bench):  # noqa: F811
    bench.begin(Kernel(mriqc_study))
    bench.waits_at(0)
    assert bench.page.locator(".qc-head button", has_text="examples").is_hidden()
    bench.press("g")
    assert bench.page.locator('[role="checkbox"][aria-checked="true"]').inner_text().split("\n")[0] == "G"
    bench.page.keyboard.down("k")
    bench.sees(".qc-exemplars", "Artifacts: this protocol has no example pictures of it.")
    bench.page.keyboard.up("k")
    assert bench.kernel.asked_for("exemplars") == []
