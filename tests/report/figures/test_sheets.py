import numpy as np

from qcbench.report import figures
from qcbench.report.pictures import Picture


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
