"""The report of a study as large as the published one, opened, walked by keyboard and printed in a real browser."""

import pytest

from qcbench.report import html
from tests.report.paper_study import paper_study

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
