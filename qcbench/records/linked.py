"""Out of the database: records and ratings with the image they belong to, their flags, and what they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import sqlalchemy as sa

from qcbench.iqm_keys import MODALITIES, keys_of
from qcbench.records import schema
from qcbench.records.tokens import Client

#: How a rating stands to an image: it has one, its file is not known yet, or it names none.
LINKS = ("linked", "waiting", "unlinked")
_RATING, _FILE, _FLAG = schema.RATING, schema.IMAGE_FILE, schema.FLAG
IMAGE_ID = _FILE.c.image_id
LINK = sa.case((_RATING.c.file_md5.is_(None), LINKS[2]), (IMAGE_ID.is_(None), LINKS[1]), else_=LINKS[0])
_LATER = _RATING.alias("later")
_RATING_COLUMNS = [column for column in _RATING.c if column.name not in ("payload", "client_id")]
_AT_A_TIME = 500

Conditions = Sequence[sa.ColumnElement[bool]]


def select_records(modality: str) -> sa.Select:
    """Return the query of a typed table with the image of each record."""
    table = schema.TYPED[modality]
    joined = table.join(_FILE, _FILE.c.file_md5 == table.c.file_md5)
    return sa.select(table, IMAGE_ID).select_from(joined).order_by(table.c.sequence)


def select_ratings() -> sa.Select:
    """Return the query of ratings: how each is linked, to which image, and whether a later one stands for it."""
    is_current = ~sa.exists().where(_LATER.c.supersedes == _RATING.c.rating_id)
    joined = _RATING.outerjoin(_FILE, _FILE.c.file_md5 == _RATING.c.file_md5)
    query = sa.select(*_RATING_COLUMNS, LINK.label("link"), IMAGE_ID, is_current.label("current"))
    return query.select_from(joined).order_by(_RATING.c.sequence)


def records(connection: sa.Connection, modality: str, conditions: Conditions, *, after: int, limit: int) -> list[dict]:
    """Return rows of a typed table that arrived after a sequence number."""
    table = schema.TYPED[modality]
    query = select_records(modality).where(table.c.sequence > after, *conditions).limit(limit)
    return _rows(connection.execute(query))


def ratings(connection: sa.Connection, conditions: Conditions, *, after: int, limit: int) -> list[dict]:
    """Return ratings that arrived after a sequence number."""
    query = select_ratings().where(_RATING.c.sequence > after, *conditions).limit(limit)
    return _rows(connection.execute(query))


def ratings_of(connection: sa.Connection, image_id: str, conditions: Conditions, *, limit: int) -> dict:
    """Return how many ratings an image has, the first of them, and where the API has the rest (None: no more)."""
    meant = [image_id == IMAGE_ID, *conditions]
    counted = select_ratings().where(*meant).order_by(None).subquery()
    n = connection.execute(sa.select(sa.func.count()).select_from(counted)).scalar_one()
    found, rest = ratings(connection, meant, after=0, limit=limit), None
    if n > len(found):
        rest = "ratings?" + urlencode({"filter": f"image_id=={image_id}", "cursor": found[-1]["sequence"]})
    return {"n_ratings": n, "ratings": found, "ratings_next": rest}


def shown_to(client: Client) -> list[sa.ColumnElement[bool]]:
    """Return the condition on ratings that a client may read: a token that is for rating reads its own alone.

    Raters work blind to each other; who only reads, or stores records, sees all.
    """
    return [_RATING.c.rater == client.name] if client.scope == "rate" else []


def _rows(result: sa.CursorResult) -> list[dict]:
    # SQLAlchemy's names are a kind of text of their own, which JSON does not take for keys.
    names = list(map(str, result.keys()))
    return [dict(zip(names, row, strict=True)) for row in result.all()]


class Counted:
    """How many rows a table has: counted once, and afterwards only what was added, since no row ever goes."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[int, int]] = {}

    def rows(self, connection: sa.Connection, table: sa.Table) -> tuple[int, bool]:
        """Return the number of rows, and whether they are numbered from 1 on without a gap."""
        last, n = self._until.get(table.name, (0, 0))
        # The end of an index answers this; what counts the newer rows PostgreSQL may answer by reading them all.
        if (connection.execute(sa.select(sa.func.max(table.c.sequence))).scalar_one() or 0) > last:
            newer = sa.select(sa.func.max(table.c.sequence), sa.func.count()).select_from(table)
            # All rows are counted in a small index, those after a number in the table.
            last, more = connection.execute(newer.where(table.c.sequence > last) if last else newer).one()
            n += more
            # Two that count at a time find the same; which of them is kept does not matter.
            self._until[table.name] = (last, n)
        return n, n == last


def payload(connection: sa.Connection, record_id: str) -> str:
    """Return what was sent, identities aside."""
    raw = schema.RAW_RECORD
    return connection.execute(sa.select(raw.c.payload).where(raw.c.record_id == record_id)).scalar_one()


def add_flags(connection: sa.Connection, rows: list[dict], key: str) -> None:
    """Give each row its flags, a list."""
    by_id: dict[str, list] = {row[key]: row.setdefault("flags", []) for row in rows}
    flagged = [row[key] for row in rows if row["n_flags"]]
    for start in range(0, len(flagged), _AT_A_TIME):
        found = sa.select(_FLAG).where(_FLAG.c.item_id.in_(flagged[start : start + _AT_A_TIME]))
        for flag in connection.execute(found.order_by(_FLAG.c.sequence)).mappings():
            by_id[flag["item_id"]].append({name: flag[name] for name in ("code", "field", "found", "proposed")})


def counts(connection: sa.Connection, of_ratings: Conditions = ()) -> dict:
    """Return how many records, images, flags and ratings there are, by what they are; ratings under conditions."""

    def one(query: sa.Select) -> int:
        return connection.execute(query).scalar_one()

    def by(column: sa.ColumnElement, *conditions: sa.ColumnElement[bool]) -> dict:
        query = sa.select(column, sa.func.count()).where(*conditions).group_by(column).order_by(column)
        return dict(connection.execute(query).all())

    of_modality = {}
    for modality in MODALITIES:
        table = schema.TYPED[modality]
        flagged = sa.select(sa.func.count()).select_from(table).where(table.c.n_flags > 0)
        of_modality[modality] = {
            "records": one(sa.select(sa.func.count()).select_from(table)),
            "files": one(sa.select(sa.func.count(table.c.file_md5.distinct()))),
            "flagged": one(flagged),
        }
    states = select_ratings().where(*of_ratings).order_by(None).subquery()
    by_link = sa.select(states.c.link, sa.func.count()).group_by(states.c.link)
    return {
        "records": of_modality,
        "images": one(sa.select(sa.func.count(IMAGE_ID.distinct()))),
        "flags": by(_FLAG.c.code),
        "ratings": by(sa.func.coalesce(_RATING.c["class"], "no class"), *of_ratings),
        "links": dict(connection.execute(by_link).all()),
    }


def summary(connection: sa.Connection, modality: str) -> dict:
    """Return n, mean, least and most of each metric; what stood for "none" is null already."""
    table = schema.TYPED[modality]
    names = [key.name for key in keys_of(modality)]
    functions = {"n": sa.func.count, "mean": sa.func.avg, "min": sa.func.min, "max": sa.func.max}
    columns = [function(sa.cast(table.c[name], sa.Double)) for name in names for function in functions.values()]
    values = iter(connection.execute(sa.select(*columns)).one())
    return {name: {each: next(values) for each in functions} for name in names}
