import re
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import toimpl
from alembic.operations.base import Operations
from alembic.operations.ops import CreateTableOp

from qcbench.errors import UsageError
from qcbench.records import database as room
from qcbench.records import schema
from qcbench.records.database import Database, open_database, refuse_network_disk

MOUNTS = "/dev/sda1 / ext4 rw 0 0\nhost:/x /home nfs4 rw,hard 0 0\n/dev/sdb1 /home/local ext4 rw 0 0\n"


def test_the_steps_end_at_the_tables_that_the_code_knows(database):
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.METADATA) == []


def test_a_database_that_is_in_its_newest_form_stays_as_it_is(database):
    with database.writing() as connection:
        connection.execute(schema.CLIENT.insert(), {"name": "a", "created_at": room.now()})
    database.migrate()
    with database.reading() as connection:
        assert connection.execute(sa.select(schema.CLIENT.c.name)).scalars().all() == ["a"]


def test_a_step_that_breaks_midway_leaves_nothing_behind(url, monkeypatch):
    made = Database(url)
    seen = []

    def breaks_at_the_fifth(operations, operation):
        seen.append(operation)
        if len(seen) == 5:
            raise RuntimeError("power cut")
        return original(operations, operation)

    original = toimpl.create_table
    monkeypatch.setitem(Operations._to_impl._registry, (CreateTableOp, "default"), breaks_at_the_fifth)
    with pytest.raises(RuntimeError, match="power cut"):
        made.migrate()
    with made.reading() as connection:
        assert sa.inspect(connection).get_table_names() == []
    monkeypatch.undo()
    made.migrate()
    with made.reading() as connection:
        assert "t1w" in sa.inspect(connection).get_table_names()
    made.close()


def test_what_fails_is_not_written(database):
    with pytest.raises(RuntimeError), database.writing() as connection:
        connection.execute(schema.CLIENT.insert(), {"name": "a", "created_at": room.now()})
        raise RuntimeError
    with database.reading() as connection:
        assert connection.execute(sa.select(schema.CLIENT)).all() == []


def test_writers_come_one_after_the_other(database):
    """Twenty threads count up what they read: none reads what another is about to change."""

    def count_up():
        with database.writing() as connection:
            n = connection.execute(sa.select(sa.func.count()).select_from(schema.CLIENT)).scalar_one()
            connection.execute(schema.CLIENT.insert(), {"name": f"c{n}", "created_at": room.now()})

    threads = [threading.Thread(target=count_up) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        names = connection.execute(sa.select(schema.CLIENT.c.name)).scalars().all()
    assert sorted(names) == sorted(f"c{n}" for n in range(20))


def test_sqlite_flushes_at_each_commit(sqlite_for_all):
    with sqlite_for_all.database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@pytest.mark.parametrize(
    ("folder", "refused"), [("/home/ann/study", True), ("/home/local/study", False), ("/x", False)]
)
def test_sqlite_is_refused_on_a_network_disk(folder, refused):
    if refused:
        with pytest.raises(UsageError, match=re.escape("network disk (nfs4)")):
            refuse_network_disk(Path(folder), MOUNTS)
    else:
        refuse_network_disk(Path(folder), MOUNTS)


def test_a_study_has_its_database_in_its_folder(study, monkeypatch):
    monkeypatch.delenv("QCBENCH_DATABASE_URL", raising=False)
    open_database(study).close()
    assert (study.folder / "records" / "records.sqlite").is_file()


def test_the_url_names_another(study, monkeypatch, url):
    monkeypatch.setenv("QCBENCH_DATABASE_URL", url.replace("+psycopg", ""))
    made = open_database(study)
    assert made.url.get_backend_name() == sa.make_url(url).get_backend_name()
    made.close()


@pytest.mark.parametrize("url", ["mysql://a:secret@b/c", "nonsense", "postgresql+psycopg://a:secret@127.0.0.1:1/c"])
def test_a_url_that_leads_nowhere_is_refused_without_its_password(study, monkeypatch, url):
    monkeypatch.setenv("QCBENCH_DATABASE_URL", url)
    with pytest.raises(UsageError) as refused:
        open_database(study)
    assert "secret" not in str(refused.value)
