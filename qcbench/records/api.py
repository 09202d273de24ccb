"""The REST API over the records database: /api/v1 as MRIQC's clients know it, /api/v2 our own.

`make_app` puts it together. Every route is closed to who has no token; the description of the API is open, and is
served whole from here: no page of ours asks another machine for anything.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

import qcbench
from qcbench.errors import UsageError
from qcbench.records import api_v1, api_v2, documentation, linked
from qcbench.records.database import UNAVAILABLE, Database
from qcbench.records.gate import Gate, Refusal, error_body, error_headers
from qcbench.records.identity import Pseudonyms
from qcbench.records.intake import NotYoursError
from qcbench.records.payloads import RefusedError
from qcbench.records.queries import BadQueryError

_LOG = logging.getLogger(__name__)


def make_app(database: Database, pseudonyms: Pseudonyms, *, open_reads: bool = False) -> Gate:
    """Return the application (ASGI). With `open_reads` whoever reaches the port may read without a token."""
    app = FastAPI(
        title="qcbench records",
        version=qcbench.__version__,
        docs_url=None,
        redoc_url=None,
        # An OTEL_ variable in the environment must not make it send what it does to another machine.
        telemetry={"auto_configure": False},
    )
    app.state.database, app.state.pseudonyms, app.state.counted = database, pseudonyms, linked.Counted()
    app.include_router(api_v1.router)
    app.include_router(api_v2.router)
    app.get("/docs", include_in_schema=False)(_documentation)
    app.get("/health", include_in_schema=False)(_health)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.openapi = documentation.described(app)
    return Gate(app, database=database, open_reads=open_reads)


def _documentation(request: Request) -> HTMLResponse:
    return HTMLResponse(documentation.as_html(request.app.openapi()))


def _health(request: Request) -> Response:
    """Whether the database answers; nothing of what is in it."""
    with request.app.state.database.reading() as connection:
        connection.exec_driver_sql("SELECT 1")
    return Response(orjson.dumps({"status": "ok", "version": qcbench.__version__}), media_type="application/json")


def _answer(status: int, message: str, issues: dict | None = None, headers: dict | None = None) -> Response:
    return Response(
        error_body(status, message, issues),
        status,
        media_type="application/json",
        headers=error_headers(status) | (headers or {}),
    )


def _refused(_: Request, error: Exception) -> Response:
    return _answer(422, "the payload was refused; nothing was stored", error.issues)


def _bad_parameters(_: Request, error: Exception) -> Response:
    issues = {str(each["loc"][-1]): each["msg"] for each in error.errors()}
    return _answer(422, "a parameter is not what it should be", issues)


def _other(_: Request, error: Exception) -> Response:
    headers = dict(error.headers or {})
    return _answer(error.status_code, str(error.detail), None, headers)


def _unavailable(_: Request, error: Exception) -> Response:
    # The text of the error would hold the statement and its values.
    _LOG.warning("the database is not there: %s", type(error).__name__)
    return _answer(503, "the database cannot be reached; try again")


def _says(status: int) -> Callable[[Request, Exception], Response]:
    return lambda _request, error: _answer(status, str(error))


def _unexpected(_: Request, error: Exception) -> Response:
    _LOG.error("a request failed: %s", type(error).__name__)
    return _answer(500, "the request failed here; its payload was not stored")


_HANDLERS = {
    RefusedError: _refused,
    RequestValidationError: _bad_parameters,
    BadQueryError: _says(400),
    NotYoursError: _says(403),
    UsageError: _says(409),
    Refusal: lambda _, refusal: _answer(refusal.status, refusal.message, refusal.issues),
    HTTPException: _other,
    **dict.fromkeys(UNAVAILABLE, _unavailable),
    Exception: _unexpected,
}
