import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Wedge

from qcbench.report import figures
from qcbench.report.inputs import read_tables
from qcbench.report.pictures import Picture

STEPS = pd.DataFrame({"Step": ["all", "lost"], "Images": [5, 2], "Kind": ["", "left out"]})


def drawn():
    return figures.nested_rings(26, {"tier 1": (10, 6), "tier 2": (20, 8), "tier 3": (30, 0)})


def test_a_ring_has_a_wedge_per_class_and_per_gadolinium():
    figure = drawn()
    wedges = [patch for patch in figure.axes[0].patches if isinstance(patch, Wedge)]
    spans = [round((wedge.theta2 - wedge.theta1) / 3.6) for wedge in wedges]
    assert spans == [26, 16, 28, 30, 26, 10, 6, 20, 8, 30, 0]


def test_a_wedge_too_small_for_its_text_is_named_in_the_legend():
    figure = figures.nested_rings(1, {"tier 1": (0, 99)})
    written = [text.get_text() for text in figure.axes[0].texts]
    assert "SR\n1" not in written
    assert figure.axes[0].get_legend().texts[0].get_text() == "SR: 1 (1%)"


def test_rings_of_rejects_alone_can_be_drawn():
    assert figures.to_svg(figures.nested_rings(3, {})).startswith(b"<?xml")


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
        changed = figures.to_png(figures.workflow_bars(STEPS))
        assert matplotlib.rcParams["font.size"] == 30
    assert changed == figures.to_png(figures.workflow_bars(STEPS))


def test_bars_carry_their_counts():
    figure = figures.workflow_bars(STEPS)
    assert [text.get_text() for text in figure.axes[0].texts] == ["5", "2"]


def test_each_fold_is_a_mark_and_the_annotators_a_line(filled_once):
    (axes,) = figures.fold_dots(read_tables(filled_once).metrics).axes
    marks = {tuple(np.round(line.get_xdata(), 1)) for line in axes.lines if line.get_marker() in ("o", "D")}
    assert marks == {(90, 92, 94, 96, 98), (70, 72, 74, 76, 78)}
    assert [text.get_text() for text in axes.texts] == ["annotators 97.0"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["conv5_fc3", "forest_25"]


def test_a_picture_that_could_not_be_read_leaves_a_frame_with_the_code():
    pictures = [
        Picture(image_id="a", caption="a", grey=np.zeros((10, 30), np.uint8)),
        Picture(image_id="b", caption="b", grey=None, error="NOT_A_FILE: the picture is missing"),
    ]
    figure = figures.contact_sheet({"SR": pictures, "tier 1": []})
    axes = figure.subfigs[0].axes
    assert len(axes[0].images) == 1
    assert [text.get_text() for text in axes[1].texts] == ["NOT_A_FILE"]


def test_names_with_dollar_signs_are_no_formulas():
    picture = Picture(image_id="x", caption="a$b$ \\frac", grey=np.zeros((4, 4), np.uint8))
    assert figures.to_png(figures.contact_sheet({"$x_$": [picture]}))
