"""The balanced accuracy of each fold on the test set."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qcbench.report.figures.style import COLOURS, GREEN, GREY, WIDTH_INCHES, styled
from qcbench.report.results import ANNOTATORS, TASK_TITLES, is_baseline, is_single_rater, tasks_of


@styled
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
