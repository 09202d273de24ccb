"""Whether probabilities hold what they say, and how a network's decisions go wrong."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from qcbench.report.figures.style import COLOURS, GREY, INK, SERIES, WIDTH_INCHES, styled, tint
from qcbench.report.results import tasks_of


@styled
def reliability_diagrams(bins: pd.DataFrame) -> Figure:
    """Return reliability diagrams: a panel a task, below it how many predictions each bin holds.

    `bins` is of `reliability.reliability`. On the diagonal a probability of 70% is right 7 times in 10; a network above
    it is too timid, one below it too sure. Bins with fewer than 10 predictions have a pale mark.
    """
    tasks = tasks_of(bins)
    n_columns = min(len(tasks), 4)
    n_rows = -(-len(tasks) // n_columns)
    width = WIDTH_INCHES if n_columns > 2 else 2.6 * n_columns + 0.6
    figure = Figure(figsize=(width, 2.75 * n_rows + 0.35), layout="constrained")
    panels = figure.subplots(
        2 * n_rows, n_columns, squeeze=False, sharex=True, height_ratios=[3, 1] * n_rows
    )  # a diagram and its counts
    names = sorted(bins["series"].unique())
    for number in range(n_rows * n_columns):
        row, column = divmod(number, n_columns)
        upper, lower = panels[2 * row, column], panels[2 * row + 1, column]
        if number >= len(tasks):
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        _diagram(upper, lower, bins[bins["task"] == tasks[number]], names)
        upper.set_title(tasks[number])
        lower.set_xlabel("probability, %")
        if not column:
            upper.set_ylabel("positive, %")
            lower.set_ylabel("predictions")
    handles = [
        upper.plot([], [], color=colour, marker=mark, ms=4, lw=1.2, label=name)[0]
        for name, (colour, mark) in zip(names, SERIES * len(names), strict=False)
        for upper in panels[:1, 0]
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(names), 4), fontsize=7)
    return figure


def _diagram(upper: Axes, lower: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    upper.plot([0, 100], [0, 100], color=GREY, lw=0.8, ls=":")
    present = [name for name in names if name in set(rows["series"])]
    for place, name in enumerate(present):
        colour, mark = SERIES[names.index(name) % len(SERIES)]
        mine = rows[(rows["series"] == name) & (rows["predictions"] > 0)].sort_values("lowest")
        x, y = 100 * mine["mean_probability"], 100 * mine["positive"]
        upper.plot(x, y, color=colour, lw=1.2)
        for few, face in ((False, colour), (True, "white")):
            chosen = (mine["predictions"] < 10) == few
            upper.plot(x[chosen], y[chosen], mark, ms=4, mfc=face, mec=colour, mew=0.9, ls="none")
        width = 8 / len(present)
        left = 100 * mine["lowest"] + 1 + width * place
        lower.bar(left, mine["predictions"], width=width, align="edge", color=tint(colour, 0.25))
    upper.set(xlim=(-2, 102), ylim=(-2, 102), xticks=[0, 50, 100], yticks=[0, 50, 100])
    upper.grid()
    lower.set_yscale("symlog", linthresh=10)
    most = int(rows["predictions"].max())
    ticks = [0, *(10**power for power in range(1, len(str(most)) + 1) if 10**power <= most)]
    lower.set_yticks(ticks, labels=[f"{n:,}" for n in ticks])
    lower.yaxis.set_minor_locator(NullLocator())
    lower.grid(axis="y")


@styled
def confusion_matrices(counts: pd.DataFrame) -> Figure:
    """Return a matrix a network and task: images by truth and decision, the mean over the folds, and their range.

    `counts` is of `reliability.confusion`: a row a fold. The darker a cell, the larger its share of the images with
    that truth: right decisions are blue, wrong ones are vermilion.
    """
    groups = [(key, counts[(counts["task"] == key[0]) & (counts["series"] == key[1])]) for key in _keys(counts)]
    n_columns = min(max(len(groups), 1), 4)
    n_rows = -(-len(groups) // n_columns)
    width = WIDTH_INCHES / 4 * max(n_columns, 2)
    figure = Figure(figsize=(width, 1.95 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes, ((task, series), rows) in zip(panels, groups, strict=False):
        _matrix(axes, rows)
        axes.set_title(f"{task}: {series}" if len(series) < 18 else f"{task}:\n{series}", fontsize=7.5)
    for axes in panels[len(groups) :]:
        axes.set_axis_off()
    return figure


def _keys(counts: pd.DataFrame) -> list[tuple[str, str]]:
    return [
        (task, series) for task in tasks_of(counts) for series in counts.loc[counts["task"] == task, "series"].unique()
    ]


def _matrix(axes: Axes, rows: pd.DataFrame) -> None:
    cells = ((("true_positives", "false_negatives"), 0), (("false_positives", "true_negatives"), 1))
    for names, row in cells:
        whole = rows[list(names)].to_numpy().sum()
        for column, name in enumerate(names):
            share = rows[name].sum() / whole if whole else 0.0
            colour = COLOURS["tier 1"] if row == column else COLOURS["tier 3"]
            axes.fill_between(
                [column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=tint(colour, 1 - 0.85 * share), lw=0
            )
            words = f"{rows[name].mean():.4g}"
            if rows[name].min() < rows[name].max():
                words += f"\n{rows[name].min():,} to {rows[name].max():,}"
            ink = "white" if share > 0.6 else INK
            axes.text(column, row, f"{words}\n{100 * share:.0f}%", ha="center", va="center", fontsize=6.8, color=ink)
    axes.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5))
    axes.set_xticks([0, 1], labels=["positive", "negative"])
    axes.set_yticks([0, 1], labels=["positive", "negative"], rotation=90, va="center")
    axes.set_xlabel("decided", fontsize=7)
    axes.set_ylabel("in truth", fontsize=7)
    for spine in axes.spines.values():
        spine.set_visible(False)
