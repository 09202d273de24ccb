"""The second table: age, sex, diagnosis and hospital that the warehouse keeps apart from its images.

Its rows are of a pseudonym (`participant_id`) or of a patient (`patient_id`, and `issuer`), which becomes the
pseudonym as the table is read; a row with a `session_id` is of that examination alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from qcbench.errors import UsageError
from qcbench.prepare import headers
from qcbench.prepare.pseudonyms import Key

#: Column of the table -> column of the catalogue.
_COLUMNS = {
    "age_years": "age_years",
    "age": "age_years",
    "sex": "sex",
    "diagnosis": "diagnosis",
    "hospital": "hospital",
    "study_date": "study_date",
}
_READERS = {"age_years": headers.age_years, "sex": headers.sex, "study_date": lambda text: _day(text)}
_UNKNOWN = ("", "n/a", "na", "nan", "null", "none")

People = Mapping[tuple[str, str | None], dict]


def read_people(path: Path, key: Key) -> dict[tuple[str, str | None], dict]:
    """Return what a TSV or CSV file says, by participant and session (None: of every session).

    Raises UsageError when it has no column that names people, or gives somebody two different values.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Give a TSV or CSV file.") from error
    separator = max("\t,;", key=text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restkey="", restval="")
    columns = reader.fieldnames or []
    if not {"participant_id", "patient_id"} & set(columns):
        raise UsageError(f"{path} needs a column participant_id (pseudonyms) or patient_id, got {', '.join(columns)}")
    people: dict[tuple[str, str | None], dict] = {}
    for line in reader:
        cells = {name: (value or "").strip() for name, value in line.items() if name}
        who = _who(cells, key)
        if who is None:
            continue
        person = people.setdefault((who, cells.get("session_id") or None), {})
        values = _values(cells)
        if "study_date" in values and not cells.get("participant_id"):
            # A table that knows who its people are holds the days as they were.
            values["study_date"] = key.moved(date.fromisoformat(values["study_date"]), who).isoformat()
        for column, value in values.items():
            if person.setdefault(column, value) != value:
                raise UsageError(
                    f"{path}, line {reader.line_num}: another {column} than in an earlier line of the same person; "
                    "correct one of them, or tell them apart with a column session_id"
                )
    return people


def known(people: People, participant: str, session: str | None) -> dict:
    """Return what is known of an examination: of itself before what is said of the person."""
    return {**people.get((participant, None), {}), **people.get((participant, session), {})}


def _who(cells: dict[str, str], key: Key) -> str | None:
    if cells.get("participant_id"):
        return f"sub-{cells['participant_id'].removeprefix('sub-')}"
    return key.participant(cells["patient_id"], cells.get("issuer")) if cells.get("patient_id") else None


def _values(cells: dict[str, str]) -> dict:
    values = {}
    for name, column in _COLUMNS.items():
        text = cells.get(name, "")
        value = _READERS.get(column, str)(text) if text.lower() not in _UNKNOWN else None
        if value is not None:
            values[column] = value
    return values


def _day(text: str) -> str | None:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None
