"""What may leave the hospital: aggregates alone, small cells hidden, no picture, id, date, free text or name."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from qcbench import durable
from qcbench.errors import QcbenchError, UsageError
from qcbench.report import associations, comparisons, html, relations, results, tables
from qcbench.report.blocks import Block, Section, TableBlock
from qcbench.report.inputs import StudyTables, read_tables
from qcbench.report.leaks import leaks, raters_of
from qcbench.report.suppression import HIDDEN, THRESHOLD, Sum, down_columns, hide_small, within_rows
from qcbench.schema import GRADED
from qcbench.study import Study
from qcbench.summary import Summary

_GRADES = [tuple(f"{name} {grade}" for grade in (0, 1, 2)) for name in GRADED]
_RANGE = re.compile(r" \[[^]]*\]")


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
    files = dict(html.files_of(sections))
    files["report.html"] = html.render(_head(study, data, threshold), sections, files).encode()
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
        "simulated": html.simulated_sentence(data, with_names=False),
    }


def _sections(
    study: Study, data: StudyTables, threshold: int, compare: str | None
) -> Iterator[tuple[str, str, list[Block]]]:
    yield "protocol", "Protocol", list(relations.protocol(study, data).blocks)
    yield "workflow", "Workflow", _workflow(study, data, threshold)
    yield "images", "Images", _images(data, threshold)
    yield "agreement", "Agreement between raters", _agreement(study, data, threshold)
    if len(data.consensus):
        yield "consensus", "Consensus", _classes(data, threshold)
        yield "people", "Classes, scanners and people", _people(data, threshold)
        yield "together", "What goes together", _together(data, threshold)
    if len(data.splits):
        yield "splits", "Test set and folds", _splits(data, threshold)
    yield (
        "networks",
        "Networks",
        [block for block in relations.architectures(study, data).blocks if isinstance(block, TableBlock)],
    )
    if (data.metrics["set"] == "test").any():
        yield "metrics", "Metrics on the test set", _metrics(data, threshold)
    if compare == "paper" and len(data.consensus) >= threshold:
        yield "paper", "Beside the paper", _beside_the_paper(data, threshold)


def _workflow(study: Study, data: StudyTables, threshold: int) -> list[Block]:
    if data.images.empty:
        return []
    steps = tables.workflow(
        data.images,
        data.preprocessed,
        data.labels,
        data.consensus,
        data.open_reviews,
        data.splits,
        raters=study.consensus_raters,
    ).drop(columns="Kind")
    place = {step: number for number, step in enumerate(steps["Step"])}
    ends = ("unreadable", "excluded", "preprocessing failed", "waiting for preprocessing", "preprocessed")
    sums = [Sum((place["in the catalogue"], "Images"), tuple((place[step], "Images") for step in ends))]
    parts = [place["in cross-validation"], place["in the test set"]]
    if steps["Images"].iloc[parts].sum() == steps["Images"].iloc[place["with a consensus"]]:
        sums.append(Sum((place["with a consensus"], "Images"), tuple((part, "Images") for part in parts)))
    frame = hide_small(steps, ["Images", "Participants"], sums, threshold=threshold, follows={"Participants": "Images"})
    return [TableBlock(name="workflow", caption="Images and participants at each step.", frame=frame)]


def _images(data: StudyTables, threshold: int) -> list[Block]:
    if data.images.empty:
        return []
    frame = tables.demographics(tables.usable(data.images))
    sexes = frame.pop("F/M").str.split("/", expand=True).astype(int)
    frame = frame.assign(F=sexes[0], M=sexes[1])
    ages = "Age, years: mean ± sd [range]"
    frame = frame.rename(columns={ages: "Age, years: mean ± sd"})
    frame["Age, years: mean ± sd"] = frame["Age, years: mean ± sd"].map(_without_range)
    counts = ["Images", "Participants", "of which simulated", "Age not stated", "Sex not stated", "F", "M"]
    last = len(frame) - 1
    sums = [*down_columns(range(last), counts, last), *within_rows(frame, ("F", "M", "Sex not stated"), "Images")]
    shown = hide_small(frame, counts, sums, threshold=threshold, follows={"Age, years: mean ± sd": "Images"})
    caption = "Images by manufacturer, model and field strength (Table 1)."
    return [TableBlock(name="images", caption=caption, frame=shown, formats={"Field strength, T": "g"}, total_row=True)]


def _without_range(text: str) -> str:
    # The lowest and the highest age are those of two people.
    return _RANGE.sub("", text)


def _agreement(study: Study, data: StudyTables, threshold: int) -> list[Block]:
    found = data.agreement[data.agreement["n"] >= threshold]
    if found.empty:
        return []
    # Also those who are no longer raters of the study have names.
    everybody = dict.fromkeys([*study.all_raters, *sorted(raters_of(data))])
    names = {rater: f"rater {number}" for number, rater in enumerate(everybody, 1)} | {"consensus": "consensus"}

    def unnamed(raters: str) -> str:
        parts = [part.partition(" (") for part in raters.split(",")]
        return ",".join(f"{names[name]}{gap}{rest}" for name, gap, rest in parts)

    frame = tables.agreement_table(found.assign(raters=found["raters"].map(unnamed)))
    return [TableBlock(name="agreement", caption="Agreement per characteristic (Table 3).", frame=frame)]


def _classes(data: StudyTables, threshold: int) -> list[Block]:
    grades = [column for columns in _GRADES for column in columns]
    frame = results.class_counts(data.consensus)
    last = len(frame) - 1
    graded = range(1, last)  # row 0 is SR, which has no grades
    sums = [*down_columns(range(last), ["Images"], last), *down_columns(graded, grades, last)]
    for columns in _GRADES:
        sums += [Sum((row, "Images"), tuple((row, column) for column in columns)) for row in graded]
        # All but the rejected have a grade: so the grades of all would tell the rejected.
        sums.append(Sum((last, "Images"), ((0, "Images"), *((last, column) for column in columns))))
    shown = hide_small(frame, ["Images", *grades], sums, threshold=threshold, follows={"% of all": "Images"})
    caption = "Images per class, gadolinium and grade (Table S1)."
    return [TableBlock(name="classes", caption=caption, frame=shown, formats={"% of all": ".1f"}, total_row=True)]


def _people(data: StudyTables, threshold: int) -> list[Block]:
    frame = associations.people_by_class(data.images, data.consensus)
    is_age = frame["Value"].str.startswith("mean")
    ages, counts = frame[is_age], frame[~is_age].reset_index(drop=True)
    columns = [*tables.CLASSES, "all"]
    sums = within_rows(counts, tables.CLASSES, "all")
    for attribute in counts["Attribute"].unique():
        rows = [int(row) for row in counts.index[counts["Attribute"] == attribute]]
        if attribute not in ("Images", "Age, years"):
            sums += [Sum((0, name), tuple((row, name) for row in rows)) for name in columns]
    shown = hide_small(counts, columns, sums, threshold=threshold)
    few = {name: shown[name].iloc[0] == HIDDEN for name in columns}
    ages = ages.assign(Value="mean ± sd")
    for name in (*tables.CLASSES, "all"):
        ages[name] = HIDDEN if few[name] else ages[name].map(_without_range)
    whole = pd.concat([shown, ages], ignore_index=True)
    caption = "Images by manufacturer, field strength, sex and age of each class (Table 4)."
    return [TableBlock(name="people", caption=caption, frame=whole)]


def _together(data: StudyTables, threshold: int) -> list[Block]:
    frame = associations.grades_together(data.consensus)
    shown = hide_small(frame, ["Images", "of"], threshold=threshold, follows={"%": "Images"})
    shown.loc[shown["of"].map(lambda cell: isinstance(cell, str)), "%"] = HIDDEN
    caption = "Severe grades that go together: of the images with one, how many have the other."
    blocks: list[Block] = [TableBlock(name="grades-together", caption=caption, frame=shown, formats={"%": ".0f"})]
    if data.images["dicom_gadolinium"].notna().any():
        found = associations.dicom_words(data.images, data.consensus)
        is_hidden = found["Value"][:4].between(1, threshold - 1).any()
        whole = found.astype(object).copy()
        if is_hidden:
            whole["Value"] = HIDDEN
        caption = "DICOM words against what raters saw of gadolinium."
        blocks.append(TableBlock(name="dicom-gadolinium", caption=caption, frame=whole, formats={"Value": ".4g"}))
    return blocks


def _splits(data: StudyTables, threshold: int) -> list[Block]:
    frame = results.split_counts(data.splits, data.consensus)
    classes = (*tables.CLASSES, "no consensus")
    columns, last = ["Participants", "Images", *classes], len(frame) - 1
    sums = [*down_columns(range(last), columns, last), *within_rows(frame, classes, "Images")]
    shown = hide_small(frame, columns, sums, threshold=threshold)
    caption = "Participants and images of each set."
    return [TableBlock(name="splits", caption=caption, frame=shown, total_row=True)]


def _metrics(data: StudyTables, threshold: int) -> list[Block]:
    summary = results.metric_summary(data.metrics)
    enough = results.without_single_raters(summary[summary["n_lowest"] >= threshold])
    return [
        TableBlock(
            name=f"metrics-{task}",
            caption=f"Task {task}: {results.TASK_TITLES.get(task, task)}. In percent, higher is better.",
            frame=results.metric_table(enough, task),
        )
        for task in results.tasks_of(enough)
    ]


def _beside_the_paper(data: StudyTables, threshold: int) -> list[Block]:
    frame = comparisons.beside_the_paper(
        data.agreement[data.agreement["n"] >= threshold], data.consensus, data.metrics[data.metrics["n"] >= threshold]
    )
    counts = results.class_counts(data.consensus)
    small = counts.loc[counts["Images"].between(1, threshold - 1), ["Class", "Gadolinium"]]
    if len(small):  # shares of all would tell the counts that are hidden
        frame = frame[frame["Table"] != "S1"]
    formats = dict.fromkeys(("Published", "This study", "Difference"), ".1f")
    return [
        TableBlock(
            name="beside-the-paper",
            caption="Bottani et al. 2022 and this study.",
            frame=frame,
            formats=formats,
            longest=100,
        )
    ]
