import hashlib
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from qcbench import store
from qcbench.errors import UsageError
from qcbench.report import figures, html
from qcbench.report.html import report
from qcbench.report.inputs import read_tables
from qcbench.study import Study

ANCHORS = [
    "workflow",
    "protocol",
    "images",
    "preprocessing",
    "labels",
    "raters",
    "agreement",
    "consensus",
    "people",
    "together",
    "examples",
    "splits",
    "networks",
    "metrics",
    "learning",
    "calibration",
    "mistakes",
    "hospitals",
    "compared",
    "predictions",
    "methods",
    "provenance",
]
EVIL = '<script>alert("x")</script>'
ESCAPED = "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;"


class Page(HTMLParser):
    """What a page is made of: its tags, its attributes, its sections' text, its tables' cells."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.attributes, self.text, self.rows = [], [], {}, []
        self._section, self._cell = "head", False
        self.source = path.read_text()
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]
        if tag == "section":
            self._section = dict(attributes)["id"]
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self._cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data):
        self.text[self._section] = self.text.get(self._section, "") + data
        if self._cell:
            self.rows[-1][-1] += data


def written(study):
    return Page(study.reports / "report.html")


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out drawing and saving, which takes most of the time: for tests of everything else."""
    for name in figures.__all__:
        monkeypatch.setattr(figures, name, lambda *_: None)
    for name in ("to_png", "to_svg"):
        monkeypatch.setattr(figures, name, lambda _, mark: b"a picture")


@pytest.fixture(scope="module")
def reported(filled_once):
    summary = report(filled_once, show_progress=False)
    return filled_once, summary, written(filled_once)


def test_every_section_is_there_in_order(reported):
    _, _, page = reported
    assert [value for tag, name, value in page.attributes if (tag, name) == ("section", "id")] == ANCHORS
    links = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    assert links == ["#content", *(f"#{anchor}" for anchor in ANCHORS)]


def test_the_head_has_the_counts_to_the_number(reported):
    study, _, page = reported
    head = page.text["head"].split("Quality control of brain MRI")[1]
    counts = re.findall(r"(images|participants|labels|raters|with a consensus|evaluated tasks)\s*(\d+)", head)
    assert [int(count) for _, count in counts] == [10, 9, 15, 2, 6, 1]
    assert study.protocol.sha256[:12] in head
    assert "2026-01-12 09:30 UTC" in head


def test_tables_show_the_counts_to_the_number(reported):
    _, _, page = reported
    for row in (
        ["in the catalogue", "12", "11", ""],
        ["GE", "Signa", "1.5", "3", "0", "3", "50.0 ± 20.0 [30, 70]", "0", "2/1", "0"],
        ["sub-03_T1w", "WorkerError: crashed"],
        ["tier 3", "with", "2", "33.3", "1", "0", "1", "0", "1", "1", "2", "0", "0"],
        ["straight reject", "2", "1"],
        ["fold 0", "1", "2", "1", "1", "0", "0", "0"],
        ["BA", "94.00 ± 3.16", "74.00 ± 3.16", "97.00"],
    ):
        assert row in page.rows, row


def test_it_says_that_no_participant_is_in_two_sets(reported):
    _, _, page = reported
    assert "no participant of 5 is in two sets or folds" in page.text["splits"]


def test_a_leak_is_a_warning_instead(study):
    rows = [{"image_id": str(fold), "participant_id": "sub-x", "set": "cv", "fold": fold} for fold in (0, 1)]
    store.write(study, "splits", rows)
    report(study, show_progress=False)
    text = written(study).text["splits"]
    assert "LEAK: participants in more than one set or fold: 1 (sub-x)" in text
    assert "Checked" not in text


def test_the_page_needs_nothing_else(reported):
    _, _, page = reported
    assert not {"script", "iframe", "object", "embed"} & set(page.tags)
    sources = [value for _, name, value in page.attributes if name in ("src", "href", "srcset", "data", "action")]
    assert sources
    assert all(value.startswith(("data:", "#")) for value in sources)
    assert "url(" not in page.source.split("</style>")[0]
    assert len(page.source) < 15e6


def test_each_table_and_figure_lies_beside_the_page(reported):
    study, summary, page = reported
    files = {str(path.relative_to(study.reports)) for path in study.reports.rglob("*.*")}
    assert {"tables/classes.csv", "tables/metrics-sr.csv", "figures/classes.svg", "figures/examples.png"} <= files
    assert summary.facts["tables"] == len([name for name in files if name.endswith(".csv")])
    images = page.tags.count("img")
    assert images == summary.facts["figures"] == len([name for name in files if name.endswith(".svg")])
    assert all(value for tag, name, value in page.attributes if (tag, name) == ("img", "alt"))


def test_the_csv_holds_the_numbers(reported):
    study, _, _ = reported
    table = pd.read_csv(study.reports / "tables" / "metrics.csv").set_index(["architecture", "metric"])
    assert table.loc[("conv5_fc3", "balanced_accuracy"), "mean"] == pytest.approx(0.94)


def test_an_empty_study_says_which_command_makes_what(study):
    summary = report(study, show_progress=False)
    page = written(study)
    assert [value for tag, name, value in page.attributes if (tag, name) == ("section", "id")] == ANCHORS
    commands = {
        "workflow": "qcbench ingest STUDY SOURCE",
        "images": "qcbench ingest STUDY SOURCE",
        "preprocessing": "qcbench preprocess STUDY",
        "labels": "qcbench label STUDY --rater NAME",
        "agreement": "qcbench agreement STUDY",
        "consensus": "qcbench consensus STUDY",
        "people": "qcbench consensus STUDY",
        "together": "qcbench consensus STUDY",
        "networks": "qcbench train STUDY",
        "compared": "qcbench predict STUDY",
        "raters": "qcbench label STUDY --rater NAME",
        "learning": "qcbench learning-curve STUDY",
        "calibration": "qcbench predict STUDY",
        "mistakes": "qcbench predict STUDY",
        "hospitals": "qcbench leave-one-out STUDY",
        "examples": "qcbench consensus STUDY",
        "splits": "qcbench split STUDY",
        "metrics": "qcbench evaluate STUDY",
        "predictions": "qcbench predict STUDY",
    }
    for anchor, command in commands.items():
        assert command in page.text[anchor]
    assert len(summary.notes) == len(commands)
    assert "Simulated" not in page.text["head"]


@pytest.mark.parametrize(
    "name", ["images", "preprocessed", "consensus", "agreement", "splits", "metrics", "predictions"]
)
def test_any_one_table_may_be_missing(filled_once, undrawn, name):
    data = read_tables(filled_once)
    lacking = replace(data, **{name: getattr(data, name).iloc[:0]})
    made = [section(filled_once, lacking) for section in html.SECTIONS]
    assert [section.anchor for section in made] == ANCHORS
    assert any(section.is_missing for section in made)
    assert html.head(filled_once, lacking)["name"] == "study"


def test_the_same_study_has_the_same_bytes_wherever_it_lies(reported, tmp_path):
    study, _, _ = reported
    shutil.copytree(study.folder, tmp_path / study.folder.name, ignore=shutil.ignore_patterns("reports"))
    copy = Study(tmp_path / study.folder.name)
    report(copy, show_progress=False)
    assert digests(copy.reports) == digests(study.reports)


def test_what_has_not_changed_is_not_written_again(filled, undrawn):
    first = report(filled, show_progress=False)
    again = report(filled, show_progress=False)
    assert (first.unchanged, again.done, again.unchanged) == (0, 0, first.done)


def test_what_comes_from_tables_is_escaped(tmp_path, filled_once, evil_rows):
    study = Study.create(tmp_path / f"s{EVIL.replace('/', '')}", raters=["alice", "bob"])
    for name, rows in evil_rows(EVIL).items():
        store.write(study, name, rows)
    log = store.SegmentLog(study.label_folder("alice") / "session", "label_events")
    log.append({**store.label_events(filled_once, "alice")[0], "image_id": EVIL, "rater": EVIL, "comment": EVIL})
    before = {path for path in study.folder.rglob("*") if path.is_file()}
    report(study, show_progress=False)
    page = written(study)
    assert "script" not in page.tags
    assert EVIL not in page.source
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    for anchor in ("images", "preprocessing", "labels", "agreement", "consensus", "splits", "metrics", "predictions"):
        section = page.source.split(f'<section id="{anchor}">')[1].split("</section>")[0]
        assert ESCAPED in section, anchor
    # The name of a task is part of a file's name: "../" must not lead out of the reports.
    new = {path for path in study.folder.rglob("*") if path.is_file()} - before
    folders = {study.reports, *(study.reports / name for name in ("tables", "figures", "texts"))}
    assert all(path.parent in folders for path in new)


def test_it_says_how_many_consensus_rows_a_revised_label_has_made_stale(filled, undrawn):
    report(filled, show_progress=False)
    assert "stale" not in written(filled).text["consensus"]
    [label] = [label for label in store.label_events(filled, "alice") if label["image_id"] == "sub-05_T1w"]
    revised = {
        **label,
        "event_id": "revised",
        "supersedes": label["event_id"],
        "reason": "looked again",
        "sequence": 999,
    }
    store.SegmentLog(filled.label_folder("alice") / "later", "label_events").append(revised)
    report(filled, show_progress=False)
    assert "because a rater has since revised a label: 1." in written(filled).text["consensus"]


def test_a_screenshot_that_is_lost_is_a_failure_of_its_image_alone(filled, undrawn):
    (filled.derivatives / "screenshots" / "sub-05_T1w.png").unlink()
    summary = report(filled, show_progress=False)
    assert list(summary.failed) == ["sub-05_T1w"]
    assert summary.exit_status == 1
    assert "examples" in written(filled).text


def test_a_table_of_an_earlier_report_does_not_stay_beside_a_new_page(filled, undrawn):
    report(filled, show_progress=False)
    own = filled.reports / "tables" / "mine.csv"
    own.write_text("kept")
    filled.table_path("metrics").unlink()
    report(filled, show_progress=False)
    assert not (filled.reports / "tables" / "metrics-sr.csv").exists()
    assert not (filled.reports / "figures" / "balanced-accuracy.svg").exists()
    assert own.read_text() == "kept"


@pytest.mark.parametrize("listed", ["../study.toml", "tables/../../study.toml", "report.html", 3, None])
def test_a_forged_list_of_files_deletes_nothing_else(study, listed):
    report(study, show_progress=False)
    (study.reports / "report-files.json").write_text(json.dumps([listed] if listed else 3))
    summary = report(study, show_progress=False)
    assert (study.folder / "study.toml").exists()
    assert summary.done == 0  # report.html still stands


def test_simulated_images_and_raters_are_called_so_at_the_top(filled, undrawn, simulate):
    simulate(filled)
    report(filled, show_progress=False)
    page = written(filled)
    assert (
        "Simulated images and simulated raters: the numbers say nothing about real scans. "
        "Simulated are 1 of 12 images and the raters alice."
    ) in page.text["head"]


def test_simulated_metrics_are_called_so_in_their_captions(filled, undrawn):
    store.write(filled, "metrics", [{**row, "simulated": True} for row in store.rows(filled, "metrics")])
    report(filled, show_progress=False)
    page = written(filled)
    assert page.text["metrics"].count("Simulated images or labels are among them.") == 2
    assert "the numbers say nothing about real scans" in page.text["head"]


@pytest.mark.browser
def test_a_browser_shows_it_without_asking_for_anything(reported, chromium):
    study, _, _ = reported
    asked, said = [], []
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto((study.reports / "report.html").as_uri(), wait_until="load")
    pictures = page.eval_on_selector_all("img", "all => all.map(i => i.naturalWidth > 0)")
    wide = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    headings = page.locator("h2").all_inner_texts()
    page.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []  # no refused request, no error
    assert pictures == [True] * 6
    assert wide
    assert len(headings) == len(ANCHORS)


def test_the_published_numbers_stand_beside_the_study_s_where_asked(filled, undrawn):
    report(filled, compare="paper", show_progress=False)
    page = written(filled)
    assert "Bottani et al. 2022 and this study" in page.text["paper"]
    assert ["5, 6", "sr: BA of conv5_fc3", "93.8", "94.0", "0.2"] in page.rows
    with pytest.raises(UsageError, match="can be compared with paper, got 'mriqc'"):
        report(filled, compare="mriqc", show_progress=False)
