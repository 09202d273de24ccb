"""The report of a study as large as the published one, opened, walked by keyboard and printed in a real browser."""

import pandas as pd
import pytest

from qcbench import schema
from qcbench.report import html
from tests.report.paper_study import MARGINS, paper_study

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def reported(tmp_path_factory, chromium):
    study = paper_study(tmp_path_factory.mktemp("whole") / "study")
    return study, html.report(study, compare="paper", show_progress=False)


@pytest.fixture
def page(reported, chromium):
    study, _ = reported
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.said.append(message.text))
    page.goto((study.reports / "report.html").as_uri(), wait_until="load")
    yield page
    page.close()


def test_it_is_small_whole_and_asks_for_nothing(reported, page):
    study, summary = reported
    assert (study.reports / "report.html").stat().st_size < 15e6
    assert not summary.failed
    assert [note for note in summary.notes if not note.startswith("Hospitals:")] == []
    assert all(page.eval_on_selector_all("main img", "all => all.map(i => i.complete && i.naturalWidth > 0)"))
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert page.said == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_numbers_are_those_of_the_published_margins(page):
    rings = page.get_attribute('img[alt^="straight rejects"]', "alt")
    assert rings == (
        "straight rejects: 1455; tier 1: 358 with gadolinium, 515 without; tier 2: 812 with gadolinium, 721 without; "
        "tier 3: 1246 with gadolinium, 393 without"
    )
    assert "the numbers say nothing about real scans" in page.inner_text(".simulated")
    assert page.get_by_text("Test set of 500 images").count() == 1


@pytest.fixture(scope="module")
def table(reported):
    study, _ = reported
    return lambda name: pd.read_csv(study.reports / "tables" / f"{name}.csv")


def test_table_1_has_the_published_sums(table):
    counted = table("images-with-consensus")
    total, scanners = counted.iloc[-1], counted[:-1]
    assert (total["Manufacturer"], total["Images"], total["Age not stated"]) == ("all", 5500, 5500 - 4274)
    makers = scanners.groupby("Manufacturer")["Images"].sum().to_dict()
    assert makers == {"Siemens": 3752, "GE": 1710, "Philips": 33, "Toshiba": 5}
    assert scanners.groupby("Field strength, T")["Images"].sum().to_dict() == {1.5: 2271, 3.0: 3229}
    assert table("images").iloc[-1]["Images"] == 5800


def test_table_2_has_the_rules_of_the_protocol(table):
    assert table("tier-rules")["Tier"].tolist() == [1, 2, 3]


def test_table_3_has_the_published_kappas(table):
    found = table("agreement").query("Raters == 'alice, bob'").set_index("Characteristic")
    assert [words.split()[0] for words in found["kappa"].dropna()] == ["0.88", "0.89"]
    assert [words.split()[0] for words in found["kappa linear"].dropna()] == ["0.68", "0.79", "0.70"]


def test_table_4_counts_people_in_each_class(table):
    people = table("people").set_index(["Attribute", "Value"])
    known = people.loc[("Sex", "F")].astype(int) + people.loc[("Sex", "M")].astype(int)
    assert known.to_dict() == {"SR": 1132, "tier 1": 702, "tier 2": 1117, "tier 3": 1323, "all": 4274}
    assert people.loc[("Field strength", "3 T"), "all"] == "3229"


def test_tables_5_and_6_have_each_network_and_the_annotators(table):
    found = {task: list(table(f"metrics-{task}")) for task in ("sr", "gadolinium", "tier3", "tier2")}
    assert ["conv5_fc3" in "".join(names) for names in found.values()] == [True] * 4
    assert all("resnet3d" in "".join(found[task]) for task in ("tier3", "tier2"))
    assert any("97.13" in str(cell) for cell in table("metrics-sr").to_numpy().ravel())


def test_table_s1_and_its_sums_are_those_published(table):
    counted = table("classes").set_index(["Class", "Gadolinium"])
    for (tier, gadolinium), margins in MARGINS.items():
        row = counted.loc[(f"tier {tier}", "with" if gadolinium else "without")]
        for artefact, counts in zip(("contrast", "motion", "noise"), margins, strict=True):
            assert tuple(row[f"{artefact} {grade}"] for grade in (0, 1, 2)) == counts
    everything = counted.iloc[-1]
    sums = {artefact: [int(everything[f"{artefact} {grade}"]) for grade in (0, 1, 2)] for artefact in schema.GRADED}
    assert sums == {"contrast": [1519, 1053, 1473], "motion": [2321, 1194, 530], "noise": [2703, 1326, 16]}
    assert [
        round(share) for share in counted["% of all"].groupby(level=0).sum()[["SR", "tier 1", "tier 2", "tier 3"]]
    ] == [
        26,
        16,
        28,
        30,
    ]


def test_table_s2_adds_up_to_the_published_number_of_parameters(table):
    assert table("layers-conv5_fc3-169x208x179")["Parameters"].sum() == 42_293_972


def test_gadolinium_depends_on_the_tier_as_published(table):
    tests = table("gadolinium-by-tier").set_index("Tiers compared")
    assert f"{tests.loc['tier 1, tier 2', 'p']:.3e}" == "2.129e-08"
    assert tests["p"].max() < 2.13e-8


def test_dicom_words_agree_with_the_labels_as_little_as_published(table):
    found = table("dicom-gadolinium").set_index("Figure")["Value"]
    counts = [
        found[f"{truth} gadolinium, {words}"] for truth in ("with", "without") for words in ("noted", "not noted")
    ]
    assert counts == [2033, 383, 987, 642]
    assert f"{found['kappa']:.2f}" == "0.25"


def test_severe_contrast_is_as_frequent_in_tier_3_as_published(table):
    found = table("tier-3").set_index("Tier 3 with")["% of tier 3"].round()
    assert (found["contrast 2"], found["contrast 2, with gadolinium"]) == (90, 70)


def test_every_figure_says_that_it_is_simulated(reported):
    study, _ = reported
    drawings = sorted((study.reports / "figures").glob("*.svg"))
    assert len(drawings) == 10
    assert [path.name for path in drawings if "simulated images or labels" not in path.read_text()] == []


def test_the_first_tab_skips_to_the_content_and_what_has_the_focus_is_seen(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_wrong_decision_opens_to_its_screenshot_by_keyboard(page):
    first = page.locator("#mistakes .gallery details").first
    picture = first.locator("img")
    assert not picture.is_visible()
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    picture.wait_for(state="visible", timeout=5000)
    assert picture.evaluate("i => i.naturalWidth") == 400


def test_headings_go_down_by_one_step_and_each_picture_is_described(page):
    levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert set(levels[1:]) == {2}
    assert all(page.eval_on_selector_all("img", "all => all.map(i => i.alt.length > 10)"))


def test_it_prints_with_what_is_folded_and_without_the_contents(page):
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    layers = page.locator("#networks details.folded table").first
    assert layers.evaluate("t => t.getBoundingClientRect().height > 50 && t.checkVisibility()")
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert 1e5 < len(printed) < 15e6
