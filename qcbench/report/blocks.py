"""The pieces that a report is put together from; what they look like is the templates' business."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.figure import Figure

from qcbench.report.pictures import Picture


def file_name(text: str) -> str:
    """Return a text as part of a file's name: what comes from a table must not lead out of a folder.

    >>> file_name("../motion 2")
    '---motion-2'
    """
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)


@dataclass(frozen=True, kw_only=True, eq=False)
class TableBlock:
    """A table: `name` becomes the file name of its CSV and parquet, `formats` how floats are shown on the page.

    The files hold the numbers in full; the page shows at most `longest` rows and says so.
    With 0 the table is in the files only.
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


@dataclass(frozen=True, kw_only=True, eq=False)
class GalleryBlock:
    """Screenshots to click on: each is a line of words that opens to its picture. They are on the page only."""

    caption: str
    pictures: tuple[Picture, ...]

    @property
    def unreadable(self) -> dict[str, str]:
        """The images that could not be read, with the reason."""
        return {picture.image_id: picture.error for picture in self.pictures if picture.error}


@dataclass(frozen=True, kw_only=True)
class TextBlock:
    """Text to be pasted elsewhere: paragraphs apart by an empty line; `name` becomes the file name of its text."""

    name: str
    caption: str
    text: str


@dataclass(frozen=True, kw_only=True)
class MissingBlock:
    """What is not there yet, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True, kw_only=True)
class WarningBlock:
    """A sentence that the reader must not overlook."""

    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldedBlock:
    """Blocks behind a line of words that opens to them."""

    words: str
    blocks: tuple[Block, ...]


Block = TableBlock | FigureBlock | GalleryBlock | TextBlock | MissingBlock | WarningBlock | FoldedBlock


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
        return any(isinstance(block, MissingBlock) for block in self.all_blocks())

    def all_blocks(self) -> Iterator[Block]:
        """Yield the blocks, and those that are folded away in place of what folds them."""
        for block in self.blocks:
            if isinstance(block, FoldedBlock):
                yield from block.blocks
            else:
                yield block
