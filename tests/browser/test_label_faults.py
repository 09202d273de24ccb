"""What breaks under a rater's hands: the network, the kernel, the disk, a second page, a hostile text."""

import base64
import json
import os
import signal
import time
import urllib.parse
from pathlib import Path

import nbformat
import pytest

from qcbench import images, store
from qcbench.study import Study
from qcbench.widgets.transport import static_text
from tests.browser.network import Network
from tests.faults.disk import fill, small_disk

pytestmark = pytest.mark.browser

LONG = bool(os.environ.get("QCBENCH_LONG_FAULTS"))
CUT_S = 120 if LONG else 5
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'`&lt;😀{{7*7}}$(id)"


@pytest.fixture
def network(voila):
    """A function that has alice's page reach a study over a network that can break; returns it and the address."""
    opened = []

    def through(study, **options):
        parts = urllib.parse.urlsplit(voila(study))
        opened.append(Network(parts.port, **options).__enter__())
        return opened[-1], parts._replace(netloc=f"{parts.hostname}:{opened[-1].port}").geturl()

    yield through
    for each in opened:
        each.__exit__(None, None, None)


def rows(study):
    """Return the labels on the disk; no event id is there twice, in no segment."""
    import pyarrow.parquet as pq

    paths = sorted((study.folder / "labels").rglob("seg-*.parquet"))
    found = [row for path in paths for row in pq.ParquetFile(path).read().to_pylist()]
    assert len({row["event_id"] for row in found}) == len(found)
    return sorted(found, key=lambda row: row["saved_at"])


def label_the_rest(desk, study, *, after):
    """Label what has no label yet; then every image of the study has one label, and only one."""
    for position in range(after, 6):
        desk.label(position, "q")
    desk.sees(".qc-frame", "All 6 images are labelled", timeout_s=30)
    desk.saved()
    assert sorted(row["image_id"] for row in rows(study)) == [f"sub-{number:03d}_ses-M00_T1w" for number in range(6)]


def is_told(desk):
    """The page says by itself that labels are not saved."""
    desk.page.locator(".qc-saved", has_text="all saved").wait_for(state="detached", timeout=10_000)
    said = desk.page.locator(".qc-saved").inner_text().lower()
    assert "not saved" in said or "not connected" in said


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["cut", "hold"])
def test_labels_made_while_the_network_is_gone_arrive_once_when_it_is_back(labelling_study, network, desk, fault):
    link, address = network(labelling_study)
    desk.open(address)
    desk.label(0, "q")
    desk.label(1, "q")
    desk.saved()
    getattr(link, fault)()
    desk.label(2, "q")
    desk.label(3, "q")  # the pictures are there already: the rater goes on
    desk.waits_at(4)
    is_told(desk)
    desk.page.wait_for_timeout(1000 * CUT_S)
    is_told(desk)
    assert len(rows(labelling_study)) == 2
    link.restore()
    try:  # after a failed request Jupyter's connection waits for 10 to 30 s before it tries again
        desk.sees(".qc-saved", "all saved", timeout_s=45)
    except Exception:
        # Jupyter's connection gives up after some two minutes; the page says what to do, the rater does it.
        assert LONG
        desk.sees(".qc-banner", "load the page again")
        desk.page.reload()
    desk.waits_at(4)
    desk.saved()
    assert len(rows(labelling_study)) == 4
    label_the_rest(desk, labelling_study, after=4)


@pytest.mark.slow
def test_a_lost_acknowledgement_makes_no_second_row(labelling_study, network, desk):
    link, address = network(labelling_study)
    desk.open(address)
    desk.waits_at(0)
    link.break_before(b'"ack"')
    desk.press("q")
    until = time.monotonic() + 20
    while not link.has_broken and time.monotonic() < until:
        desk.page.wait_for_timeout(50)
    assert link.has_broken
    assert len(rows(labelling_study)) == 1  # saved, and the page does not know
    desk.sees(".qc-saved", "all saved", timeout_s=45)
    label_the_rest(desk, labelling_study, after=1)


def kernels(process):
    """Return the kernels of a voila, newest last."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if b"ipykernel" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.slow
def test_labels_that_a_dead_kernel_did_not_take_are_sent_by_the_next_page(labelling_study, voila, desk):
    desk.open(voila(labelling_study))
    desk.label(0, "q")
    desk.waits_at(1)
    desk.saved()
    for kernel in kernels(voila.process):
        os.kill(kernel, signal.SIGKILL)
    desk.press("q")
    desk.label(2, "e", "1", "a", "x", "Space")
    desk.sees(".qc-saved", "NOT SAVED")
    assert len(rows(labelling_study)) == 1
    desk.page.reload()
    desk.sees(".qc-saved", "all saved", timeout_s=60)
    until = time.monotonic() + 15
    while len(rows(labelling_study)) < 3 and time.monotonic() < until:
        desk.page.wait_for_timeout(100)
    assert [row["noise"] for row in rows(labelling_study)] == [None, None, 1]
    label_the_rest(desk, labelling_study, after=3)


@pytest.mark.slow
def test_two_pages_of_one_rater_both_label_and_nothing_is_lost(labelling_study, voila, desk):
    address = voila(labelling_study)
    desk.open(address)
    second = type(desk)(desk.page.context.new_page()).open(address)
    second.waits_at(0)
    desk.page.bring_to_front()
    desk.label(0, "q")
    desk.label(1, "q")
    desk.saved()
    second.page.bring_to_front()
    second.label(0, "e", "1", "a", "z", "Space")  # the same image, still without a label on this page
    second.label(1, "e", "2", "a", "z", "Space")
    second.saved()
    desk.page.bring_to_front()
    desk.label(2, "q")
    desk.saved()
    found = rows(labelling_study)
    assert len(found) == 5
    assert len({row["session"] for row in found}) == 2
    assert len({row["image_id"] for row in found}) == 3
    assert len(store.labels(labelling_study, ["alice"])) == 3


@pytest.mark.slow
def test_a_full_disk_is_shown_within_a_second_and_labelling_goes_on_when_there_is_room(labelling_study, voila, desk):
    with small_disk(labelling_study.folder / "labels") as disk:
        desk.open(voila(labelling_study))
        desk.label(0, "q")
        desk.waits_at(1)
        desk.saved()
        ballast = fill(disk, free_kb=0)
        desk.press("q")
        desk.sees(".qc-banner", "NOT SAVED", timeout_s=1)
        desk.sees(".qc-banner", "No space left on device", timeout_s=1)
        assert len(rows(labelling_study)) == 1
        ballast.unlink()
        desk.sees(".qc-saved", "all saved", timeout_s=30)
        label_the_rest(desk, labelling_study, after=2)


def foreign_nodes(page):
    """Return how many elements the labeller has that only a text could have brought in."""
    return (
        page.locator(".qc-labeller").locator("script, iframe, object, embed, a, form, img:not(.qc-frame img)").count()
    )


def alerts(page):
    """Note every dialog that a text could open."""
    seen = []
    page.on("dialog", lambda dialog: seen.append((dialog.type, dialog.message)))
    return seen


@pytest.mark.slow
def test_a_comment_and_a_reason_are_shown_as_the_text_that_they_are(labelling_study, voila, desk):
    seen = alerts(desk.page)
    desk.open(voila(labelling_study))
    desk.waits_at(0)
    desk.page.locator(".qc-comment").fill(EVIL)
    desk.press("Enter")
    desk.press("e", "1", "a", "z", "Space")
    desk.waits_at(1)
    desk.saved()
    desk.press("Backspace")
    desk.waits_at(0)
    desk.press("x", "Space")
    desk.sees(".qc-dialog", "Why the change?")
    desk.page.locator(".qc-dialog input").fill(EVIL)
    desk.press("Enter")
    desk.waits_at(1)
    desk.saved()
    desk.page.reload()
    desk.waits_at(1)
    desk.press("Backspace")
    desk.waits_at(0)
    assert desk.page.locator(".qc-comment").input_value() == EVIL
    assert foreign_nodes(desk.page) == 0
    assert seen == []
    [label] = store.labels(labelling_study, ["alice"])
    assert (label["comment"], label["reason"]) == (EVIL, EVIL)


@pytest.fixture
def evil_study(tmp_path):
    """A study in a folder, and with an image id and a file name, that want to be markup."""
    import numpy as np

    study = Study.create(tmp_path / "<img src=x onerror=alert(3)> 😀 \"' study", raters=["alice"])
    stem = "sub-<img src=x onerror=alert(4)>😀\"'_T1w"
    path = study.derivatives / f"{stem}.png"
    sha256 = images.save_png(path, np.random.default_rng(0).integers(0, 255, (40, 120)).astype("uint8"))
    scan = {"image_id": stem, "participant_id": stem[:-4], "source_path": EVIL, "simulated": True}
    shown = {"image_id": stem, "screenshot_path": study.relative(path), "screenshot_sha256": sha256}
    store.write(study, "images", [scan])
    store.write(study, "preprocessed", [{**shown, "preprocessing_preset": "drawn"}])
    return study


@pytest.mark.slow
def test_names_of_files_and_folders_are_no_markup(evil_study, voila, desk):
    seen = alerts(desk.page)
    desk.open(voila(evil_study))
    desk.label(0, "q")
    desk.sees(".qc-frame", "labelled")
    desk.saved()
    assert foreign_nodes(desk.page) == 0
    assert [row["image_id"] for row in rows(evil_study)] == ["sub-<img src=x onerror=alert(4)>😀\"'_T1w"]
    evil_study.table_path("preprocessed").unlink()
    desk.page.reload()
    desk.sees(".qc-frame", "qcbench preprocess", timeout_s=60)
    assert foreign_nodes(desk.page) == 0
    assert seen == []


@pytest.mark.slow
def test_an_executed_notebook_holds_no_pixels_and_its_html_no_markup_of_a_text(evil_study, desk, tmp_path):
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    notebook = nbformat.v4.new_notebook()
    label = {"kind": "label", "event_id": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "replaces": None}
    label |= {"answers": {"straight_reject": True}, "comment": EVIL}
    talk = (
        "sent = []\n"
        "send = widget.send\n"
        "widget.send = lambda content, buffers=None: (sent.append((content, buffers)), send(content, buffers))\n"
        "widget._on_message(None, {'kind': 'hello'}, [])\n"
        "widget._on_message(None, {'kind': 'goto', 'position': 0, 'missing': [0]}, [])\n"
        "image, buffers = sent[-1]\n"
        "widget._on_message(None, {'kind': 'painted', 'key': image['key']}, [])\n"
        f"widget._on_message(None, {{**{label!r}, 'key': image['key']}}, [])\n"
        "print(sent[-1][0]['kind'], len(buffers[0]) > 1000)"
    )
    sources = [
        "import qcbench as qc",
        f"widget = qc.Labeller({str(evil_study.folder)!r}, rater='alice')\nwidget",
        talk,
        f"qc.Labeller({str(evil_study.folder)!r}, rater={EVIL!r})",
    ]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    NotebookClient(notebook, timeout=120, kernel_name="python3", store_widget_state=True).execute()
    said = "".join(output.get("text", "") for output in notebook.cells[2].outputs)
    assert said == "ack True\n"

    text = nbformat.writes(notebook)
    png = next(evil_study.derivatives.glob("*.png")).read_bytes()
    assert "iVBOR" not in text
    assert "\\u0089PNG" not in text
    assert base64.b64encode(png[30:330]).decode()[:300] not in text
    assert json.loads(text)["metadata"]["widgets"]  # the state of the widget is in it, so it might have been

    page, _ = HTMLExporter().from_notebook_node(notebook)
    file = tmp_path / "exported.html"
    file.write_text(page, encoding="utf-8")
    seen = alerts(desk.page)
    desk.page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort())
    desk.page.goto(f"file://{file}", wait_until="domcontentloaded")
    desk.page.wait_for_timeout(1000)
    assert seen == []
    assert desk.page.locator("img[src=x]").count() == 0
    assert desk.page.locator("[onerror]").count() == 0


#: Has the page keep its model where a test, as any script in the page could, gets at it.
CATCH_THE_MODEL = """
const Original = Blob;
window.Blob = class extends Original {
  constructor(parts, options) {
    super((parts ?? []).map((part) => typeof part === "string"
      ? part.replace("render({ model, el }) {", "render({ model, el }) { window.caught = model;") : part), options);
  }
};
"""


@pytest.mark.slow
def test_a_script_in_the_page_can_change_neither_the_code_nor_who_labels(labelling_study, voila, desk):
    assert "render({ model, el }) {" in static_text("labeller.js")
    desk.page.add_init_script(CATCH_THE_MODEL)
    desk.open(voila(labelling_study))
    desk.waits_at(0)
    before = kernels(voila.process)
    assert before
    desk.page.evaluate("""() => {
        const model = window.caught;
        model.set("theme", "light");
        model.set("_esm", "export default { render() { document.title = 'forged' } }");
        model.save_changes();
        model.send({ kind: "label", rater: "bob", key: "0".repeat(32), answers: { straight_reject: true } });
        model.send({ kind: "goto", position: "../../study.toml", missing: ["/etc/passwd"] });
        model.send({ kind: "ping" }, undefined, [new ArrayBuffer(5e6)]);
        for (let number = 0; number < 500; number += 1) model.send({ kind: "summary", number });
    }""")
    desk.page.wait_for_timeout(1000)
    assert not (labelling_study.folder / "labels").exists()
    assert kernels(voila.process) == before  # it took all that, and lives
    desk.page.reload()
    desk.label(0, "q")
    desk.waits_at(1)
    desk.saved()
    desk.sees(".qc-rater", "alice")
    assert desk.page.title() != "forged"
    [row] = rows(labelling_study)
    assert row["rater"] == "alice"
    assert not labelling_study.label_folder("bob").exists()
