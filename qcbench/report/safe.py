"""What may leave the hospital: aggregates alone, small cells hidden, no picture, id, date, free text or name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from qcbench import durable
from qcbench.errors import QcbenchError, UsageError
from qcbench.report import comparisons, html, page, relations, results
from qcbench.report.blocks import Block, Section, TableBlock, file_name
from qcbench.report.inputs import StudyTables, read_tables
from qcbench.report.leaks import leaks
from qcbench.report.linked import hidden_tables
from qcbench.report.suppression import HIDDEN, THRESHOLD
from qcbench.schema import TASKS
from qcbench.study import Study
from qcbench.summary import Summary

#: What each table of counts is called on the page, and how its floats are shown.
_CAPTIONS: dict[str, tuple[str, dict[str, str]]] = {
    "workflow": ("Images and participants at each step.", {}),
    "images": ("Images by manufacturer, model and field strength (Table 1).", {"Field strength, T": "g"}),
    "agreement": ("Agreement per characteristic (Table 3).", {}),
    "classes": ("Images per class, gadolinium and grade (Table S1).", {"% of all": ".1f"}),
    "people": ("Images by manufacturer, field strength, sex and age of each class (Table 4).", {}),
    "grades-together": (
        "Severe grades that go together: of the images with one, how many have the other.",
        {"%": ".0f"},
    ),
    "dicom-gadolinium": ("DICOM words against what raters saw of gadolinium.", {"Value": ".4g"}),
    "splits": ("Participants and images of each set.", {}),
}


def report_that_may_leave(
    study: Study | str | Path, *, compare: str | None = None, threshold: int = THRESHOLD
) -> Summary:
    """Write reports/safe/: a page and its tables, read again before to see that nobody is in them.

    Raises QcbenchError, and writes nothing, when `leaks` finds anything; UsageError for a threshold under 3.
    """
    started = time.monotonic()
    if threshold < 3:
        raise UsageError(f"a threshold under 3 hides nobody, got {threshold}; hospitals ask for 5, 10 or 11")
    study = Study.of(study)
    files = made(study, read_tables(study), compare=compare, threshold=threshold)
    folder = study.reports / "safe"
    for path in (file for file in folder.rglob("*") if file.is_file() and str(file.relative_to(folder)) not in files):
        path.unlink()
    for name, content in files.items():
        durable.write_bytes(folder / name, content)
    facts = {"report": study.relative(folder / "report.html"), "tables": len(files) - 1, "hidden under": threshold}
    return Summary(stage="report", done=len(files), facts=facts, seconds=time.monotonic() - started)


def made(
    study: Study, data: StudyTables, *, compare: str | None = None, threshold: int = THRESHOLD
) -> dict[str, bytes]:
    """Return the files of the report that may leave, by name. Raises QcbenchError when `leaks` finds anything."""
    sections = [
        Section(anchor=anchor, title=title, blocks=tuple(blocks))
        for anchor, title, blocks in _sections(study, data, threshold, compare)
        if blocks
    ]
    files = dict(html.files_of(sections, with_parquet=False))
    files["report.html"] = page.render(_head(study, data, threshold), sections, files).encode()
    found = leaks(files, study, data, threshold=threshold)
    if found:
        raise QcbenchError(
            f"the report that may leave would give something away, and was not written: {'; '.join(found[:5])}. "
            "Please tell the developers; nothing of it has left."
        )
    return files


def _head(study: Study, data: StudyTables, threshold: int) -> dict[str, object]:
    presets = sorted(data.preprocessed["preprocessing_preset"].dropna().unique())
    return {
        "name": "Aggregates of a study",
        "facts": {
            "Protocol": f"{study.protocol.name}, version {study.protocol.version}",
            "Preprocessing": ", ".join(presets) or "none yet",
            "Hidden": f"counts under {threshold}, and those that would tell them",
        },
        "counts": {},
        "simulated": html.simulated_sentence(data, in_detail=False),
    }


def _sections(
    study: Study, data: StudyTables, threshold: int, compare: str | None
) -> Iterator[tuple[str, str, list[Block]]]:
    counts = hidden_tables(study, data, threshold)

    def blocks(*names: str) -> list[Block]:
        return [_count_block(name, counts[name]) for name in names if name in counts]

    yield "protocol", "Protocol", list(relations.protocol(study, data).blocks)
    yield "workflow", "Workflow", blocks("workflow")
    yield "images", "Images", blocks("images")
    yield "agreement", "Agreement between raters", blocks("agreement")
    yield "consensus", "Consensus", blocks("classes")
    yield "people", "Classes, scanners and people", blocks("people")
    yield "together", "What goes together", blocks("grades-together", "dicom-gadolinium")
    yield "splits", "Test set and folds", blocks("splits")
    yield "networks", "Networks", _networks(data)
    enough = _with_enough(data, threshold)
    if (enough["set"] == "test").any():
        yield "metrics", "Metrics on the test set", _metrics(enough)
    if compare == "paper" and len(data.consensus) >= threshold:
        yield "paper", "Beside the paper", [_beside_the_paper(data, enough, counts, threshold)]


def _count_block(name: str, frame: pd.DataFrame) -> TableBlock:
    caption, formats = _CAPTIONS[name]
    return TableBlock(
        name=name, caption=caption, frame=frame, formats=formats, total_row=name in ("images", "classes", "splits")
    )


def _networks(data: StudyTables) -> list[Block]:
    return [
        TableBlock(
            name=f"layers-{file_name(name)}",
            caption=f"Layers of {name} (Table S2). What leaves each layer, channels first.",
            frame=relations.layers(found),
            longest=80,
        )
        for name, found in data.architectures.items()
    ]


def _with_enough(data: StudyTables, threshold: int) -> pd.DataFrame:
    """Return the metrics of evaluations that rest on enough images: of each class of the test set, where it is known.

    A sensitivity on three images would tell what became of each of them.
    """
    test = set(data.splits.loc[data.splits["set"] == "test", "image_id"])
    few = set()
    for task in TASKS if len(data.consensus) else ():
        truth = comparisons.labels_of_task(data.consensus, task)
        tested = truth[truth.index.isin(test)]
        n_positive = int(tested.sum())
        if 0 < n_positive < threshold or 0 < len(tested) - n_positive < threshold:
            few.add(task)
    metrics = data.metrics
    return metrics[(metrics["n"] >= threshold) & ~metrics["task"].isin(few)]


def _metrics(metrics: pd.DataFrame) -> list[Block]:
    summary = results.without_single_raters(results.metric_summary(metrics))
    return [
        TableBlock(
            name=f"metrics-{file_name(task)}",
            caption=f"Task {task}: {results.TASK_TITLES.get(task, task)}. In percent, higher is better.",
            frame=results.metric_table(summary, task),
        )
        for task in results.tasks_of(summary)
    ]


def _beside_the_paper(
    data: StudyTables, metrics: pd.DataFrame, counts: dict[str, pd.DataFrame], threshold: int
) -> TableBlock:
    agreement = data.agreement[data.agreement["n"] >= threshold]
    frame = comparisons.beside_the_paper(agreement, data.consensus, metrics)
    if (counts["classes"]["Images"] == HIDDEN).any():  # shares of all would tell what is hidden
        frame = frame[frame["Table"] != "S1"]
    return TableBlock(
        name="beside-the-paper",
        caption="Bottani et al. 2022 and this study.",
        frame=frame,
        formats=dict.fromkeys(("Published", "This study", "Difference"), ".1f"),
        longest=100,
    )
