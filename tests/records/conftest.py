"""Databases of both engines and the API over them."""

import json
import time

import pytest
from starlette.testclient import TestClient

from qcbench.records import linked, schema, tokens
from qcbench.records.api import make_app
from qcbench.records.database import Database
from qcbench.records.identity import Pseudonyms
from tests.records.postgres import Postgres, postgres_binaries

SITE_KEY = bytes(range(32))
KEPT = ("client", "token", "alembic_version")


class Api:
    """The API without a network: requests as a client of some scope."""

    def __init__(self, database, **options):
        self.database = database
        self.app = make_app(database, Pseudonyms(SITE_KEY), **options)
        self.http = TestClient(self.app, raise_server_exceptions=False)
        self.token = {scope: tokens.mint(database, client=f"c-{scope}", scope=scope) for scope in tokens.SCOPES}

    def get(self, path, scope="read", **parameters):
        return self.http.get(path, params=parameters, headers=self.headers(scope))

    def post(self, path, payload, scope="write"):
        content = json.dumps(payload)
        headers = self.headers(scope) | {"Content-Type": "application/json"}
        return self.http.post(path, content=content, headers=headers)

    def headers(self, scope):
        return {"Authorization": self.token[scope]} if scope else {}

    def emptied(self):
        with self.database.writing() as connection:
            for table in reversed(schema.METADATA.sorted_tables):
                if table.name not in KEPT:
                    connection.execute(table.delete())
        # Only tests take rows away.
        self.app._app.state.counted = linked.Counted()
        return self


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server for all tests."""
    server = Postgres(postgres_binaries())
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The URL of an empty database, once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.sqlite'}"
    return request.getfixturevalue("postgres").new_database(f"t{time.monotonic_ns()}")


@pytest.fixture
def database(url):
    """A database of its own with its tables."""
    made = Database(url)
    made.migrate()
    yield made
    made.close()


@pytest.fixture(scope="session")
def sqlite_for_all(tmp_path_factory):
    """The API over one SQLite, which the tests that use it empty."""
    made = Database(f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'records.sqlite'}")
    made.migrate()
    yield Api(made)
    made.close()


@pytest.fixture(scope="session")
def postgres_for_all(postgres):
    """The API over one database of PostgreSQL, which the tests that use it empty."""
    made = Database(postgres.new_database("for_all"))
    made.migrate()
    yield Api(made)
    made.close()


@pytest.fixture(params=["sqlite_for_all", "postgres_for_all"])
def api(request):
    """The API over a database without records, once on each engine."""
    return request.getfixturevalue(request.param).emptied()


@pytest.fixture
def api_sqlite(sqlite_for_all):
    """The same where the engine makes no difference."""
    return sqlite_for_all.emptied()
