import matplotlib
import pytest

from qcbench.report import figures
from qcbench.report.inputs import read_tables


def drawn():
    return figures.nested_rings(26, {"tier 1": (10, 6), "tier 2": (20, 8), "tier 3": (30, 0)})


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
