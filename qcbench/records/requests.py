"""What the routes of both versions share: the body as JSON, the scope that is asked for, the answers they document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import orjson
from fastapi import Depends, Request, Response

from qcbench.records.database import Database
from qcbench.records.gate import Refusal
from qcbench.records.identity import Pseudonyms
from qcbench.records.payloads import RefusedError, json_schema
from qcbench.records.tokens import Client


def _needs(scope: str) -> object:
    """Return a dependency: the client, whose token must include `scope`."""

    # Dependencies are coroutines, though they wait for nothing: FastAPI sends others through a thread, each by itself.
    async def client(request: Request) -> Client:
        found: Client = request.state.client
        if not found.may(scope):
            raise Refusal(403, f"this needs a token of scope {scope}, yours has {found.scope}")
        return found

    return Depends(client)


Reader = Annotated[Client, _needs("read")]
MayRate = Annotated[Client, _needs("rate")]
Writer = Annotated[Client, _needs("write")]
Admin = Annotated[Client, _needs("admin")]


def only_parameters(*names: str) -> object:
    """Return a dependency that refuses others: a filter that is misspelled must not silently give everything."""

    async def check(request: Request) -> None:
        unknown = sorted(set(request.query_params) - set(names))
        if unknown:
            known = ", ".join(sorted(names))
            raise RefusedError({name[:80]: f"there is no such parameter; there are {known}" for name in unknown})

    return Depends(check)


def database_of(request: Request) -> Database:
    """Return the database behind the application."""
    return request.app.state.database


def pseudonyms_of(request: Request) -> Pseudonyms:
    """Return what stands for identities here."""
    return request.app.state.pseudonyms


def json_body(request: Request) -> object:
    """Return the body as JSON. Raises Refusal: no JSON by its header, or none in fact (NaN is none)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "send JSON, with the header Content-Type: application/json")
    try:
        return orjson.loads(request.state.body)
    except orjson.JSONDecodeError as error:
        # Its text repeats nothing of the body.
        raise Refusal(400, f"the body is no JSON: {error.msg}") from None


def as_json(content: object, status: int = 200, headers: dict | None = None) -> Response:
    """Return an answer of JSON."""
    return Response(orjson.dumps(content), status, headers=headers, media_type="application/json")


def takes(form: type | dict) -> dict:
    """Return what describes a body to readers of the API: the form that is checked."""
    schema = form if isinstance(form, dict) else json_schema(form)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


_ERROR = {
    "type": "object",
    "required": ["_status", "_error"],
    "properties": {
        "_status": {"const": "ERR"},
        "_error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
        },
        "_issues": {"type": "object"},
    },
}
_MEANINGS = {
    400: "cannot be read",
    401: "no token, or none that is in force",
    403: "the token does not allow it",
    404: "there is none",
    408: "the body came too slowly",
    409: "it does not fit what is stored",
    413: "the body is too large",
    415: "the body is not JSON as it is",
    422: "refused; `_issues` says why",
    503: "the database cannot be reached; come again after the seconds in Retry-After",
}


def answers(*errors: int, good: dict[int, dict | str]) -> dict[int, dict]:
    """Return what describes the answers of a route: the good ones with their form, and the errors."""
    described: dict[int, dict] = {}
    for status, form in good.items():
        kind = "application/json" if isinstance(form, dict) else form
        content = {kind: {"schema": form} if isinstance(form, dict) else {}}
        described[status] = {"description": "as asked", "content": content}
    for status in (400, 401, 403, 408, 413, 415, 503, *errors):
        described[status] = {"description": _MEANINGS[status], "content": {"application/json": {"schema": _ERROR}}}
    return described


OBJECT = {"type": "object"}
Route = Callable[..., Response]
