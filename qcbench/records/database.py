"""The way to the records database: opened, brought to the newest form, read, and written by one at a time.

SQLite is the default and asks for no administrator; a server shared by many uses PostgreSQL, named by the
environment variable QCBENCH_DATABASE_URL. What a caller was told is stored is on the disk: SQLite flushes at
each commit, PostgreSQL does unless its administrator turned that off.
"""

from __future__ import annotations

import math
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

from qcbench import durable
from qcbench.errors import UsageError
from qcbench.study import Study

#: Any number that no other program of the same PostgreSQL uses: who holds it is the one who writes.
_WRITER = 7_202_319_066
_WRITES = "qcbench_writes"
_IDLE_SINCE = "qcbench_idle_since"
#: Asking a connection whether it is alive costs a way to PostgreSQL and back, so not before each use.
_TRUSTED_S = 1.0
_BUSY_MS = 5_000
_LOCK_S = 10.0
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
    f"busy_timeout = {_BUSY_MS}",
    # A large request fills the default of 4 MB: each would then wait for the log to be copied into the file.
    "wal_autocheckpoint = 4000",
    # In KiB where negative. The default of 2 MB does not hold the upper pages of the indices of 100,000 records.
    "cache_size = -8192",
)
_NETWORK = re.compile(r"nfs|cifs|smb|fuse\.|lustre|gpfs|beegfs|ceph|gluster|afs|9p")
#: What an engine raises when the database cannot be reached or cannot be written now; the request may come again.
UNAVAILABLE = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError, sa.exc.InternalError)


class Database:
    """A records database. `reading` and `writing` give a connection inside a transaction."""

    def __init__(self, url: str | sa.URL) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._writer = threading.Lock()
        # The values of a statement are what clients sent: no error repeats them. More connections are kept than the
        # API has threads: a new one must be prepared or let in, and has nothing in its cache.
        shared = {"pool_size": 10, "max_overflow": 20, "pool_timeout": _LOCK_S, "hide_parameters": True}
        if self.is_sqlite:
            self._engine = sa.create_engine(self.url, **shared)
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        else:
            self._engine = sa.create_engine(
                self.url,
                connect_args={"connect_timeout": 5, "options": "-c statement_timeout=30s -c timezone=UTC"},
                **shared,
            )
            sa.event.listen(self._engine, "checkin", _note_idle)
            sa.event.listen(self._engine, "checkout", _check_idle)

    @contextmanager
    def reading(self, *, one_state: bool = False) -> Iterator[sa.Connection]:
        """Yield a connection to read with; with `one_state` all it reads is of one moment, whoever writes meanwhile."""
        with self._engine.connect() as connection:
            if not self.is_sqlite:
                # Without a transaction a question costs one way to PostgreSQL and back instead of three.
                level = "REPEATABLE READ" if one_state else "AUTOCOMMIT"
                connection.execution_options(isolation_level=level)
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield the connection of the one who writes; what it did is on the disk when this ends."""
        if not self._writer.acquire(timeout=_LOCK_S):
            raise sa.exc.TimeoutError("others have been writing for too long")
        try:
            with self._engine.connect() as connection:
                connection.execution_options(**{_WRITES: True})
                with connection.begin():
                    if not self.is_sqlite:
                        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER)))
                    yield connection
        finally:
            self._writer.release()

    def migrate(self) -> None:
        """Bring the tables to their newest form, in one transaction: killed midway, they are as they were."""
        scripts = ScriptDirectory.from_config(_alembic())
        with self.writing() as connection:

            def steps(revision, _context):
                return scripts._upgrade_revs("head", revision)

            with EnvironmentContext(_alembic(), scripts, fn=steps) as environment:
                environment.configure(connection=connection, transactional_ddl=False)
                environment.run_migrations()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def open_database(study: Study) -> Database:
    """Return the records database of a study, in its newest form.

    It is the one that QCBENCH_DATABASE_URL names, else ``records/records.sqlite`` of the study. Raises UsageError
    when that lies on a network disk, where SQLite loses data, or when the URL names no database we can use.
    """
    url = os.environ.get("QCBENCH_DATABASE_URL")
    if url:
        database = Database(_checked(url))
    else:
        path = study.folder / "records" / "records.sqlite"
        durable.make_folder(path.parent)
        refuse_network_disk(path.parent, Path("/proc/mounts").read_text() if Path("/proc/mounts").exists() else "")
        database = Database(sa.URL.create("sqlite", database=str(path)))
    try:
        database.migrate()
    except UNAVAILABLE as error:
        # The driver's own text may repeat the password of the URL.
        raise UsageError(
            f"the records database {database.url.render_as_string()} cannot be opened "
            f"({type(error.orig or error).__name__}). Is it running, and may this account write there?"
        ) from None
    return database


def refuse_network_disk(folder: Path, mounts: str) -> None:
    """Raise UsageError when a folder lies on a network disk; `mounts` is the text of /proc/mounts.

    >>> refuse_network_disk(Path("/data/study"), "/dev/sda1 / ext4 rw 0 0")
    """
    kind, depth = "", 0
    for line in mounts.splitlines():
        place, found = (word.replace("\\040", " ") for word in line.split(" ")[1:3])
        if Path(folder).absolute().is_relative_to(place) and len(Path(place).parts) >= depth:
            kind, depth = found, len(Path(place).parts)
    if _NETWORK.match(kind):
        raise UsageError(
            f"{folder} lies on a network disk ({kind}), where SQLite loses data when two machines write. "
            "Move the study to a local disk, or name a PostgreSQL: QCBENCH_DATABASE_URL=postgresql://..."
        )


def now() -> str:
    """Return the time as the tables hold it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _checked(url: str) -> sa.URL:
    try:
        made = sa.make_url(url)
    except sa.exc.ArgumentError:
        made = None
    if made is None or made.get_backend_name() not in ("postgresql", "sqlite"):
        raise UsageError(
            "QCBENCH_DATABASE_URL must read postgresql://USER:PASSWORD@HOST/DATABASE, or sqlite:///PATH; it does not"
        )
    return made.set(drivername="postgresql+psycopg") if made.get_backend_name() == "postgresql" else made


def _prepare_sqlite(connection, _record) -> None:
    # The driver must not begin and commit on its own: it would commit between the steps of a migration.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _note_idle(_connection, record) -> None:
    record.info[_IDLE_SINCE] = time.monotonic()


def _check_idle(connection, record, _proxy) -> None:
    """A connection from before a restart of PostgreSQL is replaced, and with it all others, before it is used."""
    if time.monotonic() - record.info.get(_IDLE_SINCE, math.inf) < _TRUSTED_S:
        return
    import psycopg

    try:
        connection.execute("")
        connection.rollback()
    except psycopg.Error as error:
        raise sa.exc.InvalidatePoolError from error


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that begins by reading cannot be sure that it may write later.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return config
