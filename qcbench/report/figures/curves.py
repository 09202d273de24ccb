"""Figure 5: balanced accuracy against the number of images that a network was fitted on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from qcbench.report.figures.style import GREEN, GREY, SERIES, WIDTH_INCHES, styled
from qcbench.report.results import TASK_TITLES, tasks_of


@styled
def learning_curves(curve: pd.DataFrame, annotators: pd.Series) -> Figure:
    """Return Figure 5: a panel a task, per architecture the mean over the folds with a band of one sd, a mark a fold.

    `curve` is of `learning.by_size`; `annotators` gives the raters' balanced accuracy (0 to 1) by task, drawn as a
    dashed line. The dotted line is a coin toss. Higher is better.
    """
    tasks = tasks_of(curve)
    n_columns = min(len(tasks), 2)
    n_rows = -(-len(tasks) // n_columns)
    figure = Figure(figsize=(WIDTH_INCHES if n_columns > 1 else 4.2, 2.35 * n_rows + 0.15), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharey=True).ravel()
    names = sorted(curve["architecture"].unique())
    lowest = 100 * min(0.48, curve["value"].min() - 0.02)
    for axes, task in zip(panels, tasks, strict=False):
        _panel(axes, curve[curve["task"] == task], names, annotators.get(task))
        axes.set_title(TASK_TITLES.get(task, task))
        axes.set_ylim(lowest, 101)
    for axes in panels[len(tasks) :]:
        axes.set_axis_off()
    figure.supxlabel("images that were learned from (logarithmic)", fontsize=8)
    figure.supylabel("balanced accuracy, %", fontsize=8)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, names: list[str], annotators: float | None) -> None:
    for name in names:
        mine = rows[rows["architecture"] == name]
        if mine.empty:
            continue
        colour, mark = SERIES[names.index(name) % len(SERIES)]
        sizes = mine.groupby("n_images")["value"]
        mean, sd = 100 * sizes.mean(), 100 * sizes.std(ddof=1).fillna(0)
        x = np.array(mean.index, dtype=float)
        axes.fill_between(x, mean - sd, mean + sd, color=colour, alpha=0.18, lw=0)
        axes.plot(mine["n_images"].astype(float), 100 * mine["value"], mark, ms=2.6, mfc="none", mec=colour, mew=0.6)
        axes.plot(x, mean, color=colour, lw=1.4, marker=mark, ms=4, label=name)
    axes.axhline(50, color=GREY, lw=0.8, ls=":")
    if annotators is not None and not pd.isna(annotators):
        axes.axhline(100 * annotators, color=GREEN, lw=1.2, ls="--")
        axes.annotate(
            f"annotators {100 * annotators:.1f}", (0.01, 100 * annotators), xycoords=("axes fraction", "data"),
            xytext=(0, 2), textcoords="offset points", va="bottom", color=GREEN, fontsize=7,
        )  # fmt: skip
    axes.set_xscale("log")
    ticks = _ticks(sorted(rows["n_images"].astype(int).unique()))
    axes.set_xticks(ticks, labels=[f"{n:,}" for n in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")
    axes.legend(loc="lower right", fontsize=7)


def _ticks(sizes: list[int]) -> list[int]:
    """Return the sizes that have room for their label on a logarithmic axis: each at least 1.35 times the last."""
    kept: list[int] = []
    for size in reversed(sizes):
        if not kept or kept[-1] >= 1.35 * size:
            kept.append(size)
    return kept[::-1]
