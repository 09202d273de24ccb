"""A report's sections as one HTML page that needs nothing else.

The page has no script and asks for nothing outside itself. Whatever comes from a table is escaped by jinja2.
"""

from __future__ import annotations

import base64
import functools
import numbers
import re
from collections.abc import Callable, Mapping

import jinja2
import pandas as pd
from markupsafe import Markup

from qcbench.report import pictures
from qcbench.report.blocks import (
    FigureBlock,
    FoldedBlock,
    GalleryBlock,
    MissingBlock,
    Section,
    TableBlock,
    TextBlock,
    WarningBlock,
)

#: What the templates tell apart.
_KINDS = {
    "table": TableBlock,
    "figure": FigureBlock,
    "gallery": GalleryBlock,
    "text": TextBlock,
    "missing": MissingBlock,
    "warning": WarningBlock,
    "folded": FoldedBlock,
}
#: What reads as a number: 93.76 ± 0.57, 0.88 [0.80, 0.93], 5/6, 99.1 (4 of 5 folds), undefined.
_NUMBER_LIKE = re.compile(r"(-?[\d,]+(\.\d+)?(e-?\d+)?( ?[±\[(/].*| to \d+)?|undefined.*)$")


def render(
    head: dict[str, object], made: list[Section], files: dict[str, bytes], *, sources: Mapping[str, str] | None = None
) -> str:
    """Return the page as HTML; `files` holds the figures' bytes by their names in the reports folder.

    `sources` says under each section, by its anchor, which tables its numbers come from.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("qcbench.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.tests |= {name: functools.partial(_is_a, kind) for name, kind in _KINDS.items()}
    style = environment.loader.get_source(environment, "style.css")[0]
    return environment.get_template("report.html").render(
        head=head,
        sections=made,
        style=Markup(style),  # noqa: S704  our own file, not a table's content
        grid=grid,
        caption=caption,
        data_uri=lambda block: _data_uri(block, files),
        jpeg_uri=_jpeg_uri,
        sources=sources or {},
        table_files=_names_of_files(files),
    )


def _is_a(kind: type, block: object) -> bool:
    return isinstance(block, kind)


def _names_of_files(files: dict[str, bytes]) -> Callable[[str], str]:
    """Return what gives the names of the files that hold a table, as one line."""
    return lambda name: ", ".join(file for file in (f"tables/{name}.csv", f"tables/{name}.parquet") if file in files)


def caption(text: str) -> Markup:
    """Return a caption with its first sentence, which says what is shown, set in bold; escaped.

    >>> str(caption("Ages, <years>. Of all."))
    '<strong>Ages, &lt;years&gt;.</strong> <span>Of all.</span>'
    """
    first, _, rest = text.partition(". ")
    bold = Markup("<strong>{}</strong>").format(first + "." if rest else first)
    return bold + Markup(" <span>{}</span>").format(rest) if rest else bold


def grid(block: TableBlock) -> dict[str, object]:
    """Return a table as the page shows it: headings, rows of (text, class), and how many are left out."""
    columns = [_shown_column(block.frame[name], block.formats.get(name)) for name in block.frame.columns]
    rows = list(zip(*(column[: block.longest] for column in columns), strict=True))
    kinds = [_kind(column) for column in columns]
    return {
        "headings": list(zip(block.frame.columns, kinds, strict=True)),
        "rows": [list(zip(row, kinds, strict=True)) for row in rows],
        "left_out": max(len(block.frame) - block.longest, 0),
    }


def _shown_column(values: pd.Series, form: str | None) -> list[str]:
    return [_shown(value, form) for value in values.astype(object)]


def _shown(value: object, form: str | None) -> str:
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, numbers.Integral):
        return f"{value:,}"
    if isinstance(value, numbers.Real):
        return format(value, form or ".3g")
    return str(value)


def _kind(column: list[str]) -> str:
    """Return "number" for a column of numbers, which is set flush right, or "text"."""
    filled = [text for text in column if text]
    return "number" if filled and all(_NUMBER_LIKE.match(text) for text in filled) else "text"


def _data_uri(block: FigureBlock, files: dict[str, bytes]) -> str:
    suffix, kind = ("png", "image/png") if block.photographic else ("svg", "image/svg+xml")
    content = base64.b64encode(files[f"figures/{block.name}.{suffix}"]).decode()
    return f"data:{kind};base64,{content}"


def _jpeg_uri(picture: pictures.Picture) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(pictures.to_jpeg(picture)).decode()}"
