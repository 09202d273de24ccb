"""Serve one notebook of one rater with voila: loopback only, nothing from outside, nothing beside it.

The study and the rater reach the kernel through its environment and never through the address,
which anybody could type. The folder that voila serves is a private temporary one that holds the
notebook and nothing else, since voila hands out pictures beside a notebook without a token.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qcbench.errors import MissingExtraError, QcbenchError, UsageError
from qcbench.study import Study

_HOST = "127.0.0.1"
_READY_S, _STOP_S = 60.0, 10.0

#: Refuses whatever is not from this address: the template of voila asks a CDN for icons.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline' data:",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' blob:",
        "frame-ancestors 'self'",
    )
)

#: No file beside a notebook, no traceback, no template or theme that an address asks for.
PAGE_SETTINGS = {
    "template": "qcbench",
    "file_allowlist": [],
    "show_tracebacks": False,
    "strip_sources": True,
    "theme": "dark",
    "show_margins": False,
    "allow_template_override": "NO",
    "allow_theme_override": "NO",
}

#: voila's own template without its links to a CDN; a browser that refuses them still looks them up.
_TEMPLATE = """\
{%- extends 'voila/templates/lab/index.html.j2' -%}
{%- block notebook_css -%}
{{ super() | replace('"https://', '"data:text/css,') }}
{%- endblock notebook_css -%}
"""

#: Has a server end with us, whatever ends us: on Linux the kernel sends it SIGTERM (1 is PR_SET_PDEATHSIG).
ENDS_WITH_US = """\
import ctypes, runpy, signal, sys
if hasattr(ctypes.CDLL(None), "prctl"):
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
"""
_VOILA = ENDS_WITH_US + 'runpy.run_module("voila", run_name="__main__", alter_sys=True)\n'

#: Notebooks of nobody among the raters: the first is for who looks after the records, the other shows what raters
#: must not see of each other.
FOR_COORDINATORS = ("07_records.ipynb", "08_coordinate.ipynb")

#: The cells of the notebooks that can be served; notebooks/ holds the same for JupyterLab.
_CELLS = {
    "02_label.ipynb": (
        ("markdown", "# Label\n\nClick the picture, then use the keys shown on the buttons; H shows what they mean."),
        (
            "code",
            "import os\n\nimport qcbench as qc\n\n"
            'study = os.environ.get("QCBENCH_STUDY", "demo-study")\n'
            'rater = os.environ.get("QCBENCH_RATER", "alice")',
        ),
        ("code", "qc.Labeller(study, rater=rater)"),
    ),
    "03_review.ipynb": (
        (
            "markdown",
            "# Review together\n\nOnly images on which raters disagree about straight reject. One of you proposes, "
            "the other signs or objects, from a page of their own.",
        ),
        (
            "code",
            "import os\n\nimport qcbench as qc\n\n"
            'study = os.environ.get("QCBENCH_STUDY", "demo-study")\n'
            'reviewer = os.environ.get("QCBENCH_RATER", "alice")',
        ),
        ("code", "qc.Review(study, reviewer=reviewer)"),
    ),
    "07_records.ipynb": (
        (
            "markdown",
            "# Records\n\nWhat came and from whom, what is flagged, which proposed repairs wait, which ratings wait "
            "for their image, and whether the audit log is whole. No record is ever changed here.",
        ),
        ("code", 'import os\n\nimport qcbench as qc\n\nstudy = os.environ.get("QCBENCH_STUDY", "demo-study")'),
        ("code", "qc.RecordsPage(study)"),
    ),
    "08_coordinate.ipynb": (
        (
            "markdown",
            "# Coordinate\n\nProgress, pace, drift and agreement of all raters, and what waits. "
            "Raters must not see this page before the consensus.",
        ),
        ("code", 'import os\n\nimport qcbench as qc\n\nstudy = os.environ.get("QCBENCH_STUDY", "demo-study")'),
        ("code", "qc.Coordinator(study)"),
    ),
}


def notebook_text(name: str) -> str:
    """Return a notebook that can be served as .ipynb text, without outputs."""
    if name not in _CELLS:
        raise UsageError(f"{name} cannot be served; choose one of {', '.join(_CELLS)}")
    cells = []
    for number, (kind, source) in enumerate(_CELLS[name]):
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source.splitlines(keepends=True)}
        cells.append(cell if kind == "markdown" else {**cell, "execution_count": None, "outputs": []})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1) + "\n"


def serve(
    study: Study | str | Path,
    *,
    rater: str | None = None,
    port: int | None = None,
    notebook: str = "02_label.ipynb",
    open_browser: bool = False,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve a notebook to one person until interrupted (Ctrl-C) or until voila ends.

    `rater` is who that is, for the notebooks of raters. `on_ready` is called with the address,
    which holds a random token: whoever has it works as this rater. Raises StudyError for a
    stranger, MissingExtraError without voila, UsageError when the port is taken, QcbenchError when
    voila ends by itself.
    """
    with running(study, rater=rater, port=port, notebook=notebook) as (address, process):
        if on_ready:
            on_ready(address)
        if open_browser:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):
            status = process.wait()
            raise QcbenchError(f"voila ended by itself with status {status}; start it again")


@contextmanager
def running(
    study: Study | str | Path, *, rater: str | None = None, port: int | None = None, notebook: str = "02_label.ipynb"
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Yield the address, token included, and the voila process; stop that process at the end."""
    study = Study.of(study)
    if rater is not None:
        study.require_rater(rater)
    elif notebook not in FOR_COORDINATORS:
        raise UsageError(f"{notebook} is for a rater; say which one")
    if importlib.util.find_spec("voila") is None:
        raise MissingExtraError("voila", "label")
    port, token = _free_port(port), secrets.token_urlsafe(32)
    with tempfile.TemporaryDirectory(prefix="qcbench-", ignore_cleanup_errors=True) as private:
        folder = Path(private)  # readable by nobody else (mode 0700)
        log = folder / "voila.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", _VOILA, str(_lay_out(folder, notebook, port, token))],
                env=_environment(folder, study, rater),
                cwd=folder / "pages",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we stop voila by its pid
            )
        try:
            _wait_until_ready(process, port, log)
            yield f"http://{_HOST}:{port}/?token={token}", process
        finally:
            _stop(process)


def _lay_out(folder: Path, notebook: str, port: int, token: str) -> Path:
    """Write the notebook and voila's settings; the token is in a file, for `ps` shows arguments."""
    for part in (folder / "pages", folder / "config", folder / "runtime"):
        part.mkdir(mode=0o700, parents=True)
    write_template(folder / "share")
    page = folder / "pages" / notebook
    page.write_text(notebook_text(notebook), encoding="utf-8")
    (folder / "config" / "voila.json").write_text(json.dumps(settings(folder, port, token)), encoding="utf-8")
    return page


def write_template(share: Path, *, mode: int = 0o700) -> None:
    """Write voila's template without links to a CDN into a folder of JUPYTER_PATH."""
    template = share / "voila" / "templates" / "qcbench"
    template.mkdir(mode=mode, parents=True)
    (template / "index.html.j2").write_text(_TEMPLATE, encoding="utf-8")
    (template / "conf.json").write_text(json.dumps({"base_template": "lab"}), encoding="utf-8")


def settings(folder: Path, port: int, token: str) -> dict:
    """Return the settings of a voila that lives in a private folder."""
    return {
        "Voila": {
            "ip": _HOST,
            "port": port,
            "port_retries": 0,
            "token": token,
            "open_browser": False,
            "connection_dir_root": str(folder / "runtime"),
            "tornado_settings": {"headers": {"Content-Security-Policy": CONTENT_SECURITY_POLICY}},
        },
        "VoilaConfiguration": PAGE_SETTINGS,
        # voila never ends the kernel of a closed page; a rater at lunch stays connected and is kept.
        "MappingKernelManager": {"cull_idle_timeout": 3600, "cull_interval": 120, "cull_connected": False},
        # A socket file in a private folder, so that no other account of the host can reach the kernel.
        "KernelManager": {"transport": "ipc"},
    }


def _environment(folder: Path, study: Study, rater: str | None) -> dict[str, str]:
    from jupyter_core.paths import jupyter_data_dir

    search = (str(folder / "share"), os.environ.get("JUPYTER_PATH"), jupyter_data_dir())
    return {
        **os.environ,
        "QCBENCH_STUDY": str(study.folder),
        "QCBENCH_RATER": rater or "",
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # the other one takes 20 MB from every rater's kernel
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, not one of the user's
        "JUPYTER_PATH": os.pathsep.join(filter(None, search)),
        "JUPYTER_DATA_DIR": str(folder / "share"),
    }


def _free_port(wanted: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, wanted or 0))
        except OSError as error:
            raise UsageError(
                f"port {wanted} of {_HOST} cannot be used ({error.strerror}). Leave out --port to get a free one."
            ) from error
        return probe.getsockname()[1]


def _wait_until_ready(process: subprocess.Popen, port: int, log: Path) -> None:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        connection = http.client.HTTPConnection(_HOST, port, timeout=2)  # never through a proxy
        try:
            connection.request("GET", "/static/favicon.ico")
            connection.getresponse().read()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        finally:
            connection.close()
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
    raise QcbenchError(f"voila did not answer on {_HOST}:{port} within {_READY_S:.0f} s. It said:\n{tail}")


def _stop(process: subprocess.Popen) -> None:
    """End voila, which ends its kernels; insist after a while."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
