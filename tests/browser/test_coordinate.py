"""A coordinator looks at how the labelling goes."""

import csv

import pytest

from qcbench.annotate import agreement, consensus, queue
from qcbench.annotate.journal import Journal
from qcbench.widgets import serve

pytestmark = pytest.mark.browser
GOOD = {"gadolinium": False, "motion": 0, "contrast": 1, "noise": 0}


def test_progress_agreement_and_a_list_to_take_away(labelling_study, desk, tmp_path):
    images = sorted(queue.load(labelling_study, "alice"), key=lambda each: each.image_id)
    for rater, n in (("alice", 6), ("bob", 4)):
        journal = Journal(labelling_study, rater)
        for number, image in enumerate(images[:n]):
            rejected = number == 0 and rater == "alice"
            answers = {"straight_reject": True} if rejected else {**GOOD, "motion": number % 3 if rater == "bob" else 0}
            journal.append(
                event_id=f"{rater}-{number}",
                slot=image.slot,
                label=labelling_study.protocol.check(answers),
                seconds=4.0 + number,
            )
    consensus.consensus(labelling_study)
    agreement.agreement(labelling_study)
    with serve.running(labelling_study, notebook="08_coordinate.ipynb") as (address, _):
        desk.open(address)
        desk.sees("caption", "Raters", timeout_s=60)
        desk.sees("td", "6 of 6")
        desk.sees("td", "4 of 6")
        desk.sees("tr", "a label by bob")
        desk.sees("tr", "joint review (both raters)")
        desk.page.screenshot(path="test-artefacts/coordinate-1280.png", full_page=True)
        with desk.page.expect_download() as download:
            desk.page.locator("button", has_text="take away waiting.csv").click()
        with open(download.value.path(), newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["waits_for"] for row in rows] == ["review", "label", "label"]
        assert {row["raters"] for row in rows if row["waits_for"] == "label"} == {"bob"}
        assert desk.went_out == []
