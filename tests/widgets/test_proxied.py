import json
import os
import socket
import stat
import struct
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import websocket
from tornado.httputil import HTTPHeaders

from qcbench import images, store
from qcbench.errors import UsageError
from qcbench.study import Study
from qcbench.widgets import gate, proxied
from qcbench.widgets.identity import refuse_another
from tests.faults.kernel import RaterPage
from tests.widgets.served import ServedKernel, ask, channels, shown

SECRET = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t"
NAMES = [f"sub-{number:04d}_ses-M00_T1w" for number in range(40)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One voila for alice and bob on a unix socket; `secret`, `study`, `address`."""
    import numpy as np

    folder = tmp_path_factory.mktemp("proxied")
    study = Study.create(folder / "study", raters=["alice", "bob"])
    path = study.derivatives / "drawn.png"
    sha256 = images.save_png(path, np.tile(np.arange(0, 240, 2, dtype="uint8"), (40, 1)))
    scan = {"source_path": "drawn", "simulated": True}
    store.write(study, "images", [{**scan, "image_id": name, "participant_id": name[:8]} for name in NAMES])
    drawn = {"screenshot_path": study.relative(path), "screenshot_sha256": sha256, "preprocessing_preset": "drawn"}
    store.write(study, "preprocessed", [{**drawn, "image_id": name} for name in NAMES])
    secret_file = gate.make_secret(folder / "secret")
    with proxied.running(study, secret_file=secret_file, socket_path=folder / "voila.sock") as (address, process):
        yield SimpleNamespace(study=study, address=address, process=process, secret=gate.read_secret(secret_file))


@pytest.fixture
def open_page(server):
    """A function that opens a page of a rater and returns it; its kernel is `page.kernel`."""
    opened = []

    def opens(rater, path="/"):
        opened.append(ServedKernel(server.address, shown(server.secret, rater), path=path))
        return RaterPage().open(opened[-1], server.study)

    yield opens
    for kernel in opened:
        kernel.close()


def refused(server, kernel_id, headers, **more):
    """Return the status with which a websocket to a kernel is refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
        channels(server.address, kernel_id, headers, **more)
    return refusal.value.status_code


def test_a_secret_is_made_once_and_read_by_its_owner_alone(tmp_path):
    path = gate.make_secret(tmp_path / "secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = gate.read_secret(path)
    assert len(secret) >= 48
    assert gate.read_secret(gate.make_secret(path)) == secret


def test_a_secret_that_others_can_read_or_guess_is_refused(tmp_path):
    path = gate.make_secret(tmp_path / "secret")
    path.chmod(0o640)
    with pytest.raises(UsageError, match="got mode 0640"):
        gate.read_secret(path)
    path.write_text("hunter2\n")
    path.chmod(0o600)
    with pytest.raises(UsageError, match="at least 32 characters, got 1 words with 7"):
        gate.read_secret(path)
    with pytest.raises(UsageError, match="cannot be read"):
        gate.read_secret(tmp_path / "none")


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], 403),
        ([("X-Forwarded-User", "alice")], 403),
        ([("X-Qcbench-Secret", "x" * len(SECRET)), ("X-Forwarded-User", "alice")], 403),
        ([("X-Qcbench-Secret", SECRET[:-1]), ("X-Forwarded-User", "alice")], 403),
        ([("X-Qcbench-Secret", SECRET), ("X-Qcbench-Secret", SECRET), ("X-Forwarded-User", "alice")], 403),
        ([("X-Qcbench-Secret", SECRET)], 403),
        ([("X-Qcbench-Secret", SECRET), ("X-Forwarded-User", "")], 403),
        ([("X-Qcbench-Secret", SECRET), ("X-Forwarded-User", "mallory")], 403),
        ([("X-Qcbench-Secret", SECRET), ("X-Forwarded-User", "Alice")], 403),
        ([("X-Qcbench-Secret", SECRET), ("X-Forwarded-User", "alice,bob")], 403),
        ([("X-Qcbench-Secret", SECRET), ("X-Forwarded-User", "alice"), ("X-Forwarded-User", "bob")], 403),
        ([("X-Qcbench-Secret", SECRET), ("X_Forwarded_User", "alice")], 403),
        ([("X-Qcbench-Secret", SECRET), ("Remote-User", "alice")], 403),
    ],
)
def test_only_one_name_beside_the_one_secret_is_believed(study, lines, status):
    headers = HTTPHeaders()
    for name, value in lines:
        headers.add(name, value)
    with pytest.raises(gate.RefusedError) as refusal:
        gate.Door(study, SECRET).rater(headers)
    assert refusal.value.status == status


def test_a_rater_who_is_added_to_the_study_is_let_in_without_a_restart(study):
    door = gate.Door(study, SECRET)
    carol = HTTPHeaders({"X-Qcbench-Secret": SECRET, "X-Forwarded-User": "carol"})
    with pytest.raises(gate.RefusedError, match=r"“carol”, who is no rater .* add you to the raters in study.toml"):
        door.rater(carol)
    settings = study.folder / "study.toml"
    settings.write_text(settings.read_text().replace('"bob"]', '"bob", "carol"]'))
    assert door.rater(carol) == "carol"
    settings.write_text("raters = [")  # half written: who was known stays known
    assert door.rater(carol) == "carol"


def test_a_port_and_a_socket_and_a_file_in_its_place_are_refused(study, tmp_path):
    secret_file = gate.make_secret(tmp_path / "secret")
    taken = tmp_path / "notes.txt"
    taken.write_text("mine")
    for wrong, words in (
        ({"port": 1, "socket_path": tmp_path / "voila.sock"}, "got both"),
        ({"socket_path": taken}, "is no socket; nothing was changed"),
        ({"socket_path": tmp_path / "none" / "voila.sock"}, "its folder does not exist"),
    ):
        with (
            pytest.raises(UsageError, match=words),
            proxied.running(study, secret_file=secret_file, **wrong),
        ):
            pass
    assert taken.read_text() == "mine"


def test_under_accounts_of_their_own_the_hub_and_the_account_must_agree(monkeypatch):
    monkeypatch.setenv("QCBENCH_OWN_ACCOUNTS", "1")
    monkeypatch.setenv("JUPYTERHUB_USER", "alice")
    monkeypatch.setattr("qcbench.widgets.identity.pwd.getpwuid", lambda uid: SimpleNamespace(pw_name="bob"))
    with pytest.raises(UsageError, match="runs under the Unix account 'bob'"):
        refuse_another("alice")
    monkeypatch.setenv("JUPYTERHUB_USER", "bob")
    refuse_another("bob")


@pytest.mark.slow
def test_two_raters_label_at_one_server_each_under_their_own_name(server, open_page):
    before = len(store.label_events(server.study, "alice"))
    pages = {rater: open_page(rater) for rater in ("alice", "bob")}
    for rater, page in pages.items():
        assert page.state["rater"] == rater
        assert page.label()["kind"] == "ack"
    assert {event["rater"] for event in store.label_events(server.study, "bob")} == {"bob"}
    assert len(store.label_events(server.study, "alice")) == before + 1
    assert stat.S_IMODE(os.stat(server.address.removeprefix("unix:")).st_mode) == 0o660


@pytest.mark.slow
def test_without_the_secret_nothing_is_answered_not_even_a_style_sheet(server, open_page):
    kernel_id = open_page("alice").kernel.kernel_id
    paths = ["/", "/review", "/voila/static/voila.js", "/voila/templates/qcbench/static/index.css", "/api/kernels"]
    paths += [f"/api/kernels/{kernel_id}", "/voila/files/02_label.ipynb", "/static/favicon.ico", "/login"]
    for headers in ({}, {"X-Forwarded-User": "alice"}, shown("x" * 64, "alice")):
        assert {ask(server.address, path, headers)[0] for path in paths} == {403}
        assert refused(server, kernel_id, headers) == 403
    assert "reached only through the login of your hospital" in ask(server.address, "/", {})[1]


@pytest.mark.slow
def test_no_address_and_no_message_makes_a_page_somebody_elses(server, open_page):
    before = len(store.label_events(server.study, "bob"))
    page = open_page("alice", "/?rater=bob&X-Forwarded-User=bob&QCBENCH_RATER=bob&reviewer=bob")
    assert page.state["rater"] == "alice"
    page.send({"kind": "hello", "rater": "bob"})
    assert page.wait_for("state")["rater"] == "alice"
    page.post({"method": "update", "state": {"rater": "bob", "_esm": "alert(1)"}})
    assert page.label(rater="bob")["kind"] in ("ack", "nack")
    assert len(store.label_events(server.study, "bob")) == before
    status, text = ask(server.address, "/", {**shown(server.secret, "mallory<script>"), "Cookie": "user=alice"})
    assert (status, "mallory&lt;script&gt;" in text, "mallory<script>" in text) == (403, True, False)


@pytest.mark.slow
def test_nobody_reaches_the_kernel_of_another_by_any_route(server, open_page):
    page = open_page("alice")
    kernel_id, bob = page.kernel.kernel_id, shown(server.secret, "bob")
    assert refused(server, kernel_id, bob) == 404
    assert refused(server, kernel_id, bob, query="&rater=alice") == 404
    for path in (
        f"/api/kernels/{kernel_id}",
        f"/api//kernels/{kernel_id}",
        f"/api/kernels/%{ord(kernel_id[0]):x}{kernel_id[1:]}",
    ):
        for method in ("GET", "DELETE"):
            assert ask(server.address, path, bob, method=method)[0] == 404
    escaped = "".join(f"%{ord(letter):x}" for letter in kernel_id)
    for name in (kernel_id, escaped):
        assert ask(server.address, f"/voila/api/shutdown/{name}", bob, method="POST", body="")[0] == 404
    assert kernel_id not in ask(server.address, "/api/kernels", bob)[1]
    assert page.label()["kind"] == "ack"


@pytest.mark.slow
def test_a_page_of_another_site_reaches_no_kernel(server, open_page):
    kernel_id = open_page("alice").kernel.kernel_id
    alice = shown(server.secret, "alice")
    assert refused(server, kernel_id, alice, origin="https://evil.example") == 403
    channels(server.address, kernel_id, alice, origin="http://localhost").close()


@pytest.mark.slow
def test_what_is_no_message_ends_its_connection_and_holds_up_nobody(server, open_page):
    page, other = open_page("alice"), open_page("bob")
    assert refused(server, page.kernel.kernel_id, shown(server.secret, "alice"), subprotocols=None) == 400
    for content in (b"\xff" * 8, struct.pack("<Q", 2**62) + b"\0" * 64, struct.pack("<Q", 5) + b"\0" * 64, b""):
        kernel = ServedKernel(server.address, shown(server.secret, "alice"))
        kernel._socket = channels(server.address, page.kernel.kernel_id, shown(server.secret, "alice"))
        kernel.send_raw(content)
        started = time.monotonic()
        while kernel.is_alive:
            kernel.receive(timeout_s=1)
            assert time.monotonic() - started < 10
        assert other.label()["kind"] == "ack"
        kernel.close()


@pytest.mark.slow
def test_code_sent_to_ones_own_kernel_is_not_run(server, open_page, tmp_path):
    page = open_page("alice")
    code = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    page.kernel.send("execute_request", {"code": code, "silent": False})
    assert page.label()["kind"] == "ack"
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_reloading_ends_the_kernels_that_were_left_and_never_those_of_open_pages(server, open_page):
    alice = shown(server.secret, "alice")
    page, left = open_page("alice"), ServedKernel(server.address, alice)
    kernel_ids = []
    for _ in range(4):
        left.show()
        left.close()
        kernel_ids.append(left.kernel_id)
    gone, *there = kernel_ids
    assert ask(server.address, f"/api/kernels/{gone}", alice)[0] == 403
    assert page.label()["kind"] == "ack"
    watched = [channels(server.address, kernel_id, alice) for kernel_id in there]
    status, text = ask(server.address, "/", alice)
    assert (status, "too many pages" in text) == (429, True)
    for each in watched:
        each.close()


@pytest.mark.slow
def test_the_secret_is_in_no_environment_and_in_no_command_line(server, open_page):
    open_page("alice")
    below, seen = [server.process.pid], 0
    while below:
        pid = below.pop()
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            below += [int(child) for child in children.read().split()]
        for name in ("environ", "cmdline"):
            with open(f"/proc/{pid}/{name}", "rb") as file:
                assert server.secret.encode() not in file.read()
                seen += 1
    assert seen >= 4


@pytest.mark.slow
def test_on_loopback_it_listens_on_no_other_address_and_takes_a_wrong_host_for_nothing(study, tmp_path):
    secret_file = gate.make_secret(tmp_path / "secret")
    with proxied.running(study, secret_file=secret_file) as (address, process):
        assert address.startswith("http://127.0.0.1:")
        port = int(address.rpartition(":")[2])
        sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        listening = [each[1] for each in sockets if each[3] == "0A"]
        assert [each for each in listening if each.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]
        with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=1):
            pass
        assert ask(address, "/", {"Host": "127.0.0.1"})[0] == 403
    assert process.poll() is not None


def test_the_settings_hold_no_secret_and_end_kernels_that_nobody_watches(study, tmp_path):
    secret_file = gate.make_secret(tmp_path / "secret")
    page = proxied._lay_out(tmp_path / "private", study, secret_file, 0, None)
    text = (tmp_path / "private" / "config" / "voila.json").read_text()
    settings = json.loads(text)
    assert gate.read_secret(secret_file) not in text
    assert settings["MappingKernelManager"] == {"cull_idle_timeout": 900, "cull_interval": 120, "cull_connected": False}
    assert settings["VoilaConfiguration"]["file_allowlist"] == []
    assert settings["VoilaConfiguration"]["allow_template_override"] == "NO"
    assert sorted(path.name for path in page.parent.iterdir()) == ["02_label.ipynb", "03_review.ipynb"]
