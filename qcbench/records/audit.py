"""What was done, by whom and when, each entry sealed with the hash of the one before: nothing can be altered unseen.

Records are named by the hash of their payload and ratings with the hash of theirs, so the chain covers what was
stored, and `verify` reads it all again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import orjson
import sqlalchemy as sa

from qcbench.records import checks, schema
from qcbench.records.database import now

#: What stands before the first entry.
_ORIGIN = "0" * 64
_AT_A_TIME = 2_000


def append(connection: sa.Connection, *, client: str, action: str, detail: dict) -> None:
    """Add an entry inside the transaction of what it tells of. Only one may write at a time: see `Database.writing`."""
    audit = schema.AUDIT
    last = connection.execute(sa.select(audit.c.sha256).order_by(audit.c.sequence.desc()).limit(1)).scalar()
    entry = {
        "at": now(),
        "client": client,
        "action": action,
        "detail": orjson.dumps(detail, option=orjson.OPT_SORT_KEYS).decode(),
        "previous_sha256": last or _ORIGIN,
    }
    connection.execute(audit.insert(), entry | {"sha256": _seal(entry)})


def verify(connection: sa.Connection) -> list[str]:
    """Return what does not fit: broken links, altered payloads, records that no entry tells of. [] when all is well.

    The connection must see one state, or what is written meanwhile looks slipped in.
    """
    faults = []
    told: set[str] = set()
    previous = _ORIGIN
    entries = sa.select(schema.AUDIT).order_by(schema.AUDIT.c.sequence)
    for row in connection.execution_options(yield_per=_AT_A_TIME).execute(entries).mappings():
        entry = {name: row[name] for name in ("at", "client", "action", "detail", "previous_sha256")}
        if row["previous_sha256"] != previous or row["sha256"] != _seal(entry):
            faults.append(f"entry {row['sequence']} of the audit log does not fit the one before it")
        previous = row["sha256"]
        detail = orjson.loads(row["detail"])
        told.update(detail.get("records", ()), detail.get("ratings", {}).values())
    faults += _altered(connection, told)
    return faults


def _altered(connection: sa.Connection, told: set[str]) -> Iterator[str]:
    raw, rating = schema.RAW_RECORD, schema.RATING
    for row in connection.execute(sa.select(raw.c.record_id, raw.c.modality, raw.c.payload)):
        if checks.record_id(row.modality, row.payload.encode()) != row.record_id:
            yield f"the payload of record {row.record_id} was altered"
        if row.record_id not in told:
            yield f"no entry of the audit log tells of record {row.record_id}"
    for row in connection.execute(sa.select(rating.c.rating_id, rating.c.payload)):
        if hashlib.sha256(row.payload.encode()).hexdigest() not in told:
            yield f"rating {row.rating_id} was altered, or no entry of the audit log tells of it"


def _seal(entry: dict) -> str:
    return hashlib.sha256(orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)).hexdigest()
