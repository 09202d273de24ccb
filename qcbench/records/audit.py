"""What was done, by whom and when, each entry sealed with the hash of the one before: nothing can be altered unseen.

Records and decisions are named by the hash of what they say and ratings with the hash of theirs, so the chain covers
what was stored, and `verify` reads it all again: what the tables show must follow from it, and none of it may be gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping

import orjson
import sqlalchemy as sa

from qcbench.records import checks, schema
from qcbench.records.database import now
from qcbench.records.decisions import decision_id

#: What stands before the first entry.
_ORIGIN = "0" * 64
_AT_A_TIME = 2_000
# Made once: each request that stores asks for one and adds one.
_LAST = sa.select(schema.AUDIT.c.sequence, schema.AUDIT.c.sha256).order_by(schema.AUDIT.c.sequence.desc()).limit(1)
_ADD = schema.AUDIT.insert()


def append(connection: sa.Connection, *, client: str, action: str, detail: dict) -> None:
    """Add an entry inside the transaction of what it tells of. Only one may write at a time: see `Database.writing`."""
    entry = {
        "at": now(),
        "client": client,
        "action": action,
        "detail": orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode(),
        "previous_sha256": head(connection)["sha256"] or _ORIGIN,
    }
    connection.execute(_ADD, entry | {"sha256": _seal(entry)})


def head(connection: sa.Connection) -> dict:
    """Return the last entry: its number `sequence` and its hash `sha256`, None and None before the first."""
    row = connection.execute(_LAST).first()
    return {"sequence": row and row.sequence, "sha256": row and row.sha256}


def verify(connection: sa.Connection) -> list[str]:
    """Return what does not fit: broken links, what was altered, slipped in or taken away. [] when all is well.

    The connection must see one state, or what is written meanwhile looks slipped in.
    """
    faults = []
    records: set[str] = set()
    ratings: dict[str, str] = {}
    decisions: set[str] = set()
    previous = _ORIGIN
    entries = sa.select(schema.AUDIT).order_by(schema.AUDIT.c.sequence)
    for row in connection.execution_options(yield_per=_AT_A_TIME).execute(entries).mappings():
        entry = {name: row[name] for name in ("at", "client", "action", "detail", "previous_sha256")}
        if row["previous_sha256"] != previous or row["sha256"] != _seal(entry):
            faults.append(f"entry {row['sequence']} of the audit log does not fit the one before it")
        previous = row["sha256"]
        detail = orjson.loads(row["detail"])
        records.update(detail.get("records", ()))
        ratings |= detail.get("ratings", {})
        decisions.update(detail.get("decisions", ()))
    for modality in schema.TYPED:
        faults += _records_altered(connection, modality, records)
    faults += (f"record {name} is gone, of which the audit log tells" for name in sorted(records))
    faults += _decisions_altered(connection, decisions)
    return [*faults, *_ratings_altered(connection, ratings), *_images_altered(connection)]


def _records_altered(connection: sa.Connection, modality: str, told: set[str]) -> Iterator[str]:
    """Yield what does not fit of a modality's records; take those that are there out of `told`."""
    raw, table = schema.RAW_RECORD, schema.TYPED[modality]
    both = sa.select(raw.c.record_id.label("name"), raw.c.payload, table).join_from(raw, table, isouter=True)
    for row in connection.execute(both.where(raw.c.modality == modality)).mappings():
        name = row["name"]
        if name not in told:
            yield f"no entry of the audit log tells of record {name}"
        elif checks.record_id(modality, row["payload"].encode()) != name:
            yield f"the payload of record {name} was altered"
        elif _differs(row, checks.typed_row(modality, row["payload"]), but=("n_flags", "received_at", "record_id")):
            yield f"what the table {table.name} says of record {name} was altered or is gone"
        told.discard(name)


def _ratings_altered(connection: sa.Connection, told: dict[str, str]) -> Iterator[str]:
    left = dict(told)
    for row in connection.execute(sa.select(schema.RATING)).mappings():
        name = row["rating_id"]
        is_told = left.pop(name, None) == hashlib.sha256(row["payload"].encode()).hexdigest()
        # The key of the sender is in the payload alone.
        if not is_told or _differs(row, orjson.loads(row["payload"]), but=("key",)):
            yield f"rating {name} was altered, or no entry of the audit log tells of it"
    yield from (f"rating {name} is gone, of which the audit log tells" for name in sorted(left))


def _decisions_altered(connection: sa.Connection, told: set[str]) -> Iterator[str]:
    left = set(told)
    for row in connection.execute(sa.select(schema.DECISION)).mappings():
        name = row["decision_id"]
        if name not in left or decision_id(row) != name:
            yield f"decision {name} was altered, or no entry of the audit log tells of it"
        left.discard(name)
    yield from (f"decision {name} is gone, of which the audit log tells" for name in sorted(left))


def _images_altered(connection: sa.Connection) -> Iterator[str]:
    file = schema.IMAGE_FILE
    meant = sa.func.coalesce(file.c.voxels_sha256, file.c.file_md5)
    for file_md5 in connection.execute(sa.select(file.c.file_md5).where(file.c.image_id != meant)).scalars():
        yield f"the image of file {file_md5} was altered"
    for table in schema.TYPED.values():
        is_known = sa.exists().where(file.c.file_md5 == table.c.file_md5)
        for record_id in connection.execute(sa.select(table.c.record_id).where(~is_known)).scalars():
            yield f"the file of record {record_id} is gone from the images"


def _differs(row: Mapping, meant: Mapping, *, but: Collection[str]) -> bool:
    return any(row[name] != value for name, value in meant.items() if name not in but)


def _seal(entry: dict) -> str:
    return hashlib.sha256(orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)).hexdigest()
