"""What a request may ask for: fields, comparisons and orders from a list, and never a piece of SQL.

Two languages are read: that of MRIQC's server (MongoDB's JSON, or comparisons as Python has them) and our own, one
comparison a filter. Both become the same conditions on columns, with values as bound parameters.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache

import orjson
import sqlalchemy as sa

from qcbench.errors import UsageError
from qcbench.iqm_keys import keys_of
from qcbench.records import metadata, schema
from qcbench.records.ranges import LARGEST

Fields = Mapping[str, sa.ColumnElement]
_MOST_CONDITIONS = 20
_LONGEST = 4096
_COMPARISONS: dict[str, Callable] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_MONGO = {"$eq": "==", "$ne": "!=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_COMPARISON = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]{0,80})\s*(==|!=|>=|<=|=|>|<)\s*(.*?)\s*", re.DOTALL)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
#: Columns of hashes, which are stored in small letters whichever a client writes.
_HASHES = ("file_md5", "voxels_sha256")
#: MRIQC's server tells when a record came to the second.
_MOMENTS = ("_created", "_updated")
_SECONDS = len("2026-01-01T00:00:00")


class _Moment(sa.Text):
    """A time as the tables hold it, to the second; asked for as MRIQC's server writes it or in ISO 8601."""


class BadQueryError(UsageError):
    """A filter, an order or a cursor cannot be read; nothing was looked up."""


@cache
def fields_v1(modality: str) -> Fields:
    """Return the fields of a record under the names that MRIQC's server gives them."""
    columns = schema.TYPED[modality].c
    meta = (*metadata.NUMBER_COLUMNS, *metadata.TEXT_COLUMNS)
    return {
        "_id": columns.record_id,
        "_created": columns.received_at,
        "_updated": columns.received_at,
        "provenance.md5sum": columns.file_md5,
        "provenance.software": columns.software,
        "provenance.version": columns.version,
        "provenance.iqm_profile": columns.iqm_profile,
        "provenance.settings.testing": columns.testing,
        "provenance.settings.fd_thres": columns.fd_thres,
        "provenance.settings.hmc_fsl": columns.hmc_fsl,
        **{f"bids_meta.{name}": columns[name] for name in meta},
        **{key.name: columns[key.name] for key in keys_of(modality)},
    }


@cache
def fields_v2(modality: str) -> Fields:
    """Return the columns of a typed table by their names."""
    return {column.name: column for column in schema.TYPED[modality].c}


RATING_FIELDS_V1: Fields = {
    "_id": schema.RATING.c.rating_id,
    "_created": schema.RATING.c.received_at,
    "_updated": schema.RATING.c.received_at,
    "rating": schema.RATING.c.given,
    "md5sum": schema.RATING.c.file_md5,
    "name": schema.RATING.c.image_name,
}
RATING_FIELDS_V2: Fields = {
    name: schema.RATING.c[name]
    for name in ("rating_id", "rater", "score", "class", "confidence", "seconds", "file_md5", "received_at", "n_flags")
} | {"image_id": schema.IMAGE_FILE.c.image_id}


def where_v1(text: str | None, fields: Fields) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that ``where=`` of MRIQC's server asks for. Raises BadQueryError.

    >>> str(where_v1("bids_meta.RepetitionTime<2.5", fields_v1("bold"))[0])
    'bold."RepetitionTime" < :param_1'
    """
    if text is None or not text.strip():
        return []
    if len(text) > _LONGEST:
        raise BadQueryError(f"where has at most {_LONGEST} characters, got {len(text)}")
    if not text.lstrip().startswith("{"):
        return filters(_AND.split(text), fields)
    try:
        asked = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadQueryError(f"where is no JSON: {error}") from None
    return _within(list(_mongo(asked, fields)))


def filters(texts: Iterable[str], fields: Fields) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of comparisons such as ``EchoTime>=0.03``. Raises BadQueryError."""
    conditions = []
    for text in texts:
        found = _COMPARISON.fullmatch(text)
        if found is None:
            raise BadQueryError(f"a comparison reads FIELD<VALUE, e.g. EchoTime>=0.03; got {text[:80]!r}")
        name, sign, literal = found.groups()
        conditions.append(_condition(name, sign, _literal(literal, _column(name, fields)), fields))
    return _within(conditions)


def order_v1(text: str | None, fields: Fields) -> list[sa.ColumnElement]:
    """Return the order that ``sort=`` asks for: names with a comma between, a minus before one that falls."""
    if text is None or not text.strip():
        return []
    names = [name.strip() for name in text[:_LONGEST].split(",")]
    if len(names) > _MOST_CONDITIONS:
        raise BadQueryError(f"sort takes at most {_MOST_CONDITIONS} fields, got {len(names)}")
    columns = [(_column(name.removeprefix("-"), fields), name.startswith("-")) for name in names]
    return [column.desc() if falls else column.asc() for column, falls in columns]


def _within(conditions: list) -> list:
    if len(conditions) > _MOST_CONDITIONS:
        raise BadQueryError(f"at most {_MOST_CONDITIONS} conditions, got {len(conditions)}")
    return conditions


def _mongo(asked: object, fields: Fields) -> Iterable[sa.ColumnElement[bool]]:
    if not isinstance(asked, dict):
        raise BadQueryError("where as JSON is an object, field by field")
    for name, wanted in asked.items():
        if name == "$and" and isinstance(wanted, list) and len(wanted) <= _MOST_CONDITIONS:
            for each in wanted:
                if isinstance(each, dict) and "$and" in each:
                    raise BadQueryError("$and inside of $and is not read; put the conditions side by side")
                yield from _mongo(each, fields)
        elif not isinstance(wanted, dict):
            yield _condition(name, "==", wanted, fields)
        elif not wanted:
            raise BadQueryError(f"{name[:80]}: what it is compared with is missing")
        else:
            for sign, value in wanted.items():
                yield _mongo_condition(name, sign, value, fields)


def _mongo_condition(name: str, sign: str, value: object, fields: Fields) -> sa.ColumnElement[bool]:
    if sign == "$in":
        if not isinstance(value, list) or len(value) > _MOST_CONDITIONS:
            raise BadQueryError(f"$in takes a list of at most {_MOST_CONDITIONS} values")
        column = _compared(name, fields)
        return column.in_([_bound(name, column, each) for each in value])
    if sign not in _MONGO:
        raise BadQueryError(f"{sign[:20]} is not read; there are {', '.join(_MONGO)}, $in and $and")
    return _condition(name, _MONGO[sign], value, fields)


def _column(name: str, fields: Fields) -> sa.ColumnElement:
    if name not in fields:
        raise BadQueryError(f"there is no field {name[:80]!r} to filter or to sort by")
    return fields[name]


def _compared(name: str, fields: Fields) -> sa.ColumnElement:
    column = _column(name, fields)
    return sa.func.substr(column, 1, _SECONDS, type_=_Moment()) if name in _MOMENTS else column


def _condition(name: str, sign: str, value: object, fields: Fields) -> sa.ColumnElement[bool]:
    column = _compared(name, fields)
    if value is None:
        if sign in ("==", "="):
            return column.is_(None)
        if sign == "!=":
            return column.is_not(None)
        raise BadQueryError(f"{name}: null can be equal or not, but neither more nor less")
    return _COMPARISONS[sign](column, _bound(name, column, value))


def _bound(name: str, column: sa.ColumnElement, value: object) -> sa.ColumnElement:
    kind = column.type
    if isinstance(kind, sa.Boolean):
        if isinstance(value, bool):
            return sa.literal(value, sa.Boolean)
        raise BadQueryError(f"{name} is compared with true or false")
    if isinstance(kind, _Moment):
        return sa.literal(_seconds_of(name, value), sa.Text)
    if isinstance(kind, sa.Text):
        if isinstance(value, str) and len(value) <= _LONGEST and "\0" not in value:
            return sa.literal(value.lower() if column.key in _HASHES else value, sa.Text)
        raise BadQueryError(f"{name} is compared with a text")
    if type(value) in (int, float) and abs(value) <= LARGEST:
        # As a whole number, 1.5 would be rounded before it is compared.
        return sa.literal(float(value), sa.Double)
    raise BadQueryError(f"{name} is compared with a number")


def _seconds_of(name: str, value: object) -> str:
    for read in (datetime.fromisoformat, parsedate_to_datetime) if isinstance(value, str) else ():
        try:
            found = read(value)
        except ValueError:
            continue
        in_utc = found.astimezone(UTC) if found.tzinfo else found
        return in_utc.isoformat()[:_SECONDS]
    raise BadQueryError(f"{name} is compared with a time, e.g. Thu, 01 Jan 2026 00:00:00 GMT")


def _literal(text: str, column: sa.ColumnElement) -> object:
    """Return the value that a comparison names: quoted or not, as its column needs it."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    if text.lower() in ("null", "none"):
        return None
    if isinstance(column.type, sa.Boolean):
        return {"true": True, "false": False}.get(text.lower(), text)
    if isinstance(column.type, sa.Text):
        return text
    try:
        return float(text)
    except ValueError:
        return text
