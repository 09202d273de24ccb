"""Into the database: records and ratings, each once, with their flags, their image, and an entry in the audit log."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import sqlalchemy as sa

from qcbench.errors import UsageError
from qcbench.records import audit, schema
from qcbench.records.checks import Accepted, Flag
from qcbench.records.database import now
from qcbench.records.ratings import Rated, said_again, say_the_same
from qcbench.records.tokens import Client

_AT_A_TIME = 500
#: A file that is there stays as it is, save where its voxels were not known and now are.
_VOXELS_BECOME_KNOWN = (
    " ON CONFLICT (file_md5) DO UPDATE SET voxels_sha256 = excluded.voxels_sha256, image_id = excluded.image_id"
    " WHERE image_file.voxels_sha256 IS NULL AND excluded.voxels_sha256 IS NOT NULL"
)


class NotYoursError(UsageError):
    """Somebody wants to rate for, or to supersede a rating of, somebody else."""


def add_records(connection: sa.Connection, client: Client, accepted: Sequence[Accepted]) -> set[str]:
    """Store what is not there yet; return the ids that are new. The transaction must be one that writes."""
    unique = {each.record_id: each for each in accepted}
    known = _known(connection, schema.RAW_RECORD.c.record_id, unique)
    new = [each for name, each in unique.items() if name not in known]
    if not new:
        return set()
    received_at = now()
    _know_images(connection, new)
    shared = {"received_at": received_at, "client_id": client.client_id}
    raw = [{"record_id": e.record_id, "modality": e.modality, "payload": e.payload, **shared} for e in new]
    _insert(connection, schema.RAW_RECORD, raw)
    for modality, table in schema.TYPED.items():
        rows = [each.row for each in new if each.modality == modality]
        for row in rows:
            row["received_at"] = received_at
        if rows:
            _insert(connection, table, rows)
    _add_flags(connection, "record", ((each.record_id, each.flags) for each in new))
    names = [each.record_id for each in new]
    audit.append(connection, client=client.name, action="records added", detail={"records": names})
    return set(names)


def add_ratings(connection: sa.Connection, client: Client, rated: Sequence[Rated]) -> set[str]:
    """Store what is not there yet; return the ids that are new.

    Raises NotYoursError when it is not the client's own or supersedes somebody else's, UsageError when it supersedes
    a rating that is not there, or one of another image.
    """
    for each in rated:
        if each.row["rater"] != client.name and not client.may("write"):
            raise NotYoursError(f"the token is {client.name}'s and cannot rate for {each.row['rater']}")
    unique = {each.row["rating_id"]: each for each in rated}
    known = _known(connection, schema.RATING.c.rating_id, unique)
    new = [each for name, each in unique.items() if name not in known]
    if not new:
        return set()
    _check_superseded(connection, new)
    received_at = now()
    shared = {"received_at": received_at, "client_id": client.client_id}
    connection.execute(schema.RATING.insert(), [each.row | shared for each in new])
    _add_flags(connection, "rating", ((each.row["rating_id"], each.flags) for each in new))
    hashes = {each.row["rating_id"]: hashlib.sha256(each.row["payload"].encode()).hexdigest() for each in new}
    audit.append(connection, client=client.name, action="ratings added", detail={"ratings": hashes})
    return set(hashes)


def add_posted(connection: sa.Connection, client: Client, rated: Rated) -> Rated:
    """Store a rating that a report's widget posted, and return it as it is stored; raises what `add_ratings` does.

    The widget has no key of its own. The same post twice is one rating, for the answer to the first may have been
    lost; but who says 3, then 2, then 3 again has said three things, and the last counts.
    """
    table, row = schema.RATING, rated.row
    if row["file_md5"] is not None:
        of_image = sa.select(table.c.rating_id, table.c.payload).order_by(table.c.sequence.desc()).limit(1)
        of_image = of_image.where(table.c.rater == row["rater"], table.c.file_md5 == row["file_md5"])
        last = connection.execute(of_image).first()
        if last is not None and say_the_same(last.payload, row["payload"]):
            rated = Rated(row={**row, "rating_id": last.rating_id, "payload": last.payload}, flags=rated.flags)
        elif _known(connection, table.c.rating_id, [row["rating_id"]]):
            rated = said_again(rated, after=last.rating_id)
    add_ratings(connection, client, [rated])
    return rated


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict], *, ending: str = "") -> None:
    """Hand rows to the driver as they are: with a hundred columns SQLAlchemy takes longer for them than the disk."""
    statement, names = _statement(table, _mark(connection))
    connection.exec_driver_sql(statement + ending, list(map(operator.itemgetter(*names), rows)))


# The names in both statements are those of our own tables.
@cache
def _statement(table: sa.Table, mark: str) -> tuple[str, tuple[str, ...]]:
    names = tuple(str(column.name) for column in table.c if column.name != "sequence")
    quoted = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join([mark] * len(names))
    return f'INSERT INTO "{table.name}" ({quoted}) VALUES ({marks})', names  # noqa: S608


def _known(connection: sa.Connection, column: sa.Column, wanted: Iterable) -> set:
    found: set = set()
    for part in _parts(list(wanted)):
        marks = ", ".join([_mark(connection)] * len(part))
        statement = f'SELECT "{column.name}" FROM "{column.table.name}" WHERE "{column.name}" IN ({marks})'  # noqa: S608
        found.update(connection.exec_driver_sql(statement, tuple(part)).scalars())
    return found


def _mark(connection: sa.Connection) -> str:
    return "?" if connection.dialect.name == "sqlite" else "%s"


def _parts(whole: list) -> Iterator[list]:
    yield from (whole[start : start + _AT_A_TIME] for start in range(0, len(whole), _AT_A_TIME))


def _check_superseded(connection: sa.Connection, new: Sequence[Rated]) -> None:
    table = schema.RATING
    earlier: dict[str, tuple[str, str | None]] = {}
    for part in _parts([each.row["supersedes"] for each in new if each.row["supersedes"]]):
        found = sa.select(table.c.rating_id, table.c.rater, table.c.file_md5).where(table.c.rating_id.in_(part))
        earlier |= {row.rating_id: (row.rater, row.file_md5) for row in connection.execute(found)}
    for each in new:
        old, rater, file_md5 = (each.row[name] for name in ("supersedes", "rater", "file_md5"))
        if old is not None:
            if old not in earlier:
                raise UsageError(f"there is no rating {old} to supersede")
            by, of = earlier[old]
            if by != rater:
                raise NotYoursError(f"rating {old} is not {rater}'s; a rating is superseded by who made it")
            if of != file_md5 and None not in (of, file_md5) and not _are_one_image(connection, of, file_md5):
                raise UsageError(f"rating {old} is of another image; a rating is superseded by one of the same image")
        earlier[each.row["rating_id"]] = rater, file_md5


def _are_one_image(connection: sa.Connection, *files: str) -> bool:
    table = schema.IMAGE_FILE
    found = connection.execute(sa.select(table.c.image_id).where(table.c.file_md5.in_(files))).scalars().all()
    return len(found) == len(files) and len(set(found)) == 1


def _know_images(connection: sa.Connection, new: Sequence[Accepted]) -> None:
    """Note each file; one whose voxels are known is the same image as other files with the same voxels."""
    files: dict[str, str | None] = {}
    for each in new:
        files[each.row["file_md5"]] = each.row["voxels_sha256"] or files.get(each.row["file_md5"])
    rows = [
        {"file_md5": file_md5, "voxels_sha256": voxels, "image_id": voxels or file_md5}
        for file_md5, voxels in files.items()
    ]
    _insert(connection, schema.IMAGE_FILE, rows, ending=_VOXELS_BECOME_KNOWN)


def _add_flags(connection: sa.Connection, kind: str, items: Iterable[tuple[str, list[Flag]]]) -> None:
    rows = [
        {
            "item_id": item_id,
            "kind": kind,
            "code": flag.code,
            "field": flag.field,
            "found": None if flag.found is None else str(flag.found),
            "proposed": None if flag.proposed is None else str(flag.proposed),
        }
        for item_id, flags in items
        for flag in flags
    ]
    if rows:
        _insert(connection, schema.FLAG, rows)
