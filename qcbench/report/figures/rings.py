"""Figure 4: the classes of a study as nested rings: class, gadolinium, and the grades of each artefact."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Wedge

from qcbench.report.figures.style import COLOURS, GREY, INK, WIDTH_INCHES, styled, tint
from qcbench.report.results import Branch

#: Grades from none to severe, light to dark; the grade is also written in each wedge with room for it.
GRADE_COLOURS = ("#ececec", "#a9a9a9", "#4d4d4d")
_TURN = {"startangle": 90, "counterclock": False}
_EDGE = {"edgecolor": "white", "linewidth": 0.9}
_INNER, _MIDDLE, _OUTER = (0.56, 0.24), (0.75, 0.18), 0.085  # radius and width; width of a ring of grades


class _Slice(NamedTuple):
    n: int
    colour: object
    text: str = ""
    ink: str = INK


@styled
def nested_rings(n_rejects: int, branches: Sequence[Branch]) -> Figure:
    """Return Figure 4: from the centre, rings of the classes, of gadolinium, and one of grades for each artefact.

    Straight rejects have no gadolinium and no grades: their part of those rings is empty. The rings of grades each
    hold the images of a branch anew, so every ring adds up to the same number.
    """
    tiers = list(dict.fromkeys(branch.tier for branch in branches))
    sizes = {"SR": n_rejects, **{tier: sum(b.n for b in branches if b.tier == tier) for tier in tiers}}
    artefacts = list(branches[0].grades) if branches else []
    figure = Figure(figsize=(WIDTH_INCHES, 3.9), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=(1.15, 1))
    beside.axis("off")
    inks = {name: INK if name == "tier 2" else "white" for name in sizes}
    classes = [_Slice(n, COLOURS[name], f"{name}\n{n:,}", inks[name]) for name, n in sizes.items()]
    wedges = _ring(axes, *_INNER, classes)
    rejects = _Slice(n_rejects, "none")
    _ring(axes, *_MIDDLE, [rejects, *(_gadolinium(branch) for branch in branches)])
    for place, artefact in enumerate(artefacts, start=1):
        grades = [part for branch in branches for part in _grades(branch.grades[artefact])]
        _ring(axes, _MIDDLE[0] + place * _OUTER, _OUTER, [rejects, *grades], font_size=5.5, least_share=0.012)
    _name_rings(axes, artefacts, n_rejects / max(sum(sizes.values()), 1))
    axes.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02))
    axes.text(0, 0, f"{sum(sizes.values()):,}\nimages", ha="center", va="center", fontsize=9)
    _legend(beside, wedges, sizes, branches, artefacts)
    return figure


def _gadolinium(branch: Branch) -> _Slice:
    text = "Gd" if branch.gadolinium else "no Gd"
    return _Slice(branch.n, tint(COLOURS[branch.tier], 0.25 if branch.gadolinium else 0.7), f"{text}\n{branch.n:,}")


def _grades(counts: tuple[int, int, int]) -> list[_Slice]:
    return [
        _Slice(n, GRADE_COLOURS[grade], str(grade), "white" if grade == 2 else INK) for grade, n in enumerate(counts)
    ]


def _ring(
    axes: Axes, radius: float, width: float, slices: list[_Slice], *, font_size=7.0, least_share=0.05
) -> list[Wedge]:
    """Draw a ring and return its wedges; a wedge below `least_share` of all has no room for its text."""
    if not sum(part.n for part in slices):
        return []
    wedges, *_ = axes.pie(
        [part.n for part in slices],
        radius=radius,
        colors=[part.colour for part in slices],
        wedgeprops={"width": width, **_EDGE},
        **_TURN,
    )
    for wedge, part in zip(wedges, slices, strict=True):
        if wedge.theta2 - wedge.theta1 >= 360 * least_share:
            middle = math.radians((wedge.theta1 + wedge.theta2) / 2)
            x, y = ((radius - width / 2) * turn(middle) for turn in (math.cos, math.sin))
            axes.text(x, y, part.text, ha="center", va="center", fontsize=font_size, color=part.ink)
    return wedges


def _name_rings(axes: Axes, artefacts: list[str], share_of_rejects: float) -> None:
    """Write the name of each ring of grades where straight rejects leave it empty, if they leave enough."""
    if share_of_rejects < 0.12:
        return
    for place, artefact in enumerate(artefacts, start=1):
        axes.text(0.02, _MIDDLE[0] + (place - 0.5) * _OUTER, artefact, ha="left", va="center", fontsize=5.5)


def _legend(
    axes: Axes, wedges: list[Wedge], sizes: Mapping[str, int], branches: Sequence[Branch], artefacts: list[str]
) -> None:
    """Write the numbers of every class beside the rings, and what the rings of grades are."""
    lines, total = [], max(sum(sizes.values()), 1)
    for name, count in sizes.items():
        line = f"{name}: {count:,} ({100 * count / total:.0f}%)"
        numbers = {branch.gadolinium: branch.n for branch in branches if branch.tier == name}
        if numbers:
            line += f", {numbers.get(True, 0):,} with Gd, {numbers.get(False, 0):,} without"
        lines.append(line)
    flush = {"alignment": "left", "fontsize": 7, "title_fontsize": 7.5, "borderpad": 0}
    above, below = (
        {"loc": "lower left", "bbox_to_anchor": (0, 0.53)},
        {"loc": "upper left", "bbox_to_anchor": (0, 0.47)},
    )
    handles = wedges or [Patch(facecolor=COLOURS[name]) for name in sizes]
    first = axes.legend(handles, lines, title="Inner rings: class and gadolinium (Gd)", **above, **flush)
    if artefacts:
        axes.add_artist(first)
        handles = [Patch(facecolor=colour, edgecolor=GREY, linewidth=0.4) for colour in GRADE_COLOURS]
        rings = f"Outer rings: {', '.join(artefacts)}"
        names = [f"grade {grade}" for grade in range(3)]
        axes.legend(handles, names, title=rings, **below, **flush)
