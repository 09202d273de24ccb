import io

import matplotlib
import pytest
from PIL import Image, ImageChops

from qcbench.report import figures
from qcbench.report.inputs import read_tables
from qcbench.report.results import Branch


def drawn():
    grades = {"contrast": (16, 0, 0), "motion": (10, 6, 0), "noise": (10, 0, 6)}
    return figures.nested_rings(26, [Branch("tier 1", True, 16, grades)])


@pytest.mark.parametrize("save", [figures.to_svg, figures.to_png])
def test_the_same_figure_has_the_same_bytes(save, filled_once):
    metrics = read_tables(filled_once).metrics  # marks and clipped lines have ids in the SVG, wedges have none
    assert save(figures.fold_dots(metrics)) == save(figures.fold_dots(metrics))


def test_saved_figures_carry_no_date():
    svg = figures.to_svg(drawn())
    assert b"dc:date" not in svg
    assert b"matplotlib.org" not in figures.to_png(drawn())


def test_the_reader_s_own_matplotlib_settings_neither_count_nor_change():
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        changed = figures.to_png(drawn())
        assert matplotlib.rcParams["font.size"] == 30
    assert changed == figures.to_png(drawn())


def test_a_mark_stands_below_the_figure_and_moves_nothing():
    plain, marked = (Image.open(io.BytesIO(figures.to_png(drawn(), mark=mark))) for mark in ("", "simulated"))
    assert (marked.width, marked.height) == (plain.width, plain.height + 28)
    assert ImageChops.difference(marked.crop((0, 0, *plain.size)), plain).getbbox() is None
    assert b"<!-- simulated -->" in figures.to_svg(drawn(), mark="simulated")
