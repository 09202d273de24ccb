"""Questions in SQL to the records, answered by DuckDB: over a snapshot, or over the tables as they are now.

Only a SELECT is taken, in a database of its own in memory, from which neither files nor the network can be reached.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from qcbench.errors import UsageError
from qcbench.records import snapshot
from qcbench.records.database import Database

_CLOSED = {
    # Nothing is fetched, and a name that is no table is not looked for among Python's variables.
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "enable_external_access": "false",
}


@dataclass(kw_only=True)
class Answer:
    """The columns and rows that a question gave."""

    columns: list[str]
    rows: list[tuple]

    @property
    def exit_status(self) -> int:
        """0: a question without rows has an answer too."""
        return 0

    def to_json(self) -> list[dict]:
        """Return the rows as plain JSON objects."""
        return [{name: _plain(cell) for name, cell in zip(self.columns, row, strict=True)} for row in self.rows]

    def __str__(self) -> str:
        lines = [self.columns, *([_shown(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        lines.insert(1, ["-" * width for width in widths])
        written = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
        return "\n".join([*(line.rstrip() for line in written), f"({len(self.rows)} rows)"])


def ask_snapshot(folder: Path, question: str) -> Answer:
    """Return the answer over a snapshot. Raises UsageError for what is no SELECT or cannot be answered."""
    tables = snapshot.read_manifest(folder)["tables"]
    _refuse_others(question)
    # In memory as it is in the file, compressed: DuckDB itself may open no file.
    named = {name: pq.read_table(folder / f"{name}.parquet") for name in _named(question) if name in tables}
    return _answer(question, named)


def ask_database(database: Database, question: str) -> Answer:
    """Return the answer over the tables as they are now; those that the question names are read whole."""
    _refuse_others(question)
    return _answer(question, snapshot.read_tables(database, _named(question)))


def _named(question: str) -> list[str]:
    words = set(re.findall(r"\w+", question.lower()))
    return [name for name in snapshot.KEYS if name in words]


def _refuse_others(question: str) -> None:
    try:
        statements = duckdb.extract_statements(question)
    except duckdb.Error as error:
        raise UsageError(f"the question cannot be read: {error}") from None
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise UsageError("one SELECT is expected; nothing can be changed here")


def _answer(question: str, tables: dict) -> Answer:
    with duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        for name, value in _CLOSED.items():
            connection.execute(f"SET {name} = {value}")
        connection.execute("SET lock_configuration = true")
        try:
            found = connection.execute(question)
            return Answer(columns=[each[0] for each in found.description], rows=found.fetchall())
        except duckdb.Error as error:
            known = ", ".join(snapshot.KEYS)
            raise UsageError(f"the question cannot be answered: {error}\nThe tables are {known}.") from None


def _plain(cell: object) -> object:
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    if isinstance(cell, Decimal):
        return float(cell)
    if isinstance(cell, datetime | date):
        return cell.isoformat()
    return cell if cell is None or isinstance(cell, str | int | float | bool | list | dict) else str(cell)


def _shown(cell: object) -> str:
    return "" if cell is None else f"{cell:.6g}" if isinstance(cell, float) else str(cell)
