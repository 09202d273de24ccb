"""Over HTTP nobody gets a picture, a label or a setting, and without the token not even a kernel."""

import http.client
import re
import urllib.parse
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from qcbench import store
from qcbench.widgets import serve

FOLDERS = [
    "voila/files",
    "files",
    "static",
    "voila/static",
    "nbextensions",
    "voila/render",
]
ROOTS = [f"/{folder}/" for folder in FOLDERS] + ["/"]
UPWARDS = ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "%252e%252e%252f", "..%5c", "....//"]
WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "eHh4eHh4eHh4eHh4eHh4eA==",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """voila with a study that has a picture and a label; `get` asks for a path, with or without the token."""
    import numpy as np

    from qcbench import images
    from qcbench.annotate.journal import Journal
    from qcbench.study import Study

    study = Study.create(tmp_path_factory.mktemp("served") / "study", raters=["alice", "bob"])
    images.save_png(study.derivatives / "sub-0001.png", np.zeros((4, 12), dtype="uint8"))
    (study.folder.parent / "study2").mkdir()
    (study.folder.parent / "study2" / "sub-0001.png").write_bytes(b"beside")
    Journal(study, "alice").append(
        event_id="1", slot=("sub-0001", "label"), label=study.protocol.check({"straight_reject": True})
    )
    with serve.running(study, rater="alice") as (address, process):
        parts = urllib.parse.urlsplit(address)

        def get(path, *, token=None, method="GET", headers=None):
            """Return status and body; the path goes out as it is, redirections but to the login are followed."""
            with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)) as connection:
                connection.putrequest(method, path)
                for name, value in {
                    **(headers or {}),
                    **({"Authorization": f"token {token}"} if token else {}),
                }.items():
                    connection.putheader(name, value)
                connection.endheaders()
                answer = connection.getresponse()
                location, status = answer.getheader("Location", ""), answer.status
                body = answer.read() if status != 101 else b""
            if location.startswith("/voila/files/") and location != path:
                return get(location, token=token, method=method, headers=headers)
            return status, body

        log = Path(f"/proc/{process.pid}/cwd").resolve().parent / "voila.log"
        yield SimpleNamespace(study=study, get=get, token=parts.query.removeprefix("token="), process=process, log=log)


def kernels(process):
    """Return how many kernels voila has started."""
    return len(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())


def ways_to(study):
    """Return paths that mean a file of the study, a file beside the notebook or one of the machine."""
    [segment] = (study.folder / "labels").rglob("*.parquet")
    inside = ["study.toml", "images.parquet", "derivatives/qcbench/sub-0001.png", study.relative(segment)]
    targets = [str(study.folder / path) for path in inside]
    targets += [str(study.folder.parent / "study2" / "sub-0001.png"), "/etc/passwd", "/proc/self/environ"]
    ways = [*inside, "sub-0001.png", "02_label.ipynb", "voila.json", "../config/voila.json", "../voila.log"]
    for target in targets:
        relative = target.lstrip("/")
        ways += [9 * up + relative for up in UPWARDS]
        ways += [target, f"/{target}", urllib.parse.quote(target, safe=""), f"file://{target}", f"./{relative}"]
        ways += [f"{target}?x=.png", relative.replace("/", "%5c"), f"..{target}", f"~{target}"]
    return ways


def secrets_of(study):
    [segment] = (study.folder / "labels").rglob("*.parquet")
    paths = [study.derivatives / "sub-0001.png", segment, study.folder / "study.toml"]
    return [path.read_bytes()[:60] for path in paths] + [b"root:x:0", b"QCBENCH_RATER", b"beside"]


def test_no_picture_label_or_setting_is_handed_out_even_with_the_token(served):
    before, asked = len(served.log.read_text()), 0
    hidden = secrets_of(served.study)
    for path in (root + way for root in ROOTS for way in ways_to(served.study)):
        for token in (served.token, None):
            status, body = served.get(path, token=token)
            asked += 1
            # Without the token there may be a redirection to the login.
            assert status in (403, 404) or (status == 302 and not token), (status, path)
            assert not any(secret in body for secret in hidden), path
    assert asked > 200
    said = served.log.read_text()[before:]
    assert "Traceback" not in said, said[-3000:]
    assert "Uncaught exception" not in said


def test_addresses_that_confuse_voila_hand_out_nothing_and_it_goes_on(served):
    """Some are a 400 or a 500: no UTF-8, a NUL, a way out of voila's templates. It has opened no file then."""
    paths = ["/files/..%00/study.toml", f"/voila/files/{served.study.folder}/study.toml%00.png", "/%00"]
    paths += [f"/voila/files/{9 * '%c0%ae%c0%ae/'}etc/passwd", f"/files/{9 * '%c0%ae%c0%ae/'}etc/passwd"]
    paths += ["/voila/templates/x", *(f"/voila/templates/lab/static/{way}" for way in ways_to(served.study))]
    hidden = secrets_of(served.study)
    for path in paths:
        for token in (served.token, None):
            status, body = served.get(path, token=token)
            assert status in (302, 400, 403, 404, 500), path
            assert not any(secret in body for secret in hidden), path
    assert served.get("/voila/files/x.png")[0] == 403


def test_without_the_token_there_is_no_page_and_no_kernel(served):
    before = kernels(served.process)
    wrong = served.token[:-1] + ("A" if served.token[-1] != "A" else "B")
    for token in (None, wrong, "", "null"):
        for path in ("/", "/voila/render/02_label.ipynb", "/api/kernels", "/api/contents", f"/?token={token}"):
            status, body = served.get(path, token=token)
            assert status in (302, 401, 403, 404), (status, path, token)
            assert b"qc-labeller" not in body
            assert b"jupyter-config-data" not in body or b"kernelId" not in body
    for path in ("/api/kernels", "/api/shutdown/x", "/voila/api/shutdown/x"):
        assert served.get(path, method="POST")[0] in (302, 401, 403, 404, 405)
    assert served.get("/api/kernels/x/channels", headers=WEBSOCKET)[0] in (302, 401, 403, 404)
    assert kernels(served.process) == before
    assert served.get("/", token=served.token)[0] == 200
    assert kernels(served.process) == before + 1


def test_a_page_of_another_site_cannot_talk_to_the_kernel(served):
    _, body = served.get("/", token=served.token)
    kernel = re.search(rb'"kernelId": "([-0-9a-f]{36})"', body)[1].decode()
    channels = f"/api/kernels/{kernel}/channels"
    foreign = {**WEBSOCKET, "Origin": "http://evil.example"}
    assert served.get(channels, headers=WEBSOCKET)[0] in (302, 401, 403)
    assert served.get(channels, token=served.token, headers=WEBSOCKET)[0] == 101
    assert served.get(channels, headers=foreign)[0] in (302, 401, 403)


def test_the_label_is_still_there_and_nothing_was_written(served):
    assert len(store.label_events(served.study, "alice")) == 1
    assert sorted(path.name for path in served.study.folder.iterdir()) == ["derivatives", "labels", "study.toml"]
