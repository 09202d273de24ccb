"""Figure 4: the classes of a study as nested rings."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qcbench.report.figures.style import COLOURS, INK, WIDTH_INCHES, styled, tint


@styled
def nested_rings(n_rejects: int, gadolinium: Mapping[str, tuple[int, int]]) -> Figure:
    """Return Figure 4: the inner ring holds the classes, the outer one gadolinium within each.

    `gadolinium` gives for each tier the images with and without it.
    """
    sizes = {"SR": n_rejects, **{tier: sum(pair) for tier, pair in gadolinium.items()}}
    total = sum(sizes.values())
    figure = Figure(figsize=(WIDTH_INCHES, 3.1), layout="constrained")
    axes = figure.subplots()
    outer = [("SR", n_rejects, "none", "")]
    for tier, (n_with, n_without) in gadolinium.items():
        outer += [
            (tier, n_with, tint(COLOURS[tier], 0.25), "Gd"),
            (tier, n_without, tint(COLOURS[tier], 0.7), "no Gd"),
        ]
    turn = {"startangle": 90, "counterclock": False}
    edge = {"edgecolor": "white", "linewidth": 1.2}
    inner_wedges, *_ = axes.pie(
        sizes.values(),
        radius=0.72,
        colors=[COLOURS[name] for name in sizes],
        wedgeprops={"width": 0.34, **edge},
        **turn,
    )
    outer_wedges, *_ = axes.pie(
        [n for _, n, _, _ in outer], radius=1.0, colors=[colour for *_, colour, _ in outer],
        wedgeprops={"width": 0.26, **edge}, **turn,
    )  # fmt: skip
    for wedge, (name, count) in zip(inner_wedges, sizes.items(), strict=True):
        _write_in(axes, wedge, f"{name}\n{count:,}", share=count / total, colour="white" if name != "tier 2" else INK)
    for wedge, (_, count, _, text) in zip(outer_wedges, outer, strict=True):
        _write_in(axes, wedge, f"{text}\n{count:,}" if text else "", share=count / total, colour=INK)
    axes.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02))
    axes.text(0, 0, f"{total:,}\nimages", ha="center", va="center", fontsize=10)
    axes.legend(inner_wedges, _legend(sizes, gadolinium, total), loc="center left", bbox_to_anchor=(1.02, 0.5))
    return figure


def _legend(sizes: Mapping[str, int], gadolinium: Mapping[str, tuple[int, int]], total: int) -> list[str]:
    lines = []
    for name, count in sizes.items():
        line = f"{name}: {count:,} ({100 * count / total:.0f}%)"
        if name in gadolinium:
            line += f", with gadolinium (Gd) {gadolinium[name][0]:,}, without {gadolinium[name][1]:,}"
        lines.append(line)
    return lines


def _write_in(axes: Axes, wedge, text: str, *, share: float, colour: str) -> None:
    """Write a wedge's name inside it; a wedge under 5% has no room and is read from the legend."""
    if share < 0.05:
        return
    angle = math.radians((wedge.theta1 + wedge.theta2) / 2)
    radius = wedge.r - wedge.width / 2
    axes.text(
        radius * math.cos(angle), radius * math.sin(angle), text, ha="center", va="center", fontsize=7, color=colour
    )
