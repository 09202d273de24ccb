"""The gate before a voila that serves all raters of a study: who asks, and what they may reach.

An authenticating proxy says who logged in, and shows by a shared secret that it is the proxy.
Whatever does not show the secret is refused before voila sees it: pages, pictures, style sheets
and websockets alike, since some routes of voila ask for no login of their own.
"""

from __future__ import annotations

import hmac
import html
import logging
import os
import secrets
import stat
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from tornado import httputil
from tornado.routing import Router

from qcbench import durable
from qcbench.errors import QcbenchError, StudyError, UsageError
from qcbench.study import Study

#: Set by the proxy on every request; what a browser sends under these names is overwritten there.
RATER_HEADER, SECRET_HEADER = "X-Forwarded-User", "X-Qcbench-Secret"

#: The one form of messages that voila reads; for the older one it counts to 2**64, and hangs for everybody.
KERNEL_PROTOCOL = "v1.kernel.websocket.jupyter.org"

_LOG = logging.getLogger("tornado.application.qcbench")  # voila's log, with a name of its own
_SECRET_LENGTH = 32
_PAGE = """\
<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body style="font: 1.1rem sans-serif; max-width: 40rem; margin: 4rem auto"><h1>{title}</h1><p>{why}</p></body></html>
"""


def make_secret(path: str | Path) -> Path:
    """Write a new random secret into a file that only its owner reads; one that is there stays."""
    path = Path(path)
    if not path.exists():
        durable.write_text(path, secrets.token_urlsafe(48) + "\n", mode=0o600)
    return path


def read_secret(path: str | Path) -> str:
    """Return the secret that the proxy shares with us; refuse one that others can read, or guess."""
    path = Path(path)
    try:
        status, text = path.stat(), path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: the proxy's secret cannot be read ({error}). It must be a file of one line."
        ) from error
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid not in (os.geteuid(), 0):
        raise UsageError(
            f"{path}: expected a file that only its owner can read, got mode {stat.S_IMODE(status.st_mode):04o} "
            f"of account number {status.st_uid}. Others may know the secret: write a new one with mode 0600."
        )
    if len(text) < _SECRET_LENGTH or len(text.split()) != 1:
        raise UsageError(
            f"{path}: expected one word of at least {_SECRET_LENGTH} characters, got {len(text.split())} words with "
            f"{len(text)}. Take the file away; `qcbench serve --write-config` makes a new one."
        )
    return text


class RefusedError(QcbenchError):
    """A request goes no further; the words are for the page of the person who sent it."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class Kernels(Protocol):
    """The kernels behind the gate."""

    def owners(self) -> Iterable[tuple[str, str]]:
        """Return (kernel id, rater) of every kernel."""

    def is_full(self, rater: str) -> bool:
        """Return whether a rater has as many pages open as one may have."""


class Door:
    """Says who sent a request, by its headers, and what they may reach, by its path."""

    def __init__(self, study: Study, secret: str) -> None:
        self._folder = study.folder
        self._secret = secret.encode()
        self._raters: tuple[str, ...] = ()
        self._read_at: object = None

    def rater(self, headers: httputil.HTTPHeaders) -> str:
        """Return the rater whom the proxy logged in; raise RefusedError for everybody else."""
        shown = headers.get_list(SECRET_HEADER)
        if len(shown) != 1 or not hmac.compare_digest(shown[0].encode(), self._secret):
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                "This page is reached only through the login of your hospital. "
                "Ask the coordinator of the study for its address.",
            )
        names = headers.get_list(RATER_HEADER)
        name = names[0] if len(names) == 1 else ""
        if name not in self._known():
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                f"You are logged in as “{name[:64]}”, who is no rater of this study. Log in under the name that "
                "the study knows, or ask the coordinator to add you to the raters in study.toml.",
            )
        return name

    def check_form(self, headers: httputil.HTTPHeaders) -> None:
        """Raise RefusedError for a websocket whose messages voila would not read."""
        offered = [each.strip() for each in headers.get("Sec-WebSocket-Protocol", "").split(",")]
        if "Upgrade" in headers and KERNEL_PROTOCOL not in offered:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"Expected a websocket of the form {KERNEL_PROTOCOL}.")

    def check_path(self, path: str, rater: str, kernels: Kernels) -> None:
        """Raise RefusedError for the id of a kernel of somebody else, and for one page too many."""
        # Wherever it stands: not every route of voila that takes a kernel's id asks whose it is.
        plain = unquote(path)
        if any(kernel_id in plain and owner != rater for kernel_id, owner in kernels.owners()):
            raise RefusedError(HTTPStatus.NOT_FOUND, "There is no such page. Open the address of the study again.")
        if not plain.startswith(("/api/", "/voila/", "/static/")) and kernels.is_full(rater):
            raise RefusedError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "You have too many pages of this study open already. Close one of them, and load this one again.",
            )

    def _known(self) -> tuple[str, ...]:
        """Return the raters as study.toml has them now, so that a new one needs no restart."""
        try:
            changed = (self._folder / "study.toml").stat()
            if self._read_at != (changed.st_mtime_ns, changed.st_ino):
                self._raters = Study(self._folder).all_raters
                self._read_at = (changed.st_mtime_ns, changed.st_ino)
        except (OSError, StudyError) as error:
            _LOG.error("the raters are those of before, for study.toml cannot be read: %s", error)
        return self._raters


class Gate(Router):
    """Lets a request on to voila once it is known whose it is; otherwise answers with a plain page."""

    def __init__(self, voila: Router, door: Door, kernels: Kernels) -> None:
        self._voila, self._door, self._kernels = voila, door, kernels

    def find_handler(self, request: httputil.HTTPServerRequest, **more: object) -> httputil.HTTPMessageDelegate | None:
        """Return what will answer the request."""
        try:
            rater = self._door.rater(request.headers)
            self._door.check_form(request.headers)
            self._door.check_path(request.path, rater, self._kernels)
        except RefusedError as refusal:
            _LOG.warning("refused %s %s: %s", request.method, request.path[:200], refusal)
            return _Refused(request, refusal)
        del request.headers[SECRET_HEADER]  # nobody behind the gate needs it
        request.headers[RATER_HEADER] = rater
        return self._voila.find_handler(request, **more)


class _Refused(httputil.HTTPMessageDelegate):
    def __init__(self, request: httputil.HTTPServerRequest, refusal: RefusedError) -> None:
        self._connection, self._refusal = request.connection, refusal

    def finish(self) -> None:
        status = self._refusal.status
        page = _PAGE.format(title=status.phrase, why=html.escape(str(self._refusal))).encode()
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Length": str(len(page)),
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
            "Cache-Control": "no-store",
        }
        start = httputil.ResponseStartLine("HTTP/1.1", status.value, status.phrase)
        self._connection.write_headers(start, httputil.HTTPHeaders(headers), page)
        self._connection.finish()
