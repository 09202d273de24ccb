"""Serve all raters of a study with one voila, behind a proxy that knows who logged in.

It listens on loopback or on a unix socket and on nothing else; `gate` says what it believes of a
request, `deploy` writes the configuration of the proxy.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qcbench.errors import MissingExtraError, QcbenchError, UsageError
from qcbench.study import Study
from qcbench.widgets import serve

#: The pages of raters: the first has the address /, each other one that of its name.
PAGES = ("02_label.ipynb", "03_review.ipynb")
#: Kernels that no page is connected to end after this long; a rater at lunch is connected, and stays.
IDLE_S = 900
_READY_S = 60.0
_SERVER = serve.ENDS_WITH_US + "from qcbench.widgets import shared_voila\nshared_voila.main()\n"


def serve_all(
    study: Study | str | Path,
    *,
    secret_file: str | Path,
    port: int | None = None,
    socket_path: str | Path | None = None,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve all raters of a study until interrupted (Ctrl-C, SIGTERM) or until voila ends.

    `secret_file` holds what the proxy shows to be believed. `on_ready` is called with the address
    that the proxy is to ask, of `port` on loopback or of the unix socket. Raises UsageError when
    the secret can be read by others or the port or the socket cannot be used, QcbenchError when
    voila ends by itself.
    """
    with running(study, secret_file=secret_file, port=port, socket_path=socket_path) as (address, process):
        if on_ready:
            on_ready(address)
        with suppress(KeyboardInterrupt):
            status = process.wait()
            raise QcbenchError(f"voila ended by itself with status {status}; start it again")


@contextmanager
def running(
    study: Study | str | Path,
    *,
    secret_file: str | Path,
    port: int | None = None,
    socket_path: str | Path | None = None,
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Yield the address that the proxy asks and the voila process; stop that process at the end."""
    study = Study.of(study)
    if importlib.util.find_spec("voila") is None:
        raise MissingExtraError("voila", "label")
    from qcbench.widgets.gate import read_secret

    read_secret(secret_file)  # what is wrong with it is said before anything starts
    path = _free_socket(socket_path, port)
    port = 0 if path else serve._free_port(port)
    with tempfile.TemporaryDirectory(prefix="qcbench-", ignore_cleanup_errors=True) as private:
        page = _lay_out(Path(private), study, Path(secret_file).absolute(), port, path)
        # Its words go where ours go: to the journal of a service, or to the terminal.
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(page)],
            env=serve._environment(Path(private), study, None),
            cwd=page.parent,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno() if _has_terminal() else subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us; we stop voila by its pid
        )
        try:
            _wait_until_ready(process, port, path)
            yield f"unix:{path}" if path else f"http://127.0.0.1:{port}", process
        finally:
            serve._stop(process)
            if path:
                path.unlink(missing_ok=True)


def connection(address: str, *, timeout_s: float = 10.0) -> http.client.HTTPConnection:
    """Return a connection to an address as `running` yields it, as the proxy would make it."""
    if address.startswith("unix:"):
        return _UnixConnection(address.removeprefix("unix:"), timeout_s)
    return http.client.HTTPConnection(address.removeprefix("http://"), timeout=timeout_s)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _lay_out(folder: Path, study: Study, secret_file: Path, port: int, path: Path | None) -> Path:
    """Write the notebooks and the settings; return the notebook of the address /."""
    page = serve._lay_out(folder, PAGES[0], port, "")
    for name in PAGES[1:]:
        (page.parent / name).write_text(serve.notebook_text(name), encoding="utf-8")
    settings = serve.settings(folder, port, "")
    settings["MappingKernelManager"]["cull_idle_timeout"] = IDLE_S
    settings["SharedVoila"] = {
        "study": str(study.folder),
        "secret_file": str(secret_file),
        "socket": str(path or ""),
    }
    (folder / "config" / "voila.json").write_text(json.dumps(settings), encoding="utf-8")
    return page


def _free_socket(path: str | Path | None, port: int | None) -> Path | None:
    if path is None:
        return None
    if port is not None:
        raise UsageError("expected a port or a unix socket, got both; leave one out")
    path = Path(path).absolute()
    if not path.parent.is_dir():
        raise UsageError(f"{path}: its folder does not exist. Make it, open to the proxy's account and to no rater's.")
    if path.is_socket() and _answers(0, path):
        raise UsageError(f"{path}: another server answers there already. Stop it, or choose another --socket.")
    if path.exists() and not path.is_socket():
        raise UsageError(f"{path} is there and is no socket; nothing was changed. Choose another --socket.")
    return path


def _wait_until_ready(process: subprocess.Popen, port: int, path: Path | None) -> None:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until and process.poll() is None:
        if _answers(port, path):
            return
        time.sleep(0.1)
    raise QcbenchError(
        f"voila did not answer on {path or f'127.0.0.1:{port}'} within {_READY_S:.0f} s. What it said is above; "
        "`qcbench doctor` tells what is missing."
    )


def _answers(port: int, path: Path | None) -> bool:
    asked = connection(f"unix:{path}" if path else f"http://127.0.0.1:{port}", timeout_s=2)  # never through a proxy
    try:
        asked.request("GET", "/")
        return asked.getresponse().status == http.HTTPStatus.FORBIDDEN  # the gate, for we show no secret
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


def _has_terminal() -> bool:
    try:
        os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # pytest and notebooks have a stderr that is no file
        return False
    return True
