"""Figure 2: what became of the images of a study, as a flow diagram."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from qcbench.report.figures.style import COLOURS, GREY, INK, WIDTH_INCHES, styled

_LEFT, _BOX_WIDTH = 1.95, 3.3  # centre and width of the boxes of the main line, in inches
_SIDE_LEFT, _LINE = 4.1, 0.145
_BOX_HEIGHT, _GAP = 0.44, 0.26
#: The steps of the main line: their name in `tables.workflow`, their heading, and the steps that leave it there.
_STEPS = (
    ("in the catalogue", "Images found", ()),
    ("usable", "Can be used", ("preprocessing failed", "waiting for preprocessing")),
    ("preprocessed", "Preprocessed", ("not drawn for labelling", "waiting for labels")),
    ("labelled by all consensus raters", "Labelled by all raters", ("waiting for a joint review",)),
    ("with a consensus", "With a consensus", ()),
)
_REASONS_SHOWN = 4


@styled
def flow(steps: pd.DataFrame, reasons: pd.DataFrame, classes: Mapping[str, int]) -> Figure:
    """Return Figure 2: boxes from the images found to the training and the test set, with what leaves beside them.

    `steps` is of `tables.workflow`, `reasons` of `tables.left_out`; `classes` gives the images of each class of the
    consensus. What was not done yet is a dashed box that says so.
    """
    found = steps.set_index("Step")
    sides = [_left_out(reasons), *(_waiting(found, leaving) for _, _, leaving in _STEPS[1:])]
    heights = [max(0.5, 0.14 + _LINE * len(side)) for side in sides]
    total = 0.08 + sum(heights) + _GAP * len(heights) + 3 * _BOX_HEIGHT + 0.04
    figure = Figure(figsize=(WIDTH_INCHES, total))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH_INCHES), ylim=(0, total))
    axes.set_axis_off()
    top, lower_edge = total - 0.08, None
    for (step, heading, _), side, height in zip(_STEPS, sides, heights, strict=True):
        middle = top - height / 2
        if lower_edge is not None:
            _arrow(axes, (_LEFT, lower_edge), (_LEFT, middle + _BOX_HEIGHT / 2))
        _counted_box(axes, _LEFT, middle, _BOX_WIDTH, heading, _row(found, step))
        if side:
            _arrow(axes, (_LEFT + _BOX_WIDTH / 2, middle), (_SIDE_LEFT, middle))
            _side_box(axes, middle, side)
        lower_edge = middle - _BOX_HEIGHT / 2
        top -= height + _GAP
    _classes_and_sets(axes, (lower_edge, top), classes, found)
    return figure


def _classes_and_sets(
    axes: Axes, heights: tuple[float, float], classes: Mapping[str, int], found: pd.DataFrame
) -> None:
    """Draw a box a class and below them one a set; `heights` are where the box above ends and where these begin."""
    above, top = heights
    left, right = 0.3, WIDTH_INCHES - 0.3
    total = sum(classes.values())
    width = (right - left - 0.15 * (len(COLOURS) - 1)) / len(COLOURS)
    _fork(axes, (_LEFT, above), [left + width / 2 + n * (width + 0.15) for n in range(len(COLOURS))], top)
    for number, (name, colour) in enumerate(COLOURS.items()):
        centre = left + width / 2 + number * (width + 0.15)
        count = classes.get(name, 0)
        words = f"{count:,} images ({100 * count / total:.0f}%)" if total else "none yet"
        heading = "Straight reject (SR)" if name == "SR" else name.capitalize()
        _box(axes, centre, top - _BOX_HEIGHT / 2, width, heading, words, edge=colour, is_done=bool(total))
    lower = top - _BOX_HEIGHT - 0.4
    axes.plot([left + width / 2, right - width / 2], [lower + 0.2] * 2, color=GREY, lw=0.9)
    for number in range(len(COLOURS)):
        centre = left + width / 2 + number * (width + 0.15)
        axes.plot([centre] * 2, [lower + 0.4, lower + 0.2], color=GREY, lw=0.9)
    half = (right - left - 0.3) / 2
    sets = (("in cross-validation", "Training and validation (folds)"), ("in the test set", "Test set, kept apart"))
    for number, (step, heading) in enumerate(sets):
        centre = left + half / 2 + number * (half + 0.3)
        _arrow(axes, (centre, lower + 0.2), (centre, lower))
        _counted_box(axes, centre, lower - _BOX_HEIGHT / 2, half, heading, _row(found, step))


def _row(found: pd.DataFrame, step: str) -> tuple[int, int | None]:
    if step == "usable":
        lost = found.loc[["unreadable", "excluded"], "Images"].sum()
        return int(found.loc["in the catalogue", "Images"] - lost), None
    return int(found.loc[step, "Images"]), int(found.loc[step, "Participants"])


def _left_out(reasons: pd.DataFrame) -> list[str]:
    lines = [f"{row.Images:,} {row.Reason}" for row in reasons.head(_REASONS_SHOWN).itertuples()]
    if len(reasons) > _REASONS_SHOWN:
        rest = reasons.iloc[_REASONS_SHOWN:]
        lines.append(f"{rest['Images'].sum():,} other reasons ({len(rest)})")
    return ["Left out", *lines] if lines else []


def _waiting(found: pd.DataFrame, steps: tuple[str, ...]) -> list[str]:
    present = [step for step in steps if step in found.index and found.loc[step, "Images"]]
    return [f"{found.loc[step, 'Images']:,} {step}" for step in present]


def _counted_box(
    axes: Axes, centre: float, middle: float, width: float, heading: str, counts: tuple[int, int | None]
) -> None:
    n_images, n_participants = counts
    people = "" if n_participants is None else f", {n_participants:,} participants"
    words = f"{n_images:,} images{people}" if n_images else "none yet"
    _box(axes, centre, middle, width, heading, words, is_done=n_images > 0)


def _box(
    axes: Axes,
    centre: float,
    middle: float,
    width: float,
    heading: str,
    words: str,
    *,
    edge: str = INK,
    is_done: bool = True,
) -> None:
    style = {"ec": edge if is_done else GREY, "lw": 1.0 if edge == INK else 2.0, "ls": "-" if is_done else "--"}
    corner = (centre - width / 2, middle - _BOX_HEIGHT / 2)
    form = "round,pad=0,rounding_size=0.05"
    axes.add_patch(FancyBboxPatch(corner, width, _BOX_HEIGHT, boxstyle=form, fc="white", **style))
    axes.text(centre, middle + 0.09, heading, ha="center", va="center", fontweight="bold", fontsize=8)
    axes.text(centre, middle - 0.09, words, ha="center", va="center", fontsize=7.5, color=INK if is_done else GREY)


def _side_box(axes: Axes, middle: float, lines: list[str]) -> None:
    height = 0.1 + _LINE * len(lines)
    width = WIDTH_INCHES - 0.15 - _SIDE_LEFT
    corner = (_SIDE_LEFT, middle - height / 2)
    axes.add_patch(
        FancyBboxPatch(corner, width, height, boxstyle="round,pad=0,rounding_size=0.04", fc="#f4f4f4", ec=GREY, lw=0.6)
    )
    for number, line in enumerate(lines):
        axes.text(
            _SIDE_LEFT + 0.09,
            middle + height / 2 - 0.05 - _LINE * (number + 0.5),
            textwrap.shorten(line, 56, placeholder=" …"),
            va="center",
            fontsize=7,
            fontweight="bold" if line == "Left out" else "normal",
        )


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    line = {"arrowstyle": "-|>", "color": GREY, "lw": 0.9, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
    axes.annotate("", end, start, arrowprops=line)


def _fork(axes: Axes, start: tuple[float, float], centres: list[float], bottom: float) -> None:
    """Draw a line down from a box, and arrows from it to the boxes of the next row."""
    x, top = start
    bend = bottom + 0.16
    axes.plot([x, x], [top, bend], color=GREY, lw=0.9)
    axes.plot([min(centres), max(centres)], [bend, bend], color=GREY, lw=0.9)
    for centre in centres:
        _arrow(axes, (centre, bend), (centre, bottom))
