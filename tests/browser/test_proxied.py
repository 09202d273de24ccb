"""Alice and bob label at one server behind a real proxy, with the configuration that is shipped for it."""

import json
import re
import ssl

import pytest
import websocket

from qcbench import store
from qcbench.widgets import gate
from tests.browser.conftest import Desk
from tests.browser.hospital import ask, login, running

pytestmark = pytest.mark.browser


@pytest.fixture(params=["nginx", "caddy"])
def hospital(request, labelling_study, tmp_path):
    """A proxy at which alice, bob and mallory can log in, before one voila for the study of alice and bob."""
    with running(request.param, labelling_study, tmp_path, ("alice", "bob", "mallory")) as hospital:
        yield hospital


@pytest.fixture
def desks(chromium, hospital):
    """A function that opens the page of a rater who logs in, in a browser of their own."""
    contexts = []

    def opens(rater, path="/"):
        login = {"username": rater, "password": hospital.passwords[rater]}
        contexts.append(chromium.new_context(http_credentials=login, ignore_https_errors=True))
        return Desk(contexts[-1].new_page()).open(f"https://localhost:{hospital.port}{path}")

    yield opens
    for context in contexts:
        context.close()


def test_two_raters_label_by_their_logins_and_reach_nothing_of_each_other(hospital, desks):
    alice, bob = desks("alice"), desks("bob", "/?rater=alice")
    alice.label(0, "q")
    bob.label(0, "e", "1", "a", "c", "Space")
    alice.waits_at(1)
    bob.waits_at(1)
    for desk in (alice, bob):
        desk.saved()
    alice.picture("proxied-alice")
    events = {rater: store.label_events(hospital.study, rater) for rater in ("alice", "bob")}
    assert [(each["rater"], each["straight_reject"]) for each in events["alice"]] == [("alice", True)]
    assert [(each["rater"], each["straight_reject"]) for each in events["bob"]] == [("bob", False)]
    here = f"//localhost:{hospital.port}"
    inside = (f"https:{here}", f"wss:{here}", f"blob:https:{here}", "data:")
    assert [each for desk in (alice, bob) for each in desk.addresses if not each.startswith(inside)] == []

    socket = next(each for each in alice.addresses if each.startswith("wss:"))
    kernel_id = re.search(r"kernels/([-0-9a-f]{36})/channels", socket)[1]
    for who, status in (({}, 401), (login(hospital, "bob"), 404), (login(hospital, "mallory"), 403)):
        forged = {"X-Forwarded-User": "alice", "X-Qcbench-Secret": "x" * 64}
        for headers in (who, {**who, **forged}):
            with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
                websocket.create_connection(
                    socket,
                    header=headers,
                    subprotocols=[gate.KERNEL_PROTOCOL],
                    sslopt={"cert_reqs": ssl.CERT_NONE},
                    origin=f"https://localhost:{hospital.port}",
                )
            assert refusal.value.status_code == status
            assert ask(hospital, f"/api/kernels/{kernel_id}", headers.items())[0] == status
    model = json.loads(ask(hospital, f"/api/kernels/{kernel_id}", login(hospital, "alice").items())[1])
    assert model["id"] == kernel_id
    alice.label(1, "q")
    alice.waits_at(2)
    alice.saved()

    as_bob = login(hospital, "bob").items()
    for forged in (
        [("X-Forwarded-User", "alice")],
        [("x-forwarded-user", "alice"), ("X-Forwarded-User", "alice")],
        [("X_Forwarded_User", "alice"), ("X_Qcbench_Secret", "x" * 64)],
        [("X-Qcbench-Secret", "x" * 64), ("X-Forwarded-User", "alice")],
        [("Connection", "X-Forwarded-User, X-Qcbench-Secret")],
    ):
        assert ask(hospital, "/voila/static/voila.js", [*as_bob, *forged])[0] == 200, forged
        assert ask(hospital, f"/api/kernels/{kernel_id}", [*as_bob, *forged])[0] == 404, forged
    status, text = ask(hospital, "/", [*login(hospital, "mallory").items(), ("X-Forwarded-User", "alice")])
    assert (status, "logged in as “mallory”, who is no rater" in text) == (403, True)
    assert ask(hospital, "/voila/static/voila.js", [("X-Forwarded-User", "alice")])[0] == 401
    assert {len(store.label_events(hospital.study, rater)) for rater in ("alice", "bob")} == {1, 2}
