"""Records a second through the API beside the bare driver writing the same rows; pages read by twenty clients.

The peer inserts the raw payload and the typed row of each record with the driver alone: executemany, one transaction
for as many records as a request carries, nothing checked. Run alone: python -m benchmarks.records
"""

import http.client
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from qcbench.records import schema, tokens
from qcbench.records.checks import check
from qcbench.records.database import open_database
from qcbench.records.serve import pseudonyms_of
from qcbench.study import Study
from tests.records.postgres import Postgres, postgres_binaries
from tests.records.samples import a_record, md5_of
from tests.records.server import Server

A_REQUEST = 200
N_BULK, N_SINGLE, N_TURNS = 4_000, 400, 4
N_ROWS, N_CLIENTS, PAGES_A_CLIENT = 100_000, 20, 25


def measure():
    """Yield what, figure, ours, theirs, and what the peer is."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _engine("SQLite", Path(folder), None)
    server = Postgres(postgres_binaries())
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield from _engine("PostgreSQL", Path(folder), server)
    finally:
        server.remove()


def _engine(name, folder, postgres):
    bare = _bare_sqlite(folder / "bare.sqlite") if postgres is None else _bare_postgres(postgres)
    url = postgres and postgres.new_database("api")
    os.environ.pop("QCBENCH_DATABASE_URL", None)
    if url:
        os.environ["QCBENCH_DATABASE_URL"] = url
    study = Study.create(folder / "study", raters=["alice"])
    database = open_database(study)
    token = tokens.mint(database, client="bench", scope="write")
    pseudonyms = pseudonyms_of(study)
    with Server(study, url) as server:
        for what, n, size in (("bulk", N_BULK, A_REQUEST), ("one by one", N_SINGLE, 1)):
            ours, theirs = [], []
            for turn in range(N_TURNS):
                bodies = _bodies(n, size, first=1_000_000 * (turn + 1) + 100_000 * size)
                checked = [[check("T1w", record, pseudonyms) for record in json.loads(body)] for body in bodies]
                theirs.append(bare(checked))
                ours.append(_post(server, token, bodies, size))
            # All turns together: one of the bare driver's takes 0.2 s, and half of that when the disk is in the mood.
            rates = [N_TURNS * n / sum(seconds) for seconds in (ours, theirs)]
            yield f"records stored, {what}, {name}", "records/s", *rates, f"bare driver, {name}"
        _fill(database, pseudonyms)
        p95_ms = _pages(server, token)
        yield f"page of 50 of {N_ROWS} records, {N_CLIENTS} clients, {name}", "p95 ms", p95_ms, 200.0, "the target"
    database.close()


def _bodies(n, size, first):
    numbers = range(first, first + n)
    return [json.dumps([_record(number) for number in numbers[start : start + size]]) for start in range(0, n, size)]


def _record(number):
    return a_record(cjv=0.3 + number / 1e8, provenance={"md5sum": md5_of(number)}, bids_meta={"FlipAngle": 8.0})


def _post(server, token, bodies, size):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    headers = {"Authorization": token, "Content-Type": "application/json"}
    path = "/api/v2/records/T1w/bulk" if size > 1 else "/api/v2/records/T1w"
    bodies = bodies if size > 1 else [body[1:-1] for body in bodies]
    began = time.perf_counter()
    for body in bodies:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status in (200, 201), content
    seconds = time.perf_counter() - began
    connection.close()
    return seconds


def _rows(checked):
    """The rows that the API writes for one request, made before the clock runs."""
    raw = [(each.record_id, "T1w", each.payload, "2026-01-01", 1) for each in checked]
    typed = [tuple({**each.row, "received_at": "2026-01-01"}[name] for name in _COLUMNS) for each in checked]
    return raw, typed


_COLUMNS = [column.name for column in schema.TYPED["T1w"].c if column.name != "sequence"]


def _statements(mark):
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    marks = ", ".join([mark] * len(_COLUMNS))
    return (
        f"INSERT INTO raw_record VALUES ({', '.join([mark] * 5)})",
        f"INSERT INTO t1w ({names}) VALUES ({marks})",
    )


def _bare_sqlite(path):
    _make_tables(f"sqlite:///{path}")
    raw_statement, typed_statement = _statements("?")

    def store(batches):
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA synchronous = FULL")
        batches = [_rows(batch) for batch in batches]
        began = time.perf_counter()
        for raw, typed in batches:
            connection.executemany(raw_statement, raw)
            connection.executemany(typed_statement, typed)
            connection.commit()
        seconds = time.perf_counter() - began
        connection.close()
        return seconds

    return store


def _bare_postgres(postgres):
    import psycopg

    url = postgres.new_database("bare")
    _make_tables(url)
    raw_statement, typed_statement = _statements("%s")

    def store(batches):
        batches = [_rows(batch) for batch in batches]
        with psycopg.connect(url.replace("+psycopg", "")) as connection:
            began = time.perf_counter()
            for raw, typed in batches:
                with connection.cursor() as cursor:
                    cursor.executemany(raw_statement, raw)
                    cursor.executemany(typed_statement, typed)
                connection.commit()
            return time.perf_counter() - began

    return store


def _make_tables(url):
    from qcbench.records.database import Database

    database = Database(url)
    database.migrate()
    tokens.mint(database, client="bench", scope="write")
    database.close()


def _fill(database, pseudonyms):
    """Bring the table to its size without the API."""
    from qcbench.records import intake

    client = tokens.Client(1, "bench", "write")
    template = check("T1w", _record(0), pseudonyms)
    for start in range(N_TURNS * (N_BULK + N_SINGLE), N_ROWS, 5_000):
        batch = []
        for number in range(start, min(start + 5_000, N_ROWS)):
            row = template.row | {"record_id": f"{number:024x}", "file_md5": md5_of(number), "cjv": number / N_ROWS}
            made = type(template)(
                modality="T1w", record_id=row["record_id"], payload=template.payload, row=row, flags=[]
            )
            batch.append(made)
        with database.writing() as connection:
            intake.add_records(connection, client, batch)


def _pages(server, token):
    """Return the 95th percentile of the time that a page takes, while all clients read."""
    milliseconds = []
    paths = ("/api/v2/records/T1w?limit=50&cursor={}", "/api/v1/T1w?max_results=50&page={}")

    def read(client):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        for turn in range(PAGES_A_CLIENT):
            place = (client * 4_999 + turn * 37) % N_ROWS
            path = paths[turn % 2].format(place if turn % 2 == 0 else 1 + place // 50)
            began = time.perf_counter()
            connection.request("GET", path, headers={"Authorization": token})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
            milliseconds.append(1000 * (time.perf_counter() - began))
        connection.close()

    threads = [threading.Thread(target=read, args=(client,)) for client in range(N_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statistics.quantiles(milliseconds, n=20)[18]


if __name__ == "__main__":
    for line in measure():
        print(
            *(f"{each:.4g}" if isinstance(each, float) else each for each in line),
            sep="  ",
            file=sys.stdout,
            flush=True,
        )
