from matplotlib.patches import Wedge

from qcbench.report import figures


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
