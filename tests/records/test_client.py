import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from qcbench.errors import UsageError
from qcbench.records import tokens
from qcbench.records.client import Client
from qcbench.records.database import open_database
from tests.records.samples import a_record, md5_of
from tests.records.server import Server


class Stubborn(BaseHTTPRequestHandler):
    """A server that is away twice, once with a status and once by hanging up, and then answers."""

    asked = 0
    away = 503

    def do_POST(self):
        type(self).asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.asked == 1:
            self.send_response(self.away)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
        elif self.asked == 3:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"items": [{"status": 201}]}')

    def do_GET(self):
        type(self).asked += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def stubborn():
    Stubborn.asked = 0
    server = HTTPServer(("127.0.0.1", 0), Stubborn)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("away", [502, 503, 504])
def test_what_was_not_acknowledged_is_sent_again(stubborn, monkeypatch, away):
    monkeypatch.setattr(Stubborn, "away", away)
    assert Client(stubborn, "t").send_ratings([{"rating": 3}]) == [{"status": 201}]
    assert Stubborn.asked == 3


def test_the_token_is_not_carried_to_where_an_answer_points(stubborn, monkeypatch):
    monkeypatch.setattr(Stubborn, "away", 302)
    with pytest.raises(UsageError, match="refused: 302"):
        Client(stubborn, "t").send_ratings([{"rating": 3}])
    assert Stubborn.asked == 1


def test_patience_has_an_end_and_the_way_on_is_told():
    with pytest.raises(UsageError, match="again later"):
        Client("http://127.0.0.1:1", "t", patience_s=0.1).send_ratings([{"rating": 3}])


def test_an_address_without_http_is_refused():
    with pytest.raises(UsageError, match="http://"):
        Client("file:///etc/passwd", "t")


def test_many_records_go_in_requests_that_the_server_takes(study, monkeypatch):
    monkeypatch.delenv("QCBENCH_DATABASE_URL", raising=False)
    database = open_database(study)
    token = tokens.mint(database, client="mriqc", scope="write")
    database.close()
    records = [a_record("bold", fd_num=n, provenance={"md5sum": md5_of(n)}) for n in range(1_500)]
    with Server(study) as server:
        client = Client(server.address, token)
        assert [each["status"] for each in client.send_records("bold", records)] == [201] * 1_500
        assert [each["status"] for each in client.send_records("bold", [*records[:2], {}])] == [200, 200, 422]
        assert client.send_ratings([{"rating": 3, "md5sum": md5_of(1)}])[0]["status"] == 201
        with pytest.raises(UsageError, match="401"):
            Client(server.address, "wrong").send_ratings([{"rating": 3}])
