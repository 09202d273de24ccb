"""The tables of counts that may leave the hospital: their numbers, and what adds up within each."""

from __future__ import annotations

import pandas as pd

from qcbench.report import associations, results, tables
from qcbench.report.inputs import StudyTables
from qcbench.report.leaks import raters_of
from qcbench.report.suppression import Counts, Sum, down_columns, within_rows
from qcbench.schema import GRADED
from qcbench.study import Study

_GRADES = [tuple(f"{name} {grade}" for grade in (0, 1, 2)) for name in GRADED]
_AGES = "Age, years: mean ± sd"


def count_tables(study: Study, data: StudyTables) -> dict[str, Counts]:
    """Return each table of counts by name; see `linked.hidden_tables`. A table whose data are missing is not there."""
    found = {}
    if len(data.images):
        found["workflow"] = _workflow(study, data)
        found["images"] = _images(data)
    if len(data.agreement):
        found["agreement"] = _agreement(study, data)
    if len(data.consensus):
        found["classes"] = _classes(data)
        found["people"] = _people(data)
        found["grades-together"] = _together(data)
        if data.images["dicom_gadolinium"].notna().any():
            found["dicom-gadolinium"] = _dicom_words(data)
    if len(data.splits):
        found["splits"] = _splits(data)
    return found


def _workflow(study: Study, data: StudyTables) -> Counts:
    steps = tables.workflow(
        data.images,
        data.preprocessed,
        data.labels,
        data.consensus,
        data.open_reviews,
        data.splits,
        raters=study.consensus_raters,
        drawn=data.sample["image_id"],
    ).drop(columns="Kind")
    return Counts(frame=steps, columns=("Images", "Participants"), follows={"Participants": ("Images",)})


def _images(data: StudyTables) -> Counts:
    frame = tables.demographics(tables.usable(data.images))
    sexes = frame.pop("F/M").str.split("/", expand=True).astype(int)
    frame = frame.assign(F=sexes[0], M=sexes[1]).rename(columns={f"{_AGES} [range]": _AGES})
    frame[_AGES] = frame[_AGES].map(without_range)
    added = ("Images", "of which simulated", "Age not stated", "Sex not stated", "F", "M")
    last = len(frame) - 1
    sums = [*down_columns(range(last), added, last), *within_rows(frame, ("F", "M", "Sex not stated"), "Images")]
    # Who has an age is counted by nobody, and yet the mean rests on them; so with what is no simulation.
    # Participants do not add up: one may have been in two scanners.
    return Counts(
        frame=frame, columns=(*added, "Participants"), sums=sums, follows={_AGES: ("Images", "Age not stated")}
    )


def without_range(text: str) -> str:
    """Return "mean ± sd" without "[lowest, highest]", which are the ages of two people."""
    return text.partition(" [")[0]


def _agreement(study: Study, data: StudyTables) -> Counts:
    # Also those who are no longer raters of the study have names.
    everybody = dict.fromkeys([*study.all_raters, *sorted(raters_of(data))])
    names = {rater: f"rater {number}" for number, rater in enumerate(everybody, 1)} | {"consensus": "consensus"}

    def unnamed(raters: str) -> str:
        parts = [part.partition(" (") for part in raters.split(",")]
        return ",".join(f"{names[name]}{gap}{rest}" for name, gap, rest in parts)

    frame = tables.agreement_table(data.agreement.assign(raters=data.agreement["raters"].map(unnamed)))
    statistics = [name for name in frame.columns if name not in ("Characteristic", "Raters", "Images")]
    return Counts(frame=frame, columns=("Images",), follows=dict.fromkeys(statistics, ("Images",)))


def _classes(data: StudyTables) -> Counts:
    grades = [column for columns in _GRADES for column in columns]
    frame = results.class_counts(data.consensus)
    last = len(frame) - 1
    graded = range(1, last)  # row 0 is SR, which has no grades
    sums = [*down_columns(range(last), ["Images"], last), *down_columns(graded, grades, last)]
    for columns in _GRADES:
        sums += [Sum((row, "Images"), tuple((row, column) for column in columns)) for row in graded]
        # All but the rejected have a grade: so the grades of all would tell the rejected.
        sums.append(Sum((last, "Images"), ((0, "Images"), *((last, column) for column in columns))))
    return Counts(frame=frame, columns=("Images", *grades), sums=sums, follows={"% of all": ("Images",)})


def _people(data: StudyTables) -> Counts:
    frame = associations.people_by_class(data.images, data.consensus)
    is_age = frame["Value"].str.startswith("mean")
    frame = pd.concat([frame[~is_age], frame[is_age].assign(Value="mean ± sd")], ignore_index=True)
    columns = [*tables.CLASSES, "all"]
    for name in columns:
        frame[name] = frame[name].map(lambda value: without_range(value) if isinstance(value, str) else value)
    rows = [row for row in range(len(frame)) if frame["Value"].iloc[row] != "mean ± sd"]
    sums = [Sum((row, "all"), tuple((row, name) for name in tables.CLASSES)) for row in rows]
    for attribute in frame["Attribute"].unique():
        members = [row for row in rows if frame["Attribute"].iloc[row] == attribute]
        if attribute not in ("Images", "Age, years"):
            sums += [Sum((0, name), tuple((row, name) for row in members)) for name in columns]
    return Counts(frame=frame, columns=columns, sums=sums, rows=rows)


def _together(data: StudyTables) -> Counts:
    frame = associations.grades_together(data.consensus)
    return Counts(frame=frame, columns=("Images", "of"), follows={"%": ("Images", "of")})


def _dicom_words(data: StudyTables) -> Counts:
    frame = associations.dicom_words(data.images, data.consensus)
    return Counts(frame=frame, columns=("Value",), rows=range(4))


def _splits(data: StudyTables) -> Counts:
    frame = results.split_counts(data.splits, data.consensus)
    classes = (*tables.CLASSES, "no consensus")
    columns, last = ["Participants", "Images", *classes], len(frame) - 1
    sums = [*down_columns(range(last), columns, last), *within_rows(frame, classes, "Images")]
    return Counts(frame=frame, columns=columns, sums=sums)
