"""The server as a process: killed while it writes, its database taken away, fed with what never ends."""

import http.client
import logging
import os
import random
import socket
import subprocess
import sys
import threading
import time

import pytest
import sqlalchemy as sa

from qcbench.errors import UsageError
from qcbench.records import schema, tokens
from qcbench.records.database import Database, open_database
from qcbench.records.serve import serve
from tests.records.samples import a_record, md5_of
from tests.records.server import Server

_LOG = logging.getLogger(__name__)
LONG = bool(os.environ.get("QCBENCH_LONG_FAULTS"))
KILLS, AWAY_S = (30, 30.0) if LONG else (2, 3.0)
_WRITERS = 4


@pytest.fixture
def served(study, url, monkeypatch):
    """A study with a database of either engine, the URL to give its server, and a token that writes."""
    if url.startswith("sqlite"):
        monkeypatch.delenv("QCBENCH_DATABASE_URL", raising=False)
        url = None
    else:
        monkeypatch.setenv("QCBENCH_DATABASE_URL", url)
    database = open_database(study)
    token = tokens.mint(database, client="mriqc", scope="admin")
    yield study, url, database, token
    database.close()


class Writers:
    """Clients that send records and ratings as fast as they are acknowledged, and try again as a client does."""

    def __init__(self, server, token, start):
        self.acknowledged, self.unavailable, self.odd = [], [], []
        self._server, self._token = server, token
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(start + i,)) for i in range(_WRITERS)]
        for thread in self._threads:
            thread.start()

    def _write(self, number):
        while not self._ending.is_set():
            record = a_record("bold", fd_num=number, provenance={"md5sum": md5_of(number)})
            try:
                status, headers, answer = self._server.ask("POST", "/api/v2/records/bold", self._token, record)
            except (OSError, http.client.HTTPException):
                return
            if status in (200, 201):
                self.acknowledged.append(answer["id"])
                number += _WRITERS
            elif status == 503 and "retry-after" in {name.lower() for name in headers}:
                self.unavailable.append(number)
                self._ending.wait(0.2)
            else:
                self.odd.append((status, answer))

    def wait_for(self, count, timeout_s=60):
        until = time.monotonic() + timeout_s
        while len(self.acknowledged) < count and time.monotonic() < until:
            time.sleep(0.01)
        assert len(self.acknowledged) >= count

    def end(self):
        self._ending.set()
        for thread in self._threads:
            thread.join()


def stored(database):
    with database.reading() as connection:
        raw = set(connection.execute(sa.select(schema.RAW_RECORD.c.record_id)).scalars())
        typed = list(connection.execute(sa.select(schema.TYPED["bold"].c.record_id)).scalars())
    assert len(typed) == len(set(typed)) and set(typed) == raw
    return raw


def test_nothing_that_was_acknowledged_is_lost_when_the_server_is_killed(served):
    study, url, database, token = served
    acknowledged = set()
    for _ in range(KILLS):
        with Server(study, url) as server:
            writers = Writers(server, token, start=len(acknowledged) * 10)
            writers.wait_for(random.randint(5, 40))
            server.kill()
            writers.end()
        assert not writers.odd
        acknowledged.update(writers.acknowledged)
        assert acknowledged <= stored(database)
    with Server(study, url) as server:
        assert server.ask("GET", "/api/v2/audit", token)[2] == {"faults": []}
    _LOG.info("%d kills, %d acknowledged, %d stored", KILLS, len(acknowledged), len(stored(database)))


def test_while_the_database_is_away_clients_are_told_to_come_again(study, postgres, monkeypatch):
    url = postgres.new_database(f"t{time.monotonic_ns()}")
    monkeypatch.setenv("QCBENCH_DATABASE_URL", url)
    database = open_database(study)
    token = tokens.mint(database, client="mriqc", scope="admin")
    with Server(study, url) as server:
        writers = Writers(server, token, start=0)
        writers.wait_for(10)
        postgres.stop()
        try:
            time.sleep(AWAY_S)
            for path in ("/api/v1/T1w", "/api/v2/statistics", "/api/v2/records/bold/export", "/health"):
                status, headers, _ = server.ask("GET", path, token)
                assert status == 503 and int(headers["retry-after"]) > 0
        finally:
            postgres.start()
        writers.wait_for(len(writers.acknowledged) + 20)
        writers.end()
        assert not writers.odd and writers.unavailable
        database.close()  # its connections were to the server that was stopped
        assert set(writers.acknowledged) <= stored(database)
        assert server.ask("GET", "/api/v2/audit", token)[2] == {"faults": []}
    _LOG.info("%d acknowledged, told to come again %d times", len(writers.acknowledged), len(writers.unavailable))
    database.close()


def test_a_restart_of_the_database_that_nobody_noticed_costs_no_request(postgres, monkeypatch):
    from qcbench.records import database as room

    monkeypatch.setattr(room, "_TRUSTED_S", 0.0)
    made = Database(postgres.new_database(f"t{time.monotonic_ns()}"))
    made.migrate()
    with made.reading() as first, made.reading() as second:
        for connection in (first, second):
            connection.execute(sa.select(schema.CLIENT))
    postgres.stop()
    postgres.start()
    token = tokens.mint(made, client="a", scope="read")
    with made.reading() as first, made.reading() as second:
        assert tokens.holder(first, token) == tokens.holder(second, token)
    made.close()


_MIGRATE = """
import sys, time
from alembic.operations import toimpl
from alembic.operations.base import Operations
from alembic.operations.ops import CreateTableOp
from qcbench.records.database import Database
def slowly(operations, operation, made=toimpl.create_table):
    print("table", flush=True)
    time.sleep(0.05)
    return made(operations, operation)
Operations._to_impl._registry[CreateTableOp, "default"] = slowly
Database(sys.argv[1]).migrate()
print("done", flush=True)
"""


def test_a_migration_that_is_killed_leaves_the_old_form_or_the_new(url):
    for after in random.sample(range(1, 11), min(KILLS, 10)):
        process = subprocess.Popen([sys.executable, "-c", _MIGRATE, url], stdout=subprocess.PIPE, text=True)
        for _ in range(after):
            process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
        database = Database(url)
        with database.reading() as connection:
            found = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
        database.close()
        assert found in (set(), set(schema.METADATA.tables))
    database = Database(url)
    database.migrate()
    with database.reading() as connection:
        assert set(schema.METADATA.tables) <= set(sa.inspect(connection).get_table_names())
    database.close()


def test_memory_stays_flat_under_bodies_without_end(study, monkeypatch):
    monkeypatch.delenv("QCBENCH_DATABASE_URL", raising=False)
    database = open_database(study)
    token = tokens.mint(database, client="mriqc", scope="admin")
    database.close()
    with Server(study) as server:
        for _ in range(3):
            server.ask("POST", "/api/v2/records/bold/bulk", token, [a_record("bold")] * 200)
        before_mb = server.memory_mb()
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
                head = "POST /api/v1/T1w HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                head += f"Authorization: {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
                connection.sendall(head.encode())
                assert _fed_until_answered(connection).startswith(b"HTTP/1.1 413")
        deep = b"[" * 900_000
        for _ in range(20):
            assert _posted(server, token, deep) == 400
        assert server.memory_mb() - before_mb < 50
        assert server.ask("GET", "/api/v1/T1w", token)[0] == 200


def _fed_until_answered(connection):
    chunk = b"186a0\r\n" + b" " * 100_000 + b"\r\n"
    connection.settimeout(0.0)
    for _ in range(2_000):
        try:
            connection.send(chunk)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            break
        try:
            return connection.recv(1000)
        except BlockingIOError:
            continue
    raise AssertionError("200 MB were taken without an answer")


def _posted(server, token, body):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/api/v1/T1w", body, {"Authorization": token, "Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_client_that_sends_nothing_holds_up_nobody(study, monkeypatch):
    monkeypatch.delenv("QCBENCH_DATABASE_URL", raising=False)
    database = open_database(study)
    token = tokens.mint(database, client="mriqc", scope="admin")
    database.close()
    with Server(study) as server:
        head = f"POST /api/v1/T1w HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 1000\r\n\r\n"
        slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
        for connection in slow:
            connection.sendall(head.encode())
        began = time.perf_counter()
        assert server.ask("POST", "/api/v2/records/bold", token, a_record("bold"))[0] == 201
        # The slow ones are turned away after 30 s, and this one did not wait for that.
        assert time.perf_counter() - began < 20
        for connection in slow:
            connection.close()


def test_no_server_starts_without_a_token(study, monkeypatch):
    monkeypatch.delenv("QCBENCH_DATABASE_URL", raising=False)
    with pytest.raises(UsageError, match="qcbench records token"):
        serve(study, port=0)
    database = open_database(study)
    tokens.mint(database, client="a", scope="read")
    tokens.revoke(database, client="a")
    database.close()
    with pytest.raises(UsageError, match="qcbench records token"):
        serve(study, port=0)


def test_a_port_that_is_taken_is_told(study, monkeypatch):
    monkeypatch.delenv("QCBENCH_DATABASE_URL", raising=False)
    database = open_database(study)
    tokens.mint(database, client="a", scope="read")
    database.close()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="--port"):
            serve(study, port=taken.getsockname()[1])
