"""What each section of the report says of splits, metrics and predictions; see `sections`."""

from __future__ import annotations

import pandas as pd

from qcbench.report import figures, results
from qcbench.report.blocks import Block, FigureBlock, MissingBlock, Section, TableBlock, WarningBlock, file_name
from qcbench.report.inputs import StudyTables
from qcbench.study import Study


def splits(study: Study, data: StudyTables) -> Section:
    """Return the section on the test set and the folds, and whether a participant is in two."""
    title = "Test set and folds"
    if data.splits.empty:
        missing = MissingBlock(what="The images are not split yet.", command="qcbench split STUDY")
        return Section(anchor="splits", title=title, blocks=(missing,))
    shared = results.shared_participants(data.splits)
    blocks: list[Block] = [
        TableBlock(
            name="splits",
            caption="Participants and images of each set, in all and per class of the consensus.",
            frame=results.split_counts(data.splits, data.consensus),
            total_row=True,
        )
    ]
    if shared:
        text = f"LEAK: participants in more than one set or fold: {len(shared)} ({', '.join(shared[:5])}). "
        blocks.insert(0, WarningBlock(text=text + "No result below can be trusted. Run: qcbench split STUDY"))
    n = data.splits["participant_id"].nunique()
    checked = f"Images are split by participant. Checked: no participant of {n} is in two sets or folds."
    return Section(anchor="splits", title=title, paragraphs=() if shared else (checked,), blocks=tuple(blocks))


def metrics(study: Study, data: StudyTables) -> Section:
    """Return the section on the test metrics: a table a task, and each fold's balanced accuracy."""
    title = "Metrics on the test set"
    test = data.metrics[data.metrics["set"] == "test"]
    if test.empty:
        what = "No network is evaluated on the test set yet."
        missing = MissingBlock(what=what, command="qcbench evaluate STUDY")
        return Section(anchor="metrics", title=title, blocks=(missing,))
    summary = results.metric_summary(data.metrics)
    blocks: list[Block] = []
    if (test["metric"] == "balanced_accuracy").any() and test["value"].notna().any():
        blocks.append(_fold_figure(data.metrics, summary))
    blocks += [_task_table(summary, task) for task in results.tasks_of(summary)]
    blocks += [
        TableBlock(name="runs", caption="Runs that these metrics are of.", frame=results.run_table(summary)),
        TableBlock(
            name="metrics",
            caption="All of the above in full precision. Between 0 and 1, MCC between -1 and 1: mean, sd, folds, and "
            "why a value is undefined.",
            frame=summary,
            longest=0,
        ),
    ]
    return Section(anchor="metrics", title=title, paragraphs=_how_to_read(data, summary), blocks=tuple(blocks))


def _how_to_read(data: StudyTables, summary: pd.DataFrame) -> tuple[str, ...]:
    untrained = [task for task in results.TASKS if task not in set(summary["task"])]
    other_sets = sorted(set(data.metrics["set"]) - {"test"})
    sentences = [
        "Each task's networks, one a fold, are evaluated on the same test set: mean ± empirical standard deviation "
        "(ddof = 1) over the folds, in percent, MCC times 100. Higher is better everywhere. BA is balanced accuracy; "
        "F1, weighted is weighted by support; AUC is computed on probabilities, AUC, hard on decisions, where it "
        "equals BA. Annotators: mean ± sd over the raters, each against the consensus they themselves made.",
    ]
    if untrained:
        sentences.append(f"Not evaluated yet: {', '.join(untrained)} (qcbench evaluate STUDY).")
    if other_sets:
        sentences.append(f"The table of metrics also has rows of the sets {', '.join(other_sets)}, not shown here.")
    return tuple(sentences)


def _fold_figure(all_metrics: pd.DataFrame, summary: pd.DataFrame) -> FigureBlock:
    accuracy = summary[(summary["metric"] == "balanced_accuracy") & summary["mean"].notna()]
    return FigureBlock(
        name="balanced-accuracy",
        caption="Balanced accuracy on the test set: one mark a fold, a bar at their mean. Circles are networks, grey "
        "diamonds the baseline without a network; the dashed line is the annotators, the dotted one a coin toss."
        + _simulated(summary),
        alt="; ".join(f"{row.task}, {row.architecture}: {100 * row.mean:.1f}%" for row in accuracy.itertuples()),
        figure=figures.fold_dots(all_metrics),
    )


def _task_table(summary: pd.DataFrame, task: str) -> TableBlock:
    mine = results.without_single_raters(summary[summary["task"] == task])
    positive = results.TASK_TITLES.get(task, task)
    further = sorted(set(mine["metric"]) - set(results.METRICS))
    notes = [f"Undefined: {sentence}" for sentence in results.undefined_metrics(summary, task)]
    if further:
        notes.append(f"Further metrics, in metrics.csv: {', '.join(further)}.")
    return TableBlock(
        name=f"metrics-{file_name(task)}",
        caption=f"Task {task}: {positive}. Test set of {results.images_in_words(mine)} images, percent, higher is "
        f"better.{_simulated(mine)}",
        frame=results.metric_table(summary, task),
        notes=tuple(notes),
    )


def _simulated(summary: pd.DataFrame) -> str:
    return " Simulated images or labels are among them." if summary["simulated"].any() else ""


def predictions(study: Study, data: StudyTables) -> Section:
    """Return the section on what the networks say of the images."""
    title = "Predictions"
    if data.predictions.empty:
        missing = MissingBlock(what="Nothing is predicted yet.", command="qcbench predict STUDY")
        return Section(anchor="predictions", title=title, blocks=(missing,))
    table = TableBlock(
        name="predictions",
        caption="Predictions by task and run. The probability is that of the positive class; with several folds, each "
        "fold's prediction counts.",
        frame=results.prediction_counts(data.predictions),
        formats={"Probability ≥ 0.5, %": ".1f"},
    )
    return Section(anchor="predictions", title=title, blocks=(table,))
