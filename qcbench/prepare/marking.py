"""The radiologist's marks in a list of `attributes`: changed one at a time, each on the disk before it counts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from qcbench import durable, spreadsheet
from qcbench.errors import UsageError
from qcbench.prepare import attributes

KEEP, DROP, OPEN = "yes", "no", ""


def mark(path: Path, changes: Mapping[tuple[str, str], str]) -> None:
    """Write the marks of some values, by attribute and value: `KEEP`, `DROP` or `OPEN`; the rest of the list stays.

    The list is read afresh, so that two people may mark at a time. Raises UsageError when it is gone, or lacks one of
    the values; then nothing is written.
    """
    rows = attributes.read_list(path)
    by_key = {(row["attribute"], row["value"]): row for row in rows}
    for key, kept in changes.items():
        if key not in by_key:
            raise UsageError(f"{path} has no such value of {key[0]}; look at the list again")
        if kept not in (KEEP, DROP, OPEN):
            raise UsageError(f"a mark is {KEEP!r}, {DROP!r} or empty, got {kept!r}")
    for key, kept in changes.items():
        by_key[key]["keep"] = kept
    columns = dict.fromkeys((*attributes.COLUMNS, *(column for row in rows for column in row)))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: spreadsheet.harmless(cell) for column, cell in row.items()} for row in rows)
    durable.write_text(path, text.getvalue())
