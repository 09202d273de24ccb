"""How the tables of counts that may leave the hospital hang together.

The same images and participants are counted in several of these tables. Whoever subtracts one table from another gets
counts that no table shows: the images of a manufacturer without consensus, the participants lost between two steps.
`links` lists them, so that `suppression.hide_together` can keep the small ones from being computed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import pandas as pd

from qcbench.report import tables
from qcbench.report.counted import count_tables
from qcbench.report.inputs import StudyTables
from qcbench.report.suppression import HIDDEN, Cell, Counts, Sum, hide_together
from qcbench.study import Study


def hidden_tables(study: Study, data: StudyTables, threshold: int) -> dict[str, pd.DataFrame]:
    """Return the tables of counts of a study by name, small counts hidden, and those that would tell them.

    Names: workflow, images, agreement, classes, people, grades-together, dicom-gadolinium, splits; a table whose data
    are missing is not in it. What is hidden in one table is not to be had from the others.
    """
    found = count_tables(study, data)
    sums, unseen = links(found, study)
    shown = hide_together(found, sums, unseen=unseen, threshold=threshold)
    _hide_what_is_computed(shown)
    return shown


def _hide_what_is_computed(shown: dict[str, pd.DataFrame]) -> None:
    """Hide the figures that a hidden count of another row could be computed from, or that rest on it.

    Of the agreement only the rows that are shown stay.
    """
    if "classes" in shown and shown["classes"]["Images"].iloc[-1] == HIDDEN:
        shown["classes"]["% of all"] = HIDDEN
    if "people" in shown:
        people = shown["people"]
        for name in (*tables.CLASSES, "all"):
            counts = people.loc[people["Attribute"].isin(["Images", "Age, years"]), name]
            if (counts == HIDDEN).any():
                people.loc[people["Value"] == "mean ± sd", name] = HIDDEN
    if "agreement" in shown:
        shown["agreement"] = shown["agreement"][shown["agreement"]["Images"] != HIDDEN]
        if shown["agreement"].empty:
            del shown["agreement"]
    if "dicom-gadolinium" in shown and (shown["dicom-gadolinium"]["Value"].iloc[:4] == HIDDEN).any():
        shown["dicom-gadolinium"]["Value"] = HIDDEN


class _Links:
    """Collects what adds up between tables, and the counts that only a subtraction shows."""

    def __init__(self, found: Mapping[str, Counts]) -> None:
        self.values = {(name, *cell): value for name, table in found.items() for cell, value in table.values().items()}
        self.sums: list[Sum] = []
        self.unseen: dict[Cell, float] = {}

    def adds_up(self, total: Cell, parts: Iterable[Cell]) -> None:
        """Say that the parts are within the total; what is left of it is a count that no table shows."""
        parts = tuple(parts)
        known = self.values | self.unseen
        if total not in known or not parts or not all(part in known for part in parts):
            return
        left = known[total] - sum(known[part] for part in parts)
        if left < 0:  # not one within the other after all
            return
        if left:
            rest = ("left of", len(self.unseen))
            self.unseen[rest] = left
            parts = (*parts, rest)
        self.sums.append(Sum(total, parts))

    def both(self, first: Iterable[Cell], second: Iterable[Cell]) -> None:
        """Say that two groups of cells count the same, or the second some of the first."""
        first = tuple(cell for cell in first if cell in self.values)
        if not first:
            return
        whole = ("together", len(self.unseen))
        self.unseen[whole] = sum(self.values[cell] for cell in first)
        self.sums.append(Sum(whole, first))
        self.adds_up(whole, second)


def links(found: Mapping[str, Counts], study: Study) -> tuple[list[Sum], dict[Cell, float]]:
    """Return what adds up between the tables of counts, and the counts that only a subtraction shows."""
    made = _Links(found)
    if "workflow" in found:
        _link_steps(made, found)
        for row in range(len(found["images"].frame)):
            for column in ("of which simulated", "Age not stated"):
                made.adds_up(("images", row, "Images"), (("images", row, column),))
    if "classes" in found:
        _link_classes(made, found)
    if "people" in found and "images" in found:
        _link_scanners(made, found)
    if "splits" in found:
        _link_splits(made, found)
    if "agreement" in found:
        _link_agreement(made, found, study)
    return made.sums, made.unseen


def _step(found: Mapping[str, Counts], name: str, column: str = "Images") -> Cell:
    steps = found["workflow"].frame["Step"].tolist()
    return ("workflow", steps.index(name) if name in steps else -1, column)


def _link_steps(made: _Links, found: Mapping[str, Counts]) -> None:
    def step(name: str, column: str = "Images") -> Cell:
        return _step(found, name, column)

    last = len(found["images"].frame) - 1
    usable = ("images", last, "Images")
    made.adds_up(step("in the catalogue"), (step("unreadable"), step("excluded"), usable))
    made.adds_up(usable, (step("preprocessing failed"), step("waiting for preprocessing"), step("preprocessed")))
    leaving = [step(name) for name in ("not drawn for labelling", "waiting for labels")]
    by_all = step("labelled by all consensus raters")
    made.adds_up(step("preprocessed"), (*(cell for cell in leaving if cell in made.values), by_all))
    made.adds_up(step("labelled by any rater"), (by_all,))
    made.adds_up(by_all, (step("with a consensus"), step("waiting for a joint review")))
    made.adds_up(step("with a consensus"), (step("in cross-validation"), step("in the test set")))
    chain = ("preprocessed", "labelled by any rater", "labelled by all consensus raters", "with a consensus")
    people = [step("in the catalogue", "Participants"), ("images", last, "Participants")]
    people += [step(name, "Participants") for name in chain]
    for outer, inner in itertools.pairwise(people):
        made.adds_up(outer, (inner,))
    sets = (step("in cross-validation", "Participants"), step("in the test set", "Participants"))
    made.adds_up(step("with a consensus", "Participants"), sets)


def _link_classes(made: _Links, found: Mapping[str, Counts]) -> None:
    last = len(found["classes"].frame) - 1
    if "workflow" in found:
        made.adds_up(_step(found, "with a consensus"), (("classes", last, "Images"),))
    made.adds_up(("classes", last, "Images"), (("people", 0, "all"),))
    for name, rows in _rows_of_classes(found).items():
        made.adds_up(("people", 0, name), (("classes", row, "Images") for row in rows))
    people = found["people"].frame
    for row in people.index[(people["Attribute"] == "Age, years") & (people["Value"] == tables.NOT_STATED)]:
        for name in (*tables.CLASSES, "all"):
            made.adds_up(("people", 0, name), (("people", int(row), name),))
    together = found["grades-together"].frame
    pairs = {(row[0], row[1]): number for number, row in enumerate(together.itertuples(index=False))}
    for (first, second), number in pairs.items():
        made.adds_up(("classes", last, first), (("grades-together", number, "of"),))
        made.adds_up(("grades-together", number, "of"), (("grades-together", number, "Images"),))
        made.adds_up(("grades-together", number, "Images"), (("grades-together", pairs[second, first], "Images"),))
    for column, noted in (("with", (0, 1)), ("without", (2, 3))):
        rows = found["classes"].frame.index[found["classes"].frame["Gadolinium"] == column]
        made.both(
            (("classes", int(row), "Images") for row in rows), (("dicom-gadolinium", row, "Value") for row in noted)
        )


def _rows_of_classes(found: Mapping[str, Counts]) -> dict[str, list[int]]:
    names = found["classes"].frame["Class"].tolist()
    return {name: [row for row, other in enumerate(names) if other == name] for name in tables.CLASSES}


def _link_scanners(made: _Links, found: Mapping[str, Counts]) -> None:
    scanners = found["images"].frame.iloc[:-1]
    fields = scanners["Field strength, T"].map(lambda tesla: tables.NOT_STATED if pd.isna(tesla) else f"{tesla:g} T")
    last = len(scanners)
    people = found["people"].frame
    for number, row in enumerate(people.itertuples(index=False)):
        inside = [("people", number, "all")]
        if row.Attribute == "Manufacturer":
            members = scanners.index[scanners["Manufacturer"] == row.Value]
        elif row.Attribute == "Field strength":
            members = scanners.index[fields == row.Value]
        elif row.Attribute == "Sex":
            made.adds_up(("images", last, "Sex not stated" if row.Value == tables.NOT_STATED else row.Value), inside)
            continue
        elif (row.Attribute, row.Value) == ("Age, years", tables.NOT_STATED):
            made.adds_up(("images", last, "Age not stated"), inside)
            continue
        else:
            continue
        made.both((("images", int(place), "Images") for place in members), inside)


def _link_splits(made: _Links, found: Mapping[str, Counts]) -> None:
    sets = found["splits"].frame["Set"].tolist()
    last, test = len(sets) - 1, sets.index("test")
    folds = [row for row in range(last) if row != test]
    for column in ("Images", "Participants"):
        if "workflow" in found:
            made.adds_up(_step(found, "in the test set", column), (("splits", test, column),))
            made.adds_up(_step(found, "in cross-validation", column), (("splits", row, column) for row in folds))
    if "classes" in found:
        for name, rows in _rows_of_classes(found).items():
            made.both((("classes", row, "Images") for row in rows), (("splits", last, name),))


def _link_agreement(made: _Links, found: Mapping[str, Counts], study: Study) -> None:
    """Raters compared on a grade have both graded an image that they compared on straight reject, and so on."""
    frame = found["agreement"].frame
    raters = [f"rater {number}" for number, name in enumerate(study.all_raters, 1) if name in study.consensus_raters]
    for names, rows in frame.groupby("Raters"):
        largest = int(rows["Images"].idxmax())
        for row in rows.index:
            if row != largest:
                made.adds_up(("agreement", largest, "Images"), (("agreement", int(row), "Images"),))
        pair = names.split(", ")
        if len(set(pair)) == 2 and set(pair) <= set(raters) and "workflow" in found:
            by_all = _step(found, "labelled by all consensus raters")
            made.adds_up(("agreement", largest, "Images"), (by_all,))
        elif len(pair) == 2 and pair[1] == "consensus" and "classes" in found:
            whole = ("classes", len(found["classes"].frame) - 1, "Images")
            made.adds_up(whole, (("agreement", largest, "Images"),))
