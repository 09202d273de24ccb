"""Who may do what: tokens of clients, each of one scope, kept as hashes, revocable at once. None is there at first."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NamedTuple

import sqlalchemy as sa

from qcbench.errors import UsageError
from qcbench.records import audit, schema
from qcbench.records.database import Database, now

#: From the least to the most; each includes those before it.
SCOPES = ("read", "rate", "write", "admin")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_TOKEN = re.compile(r"qcb_[A-Za-z0-9_-]{43}")
# Asked before every request, so made once. The database compares hashes: the time it takes tells nothing of the token.
_HOLDER = (
    sa.select(schema.CLIENT.c.client_id, schema.CLIENT.c.name, schema.TOKEN.c.scope)
    .join_from(schema.TOKEN, schema.CLIENT)
    .where(schema.TOKEN.c.token_sha256 == sa.bindparam("hashed"), schema.TOKEN.c.revoked_at.is_(None))
)


class Client(NamedTuple):
    """Who sent a request, and what their token allows."""

    client_id: int
    name: str
    scope: str

    def may(self, scope: str) -> bool:
        """Return whether the token includes a scope."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


def mint(database: Database, *, client: str, scope: str) -> str:
    """Return a new token for a client, who is made when unknown. It is shown this once: only its hash is kept."""
    if not _NAME.fullmatch(client):
        raise UsageError(
            f"a client's name is lower-case letters, digits, hyphens and underscores (at most 32), got {client!r}"
        )
    if scope not in SCOPES:
        raise UsageError(f"the scope must be one of {', '.join(SCOPES)}, got {scope!r}")
    token = f"qcb_{secrets.token_urlsafe(32)}"
    with database.writing() as connection:
        connection.execute(
            schema.TOKEN.insert(),
            {
                "token_sha256": _hash(token),
                "client_id": client_id(connection, client),
                "scope": scope,
                "created_at": now(),
            },
        )
        audit.append(connection, client=client, action="token made", detail={"scope": scope})
    return token


def client_id(connection: sa.Connection, name: str) -> int:
    """Return the id of a client; one that is unknown is made."""
    table = schema.CLIENT
    found = connection.execute(sa.select(table.c.client_id).where(table.c.name == name)).scalar()
    if found is None:
        made = connection.execute(table.insert(), {"name": name, "created_at": now()})
        found = made.inserted_primary_key[0]
    return found


def revoke(database: Database, *, client: str) -> int:
    """End every token of a client at once; return how many were in force."""
    table = schema.TOKEN
    with database.writing() as connection:
        of_client = sa.select(schema.CLIENT.c.client_id).where(schema.CLIENT.c.name == client)
        ended = connection.execute(
            table.update()
            .where(table.c.client_id.in_(of_client), table.c.revoked_at.is_(None))
            .values(revoked_at=now())
        ).rowcount
        if ended:
            audit.append(connection, client=client, action="tokens revoked", detail={"n": ended})
    return ended


def holder(connection: sa.Connection, token: str) -> Client | None:
    """Return whose token it is, None when it is nobody's or was revoked."""
    if not _TOKEN.fullmatch(token):
        return None
    row = connection.execute(_HOLDER, {"hashed": _hash(token)}).first()
    return Client(*row) if row else None


def any_in_force(connection: sa.Connection) -> bool:
    """Return whether there is a token that opens anything."""
    return (
        connection.execute(sa.select(sa.literal(1)).where(schema.TOKEN.c.revoked_at.is_(None)).limit(1)).scalar() == 1
    )


def _hash(token: str) -> str:
    # Plain, not slow: a token has 256 random bits, which nobody guesses.
    return hashlib.sha256(token.encode()).hexdigest()
