"""The list from which a radiologist chooses what may be a 3D T1w brain: every description in the warehouse, counted.

Bottani et al. 2022 list SeriesDescription, BodyPartExamined and StudyDescription over the whole archive and have the
values marked, in doubt to be kept. A value is free text, in which a name may stand: the list is for the eyes of those
who may see it, and neither the summary nor a message quotes it.
"""

from __future__ import annotations

import csv
import io
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from qcbench import durable, spreadsheet
from qcbench.errors import UsageError
from qcbench.prepare import scan, words
from qcbench.summary import Summary

#: DICOM keyword -> column of a scanned series.
ATTRIBUTES = {
    "BodyPartExamined": "body_part",
    "SeriesDescription": "series_description",
    "StudyDescription": "study_description",
}
COLUMNS = ("attribute", "value", "n_series", "n_files", "suggestion", "keep")
_NEEDED = ("attribute", "value", "keep")

Key = tuple[str, str]


def attributes(
    source: str | Path, out: str | Path, *, workers: int | None = None, show_progress: bool = True
) -> Summary:
    """Write the distinct values of ATTRIBUTES in a DICOM folder or export as CSV with an empty column `keep`.

    What was read is kept beside it in ``OUT.scan.jsonl``, so that a second call reads new files alone. A list that is
    there is renewed: counts are those of now, marks and columns of one's own stay, also of values that are gone.
    `suggestion` (likely, unlikely or nothing) never decides. Raises UsageError when there is no MR series, or `out`
    is another kind of file.
    """
    began = time.monotonic()
    source, out = Path(source), Path(out)
    read_list(out)  # before hours of work
    cache = out.with_name(f"{out.name}.scan.jsonl")
    found = scan.scan(source, cache=cache, workers=workers or os.cpu_count() or 1, show_progress=show_progress)
    if not found.series:
        raise UsageError(f"{source} has no MR series. {_told(found.skipped)}. Give the folder of the DICOM files.")
    # Read again: somebody may have marked values in the meantime.
    before = read_list(out)
    rows = _renewed(found.series, before)
    durable.write_text(out, _as_csv(rows))
    return _summary(rows, before, found, time.monotonic() - began)


def read_list(path: Path) -> list[dict[str, str]]:
    """Return the rows of a list as it was written, or as a spreadsheet saved it; [] when there is none.

    Raises UsageError when the file is no such list, or gives one value two different marks.
    """
    return [row for _, row in read_numbered(path)]


def read_numbered(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return what `read_list` returns, each row with the line of the file on which it ends."""
    if not path.exists():
        return []
    text = _decoded(path.read_bytes())
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restkey="", restval="")
    missing = [column for column in _NEEDED if column not in (reader.fieldnames or ())]
    if missing:
        raise UsageError(
            f"{path} is there and is no list of attributes: it lacks the column {missing[0]!r}. Choose another name."
        )
    rows: dict[Key, tuple[int, dict[str, str]]] = {}
    for number, line in _lines(reader, path):
        row = {column: spreadsheet.original((value or "").strip()) for column, value in line.items() if column}
        _, first = rows.setdefault((row["attribute"], row["value"]), (number, row))
        if first is row:
            continue
        if first["keep"] and row["keep"] and first["keep"] != row["keep"]:
            raise UsageError(
                f"{path}, line {number}: a value of {row['attribute']} is marked a second time, and "
                "differently. Delete one of the two rows."
            )
        first.update({column: text for column, text in row.items() if text and not first.get(column)})
    return list(rows.values())


def _lines(reader: csv.DictReader, path: Path) -> Iterator[tuple[int, dict]]:
    try:
        yield from ((reader.line_num, line) for line in reader)
    except csv.Error as error:
        raise UsageError(f"{path} is damaged after line {reader.line_num}: {error}. Choose another name.") from error


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:  # as a spreadsheet on Windows saves it
        return content.decode("cp1252", "replace")


def _renewed(series: Iterable[Mapping], before: list[dict[str, str]]) -> list[dict]:
    """Return the list's rows: those of now with the marks of before, and the marked ones that are gone."""
    n_series: Counter[Key] = Counter()
    n_files: Counter[Key] = Counter()
    for row in series:
        for attribute, column in ATTRIBUTES.items():
            key = (attribute, row[column] or "")
            n_series[key] += 1
            n_files[key] += row["n_files"]
    old = {(row["attribute"], row["value"]): row for row in before}
    keys = [*n_series, *(key for key, row in old.items() if key not in n_series and _is_touched(row))]
    rows = []
    for attribute, value in sorted(keys, key=lambda key: (key[0], -n_series[key], key[1])):
        key = (attribute, value)
        rows.append(
            {
                **{column: text for column, text in old.get(key, {}).items() if column not in COLUMNS},
                "attribute": attribute,
                "value": value,
                "n_series": n_series[key],
                "n_files": n_files[key],
                "suggestion": words.suggestion(attribute, value),
                "keep": old.get(key, {}).get("keep", ""),
            }
        )
    return rows


def _is_touched(row: Mapping[str, str]) -> bool:
    return bool(row["keep"]) or any(text for column, text in row.items() if column not in COLUMNS)


def _as_csv(rows: list[dict]) -> str:
    more = dict.fromkeys(column for row in rows for column in row if column not in COLUMNS)
    text = io.StringIO()
    writer = csv.DictWriter(text, (*COLUMNS, *more), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({column: spreadsheet.harmless(str(cell)) for column, cell in row.items()} for row in rows)
    return text.getvalue()


def _summary(rows: list[dict], before: list[dict[str, str]], found: scan.Scan, seconds: float) -> Summary:
    old = {(row["attribute"], row["value"]) for row in before}
    now = [row for row in rows if row["n_series"]]
    n_new = sum((row["attribute"], row["value"]) not in old for row in now)
    facts: dict[str, object] = {"series": len(found.series), "files": found.n_files, "files read now": found.n_read}
    facts |= {f"values of {name}": sum(row["attribute"] == name for row in now) for name in ATTRIBUTES}
    facts["likely"] = sum(row["suggestion"] == words.LIKELY for row in now)
    facts["marked"] = sum(bool(row["keep"]) for row in rows)
    if len(rows) > len(now):
        facts["marked, and no longer there"] = len(rows) - len(now)
    return Summary(
        stage="attributes",
        done=n_new,
        unchanged=len(now) - n_new,
        facts=facts,
        notes=[_told(found.skipped)] if found.skipped else [],
        seconds=seconds,
    )


def _told(skipped: Counter[str]) -> str:
    if not skipped:
        return "It holds no file"
    reasons = "; ".join(f"{n} {reason}" for reason, n in skipped.most_common())
    return f"Files that are no part of an MR series: {reasons}"
