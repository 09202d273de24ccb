import http.client
import json
import socket
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import pytest

from qcbench.errors import StudyError, UsageError
from qcbench.widgets import serve


def get(address):
    """Return status and headers, without following a redirection."""
    parts = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.request("GET", parts.path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers


NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "02_label.ipynb"


def test_the_notebook_for_jupyterlab_is_the_one_that_is_served():
    assert json.loads(NOTEBOOK.read_text()) == json.loads(serve.notebook_text("02_label.ipynb"))


def test_a_stranger_is_not_served(study):
    with pytest.raises(StudyError, match="'mallory' is no rater"), serve.running(study, rater="mallory"):
        pass


def test_an_unknown_notebook_is_refused_with_the_choices(study):
    with (
        pytest.raises(UsageError, match=r"choose one of 02_label.ipynb"),
        serve.running(study, rater="alice", notebook="x.ipynb"),
    ):
        pass


def test_a_port_that_is_taken_is_told_before_anything_starts(study):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="cannot be used"), serve.running(study, rater="alice", port=port):
            pass


def test_settings_hold_the_token_and_keep_pictures_in(tmp_path):
    page = serve._lay_out(tmp_path, "02_label.ipynb", 8866, "secret")
    settings = json.loads((tmp_path / "config" / "voila.json").read_text())
    assert settings["Voila"]["ip"] == "127.0.0.1"
    assert settings["Voila"]["token"] == "secret"
    assert settings["VoilaConfiguration"]["file_allowlist"] == []
    assert settings["VoilaConfiguration"]["show_tracebacks"] is False
    assert settings["MappingKernelManager"]["cull_idle_timeout"] > 0
    assert "default-src 'self'" in settings["Voila"]["tornado_settings"]["headers"]["Content-Security-Policy"]
    assert [file.name for file in page.parent.iterdir()] == ["02_label.ipynb"]


def test_the_rater_is_in_the_environment_and_not_in_the_notebook(study, tmp_path):
    environment = serve._environment(tmp_path, study, "alice")
    assert (environment["QCBENCH_RATER"], environment["QCBENCH_STUDY"]) == ("alice", str(study.folder))
    assert str(study.folder) not in serve.notebook_text("02_label.ipynb")


@pytest.mark.slow
def test_voila_answers_on_loopback_wants_the_token_and_is_gone_at_the_end(study):
    with serve.running(study, rater="alice") as (address, process):
        assert address.startswith("http://127.0.0.1:")
        bare, _, token = address.partition("?token=")
        assert token not in Path(f"/proc/{process.pid}/cmdline").read_text()
        status, headers = get(bare)
        assert (status, "login" in headers["Location"]) == (302, True)
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        for path in ("voila/files/02_label.ipynb", "voila/files/x.png", "voila/static/../../etc/passwd"):
            assert get(bare + path)[0] in (302, 403, 404)
    assert process.poll() is not None


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="only Linux ends a child with its parent")
def test_voila_is_gone_even_when_the_command_was_killed(study):
    code = (
        "import sys; from qcbench.widgets import serve\n"
        "with serve.running(sys.argv[1], rater='alice') as (address, process):\n"
        "    print(process.pid, flush=True); process.wait()"
    )
    command = subprocess.Popen([sys.executable, "-c", code, str(study.folder)], stdout=subprocess.PIPE, text=True)
    voila = Path("/proc") / command.stdout.readline().strip()
    assert voila.exists()
    command.kill()
    command.communicate()
    for _ in range(100):
        if not voila.exists() or "State:\tZ" in (voila / "status").read_text():
            return
        time.sleep(0.1)
    raise AssertionError("voila goes on without the command that started it")
