"""What stands before every route: who is it, is the body small enough, and is it what it says.

A plain ASGI application around the other one, so that nothing is parsed, routed or even read for somebody who has
no token, and a body never takes more memory than its limit.
"""

from __future__ import annotations

import asyncio
import logging
import traceback

import anyio.to_thread
import orjson
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from qcbench.records import tokens
from qcbench.records.database import UNAVAILABLE, Database

BODY_LIMIT_BYTES = 1_000_000
RETRY_AFTER_S = 5
_BODY_TIMEOUT_S = 30.0
#: With many threads at work the one that talks to the clients waits for its turn among them, 5 ms for each.
_THREADS = 6
_LOG = logging.getLogger(__name__)
#: MRIQC's report is a file in a browser, which asks first whether it may post.
_ASKED_BY_REPORTS = "/api/v1/rating"
_READS = ("GET", "HEAD", "OPTIONS")


class Refusal(Exception):  # noqa: N818
    """A request ends here, with a status and a reason for whoever sent it."""

    def __init__(self, status: int, message: str, issues: dict | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.issues = status, message, issues


def error_body(status: int, message: str, issues: dict | None = None) -> bytes:
    """Return an error as MRIQC's clients know them."""
    body = {"_status": "ERR", "_error": {"code": status, "message": message}}
    return orjson.dumps(body | ({"_issues": issues} if issues is not None else {}))


def error_headers(status: int) -> dict[str, str]:
    """Return the headers that belong to a status."""
    if status == 401:
        return {"www-authenticate": "Bearer"}
    return {"retry-after": str(RETRY_AFTER_S)} if status == 503 else {}


class Gate:
    """Around an application, which then finds the client and the whole body in the state of a request."""

    def __init__(self, app: ASGIApp, *, database: Database, open_reads: bool = False) -> None:
        self._app, self._database, self._open_reads = app, database, open_reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            # There is nothing here but HTTP: a websocket is closed before it opens.
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008})
            else:
                anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
                await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        extra = _for_reports(scope)
        try:
            if extra and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                await _answer(send, 204, b"", extra)
                return
            state = scope.setdefault("state", {})
            state["client"] = await self._client(scope, headers)
            state["body"] = await _body(receive, headers)
        except Refusal as refusal:
            body = error_body(refusal.status, refusal.message, refusal.issues)
            await _answer(send, refusal.status, body, error_headers(refusal.status) | extra)
            return

        async def also(message: dict) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_pairs(extra | _SAFE)]
            await send(message)

        try:
            await self._app(scope, _told_once(state["body"], receive), also)
        except Exception as error:
            # It was answered. The server would log its text, which may hold a row of the database; the places will do.
            _LOG.error("%s, at:\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))

    async def _client(self, scope: Scope, headers: dict) -> tokens.Client | None:
        if not scope["path"].startswith("/api/"):
            return None
        token = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not token and self._open_reads and scope["method"] in _READS:
            return tokens.Client(0, "anybody", "read")
        try:
            client = await run_in_threadpool(self._holder, token)
        except UNAVAILABLE as error:
            _LOG.warning("the database is not there: %s", type(error).__name__)
            raise Refusal(503, "the database cannot be reached; try again") from None
        if client is None:
            raise Refusal(401, "Please provide proper credentials")
        return client

    def _holder(self, token: str) -> tokens.Client | None:
        if not token:
            return None
        with self._database.reading() as connection:
            return tokens.holder(connection, token)


_SAFE = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


def _for_reports(scope: Scope) -> dict[str, str]:
    """Any page may post a rating: what opens the door is a token in a header, which no page gets from the browser."""
    if scope["path"] != _ASKED_BY_REPORTS or scope["method"] not in ("OPTIONS", "POST"):
        return {}
    return {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "Authorization, Content-Type",
    }


async def _body(receive: Receive, headers: dict) -> bytes:
    """Return the whole body. Raises Refusal: too large, too slow, or packed."""
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise Refusal(415, "a packed body is not taken; send JSON as it is")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12 or int(length) > BODY_LIMIT_BYTES:
        raise Refusal(413, f"a body has at most {BODY_LIMIT_BYTES} bytes; send several")
    try:
        return await asyncio.wait_for(_read(receive), _BODY_TIMEOUT_S)
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {_BODY_TIMEOUT_S:g} s") from None


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "the connection ended before the body did")
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT_BYTES:
            raise Refusal(413, f"a body has at most {BODY_LIMIT_BYTES} bytes; send several")
        if not message.get("more_body", False):
            return bytes(body)


def _told_once(body: bytes, receive: Receive) -> Receive:
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def first_the_body() -> dict:
        return pending.pop() if pending else await receive()

    return first_the_body


def _pairs(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def _answer(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    pairs = _pairs(_SAFE | {"content-type": "application/json"} | headers | {"content-length": str(len(body))})
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
