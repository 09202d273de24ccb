"""The tables and figures of a report one by one, for notebook cells: names in, DataFrames and Figures out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from qcbench.errors import UsageError
from qcbench.report import html
from qcbench.report.blocks import Block, FigureBlock, Section, TableBlock, TextBlock
from qcbench.report.inputs import StudyTables, read_tables
from qcbench.study import Study


class Report:
    """The report of a study, section by section, made when a cell asks for it; nothing is written.

    The tables are read once: make a new one after a stage has run. `names` lists what there is.
    """

    def __init__(self, study: Study | str | Path) -> None:
        self.study = Study.of(study)
        self.data: StudyTables = read_tables(self.study)
        self._made: dict[Callable, Section] = {}

    def names(self) -> pd.DataFrame:
        """Return what there is: kind (table, figure, text), name, what it shows, section."""
        kinds = {TableBlock: "table", FigureBlock: "figure", TextBlock: "text"}
        rows = [
            (kinds[type(block)], block.name, block.caption.partition(". ")[0].removesuffix("."), section.title)
            for section in self._sections()
            for block in section.all_blocks()
            if type(block) in kinds
        ]
        return pd.DataFrame(rows, columns=["Kind", "Name", "Shows", "Section"])

    def table(self, name: str) -> pd.DataFrame:
        """Return a table as a DataFrame with headings for people. Raises UsageError for a name that is not there."""
        return self._block(TableBlock, name).frame

    def figure(self, name: str) -> Figure:
        """Return a matplotlib Figure, in the style of the report. Raises UsageError for a name that is not there."""
        return self._block(FigureBlock, name).figure

    def text(self, name: str) -> str:
        """Return a text, as "methods". Raises UsageError for a name that is not there."""
        return self._block(TextBlock, name).text

    def _sections(self) -> Iterator[Section]:
        for make in (*html.SECTIONS, *html.COMPARISONS.values()):
            if make not in self._made:
                self._made[make] = make(self.study, self.data)
            yield self._made[make]

    def _block(self, kind: type, name: str) -> Block:
        there = []
        for section in self._sections():
            for block in section.all_blocks():
                if isinstance(block, kind):
                    if block.name == name:
                        return block
                    there.append(block.name)
        what = kind.__name__.removesuffix("Block").lower()
        raise UsageError(
            f"the report of {self.study.folder} has no {what} {name!r}; it has {', '.join(there) or 'none'}. "
            "What is missing, and the command that makes it, stands in the page of qcbench report."
        )
