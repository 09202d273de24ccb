"""A finished report is read again, as a stranger would, for anything that says who is in it.

It knows nothing of how the report was made: names and ids come from the study's tables, small counts from the cells.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import PurePath

from qcbench.report.inputs import StudyTables
from qcbench.report.suppression import THRESHOLD
from qcbench.study import Study

#: Columns of the catalogue and of labels whose values name an image, a person or a place.
_NAMING = (
    "image_id",
    "participant_id",
    "session_id",
    "hospital",
    "file_md5",
    "voxels_sha256",
    "derived_from",
    "diagnosis",
)
_FREE_TEXTS = ("study_description", "series_description", "error", "excluded_reason")
_DATE = re.compile(
    r"\b(?:19|20)\d\d-[01]\d-[0-3]\d\b|\b[0-3]?\d[/.][01]?\d[/.](?:19|20)\d\d\b|\b[0-2]\d:[0-5]\d:[0-5]\d\b"
)
_PICTURE = re.compile(r"<(?:img|svg|canvas|object|embed|iframe)\b|data:image", re.IGNORECASE)
#: Headings of whole numbers that count nobody.
_NO_COUNTS = re.compile(
    r"^table$|^published$|^this study$|^difference$|tier|fold|tesla|strength|degrees|parameters|output|layer|value(s)?$"
    r"|p\b|%|kappa|icc|alpha|agreement|balanced",
    re.IGNORECASE,
)
#: Shorter texts occur by chance.
_SHORTEST, _SHORTEST_NAME = 4, 3


def leaks(files: Mapping[str, bytes], study: Study, data: StudyTables, *, threshold: int = THRESHOLD) -> list[str]:
    """Return what gives somebody away in files of a report (HTML, CSV), by file and place; [] when nothing does."""
    # What the protocol says of every study says nothing of anybody in this one.
    harmless = json.dumps(study.protocol.for_display(), ensure_ascii=False).lower()
    secrets = {secret: what for secret, what in _secrets(study, data) if secret not in harmless}
    found = []
    for name, content in sorted(files.items()):
        text = content.decode("utf-8", "replace")
        page = _Page(text) if name.endswith(".html") else None
        plain = " ".join(page.texts) if page else text
        lowered = plain.lower()
        found += [f"{name}: {what}" for secret, what in secrets.items() if _names(secret, lowered)]
        found += [f"{name}: a date" for _ in _DATE.finditer(plain)][:1]
        if page and _PICTURE.search(re.sub(r'<link rel="icon"[^>]*>', "", text)):
            found.append(f"{name}: a picture")
        rows = page.tables if page else [list(csv.reader(io.StringIO(text)))]
        found += [f"{name}: {place}" for table in rows for place in _small_counts(table, threshold)]
    return found


def _names(secret: str, text: str) -> bool:
    """Return whether a text has the secret, and not as a part of a longer word."""
    # Most are nowhere: looking for them plainly first makes a large study fifty times faster.
    return secret in text and bool(re.search(rf"(?<![\w-]){re.escape(secret)}(?![\w-])", text))


def _secrets(study: Study, data: StudyTables) -> Iterator[tuple[str, str]]:
    for column in (*_NAMING, *_FREE_TEXTS):
        for value in data.images[column].dropna().unique():
            yield from _long_enough(str(value), f"a value of {column}")
    for value in data.images["source_path"].dropna().unique():
        path = PurePath(value)
        yield from _long_enough(path.name, "a file name of the source")
        yield from _long_enough(str(path.parent), "a folder of the source")
    for value in data.labels["comment"].dropna().unique():
        yield from _long_enough(value, "a comment of a rater")
    folders = {path.name.partition("=")[2] for path in (study.folder / "labels").glob("rater=*")}
    for rater in {*study.all_raters, *folders, *raters_of(data)}:
        if len(rater) >= _SHORTEST_NAME:  # "a" names nobody, and is in every text
            yield rater.lower(), "the name of a rater"
    yield from _long_enough(str(study.folder), "the folder of the study")


def raters_of(data: StudyTables) -> set[str]:
    """Return the names of all raters that the table of agreement knows."""
    named = {part.partition(" (")[0] for raters in data.agreement["raters"].dropna() for part in raters.split(",")}
    return named - {"consensus"}


def _long_enough(text: str, what: str) -> Iterator[tuple[str, str]]:
    text = text.strip().lower()
    if len(text) >= _SHORTEST:
        yield text, what


def _small_counts(table: list[list[str]], threshold: int) -> Iterator[str]:
    if not table:
        return
    headings = table[0]
    for number, row in enumerate(table[1:], 1):
        for heading, cell in zip(headings, row, strict=False):
            text = cell.replace(",", "").removesuffix(".0")
            if text.isdigit() and 0 < int(text) < threshold and not _NO_COUNTS.search(heading):
                yield f"a count under {threshold} in row {number}, column {heading!r}"


class _Page(HTMLParser):
    """The texts of a page, with attributes that are read out, and its tables as rows of cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tables: list[list[list[str]]] = []
        self._skips = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._skips += tag == "style"
        self.texts += [
            value for name, value in attributes if value and name in ("alt", "title", "aria-label", "href", "content")
        ]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._skips -= tag == "style"

    def handle_data(self, data: str) -> None:
        if self._skips:
            return
        self.texts.append(data)
        if self.tables and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data.strip()
