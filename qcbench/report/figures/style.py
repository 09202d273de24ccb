"""The one style of all figures: colours, line widths, fonts, and how a figure becomes bytes.

Colours are Okabe and Ito's (2008), which the colour-blind can tell apart; every colour is also
named by a word or a number beside it. Saved figures carry no date, so the same numbers give the
same bytes.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import matplotlib.style
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

WIDTH_INCHES = 7.2  # two columns of a journal page
COLOURS = {"SR": "#7a7a7a", "tier 1": "#0072b2", "tier 2": "#e69f00", "tier 3": "#d55e00"}
INK, GREY, RULE, GREEN = "#1b1b1b", "#6b6b6b", "#d9d9d9", "#009e73"
#: Lines of several networks in one panel, each with its own mark: colour alone would not tell them.
SERIES = (("#0072b2", "o"), ("#d55e00", "s"), ("#cc79a7", "^"), ("#56b4e9", "v"), ("#000000", "D"), ("#e69f00", "P"))
_MARK_INCHES = 0.14  # the height of what is written below a figure
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, so it is the same everywhere
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "text.parse_math": False,  # names may hold a dollar sign
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "svg.fonttype": "path",  # looks the same where the font is missing
    "svg.hashsalt": "qcbench",
}


def styled(draw: Callable) -> Callable:
    """Run a function under the style of the report, whatever the user's matplotlibrc says."""

    @functools.wraps(draw)
    def in_style(*args, **kwargs):
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return in_style


@styled
def to_svg(figure: Figure, *, mark: str = "") -> bytes:
    """Return a figure as SVG with its text as outlines and without a date. Same figure, same bytes.

    `mark` is written small below it, for what must be known wherever the file goes.
    """
    return _saved(figure, mark, format="svg", dpi=200, metadata={"Date": None, "Creator": "qcbench"})


@styled
def to_png(figure: Figure, *, dpi: int = 200, mark: str = "") -> bytes:
    """Return a figure as PNG. Same figure, same bytes. `mark` as in `to_svg`."""
    return _saved(figure, mark, format="png", dpi=dpi, metadata={"Software": "qcbench"})


def _saved(figure: Figure, mark: str, **how) -> bytes:
    width, height = figure.get_size_inches()
    buffer = io.BytesIO()
    if not mark:
        figure.savefig(buffer, **how)
        return buffer.getvalue()
    # Below the figure and not in it: whatever its layout, the mark covers nothing and nothing moves.
    written = figure.text(0.995, -_MARK_INCHES / height, mark, ha="right", va="bottom", fontsize=6, color=GREY)
    figure.savefig(buffer, bbox_inches=Bbox([[0, -_MARK_INCHES], [width, height]]), **how)
    written.remove()
    return buffer.getvalue()


def tint(colour: str, towards_white: float) -> tuple[float, ...]:
    """Return a colour mixed with white: 0 leaves it, 1 is white."""
    return tuple(part + (1 - part) * towards_white for part in to_rgb(colour))
