"""An analyst goes through the metrics of a study by keyboard and by click, in a real browser."""

import base64
import json

import numpy as np
import pytest

from qcbench import images, store
from qcbench.iqm import apart
from qcbench.study import Study
from qcbench.widgets import serve
from qcbench.widgets.iqm_explorer import IqmExplorer
from tests.browser.bare_page import bare, bench  # noqa: F401
from tests.browser.conftest import head

pytestmark = pytest.mark.browser

CARD = "<!DOCTYPE html><html><head><title>card</title></head><body><h1>card of {}</h1><script>top.owned = 1</script>"


def explored_study(folder, *, n=60):
    """A study of `n` images of three hospitals; of cjv three stand apart, and two are null for a reason."""
    study = Study.create(folder, raters=["alice"])
    random = np.random.default_rng(4)
    catalogue, metrics, drawn = [], [], []
    screenshots = [study.derivatives / f"{number}.png" for number in range(2)]
    sha256 = [images.save_png(path, head(number)) for number, path in enumerate(screenshots)]
    for number in range(n):
        image_id = f"sub-{number:04d}_T1w"
        site = number % 3
        cjv = {7: 0.9, 8: 0.8, 9: 0.05, 10: None, 11: None}.get(number, 0.4 + 0.05 * site + random.normal(0, 0.02))
        reasons = json.dumps({"cjv": "no white matter was found"}) if cjv is None else None
        catalogue.append(
            {
                "image_id": image_id,
                "participant_id": image_id[:8],
                "source_path": "x.nii",
                "hospital": ("Hôpital Nord <b>", "South", "West")[site],
                "manufacturer": ("GE", "Siemens", "GE")[site],
                "simulated": number == 7,
            }
        )
        metrics.append(
            {
                "image_id": image_id,
                "modality": "T1w",
                "iqm_profile": "qcbench",
                "cjv": cjv,
                "cnr": 3 + random.normal(0, 0.3),
                "reasons": reasons,
            }
        )
        drawn.append(
            {
                "image_id": image_id,
                "preprocessing_preset": "fast",
                "screenshot_path": study.relative(screenshots[number % 2]),
                "screenshot_sha256": sha256[number % 2],
            }
        )
    store.write(study, "images", catalogue)
    store.write(study, "iqms", metrics)
    store.write(study, "preprocessed", drawn)
    for image_id in ("sub-0007_T1w", "sub-0008_T1w"):
        outputs = apart.output_paths(image_id, "T1w", study.derivatives / "iqm" / "qcbench")
        images.save_png(outputs["masks"], head(5))
        outputs["card"].write_text(CARD.format(image_id))
    return study


class Kernel:
    """Answers the page as the widget does in a kernel; `is_silent` loses the answers."""

    def __init__(self, study, **options):
        self.widget = IqmExplorer(study, **options)
        self.is_silent = False

    def receive(self, text):
        answers = list(self.widget.receive(json.loads(text)))
        return [] if self.is_silent else [[told, data and base64.b64encode(data).decode()] for told, data in answers]


@pytest.fixture
def page(bench, tmp_path):  # noqa: F811
    bench.widget = IqmExplorer
    bench.page.set_viewport_size({"width": 1440, "height": 900})
    bench.begin(Kernel(explored_study(tmp_path / "study")), fills_page=False)
    shows(bench, "sub-0007_T1w")
    bench.page.locator(".qc-iqms").focus()
    return bench


def shows(desk, image_id):
    desk.sees(".qc-facts .qc-id", image_id)
    desk.page.locator(".qc-screenshot img").wait_for()


def value(desk):
    return float(desk.page.locator(".qc-value b").inner_text())


def chosen_group(desk):
    return desk.page.locator(".qc-label[data-chosen] b").inner_text()


def test_the_worst_image_is_shown_first_and_those_that_stand_apart_one_by_one(page):
    page.sees(".qc-listed", "3 stand apart, beyond 3.5 robust standard deviations")
    page.sees(".qc-meaning", "lower is better")
    page.sees(".qc-counted", "null in 2: no white matter was found (2)")
    page.sees(".qc-counted", "1 of them SIMULATED")
    page.sees(".qc-simulated", "SIMULATED")
    page.sees(".qc-facts", "worse than three quarters of public records")
    page.page.locator(".qc-masks img").wait_for()
    page.picture("iqm-explorer-1440")
    page.press("n")
    shows(page, "sub-0008_T1w")
    page.press("n")
    shows(page, "sub-0009_T1w")
    page.sees(".qc-value", "○ apart, on the better side")
    page.press("n", "p")  # the list ends here
    shows(page, "sub-0008_T1w")
    assert page.page.locator('.qc-row[aria-selected="true"] .qc-id').inner_text() == "sub-0008_T1w"
    assert page.went_out == []


def test_arrows_walk_by_value_within_a_group_and_to_the_nearest_value_of_another(page):
    assert (chosen_group(page), value(page)) == ("South", 0.9)
    page.press("ArrowLeft")
    page.page.wait_for_function("!document.querySelector('.qc-value b').innerText.startsWith('0.9')")
    second = value(page)
    assert second < 0.9
    page.press("ArrowRight", "ArrowRight")  # the last has no next
    page.page.wait_for_function("document.querySelector('.qc-value b').innerText === '0.9'")
    page.press("ArrowDown")
    shows(page, "sub-0008_T1w")
    assert chosen_group(page) == "West"
    page.press("ArrowUp", "ArrowUp")
    page.page.wait_for_function("document.querySelector('.qc-label[data-chosen] b').innerText.startsWith('Hôpital')")
    assert chosen_group(page) == "Hôpital Nord <b>"  # a name is a text and never markup
    page.press("Home")
    shows(page, "sub-0009_T1w")


def test_a_click_on_a_dot_and_on_a_row_chooses_the_image(page):
    page.page.locator(".qc-row", has_text="sub-0009_T1w").click()
    shows(page, "sub-0009_T1w")
    canvas = page.page.locator("canvas.qc-over")
    box = canvas.bounding_box()
    strip = box["height"] / 3
    # 0.9 is the highest value and stands at the right end, in the middle of South, the second strip.
    canvas.click(position={"x": box["width"] - 12, "y": 1.5 * strip})
    shows(page, "sub-0007_T1w")
    canvas.click(position={"x": box["width"] / 2, "y": 2})  # nothing is near
    page.press("n")
    shows(page, "sub-0008_T1w")


def places_of_dots(desk):
    """Move the pointer along the middle of the only strip; return where on the page each dot was, by its value."""
    desk.page.wait_for_timeout(100)
    return desk.page.evaluate(
        """() => {
            const canvas = document.querySelector("canvas.qc-over");
            const { left, top, width, height } = canvas.getBoundingClientRect();
            const seen = {};
            for (let x = 0; x < width; x += 0.5) {
              const at = { clientX: left + x, clientY: top + height / 2 };
              canvas.dispatchEvent(new PointerEvent("pointermove", at));
              if (canvas.title) (seen[Number(canvas.title.split(": ")[1].replace(",", ""))] ??= []).push(x);
            }
            const middles = Object.entries(seen).map(([value, xs]) => [Number(value), (xs[0] + xs.at(-1)) / 2]);
            return middles.sort((one, other) => one[0] - other[0]);
        }"""
    )


def test_on_a_logarithmic_axis_equal_ratios_are_equally_far(bench, tmp_path):  # noqa: F811
    study = explored_study(tmp_path / "study", n=7)
    rows = store.rows(study, "iqms")
    store.write(study, "iqms", [{**row, "cjv": 4.0**number} for number, row in enumerate(rows)])
    bench.widget = IqmExplorer
    bench.begin(Kernel(study, by=None), fills_page=False)
    shows(bench, "sub-0000_T1w")
    bench.page.locator(".qc-iqms").focus()
    assert len(places_of_dots(bench)) < 7  # the low ones press each other at the begin
    bench.press("l")
    spots = places_of_dots(bench)
    assert [value for value, _ in spots] == [1, 4, 16, 64, 256, 1024, 4096]
    steps = np.diff([x for _, x in spots])
    assert steps[1:-1].min() > 20 and np.ptp(steps[1:-1]) < 2
    assert bench.page.get_by_role("button", name="log axis").get_attribute("aria-pressed") == "true"


def test_the_metric_and_the_groups_are_chosen_by_key_and_the_image_stays(page):
    page.press("m")
    page.page.keyboard.type("cnr")
    page.press("Escape")
    page.page.wait_for_selector('.qc-iqms[data-shown="cnr hospital"]')
    page.sees(".qc-meaning", "higher is better")
    page.sees(".qc-value", "cnr")
    shows(page, "sub-0007_T1w")
    page.press("g")
    page.page.keyboard.type("man")
    page.press("Enter")
    page.page.wait_for_selector('.qc-iqms[data-shown="cnr manufacturer"]')
    assert page.page.locator(".qc-label b").all_inner_texts() == ["GE", "Siemens"]
    page.press("PageUp")
    page.page.wait_for_selector('.qc-iqms[data-shown="cjv manufacturer"]')
    # JupyterLab would take keys from a control without this, and delete cells.
    assert page.page.locator(".qc-iqms :is(select, button):not([data-lm-suppress-shortcuts])").count() == 0


def test_the_card_is_shown_in_a_frame_that_runs_nothing(page):
    page.press("o")
    page.page.frame_locator(".qc-card iframe").get_by_text("card of sub-0007_T1w").wait_for()
    assert page.page.evaluate("window.owned") is None
    page.press("Escape")
    page.page.locator(".qc-card").wait_for(state="hidden")
    page.press("n", "n")
    shows(page, "sub-0009_T1w")
    assert page.page.get_by_role("button", name="card").is_disabled()


def test_an_answer_that_is_lost_is_asked_for_again(page):
    page.kernel.is_silent = True
    page.press("PageDown")
    page.page.wait_for_selector(".qc-iqms.qc-waiting")
    page.kernel.is_silent = False
    page.page.wait_for_selector('.qc-iqms[data-shown="cnr hospital"]', timeout=15_000)


def test_a_warehouse_of_images_is_drawn_in_a_blink(bench, tmp_path):  # noqa: F811
    bench.widget = IqmExplorer
    bench.begin(Kernel(explored_study(tmp_path / "study", n=5500), by=None), fills_page=False)
    shows(bench, "sub-0007_T1w")
    bench.page.set_viewport_size({"width": 1000, "height": 720})  # drawn anew, at another width
    drawn_ms = float(bench.page.locator(".qc-strips").get_attribute("data-draw-ms"))
    assert 0 < drawn_ms < 1000  # 50 on a machine that has nothing else to do


def test_a_study_without_metrics_says_what_to_run(bench, study):  # noqa: F811
    bench.widget = IqmExplorer
    bench.begin(Kernel(study), fills_page=False)
    bench.sees(".qc-problem", "Run first: qcbench iqm")


def test_the_policy_of_a_served_page_lets_pictures_and_card_through(bench, tmp_path):  # noqa: F811
    bench.widget = IqmExplorer
    headers = {"content-security-policy": serve.CONTENT_SECURITY_POLICY}
    serving = {"content_type": "text/html", "headers": headers}
    bench.page.route("**/*", lambda route: route.fulfill(body=bench.html(), **serving))
    bench.begin(Kernel(explored_study(tmp_path / "study")), fills_page=False)
    shows(bench, "sub-0007_T1w")
    bench.page.locator(".qc-iqms").focus()
    bench.press("o")
    bench.page.frame_locator(".qc-card iframe").get_by_text("card of sub-0007_T1w").wait_for()
