"""The figures of a report, all in one style: matplotlib Figures out, no global state, no pyplot.

Colours are Okabe and Ito's (2008), which the colour-blind can tell apart; every colour is also
named by a word or a number beside it. Saved figures carry no date, so the same numbers give the
same bytes.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Mapping, Sequence

import matplotlib.style
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from qcbench.report.pictures import Picture
from qcbench.report.results import ANNOTATORS, TASK_TITLES, is_baseline, is_single_rater, tasks_of

WIDTH_INCHES = 7.2  # two columns of a journal page
COLOURS = {"SR": "#7a7a7a", "tier 1": "#0072b2", "tier 2": "#e69f00", "tier 3": "#d55e00"}
INK, GREY, RULE, GREEN = "#1b1b1b", "#6b6b6b", "#d9d9d9", "#009e73"
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


def _styled(draw: Callable) -> Callable:
    """Run a function under the style of the report, whatever the user's matplotlibrc says."""

    @functools.wraps(draw)
    def styled(*args, **kwargs):
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return styled


@_styled
def to_svg(figure: Figure) -> bytes:
    """Return a figure as SVG with its text as outlines and without a date. Same figure, same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", dpi=200, metadata={"Date": None, "Creator": "qcbench"})
    return buffer.getvalue()


@_styled
def to_png(figure: Figure, *, dpi: int = 200) -> bytes:
    """Return a figure as PNG. Same figure, same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": "qcbench"})
    return buffer.getvalue()


@_styled
def workflow_bars(steps: pd.DataFrame) -> Figure:
    """Return one bar a step of `tables.workflow`: its images; steps that lose images are pale."""
    figure = Figure(figsize=(WIDTH_INCHES, 0.24 * len(steps) + 0.3), layout="constrained")
    axes = figure.subplots()
    colours = ["#c8c8c8" if kind else COLOURS["tier 1"] for kind in steps["Kind"]]
    bars = axes.barh(range(len(steps)), steps["Images"], color=colours, height=0.7)
    axes.bar_label(bars, labels=[f"{count:,}" for count in steps["Images"]], padding=3)
    axes.set_yticks(range(len(steps)), labels=steps["Step"])
    axes.set_ylim(len(steps) - 0.5, -0.5)
    axes.set_xlim(0, 1.08 * max(steps["Images"].max(), 1))
    axes.set_xticks([])
    axes.spines[["bottom", "left"]].set_visible(False)
    return figure


@_styled
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
            (tier, n_with, _tint(COLOURS[tier], 0.25), "Gd"),
            (tier, n_without, _tint(COLOURS[tier], 0.7), "no Gd"),
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


def _tint(colour: str, towards_white: float) -> tuple[float, ...]:
    return tuple(part + (1 - part) * towards_white for part in to_rgb(colour))


def _write_in(axes: Axes, wedge, text: str, *, share: float, colour: str) -> None:
    """Write a wedge's name inside it; a wedge under 5% has no room and is read from the legend."""
    if share < 0.05:
        return
    angle = math.radians((wedge.theta1 + wedge.theta2) / 2)
    radius = wedge.r - wedge.width / 2
    axes.text(
        radius * math.cos(angle), radius * math.sin(angle), text, ha="center", va="center", fontsize=7, color=colour
    )


@_styled
def fold_dots(metrics: pd.DataFrame, *, evaluated_on: str = "test") -> Figure:
    """Return the balanced accuracy of each fold, a panel a task: a dot a fold, a bar at the mean.

    Higher is better. The dashed line is the annotators, the dotted one a coin toss.
    """
    wanted = (metrics["metric"] == "balanced_accuracy") & (metrics["set"] == evaluated_on) & metrics["value"].notna()
    rows = metrics[wanted & ~is_single_rater(metrics)]
    tasks = tasks_of(rows)
    lanes = _lanes(rows)
    heights = [max(len(lanes[task]), 1) for task in tasks]
    figure = Figure(figsize=(WIDTH_INCHES, 0.24 * sum(heights) + 0.5 * len(tasks) + 0.4), layout="constrained")
    panels = figure.subplots(len(tasks), 1, sharex=True, squeeze=False, height_ratios=[h + 0.6 for h in heights])[:, 0]
    lowest = min(0.45, rows["value"].min() - 0.03)
    for axes, task in zip(panels, tasks, strict=True):
        _fold_panel(axes, rows[rows["task"] == task], lanes[task])
        axes.set_title(TASK_TITLES.get(task, task))
        axes.set_xlim(100 * lowest, 101.5)
    panels[-1].set_xlabel("balanced accuracy, % (higher is better)")
    return figure


def _lanes(rows: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Return for each task its (architecture, run) pairs, networks before baselines."""
    people = rows["architecture"] == ANNOTATORS
    machines = rows[~people]
    lanes = {task: [] for task in tasks_of(rows)}
    for (task, architecture, run_id), _ in machines.groupby(["task", "architecture", "run_id"]):
        lanes[task].append((architecture, run_id))
    return {task: sorted(pairs, key=lambda pair: (is_baseline(pair[0]), pair)) for task, pairs in lanes.items()}


def _fold_panel(axes: Axes, rows: pd.DataFrame, lanes: Sequence[tuple[str, str]]) -> None:
    names = [architecture for architecture, _ in lanes]
    labels = [f"{name} ({run})" if names.count(name) > 1 else name for name, run in lanes]
    for height, (architecture, run_id) in enumerate(lanes):
        mine = rows[(rows["architecture"] == architecture) & (rows["run_id"] == run_id)]
        per_fold = mine[mine["fold"].notna()].sort_values("fold")
        values = 100 * (mine if per_fold.empty else per_fold)["value"].astype(float)
        baseline = is_baseline(architecture)
        colour = GREY if baseline else COLOURS["tier 1"]
        axes.plot(values, [height] * len(values), "D" if baseline else "o", ms=4.5, mfc="white", mec=colour, mew=1)
        axes.plot([values.mean()] * 2, [height - 0.32, height + 0.32], color=colour, lw=2)
    axes.axvline(50, color=GREY, lw=0.8, ls=":")
    for value in 100 * rows.loc[rows["architecture"] == ANNOTATORS, "value"].astype(float):
        axes.axvline(value, color=GREEN, lw=1.2, ls="--")
        axes.annotate(
            f"annotators {value:.1f}", (value, 1), xycoords=("data", "axes fraction"),
            xytext=(-3, 2), textcoords="offset points", ha="right", va="bottom", color=GREEN, fontsize=7,
        )  # fmt: skip
    axes.set_yticks(range(len(lanes)), labels=labels)
    axes.set_ylim(max(len(lanes), 1) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)


@_styled
def contact_sheet(groups: Mapping[str, Sequence[Picture]], *, columns: int = 3) -> Figure:
    """Return a sheet of screenshots, one or more rows a group under its name, captions below.

    A picture that could not be read has an empty frame with the reason's code.
    """
    shown = {name: pictures for name, pictures in groups.items() if pictures}
    n_rows = {name: math.ceil(len(pictures) / columns) for name, pictures in shown.items()}
    shapes = [picture.grey.shape for pictures in shown.values() for picture in pictures if picture.grey is not None]
    aspect = max((rows / width for rows, width in shapes), default=0.4)
    row_inches = WIDTH_INCHES / columns * aspect + 0.3
    figure = Figure(
        figsize=(WIDTH_INCHES, max(row_inches * sum(n_rows.values()) + 0.15 * len(shown), 0.5)), layout="constrained"
    )
    if not shown:
        return figure
    parts = figure.subfigures(len(shown), 1, height_ratios=list(n_rows.values()), squeeze=False)[:, 0]
    for part, (name, pictures) in zip(parts, shown.items(), strict=True):
        part.suptitle(name, x=0.005, ha="left", fontsize=9, fontweight="bold")
        grid = part.subplots(n_rows[name], columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, picture in zip(grid, pictures, strict=False):
            _picture(axes, picture)
    return figure


def _picture(axes: Axes, picture: Picture) -> None:
    axes.set_title(picture.caption, fontsize=6.5, loc="center", y=-0.02, va="top", pad=0, wrap=True)
    if picture.grey is None:
        axes.text(0.5, 0.5, picture.error.split(":")[0], ha="center", va="center", color=GREY, transform=axes.transAxes)
        return
    axes.imshow(picture.grey, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
