"""The typed tables with accepted repairs in place, and a column that says of each row which fields were repaired.

Made when it is asked for, out of the table as it came and the decisions that hold: nothing is stored twice, and what
is reopened reads as it came again.
"""

from __future__ import annotations

import sqlalchemy as sa

from qcbench.records import linked, metadata, schema
from qcbench.records.decisions import ACCEPTED

_DECISION = schema.DECISION
#: Which column a repair of a field changes; the class of a rating is what its word was read as.
_OF_RATINGS = {"rating": "class"}
#: What a decision changes in any of the tables.
CHANGING = frozenset((*metadata.NUMBER_COLUMNS, "Manufacturer", "spacing_tr", "class", "repaired"))


def repairable(table: sa.Table) -> dict[str, str]:
    """Return the columns of a table that can be repaired, by the field that flags name.

    >>> repairable(schema.TYPED["bold"])["spacing_tr"], "cjv" in repairable(schema.TYPED["T1w"])
    ('spacing_tr', False)
    """
    if table is schema.RATING:
        return _OF_RATINGS
    return {name: name for name in sorted(CHANGING) if name in table.c}


def select_records(modality: str) -> sa.Select:
    """Return the query of a typed table with the image of each record, repairs in place, and `repaired`."""
    table = schema.TYPED[modality]
    return _repaired(linked.select_records(modality), table, table.c.record_id)


def select_ratings() -> sa.Select:
    """Return the query of ratings with their image, repairs in place, and `repaired`."""
    return _repaired(linked.select_ratings(), schema.RATING, schema.RATING.c.rating_id)


def fields(modality: str) -> dict[str, sa.ColumnElement]:
    """Return what a filter on the curated table compares, by the names of its columns."""
    return {str(column.name): column for column in select_records(modality).selected_columns}


def _repaired(query: sa.Select, table: sa.Table, item_id: sa.Column) -> sa.Select:
    """Put what was accepted into a query, and the names of the fields, with commas, behind all other columns."""
    accepted = {column: _accepted(table, item_id, field) for field, column in repairable(table).items()}
    columns = []
    for column in query.selected_columns:
        text = accepted.get(str(column.name))
        # Only a row with a flag can have been repaired: others are not looked up.
        columns.append(column if text is None else _placed(table, column, text).label(str(column.name)))
    names = sa.literal("")
    for field, text in accepted.items():
        names = names + sa.case((text.is_not(None), f"{field}, "), else_="")
    told = sa.func.nullif(sa.func.rtrim(names, ", "), "", type_=sa.Text)
    return query.with_only_columns(
        *columns, sa.case((table.c.n_flags > 0, told), else_=sa.null()).label("repaired"), maintain_column_froms=True
    )


def _placed(table: sa.Table, column: sa.ColumnElement, text: sa.ColumnElement) -> sa.ColumnElement:
    value = text if isinstance(column.type, sa.Text) else sa.cast(text, column.type)
    return sa.case((table.c.n_flags > 0, sa.func.coalesce(value, column, type_=column.type)), else_=column)


def _accepted(table: sa.Table, item_id: sa.Column, field: str) -> sa.ScalarSelect:
    """Return what the last decision on a field accepted, null where it did not."""
    proposed = sa.case((_DECISION.c.verdict == ACCEPTED, _DECISION.c.proposed))
    of_field = sa.select(proposed).where(_DECISION.c.item_id == item_id, _DECISION.c.field == field)
    return of_field.order_by(_DECISION.c.sequence.desc()).limit(1).correlate(table).scalar_subquery()
