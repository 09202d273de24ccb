"""The pieces that a report is put together from; what they look like is the templates' business."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True, eq=False)
class TableBlock:
    """A table: `name` becomes the file name of its CSV, `formats` how floats are shown on the page.

    The CSV holds the numbers in full; the page shows at most `longest` rows and says so.
    With 0 the table is in the CSV only.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    formats: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    longest: int = 60
    total_row: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class FigureBlock:
    """A figure: `name` becomes the file name of its PNG and SVG, `alt` says it to who cannot see it.

    `photographic` figures are shown as PNG on the page, all others as SVG. `unreadable` gives the
    images that should be in it but could not be read, with the reason.
    """

    name: str
    caption: str
    alt: str
    figure: Figure
    photographic: bool = False
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MissingBlock:
    """What is not there yet, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True, kw_only=True)
class WarningBlock:
    """A sentence that the reader must not overlook."""

    text: str


Block = TableBlock | FigureBlock | MissingBlock | WarningBlock


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the page: its anchor, its title, a few sentences and its blocks."""

    anchor: str
    title: str
    paragraphs: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()

    @property
    def is_missing(self) -> bool:
        """Whether something of this section was not made yet."""
        return any(isinstance(block, MissingBlock) for block in self.blocks)
