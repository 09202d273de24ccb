"""What the records amount to, for whoever looks after them: what came, what is flagged, which ratings wait."""

from __future__ import annotations

import sqlalchemy as sa

from qcbench.records import linked, schema
from qcbench.records.checks import FLAGS

_DAY = len("2026-01-01")
_RAW, _FLAG, _RATING = schema.RAW_RECORD, schema.FLAG, schema.RATING


def overview(connection: sa.Connection, *, days: int = 14, waiting: int = 50) -> dict:
    """Return counts by modality, client and day, flags with counts, and how ratings are linked.

    Of the days the last `days` on which something came, of the images that ratings wait for the first `waiting`.
    Nobody's verdict is in it, and no subject.
    """
    counted = linked.counts(connection)
    return {
        "modalities": counted["records"],
        "n_images": counted["images"],
        "n_ratings": sum(counted["links"].values()),
        "clients": _clients(connection),
        "days": _days(connection, days),
        "flags": _flags(connection),
        "links": {link: counted["links"].get(link, 0) for link in linked.LINKS},
        "waiting": _waiting(connection, waiting),
    }


def _clients(connection: sa.Connection) -> list[dict]:
    """Return who sent how many records of each modality and how many ratings, and when last; who sent most first."""
    client = schema.CLIENT
    of_records = sa.select(client.c.name, _RAW.c.modality, _RAW.c.received_at).join_from(_RAW, client)
    of_ratings = sa.select(client.c.name, sa.literal("rating"), _RATING.c.received_at).join_from(_RATING, client)
    sent = sa.union_all(of_records, of_ratings).subquery()
    by = sent.c.name, sent.c.modality
    rows = connection.execute(sa.select(*by, sa.func.count(), sa.func.max(sent.c.received_at)).group_by(*by)).all()
    found: dict[str, dict] = {}
    for name, modality, n, last in rows:
        each = found.setdefault(name, {"client": name, "last": last, "n": {}})
        each["n"][modality] = n
        each["last"] = max(each["last"], last)
    return sorted(found.values(), key=lambda each: (-sum(each["n"].values()), each["client"]))


def _days(connection: sa.Connection, most: int) -> list[dict]:
    """Return how many records of each modality and how many ratings came on each of the last days (UTC)."""
    found: dict[str, dict] = {}
    for table, what in ((_RAW, _RAW.c.modality), (_RATING, sa.literal("rating"))):
        day = sa.func.substr(table.c.received_at, 1, _DAY, type_=sa.Text).label("day")
        came = sa.select(day, what.label("what")).subquery()
        by = came.c.day, came.c.what
        for at, modality, n in connection.execute(sa.select(*by, sa.func.count()).group_by(*by)):
            found.setdefault(at, {"day": at, "n": {}})["n"][modality] = n
    return [found[day] for day in sorted(found, reverse=True)[:most]]


def _flags(connection: sa.Connection) -> list[dict]:
    """Return how many records of each modality, and ratings, have each flag; the most frequent first."""
    modality = sa.func.coalesce(_RAW.c.modality, _FLAG.c.kind).label("modality")
    joined = _FLAG.outerjoin(_RAW, _RAW.c.record_id == _FLAG.c.item_id)
    flagged = sa.select(_FLAG.c.code, _FLAG.c.field, modality, _FLAG.c.item_id).select_from(joined).subquery()
    by = flagged.c.code, flagged.c.field, flagged.c.modality
    query = sa.select(*by, sa.func.count(flagged.c.item_id.distinct())).group_by(*by)
    found: dict[tuple[str, str], dict] = {}
    for code, field, of, n in connection.execute(query):
        each = {"code": code, "field": field, "meaning": FLAGS.get(code, code), "n": {}}
        found.setdefault((code, field), each)["n"][of] = n
    return sorted(found.values(), key=lambda each: (-sum(each["n"].values()), each["code"], each["field"]))


def _waiting(connection: sa.Connection, most: int) -> list[dict]:
    """Return the files that ratings name and no record has: how many ratings, and since when; the longest first."""
    file = schema.IMAGE_FILE
    known = sa.exists().where(file.c.file_md5 == _RATING.c.file_md5)
    since = sa.func.min(_RATING.c.received_at).label("since")
    query = sa.select(_RATING.c.file_md5, sa.func.count().label("n"), since)
    query = query.where(_RATING.c.file_md5.is_not(None), ~known).group_by(_RATING.c.file_md5)
    rows = connection.execute(query.order_by(since, _RATING.c.file_md5).limit(most))
    return [{"file_md5": row.file_md5, "n": row.n, "since": row.since} for row in rows]
