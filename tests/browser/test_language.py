"""The pages in French: an image is labelled, a disagreement reviewed; nothing is cut off or left in English."""

import json
import re

import numpy as np
import pytest

from qcbench import images, protocol, store
from qcbench.annotate import consensus
from qcbench.annotate.events import label_event
from qcbench.annotate.review_session import ReviewSession
from qcbench.study import Study
from qcbench.widgets.review import Review
from qcbench.widgets.transport import static_text
from tests.browser.bare_page import ADDRESS, Kernel, bare, bench, drawn_study  # noqa: F401
from tests.browser.conftest import drawn_study as drawn_for_two

pytestmark = pytest.mark.browser

#: Words that the English pages are full of and French has none of.
ENGLISH = r"\b(the|is|are|not|of|this|label|labels|saved|image number|with|and|noted|back|later|none|done|today)\b"

GRADES = {"gadolinium": False, "motion": 1, "contrast": 0, "noise": 0}
REJECT = {"straight_reject": True}


@pytest.fixture
def french_study(tmp_path):
    """Three images of alice's; she labels in French."""
    return drawn_study(tmp_path / "study", protocol="t1w-warehouse-fr")


def begin(bench, kernel):  # noqa: F811
    """Load the page as a study in French has it."""
    bench.kernel = kernel
    bench.page.goto(ADDRESS)
    traits = {"theme": "dark", "fills_page": True, "language": "fr"}
    bench.page.evaluate("([code, traits]) => begin(code, traits)", [bench.widget._esm, traits])


#: Every text that is shown, spoken or hinted at.
TEXTS = """() => [...document.querySelectorAll(".qc-labeller, .qc-labeller *")].flatMap((node) => [
    ...[...node.childNodes].filter((child) => child.nodeType === 3).map((child) => child.textContent),
    ...["title", "aria-label", "placeholder", "alt", "aria-valuetext"].map((name) => node.getAttribute(name)),
  ]).filter((text) => text?.trim())"""

#: What is wider or higher than its place, or out of the window.
CUT_OFF = """() => [...document.querySelectorAll(
    ".qc-labeller button, .qc-labeller input, .qc-group, .qc-side, .qc-standing, .qc-verdict, .qc-banner, .qc-head > *,"
    + '.qc-group:not([data-criterion="contrast"]) .qc-line' // that one ends in dots, as in English
  )].filter((node) => node.checkVisibility({ visibilityProperty: true }) && !node.matches(".qc-spoken"))
    .filter((node) => {
      const box = node.getBoundingClientRect();
      const isCut = node.scrollWidth > node.clientWidth + 1 || node.scrollHeight > node.clientHeight + 1;
      const isOut = box.right > innerWidth || box.bottom > innerHeight;
      return isOut || (isCut && getComputedStyle(node).display !== "inline");
    }).map((node) => node.textContent)"""


def assert_french(desk, name):
    """Nothing on the page is English, and nothing is cut off at either size; the smaller one is kept as a picture."""
    texts = desk.page.evaluate(TEXTS)
    assert len(texts) > 20
    assert [text for text in texts if re.search(ENGLISH, text)] == []
    for width, height in ((1920, 1080), (1280, 720)):
        desk.page.set_viewport_size({"width": width, "height": height})
        assert (width, desk.page.evaluate(CUT_OFF)) == (width, [])
    desk.picture(f"{name}-1280")


def test_an_image_is_labelled_and_labelled_again_in_french(french_study, voila, desk):
    desk.open(voila(french_study))
    desk.label(0, "e", "1", "s", "z")
    desk.sees(".qc-verdict", "Niveau 2")
    desk.sees(".qc-verdict", "au moins une note à 1, aucune à 2")
    assert desk.page.locator(".qc-labeller").get_attribute("lang") == "fr"
    assert desk.page.locator(".qc-commit").inner_text().split() == ["Espace", "valider"]
    desk.picture("french-1280")
    desk.press("Space")
    desk.waits_at(1)
    desk.sees(".qc-saved", "✓ tout enregistré")
    desk.press("Backspace")
    desk.label(0, "2", "Space")
    desk.sees(".qc-dialog", "Pourquoi ce changement ?")
    desk.picture("french-reason-1280")
    desk.press("4")
    desk.waits_at(1)
    desk.sees(".qc-done", "1 au total, 2 aujourd'hui")
    first, second = store.label_events(french_study, "alice")
    assert (first["protocol"], first["contrast"], second["motion"]) == ("t1w-warehouse", 1, 1)
    assert second["reason"] == "règle précisée"
    assert desk.went_out == []


def not_set(desk):
    desk.label(0, "e", "1", "Space")
    desk.sees(".qc-note", "Non validé. À noter : contraste, bruit.")


def put_off(desk):
    desk.label(0, "f")
    desk.label(1, "q")
    desk.waits_at(2)
    desk.press("j", "9", "Enter")
    desk.sees(".qc-dialog", "Les images vont de 1 à 3.")


def relabelling(desk):
    desk.label(0, "e", "2", "a", "z", "Space")
    desk.waits_at(1)
    desk.press("Backspace")
    desk.label(0, "w", "3", "x")
    desk.sees(".qc-state", "était non")


def helped(desk):
    desk.label(0, "h")
    desk.sees(".qc-dialog", "Mieux voir")


def full_disk(desk):
    desk.waits_at(0)
    why = "the disk refused the label (No space left on device)"
    desk.kernel.answer["label"] = lambda message: [
        {"kind": "nack", "event_id": message["event_id"], "why": why, "retry": True}
    ]
    desk.press("q")
    desk.sees(".qc-banner", "NON ENREGISTRÉ : le disque a refusé l'annotation (plus de place sur le disque).")
    desk.sees(".qc-banner", "1 annotation est gardée ici")


def set_aside(desk):
    desk.waits_at(0)
    why = "this image has a label; a new one needs a reason"
    desk.kernel.answer["label"] = lambda message: [
        {"kind": "nack", "event_id": message["event_id"], "why": why, "retry": False}
    ]
    desk.press("q")
    desk.sees(".qc-banner", "NON ENREGISTRÉ : image 1 : cette image est déjà annotée ; une nouvelle annotation demande")
    desk.press("Backspace")
    desk.page.locator(".qc-aside").click()
    desk.sees(".qc-dialog", "non enregistré : cette image est déjà annotée")


def seeing(desk):
    desk.waits_at(0)
    desk.page.get_by_role("button", name="vue", exact=True).click()
    desk.press("ArrowUp", "l", "BracketLeft")
    desk.sees(".qc-seeing-told", "zoom 125 %")


def compared(desk):
    desk.waits_at(0)
    desk.press("2")
    desk.page.keyboard.down("g")
    desk.page.locator(".qc-figures img").nth(2).wait_for()


def finished(desk):
    for position in range(3):
        desk.label(position, *("q" if position else ("e", "3", "a", "z", "Space")))
    desk.sees(".qc-frame", "Les 3 images sont annotées")
    desk.sees(".qc-frame", "niveau 3 : 1")
    desk.sees(".qc-frame", "rejet d'emblée : 2")


STATES = [not_set, put_off, relabelling, helped, full_disk, set_aside, seeing, compared, finished]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_everything_is_french_and_nothing_is_cut_off(french_study, bench, state):  # noqa: F811
    begin(bench, Kernel(french_study))
    state(bench)
    assert_french(bench, f"french-{state.__name__}")


def test_nothing_moves_in_french_either(french_study, bench):  # noqa: F811
    places = """() => [".qc-frame img", ".qc-strip", ".qc-saved", ".qc-commit", ".qc-choice"].map((name) => {
        const { x, y, width, height } = document.querySelector(name).getBoundingClientRect();
        return [name, x, y, width, height];
    })"""
    begin(bench, Kernel(french_study))
    bench.waits_at(0)
    before = bench.page.evaluate(places)
    assert before[0][4] > 0.65 * 720
    bench.press("e", "1", "Space")
    assert bench.page.evaluate(places) == before
    bench.press("q")
    bench.waits_at(1)
    assert bench.page.evaluate(places) == before


@pytest.mark.parametrize(("convention", "sides"), [("radiological", ["D", "G"]), ("neurological", ["G", "D"])])
def test_the_patient_s_sides_are_named_in_french(french_study, bench, convention, sides):  # noqa: F811
    rows = store.rows(french_study, "preprocessed")
    for row in rows:
        path = french_study.absolute(row["screenshot_path"])
        drawn = images.save_png(path, np.zeros((416, 1108), dtype="uint8"))
        row |= {"screenshot_sha256": drawn, "convention": convention}
    store.write(french_study, "preprocessed", rows)
    bench.page.add_init_script("""
        window.written = [];
        const write = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (...given) {
          window.written.push(given[0]);
          return write.apply(this, given);
        };
    """)
    begin(bench, Kernel(french_study))
    bench.waits_at(0)
    assert bench.page.evaluate("written.slice(-4)") == 2 * sides


@pytest.fixture
def mixed_study(tmp_path):
    """Alice labels in English, bob in French; they disagree on sub-000 and agree on sub-001."""
    study = drawn_for_two(tmp_path / "study", n=2)
    image_ids = [row["image_id"] for row in store.rows(study, "images")]
    labels = {("alice", "t1w-warehouse"): [REJECT, GRADES], ("bob", "t1w-warehouse-fr"): [GRADES, GRADES]}
    for (rater, name), answers in labels.items():
        rules = protocol.load(name)
        log = store.SegmentLog(study.label_folder(rater) / "s", "label_events")
        for number, each in enumerate(answers):
            log.append(
                label_event(
                    rules,
                    rules.check(each),
                    rater=rater,
                    source="rater",
                    session="s",
                    sequence=number,
                    event_id=f"{rater}-{number}",
                    image_id=image_ids[number],
                )
            )
    return study


def test_labels_made_in_both_languages_are_of_one_protocol(mixed_study):
    english = mixed_study
    text = (english.folder / "study.toml").read_text()
    (english.folder / "study.toml").write_text(text.replace('"t1w-warehouse"', '"t1w-warehouse-fr"'))
    french = Study(english.folder)
    assert (english.protocol.language, french.protocol.language) == ("en", "fr")
    for study in (english, french):
        assert len(store.labels(study)) == 4
        summary = consensus.consensus(study)
        assert (summary.done, summary.facts["waiting_for_joint_review"]) == (1, 1)
    [row] = store.rows(french, "consensus")
    assert (row["motion"], row["tier"]) == (1, 2)


class ReviewKernel(Kernel):
    """Answers a review page."""

    def __init__(self, study, reviewer):
        super().__init__(study, reviewer)
        self.session = ReviewSession.open(study, reviewer)


def test_a_disagreement_is_reviewed_in_french(mixed_study, bare):  # noqa: F811
    text = (mixed_study.folder / "study.toml").read_text()
    (mixed_study.folder / "study.toml").write_text(text.replace('"t1w-warehouse"', '"t1w-warehouse-fr"'))
    study = Study(mixed_study.folder)
    consensus.consensus(study)
    alice, bob = bare(), bare()
    for desk, reviewer in ((alice, "alice"), (bob, "bob")):
        desk.widget = Review
        begin(desk, ReviewKernel(study, reviewer))
        desk.waits_at(0)
    alice.sees(".qc-position", "désaccord 1 sur 1")
    alice.press("k", "Space")
    alice.sees(".qc-standing", "Vous proposez")
    alice.press("Space")
    alice.sees(".qc-note", "Choisissez d'abord")
    bob.sees(".qc-standing", "alice propose")
    bob.sees(".qc-standing", "garder : gadolinium non, mouvement 1 modéré")
    bob.page.locator(".qc-comment").fill("cerveau tronqué")
    bob.press("Enter", "o")
    alice.sees(".qc-standing", "bob refuse : « cerveau tronqué »")
    alice.press("q", "Space")
    bob.sees(".qc-standing", "rejeter")
    for desk, name in ((alice, "proposes"), (bob, "asked")):
        assert_french(desk, f"french-review-{name}")
    bob.press("Space")
    bob.sees(".qc-standing", "Tranché par alice et bob")


def test_words_with_values_are_turned_inside_out_and_unknown_ones_stay_as_they_are(bench):  # noqa: F811
    cases = """[
        told("the disk refused the label (Permission denied)"),
        told("the disk refused it (Quota of a strange kind)"),
        told("motion is not set; it must be one of 0, 1, 2"),
        told("something that nobody foresaw (twice)"),
        told("constructor"),
        t("no such key {n}", { n: 3 }),
        tn("Saving a label of an earlier page", "Saving {n} labels of an earlier page", 0),
        tn("Saving a label of an earlier page", "Saving {n} labels of an earlier page", 2),
        t("“{words}”", { words: "{n} $& <b>" }),
        numeral("3.10"),
    ]"""
    words = static_text("words_french.js", "words.js")
    said = bench.page.evaluate(f"{words}\nspeak('fr');\n{cases}")
    assert said == [
        "le disque a refusé l'annotation (permission refusée)",
        "le disque a refusé l'écriture (Quota of a strange kind)",
        "motion n'est pas noté\N{NO-BREAK SPACE}; il faut l'une de ces valeurs\N{NO-BREAK SPACE}: 0, 1, 2",
        "something that nobody foresaw (twice)",
        "constructor",
        "no such key 3",
        "Enregistrement d'une annotation d'une page précédente",
        "Enregistrement de 2 annotations d'une page précédente",
        "«\N{NO-BREAK SPACE}{n} $& <b>\N{NO-BREAK SPACE}»",
        "3,10",
    ]
    for language in ("en", "de", None):
        said = bench.page.evaluate(f"{words}\nspeak({json.dumps(language)});\n{cases}")
        assert said[0] == "the disk refused the label (Permission denied)"
        assert said[-1] == "3.10"
