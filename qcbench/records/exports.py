"""Tables leave as one file: CSV that a spreadsheet opens safely, or Parquet with its types. A part at a time."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from qcbench import spreadsheet
from qcbench.records import curated, linked, schema
from qcbench.records.database import Database

_ROWS_A_PART = 1_000
_BYTES_A_PART = 1 << 16


def records(
    database: Database, modality: str, conditions: linked.Conditions, form: str, *, repaired: bool = False
) -> Iterator[bytes]:
    """Return the parts of a file of a typed table, each record with its image; `repaired`, with accepted repairs."""
    query = curated.select_records(modality) if repaired else linked.select_records(modality)
    return _file(database, query, schema.TYPED[modality].c.sequence, conditions, form)


def ratings(database: Database, conditions: linked.Conditions, form: str) -> Iterator[bytes]:
    """Return the parts of a file of ratings, each with its image."""
    return _file(database, linked.select_ratings(), schema.RATING.c.sequence, conditions, form)


def arrow_schema(columns: Iterable[sa.ColumnElement]) -> pa.Schema:
    """Return the names and types that columns have in Parquet."""
    return pa.schema([(str(column.name), _arrow_type(column)) for column in columns])


def _file(
    database: Database, query: sa.Select, sequence: sa.Column, conditions: linked.Conditions, form: str
) -> Iterator[bytes]:
    parts = _parts(database, query.where(*conditions), sequence)
    # The first part is read here, so that a database that is away is told by a status and not in mid-file.
    first = next(parts)
    write = _as_csv if form == "csv" else _as_parquet
    return write(list(query.selected_columns), first, parts)


def _parts(database: Database, query: sa.Select, sequence: sa.Column) -> Iterator[list[tuple]]:
    """Yield rows by the thousand, each in a transaction of its own: a slow reader holds nothing up."""
    after = 0
    while True:
        with database.reading() as connection:
            rows = connection.execute(query.where(sequence > after).limit(_ROWS_A_PART)).all()
        yield [tuple(row) for row in rows]
        if len(rows) < _ROWS_A_PART:
            return
        after = rows[-1].sequence


def _as_csv(columns: list, first: list[tuple], parts: Iterator[list[tuple]]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(column.name for column in columns)
    for part in _after(first, parts):
        writer.writerows(
            [spreadsheet.harmless(cell) if isinstance(cell, str) else cell for cell in row] for row in part
        )
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _as_parquet(columns: list, first: list[tuple], parts: Iterator[list[tuple]]) -> Iterator[bytes]:
    form = arrow_schema(columns)
    with tempfile.TemporaryFile() as file:
        with pq.ParquetWriter(file, form, write_page_checksum=True) as writer:
            for part in _after(first, parts):
                arrays = [pa.array([row[place] for row in part], type=field.type) for place, field in enumerate(form)]
                writer.write_table(pa.Table.from_arrays(arrays, schema=form))
        file.seek(0)
        while piece := file.read(_BYTES_A_PART):
            yield piece


def _after(first: list[tuple], parts: Iterator[list[tuple]]) -> Iterator[list[tuple]]:
    yield first
    yield from parts


def _arrow_type(column: sa.ColumnElement) -> pa.DataType:
    if isinstance(column.type, sa.Integer):
        return pa.int64()
    kinds = {sa.Boolean: pa.bool_(), sa.Double: pa.float64()}
    return next((arrow for kind, arrow in kinds.items() if isinstance(column.type, kind)), pa.string())
