import json
from html.parser import HTMLParser

import numpy as np
import pytest

from qcbench import iqm_keys
from qcbench.iqm import card
from qcbench.iqm.mosaic import Panel
from qcbench.iqm.norms import Quartiles

PANELS = [
    Panel(name="image", caption="The image as stored", picture=np.zeros((10, 20), np.uint8)),
    Panel(name="brain", caption="Brain mask: none, <it> failed", picture=None),
]


class Rows(HTMLParser):
    """Collects the cells of each row of the table, and what the page would load."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.sources, self.unusual = {}, [], set()
        self._cells = []
        self._is_unusual = False
        self.feed(page)
        self._end()

    def handle_starttag(self, tag, attributes):
        told = dict(attributes)
        self.sources += [told[name] for name in ("src", "href") if name in told]
        if tag == "tr":
            self._end()
            self._cells, self._is_unusual = [], told.get("class") == "unusual"
        elif tag in ("td", "th"):
            self._cells.append("")

    def handle_data(self, data):
        if self._cells:
            self._cells[-1] += data.strip()

    def _end(self):
        if self._cells:
            self.rows[self._cells[0]] = self._cells[1:]
            if self._is_unusual:
                self.unusual.add(self._cells[0])


def row_of(modality="T1w", profile="mriqc-24", reasons=None, **values):
    metrics = {key.name: 0.5 for key in iqm_keys.keys_of(modality)}
    row = {"image_id": "sub-1_<b>", "modality": modality, "iqm_profile": profile, **metrics, **values}
    return row | {"reasons": json.dumps(reasons) if reasons else None}


def test_each_metric_has_its_line_with_what_is_usual():
    found = Rows(card.html(row_of(cjv=0.4), PANELS)).rows
    assert {key.name for key in iqm_keys.keys_of("T1w")} <= found.keys()
    assert found["cjv"][:4] == ["0.4", "", "low", "0.3613 to 0.598"]
    assert found["size_x"][3] == ""


def test_only_what_lies_far_out_is_bold():
    # Quartiles of 0.361 and 0.598: 1.5 ranges further up is 0.953.
    assert "cjv" not in Rows(card.html(row_of(cjv=0.95), PANELS)).unusual
    assert "cjv" in Rows(card.html(row_of(cjv=0.96), PANELS)).unusual


def test_a_null_shows_its_reason():
    page = card.html(row_of(fber=None, reasons={"fber": "the air <b>has</b> no signal"}), PANELS)
    assert Rows(page).rows["fber"][0] == "the air <b>has</b> no signal"


def test_our_own_definitions_are_not_compared_with_those_of_mriqc():
    assert Rows(card.html(row_of(profile="mriqc-24"), PANELS)).rows["efc"][3] != ""
    assert Rows(card.html(row_of(profile="qcbench"), PANELS)).rows["efc"][3] == ""


def test_nothing_is_compared_where_there_are_no_records():
    page = card.html(row_of("T2w"), PANELS)
    assert "There are no records of T2w" in page and "<svg" not in page


def test_the_page_loads_nothing_and_what_is_written_in_it_is_text():
    page = card.html(row_of(), PANELS)
    found = Rows(page)
    assert found.sources and all(source.startswith("data:image/png;base64,") for source in found.sources)
    assert "sub-1_&lt;b&gt;" in page and "&lt;it&gt; failed" in page
    assert "<b>" not in page and "<script" not in page


def test_the_motion_of_a_series_is_a_line():
    page = card.html(row_of("bold"), PANELS, np.array([0.1, 0.4, 0.2]))
    assert 'points="0.0,76.2 500.0,5.0 1000.0,52.5"' in page and "0 to 0.4 mm" in page
    assert "polyline" not in card.html(row_of("bold"), PANELS, np.zeros(0))


@pytest.mark.parametrize(("value", "drawn"), [(2.0, "<circle"), (-3.1, "l8 -5"), (7.1, "l-8 -5")])
def test_what_lies_beyond_the_bar_is_an_arrow_at_its_end(value, drawn):
    assert drawn in card._bar(value, Quartiles(1.0, 3.0))


def test_a_box_without_width_can_be_drawn():
    assert "<circle" in card._bar(0.0, Quartiles(0.0, 0.0))
    assert card._distance(1e-9, Quartiles(0.0, 0.0)) == float("inf")
