"""What somebody who means harm, or a client that is broken, may send: it is refused, and costs nothing."""

import gzip
import json
import threading

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from qcbench.iqm_keys import MODALITIES
from qcbench.records import intake, schema, tokens
from tests.records.conftest import Api
from tests.records.samples import a_record, md5_of

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND")
_PIECES = (
    "'", "''", '"', "`", ";", "--", "/*", "*/", "#", "\\", "\\'", "%27", "%00", "\x00", "\n", "\ufeff", "\u2019",
    "\U0001f600",

    "' OR '1'='1", "' OR 1=1--", '" OR ""="', "1 OR 1=1", "1; DROP TABLE rating", "'; DROP TABLE rating; --",
    "' UNION SELECT token_sha256 FROM token--", "1 UNION SELECT 1,2,3", "' AND SLEEP(5)--", "1; SELECT pg_sleep(5)",
    "'||(SELECT version())||'", "') OR ('1'='1", "admin'--", "${7*7}", "{{7*7}}", "$where", '{"$where": "1"}',
    '{"$gt": ""}', '{"$ne": null}', "randomblob(1000000000)", "load_extension('x')", "ATTACH DATABASE 'x' AS y",
)  # fmt: skip
_FRAMES = ("{}", "fd_mean == {}", "fd_mean{}", "{} == 1", "provenance.version == '{}'")
INJECTIONS = [frame.replace("{}", piece) for frame in _FRAMES for piece in _PIECES]


def routes(api):
    """Every path of the API with something in the place of its parameters."""
    for path in api.http.get("/openapi.json").json()["paths"]:
        yield path.replace("{record_id}", "0" * 24).replace("{rating_id}", "0" * 24).replace("{modality}", "T1w")


def test_there_are_two_hundred_injections():
    assert len(set(INJECTIONS)) >= 200


def test_no_route_opens_without_a_token_that_is_in_force(api_sqlite):
    revoked = tokens.mint(api_sqlite.database, client="gone", scope="admin")
    tokens.revoke(api_sqlite.database, client="gone")
    paths = [*routes(api_sqlite), "/api/", "/api/v1", "/api/v3/x", "/api/v1/../v2/audit"]
    assert len(paths) > 20
    for path in paths:
        for method in METHODS:
            for token in (None, "qcb_" + "a" * 43, revoked):
                headers = {} if token is None else {"Authorization": token}
                answer = api_sqlite.http.request(method, path, headers=headers, content=b"{}")
                assert answer.status_code == 401, (method, path, token, answer.status_code)
    for token in ("", "x", "Bearer", "Bearer x", f"Bearer {revoked}", "Basic YTpi", "\\", "qcb_", "null"):
        assert api_sqlite.http.get("/api/v1/T1w", headers={"Authorization": token}).status_code == 401


def test_no_route_opens_to_a_token_that_is_too_small(api_sqlite):
    described = api_sqlite.http.get("/openapi.json").json()["paths"]
    asked = 0
    for path, operations in described.items():
        for method in operations:
            needs = (
                "admin" if "audit" in path else "read" if method == "get" else "rate" if "rating" in path else "write"
            )
            for scope in tokens.SCOPES[: tokens.SCOPES.index(needs)]:
                headers = api_sqlite.headers(scope) | {"Content-Type": "application/json"}
                answer = api_sqlite.http.request(method, path, headers=headers, content=b"{}")
                assert answer.status_code == 403, (method, path, scope)
                asked += 1
    assert asked >= 15


def test_reads_can_be_opened_and_writes_stay_closed(database):
    opened = Api(database, open_reads=True)
    assert opened.http.get("/api/v1/T1w").status_code == 200
    assert opened.http.get("/api/v2/audit").status_code == 403
    assert opened.http.post("/api/v1/T1w", json=a_record()).status_code == 401


def test_a_websocket_is_not_opened(api_sqlite):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), api_sqlite.http.websocket_connect("/api/v1/T1w"):
        pass


def test_the_same_post_a_hundred_times_by_twenty_clients_is_one_row(api):
    payload, answers = a_record("bold"), []

    def send():
        for _ in range(5):
            answers.append(api.post("/api/v2/records/bold", payload).status_code)
            answers.append(api.post("/api/v2/ratings", {"rating": 2, "md5sum": md5_of(1)}).status_code)

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] * 198 + [201] * 2
    for table in (schema.RAW_RECORD, schema.TYPED["bold"], schema.RATING):
        with api.database.reading() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 1


def test_injections_in_every_filter_find_nothing_and_change_nothing(api):
    api.post("/api/v2/records/bold", a_record("bold"))
    api.post("/api/v2/ratings", {"rating": 2, "md5sum": md5_of(1)})
    before = api.get("/api/v2/statistics").json()
    asked = 0
    for text in INJECTIONS:
        for path, name in (
            ("/api/v1/bold", "where"),
            ("/api/v1/bold", "sort"),
            ("/api/v1/rating", "where"),
            ("/api/v1/rating_counts", "aggregate"),
            ("/api/v2/records/bold", "filter"),
            ("/api/v2/ratings", "filter"),
        ):
            answer = api.get(path, **{name: text})
            assert answer.status_code in (200, 400, 422), (path, name, text, answer.text)
            found = answer.json().get("_items", answer.json().get("items", []))
            assert answer.status_code != 200 or not found or text.strip() in ("", "fd_mean"), (path, name, text)
            asked += 1
    for text in _PIECES:
        for path in ("/api/v1/bold/{}", "/api/v2/records/bold/{}", "/api/v2/statistics/{}"):
            url = path.format(text.encode("utf-8", "surrogatepass").hex() if "\x00" in text or "\n" in text else text)
            assert api.http.get(url, headers=api.headers("read")).status_code in (200, 404, 405, 422), url
    assert asked >= 1200
    assert api.get("/api/v2/statistics").json() == before
    assert api.get("/api/v2/audit", scope="admin").json() == {"faults": []}


def raw(api, content, **headers):
    default = {"Content-Type": "application/json"}
    return api.http.post("/api/v1/T1w", content=content, headers=api.headers("write") | default | headers)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 400_000,
        b'{"a":' * 150_000,
        json.dumps(a_record()).replace("1.0", "NaN").encode(),
        json.dumps(a_record()).replace("1.0", "Infinity").encode(),
        json.dumps(a_record()).replace("1.0", "1e400").encode(),
        json.dumps(a_record()).replace("1.0", "1" * 5000).encode(),
        b'{"cjv": "\\ud800"}',
        b"null",
        b'"x"',
        b"[]",
        json.dumps({f"k{i}": i for i in range(60_000)}).encode(),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_body_that_is_no_record_is_refused(api_sqlite, body):
    assert raw(api_sqlite, body).status_code in (400, 422)


@pytest.mark.parametrize("length", ["1000001", "5000000000", "9" * 5000, "-1", "1e3", "\u0661"])
def test_a_body_that_says_it_is_too_large_is_not_read(api_sqlite, length):
    assert raw(api_sqlite, b"{}", **{"Content-Length": length.encode()}).status_code == 413


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
def test_a_packed_body_is_not_unpacked(api_sqlite, encoding):
    bomb = gzip.compress(b"0" * 1_000_000)
    assert raw(api_sqlite, bomb, **{"Content-Encoding": encoding}).status_code == 415


def test_a_body_of_another_kind_is_refused(api_sqlite):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        assert raw(api_sqlite, b"{}", **{"Content-Type": kind}).status_code == 415
    assert raw(api_sqlite, b"{}", **{"Content-Type": "application/json;charset=UTF-8"}).status_code == 422


def test_an_error_repeats_nothing_of_what_was_sent_and_nothing_of_the_inside(api_sqlite):
    record = a_record(cjv="secret-value", bids_meta={"subject_id": "jane.doe", "EchoTime": -1})
    text = api_sqlite.post("/api/v1/T1w", record).text
    for word in ("secret-value", "jane", api_sqlite.token["write"], "SELECT", "INSERT", "/work", "Traceback", ".py"):
        assert word not in text


def test_the_log_repeats_nothing_of_a_payload_that_the_database_refuses(api, monkeypatch, caplog):
    def refused(connection, **_):
        connection.execute(sa.text("UPDATE t1w SET version = NULL"))

    monkeypatch.setattr(intake.audit, "append", refused)
    record = a_record(bids_meta={"ProtocolName": "jane.doe"}, provenance={"version": "24-of-jane"})
    content, headers = json.dumps(record), api.headers("write") | {"Content-Type": "application/json"}
    # With a client that would raise what goes on to the server, which logs it.
    assert TestClient(api.app).post("/api/v1/T1w", content=content, headers=headers).status_code == 500
    assert "IntegrityError" in caplog.text and "intake.py" in caplog.text and "jane" not in caplog.text


def test_no_answer_asks_a_browser_to_fetch_from_elsewhere(api_sqlite):
    page = api_sqlite.http.get("/docs")
    assert page.status_code == 200 and "/api/v1/T1w" in page.text
    for word in ("<script", "http://", "https://", "src=", "@import", "url("):
        assert word not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert set(api_sqlite.http.get("/openapi.json").json()["components"]["securitySchemes"]) == {"token"}
    assert len(MODALITIES) == 3


def test_health_says_nothing_of_what_is_stored(api_sqlite):
    assert set(api_sqlite.http.get("/health").json()) == {"status", "version"}
