from matplotlib.patches import Wedge

from qcbench.report import figures
from qcbench.report.results import Branch

BRANCHES = (
    Branch("tier 1", True, 10, {"contrast": (10, 0, 0), "motion": (10, 0, 0)}),
    Branch("tier 1", False, 6, {"contrast": (6, 0, 0), "motion": (6, 0, 0)}),
    Branch("tier 3", True, 50, {"contrast": (20, 0, 30), "motion": (0, 20, 30)}),
    Branch("tier 3", False, 8, {"contrast": (0, 0, 8), "motion": (8, 0, 0)}),
)


def rings_of(figure):
    """Return the wedges of each ring in percent of the circle, from the centre out."""
    rings = {}
    for wedge in (patch for patch in figure.axes[0].patches if isinstance(patch, Wedge)):
        rings.setdefault(wedge.r, []).append(round((wedge.theta2 - wedge.theta1) / 3.6))
    return [rings[radius] for radius in sorted(rings)]


def test_each_ring_divides_the_one_within_it():
    assert rings_of(figures.nested_rings(26, BRANCHES)) == [
        [26, 16, 58],
        [26, 10, 6, 50, 8],
        [26, 10, 0, 0, 6, 0, 0, 20, 0, 30, 0, 0, 8],
        [26, 10, 0, 0, 6, 0, 0, 0, 20, 30, 8, 0, 0],
    ]


def test_a_wedge_too_small_for_its_text_is_named_in_the_legend():
    figure = figures.nested_rings(1, [Branch("tier 1", False, 99, {"noise": (99, 0, 0)})])
    written = [text.get_text() for text in figure.axes[0].texts]
    assert "SR\n1" not in written
    legends = [legend for legend in figure.axes[1].get_children() if hasattr(legend, "get_texts")]
    assert "SR: 1 (1%)" in [text.get_text() for legend in legends for text in legend.get_texts()]


def test_rings_of_rejects_alone_or_of_nothing_can_be_drawn():
    assert figures.to_svg(figures.nested_rings(3, [])).startswith(b"<?xml")
    assert figures.to_svg(figures.nested_rings(0, [])).startswith(b"<?xml")
