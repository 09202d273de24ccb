"""Many records or ratings at a time, in and out: what the routes of /api/v2 share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import Query, Request
from fastapi.responses import StreamingResponse

from qcbench.records import checks, ratings
from qcbench.records.payloads import RefusedError
from qcbench.records.requests import OBJECT, answers, json_body, takes

_AT_MOST = 1_000
LIST = {
    "type": "object",
    "required": ["items", "next"],
    "properties": {"items": {"type": "array", "items": OBJECT}, "next": {"type": ["string", "null"]}},
}
STORED = {
    "type": "object",
    "required": ["id", "created", "flags"],
    "properties": {
        "id": {"type": "string"},
        "created": {"type": "boolean"},
        "flags": {"type": "array", "items": OBJECT},
    },
}
BULK = {"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": OBJECT}}}
EXPORTED = answers(422, good={200: "application/octet-stream"})
EXPORTED[200]["content"]["text/csv"] = {}

Filters = Annotated[list[str], Query(alias="filter", description="FIELD<VALUE, e.g. EchoTime>=0.03", max_length=20)]
Cursor = Annotated[str | None, Query(pattern="^[0-9]{1,15}$", description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Form = Annotated[Literal["csv", "parquet"], Query()]
Judged = checks.Accepted | ratings.Rated | RefusedError


def takes_many(form: dict) -> dict:
    """Return what describes a body of many to readers of the API."""
    # What is wrong with one of many is said beside it, and the others are stored.
    return takes({"type": "array", "items": OBJECT, "maxItems": _AT_MOST, "examples": [[form.get("title")]]})


def judged(request: Request, judge: Callable[[dict], Judged]) -> tuple[list[Judged], list]:
    """Return what `judge` makes of each payload, refusals among them, and those that can be stored.

    Raises RefusedError where the body is no list of objects, or too long a one.
    """
    payloads = json_body(request)
    if not isinstance(payloads, list) or len(payloads) > _AT_MOST:
        raise RefusedError({"payload": f"a list of at most {_AT_MOST} objects is expected"})
    if not all(isinstance(each, dict) for each in payloads):
        raise RefusedError({"payload": "each item of the list must be an object"})
    outcomes, accepted = [], []
    for payload in payloads:
        try:
            accepted.append(judge(payload))
            outcomes.append(accepted[-1])
        except RefusedError as error:
            outcomes.append(error)
    return outcomes, accepted


def stored(item_id: str, created: bool, flags: list[checks.Flag]) -> dict:
    """Return the answer for one that was taken."""
    told = [{"code": each.code, "field": each.field, "found": each.found, "proposed": each.proposed} for each in flags]
    return {"id": item_id, "created": created, "flags": told}


def all_stored(outcomes: list[Judged], new: set[str]) -> dict:
    """Return the answer for many, in their order; `new` are the ids that were not there before."""
    return {"items": [_outcome(each, new) for each in outcomes]}


def _outcome(each: Judged, new: set[str]) -> dict:
    if isinstance(each, RefusedError):
        return {"status": 422, "issues": each.issues}
    item_id = each.record_id if isinstance(each, checks.Accepted) else each.row["rating_id"]
    return {"status": 201 if item_id in new else 200, **stored(item_id, item_id in new, each.flags)}


def page(rows: list[dict], limit: int) -> dict:
    """Return the answer for a page: its rows, and the cursor that the next one goes on from."""
    return {"items": rows, "next": str(rows[-1]["sequence"]) if len(rows) == limit else None}


def download(parts: object, form: str, name: str) -> StreamingResponse:
    """Return the answer that is a file, sent as it is made."""
    kind = "text/csv; charset=utf-8" if form == "csv" else "application/octet-stream"
    headers = {"content-disposition": f'attachment; filename="{name}.{form}"'}
    return StreamingResponse(parts, media_type=kind, headers=headers)
