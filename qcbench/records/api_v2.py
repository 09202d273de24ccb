"""/api/v2: our own. A payload is stored once however often it is sent, one by one or many at a time; lists go on
from a cursor, so that a page neither repeats nor skips what is written meanwhile; whole tables leave as CSV or Parquet.
"""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from qcbench.iqm_keys import MODALITIES
from qcbench.records import audit, checks, curated, exports, intake, linked, queries, ratings, schema
from qcbench.records.gate import Refusal
from qcbench.records.payloads import RatingV2, RefusedError, json_schema, record_model
from qcbench.records.requests import (
    OBJECT,
    Admin,
    MayRate,
    Reader,
    Route,
    Writer,
    answers,
    as_json,
    database_of,
    json_body,
    only_parameters,
    pseudonyms_of,
    takes,
)

router = APIRouter(
    prefix="/api/v2",
    tags=["qcbench"],
    dependencies=[only_parameters("filter", "cursor", "limit", "form", "link", "repaired")],
)
_BULK_AT_MOST = _RATINGS_SHOWN = 1_000
_LIST = {
    "type": "object",
    "required": ["items", "next"],
    "properties": {"items": {"type": "array", "items": OBJECT}, "next": {"type": ["string", "null"]}},
}
_STORED = {
    "type": "object",
    "required": ["id", "created", "flags"],
    "properties": {
        "id": {"type": "string"},
        "created": {"type": "boolean"},
        "flags": {"type": "array", "items": OBJECT},
    },
}
_BULK = {"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": OBJECT}}}

Filters = Annotated[list[str], Query(alias="filter", description="FIELD<VALUE, e.g. EchoTime>=0.03", max_length=20)]
Cursor = Annotated[str | None, Query(pattern="^[0-9]{1,15}$", description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=1000)]
Form = Annotated[Literal["csv", "parquet"], Query()]
Repaired = Annotated[bool, Query(description="with accepted repairs in place; filters compare these")]
Id = Annotated[str, Path(pattern="^[0-9a-f]{24}$")]


def _many(form: dict) -> dict:
    # What is wrong with one of many is said beside it, and the others are stored.
    return takes({"type": "array", "items": OBJECT, "maxItems": _BULK_AT_MOST, "examples": [[form.get("title")]]})


def _post_record(modality: str) -> Route:
    def post(request: Request, client: Writer) -> Response:
        accepted = checks.check(modality, json_body(request), pseudonyms_of(request))
        with database_of(request).writing() as connection:
            new = intake.add_records(connection, client, [accepted])
        created = accepted.record_id in new
        return as_json(_stored(accepted.record_id, created, accepted.flags), 201 if created else 200)

    return post


def _post_records(modality: str) -> Route:
    def post(request: Request, client: Writer) -> Response:
        payloads, outcomes, accepted = _bulk(request), [], []
        for payload in payloads:
            try:
                accepted.append(checks.check(modality, payload, pseudonyms_of(request)))
                outcomes.append(accepted[-1])
            except RefusedError as error:
                outcomes.append(error)
        with database_of(request).writing() as connection:
            new = intake.add_records(connection, client, accepted)
        return as_json({"items": [_outcome(each, new) for each in outcomes]})

    return post


def _list_records(modality: str) -> Route:
    table = schema.TYPED[modality]

    def get(
        request: Request,
        client: Reader,
        filters: Filters = (),
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> Response:
        conditions = queries.filters(filters, queries.fields_v2(modality))
        with database_of(request).reading() as connection:
            rows = linked.records(connection, modality, conditions, after=int(cursor or 0), limit=limit)
            linked.add_flags(connection, rows, "record_id")
        return as_json(_page(rows, limit))

    get.__doc__ = f"List the typed table {table.name}, in the order of arrival."
    return get


def _show_record(modality: str) -> Route:
    def get(request: Request, record_id: Id, client: Reader) -> Response:
        with database_of(request).reading() as connection:
            condition = schema.TYPED[modality].c.record_id == record_id
            rows = linked.records(connection, modality, [condition], after=0, limit=1)
            if not rows:
                raise Refusal(404, f"there is no {modality} record {record_id}")
            linked.add_flags(connection, rows, "record_id")
            rows[0]["payload"] = orjson.loads(linked.payload(connection, record_id))
            rows[0] |= linked.ratings_of(connection, rows[0]["image_id"], linked.shown_to(client), limit=_RATINGS_SHOWN)
        return as_json(rows[0])

    return get


def _export_records(modality: str) -> Route:
    def get(
        request: Request, client: Reader, form: Form = "csv", filters: Filters = (), repaired: Repaired = False
    ) -> Response:
        fields = curated.fields(modality) if repaired else queries.fields_v2(modality)
        parts = exports.records(
            database_of(request), modality, queries.filters(filters, fields), form, repaired=repaired
        )
        return _download(parts, form, modality)

    return get


_EXPORT_ANSWERS = answers(422, good={200: "application/octet-stream"})
_EXPORT_ANSWERS[200]["content"]["text/csv"] = {}
for _modality in MODALITIES:
    _form, _path = record_model(_modality), f"/records/{_modality}"
    router.add_api_route(
        _path,
        _post_record(_modality),
        methods=["POST"],
        status_code=201,
        name=f"Store a {_modality} record",
        openapi_extra=takes(_form),
        responses=answers(422, good={201: _STORED, 200: _STORED}),
    )
    router.add_api_route(
        f"{_path}/bulk",
        _post_records(_modality),
        methods=["POST"],
        name=f"Store many {_modality} records",
        openapi_extra=_many(json_schema(_form)),
        responses=answers(422, good={200: _BULK}),
    )
    router.add_api_route(
        _path,
        _list_records(_modality),
        name=f"List {_modality} records",
        responses=answers(422, good={200: _LIST}),
    )
    router.add_api_route(
        f"{_path}/export", _export_records(_modality), name=f"Export {_modality} records", responses=_EXPORT_ANSWERS
    )
    router.add_api_route(
        f"{_path}/{{record_id}}",
        _show_record(_modality),
        name=f"Show a {_modality} record",
        responses=answers(404, 422, good={200: OBJECT}),
    )

_LINKED_OR_NOT = {
    "anyOf": [
        {"required": ["md5sum"], "properties": {"md5sum": {"type": "string"}}},
        {"required": ["unlinked"], "properties": {"unlinked": {"const": True}}},
    ]
}


@router.post(
    "/ratings",
    status_code=201,
    openapi_extra=takes(json_schema(RatingV2) | _LINKED_OR_NOT),
    responses=answers(409, 422, good={201: _STORED, 200: _STORED}),
)
def rate(request: Request, client: MayRate) -> Response:
    """Store a rating. The same payload twice is one; a `key` of your own tells apart what is otherwise the same."""
    rated = ratings.check_v2(json_body(request), rater=client.name)
    with database_of(request).writing() as connection:
        new = intake.add_ratings(connection, client, [rated])
    created = rated.row["rating_id"] in new
    return as_json(_stored(rated.row["rating_id"], created, rated.flags), 201 if created else 200)


@router.post(
    "/ratings/bulk",
    openapi_extra=_many(json_schema(RatingV2)),
    responses=answers(409, 422, good={200: _BULK}),
)
def rate_many(request: Request, client: MayRate) -> Response:
    """Store many ratings. What is refused is told beside it; one that is not yours to give refuses them all."""
    outcomes, accepted = [], []
    for payload in _bulk(request):
        try:
            accepted.append(ratings.check_v2(payload, rater=client.name))
            outcomes.append(accepted[-1])
        except RefusedError as error:
            outcomes.append(error)
    with database_of(request).writing() as connection:
        new = intake.add_ratings(connection, client, accepted)
    return as_json({"items": [_outcome(each, new) for each in outcomes]})


@router.get("/ratings", responses=answers(422, good={200: _LIST}))
def list_ratings(
    request: Request,
    client: Reader,
    filters: Filters = (),
    link: Annotated[Literal[linked.LINKS] | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List ratings with the image they are of, in the order of arrival. `link` chooses those that have one, or none.

    A token of scope rate reads its own ratings, every other all.
    """
    conditions = [*queries.filters(filters, queries.RATING_FIELDS_V2), *linked.shown_to(client)]
    if link:
        conditions.append(link == linked.LINK)
    with database_of(request).reading() as connection:
        rows = linked.ratings(connection, conditions, after=int(cursor or 0), limit=limit)
        linked.add_flags(connection, rows, "rating_id")
    return as_json(_page(rows, limit))


@router.get("/ratings/export", responses=_EXPORT_ANSWERS)
def export_ratings(
    request: Request,
    client: Reader,
    form: Form = "csv",
    filters: Filters = (),
) -> Response:
    """Give the ratings with the image they are of as one file."""
    conditions = [*queries.filters(filters, queries.RATING_FIELDS_V2), *linked.shown_to(client)]
    return _download(exports.ratings(database_of(request), conditions, form), form, "ratings")


@router.get("/statistics", responses=answers(422, good={200: OBJECT}))
def count(request: Request, client: Reader) -> Response:
    """Count records, images, flags and ratings."""
    with database_of(request).reading() as connection:
        return as_json(linked.counts(connection, linked.shown_to(client)))


@router.get("/statistics/{modality}", responses=answers(404, 422, good={200: OBJECT}))
def summarise(request: Request, modality: Literal[MODALITIES], client: Reader) -> Response:
    """Give n, mean, least and most of each metric of a modality. What stands for "none" is left out."""
    with database_of(request).reading() as connection:
        return as_json(linked.summary(connection, modality))


@router.get("/audit", responses=answers(422, good={200: OBJECT}))
def check_audit(request: Request, client: Admin) -> Response:
    """Read the whole audit log and everything that it tells of; say what does not fit."""
    with database_of(request).reading(one_state=True) as connection:
        return as_json({"faults": audit.verify(connection)})


def _bulk(request: Request) -> list:
    payloads = json_body(request)
    if not isinstance(payloads, list) or len(payloads) > _BULK_AT_MOST:
        raise RefusedError({"payload": f"a list of at most {_BULK_AT_MOST} objects is expected"})
    if not all(isinstance(each, dict) for each in payloads):
        raise RefusedError({"payload": "each item of the list must be an object"})
    return payloads


def _flagged(flags: list[checks.Flag]) -> list[dict]:
    return [{"code": each.code, "field": each.field, "found": each.found, "proposed": each.proposed} for each in flags]


def _stored(item_id: str, created: bool, flags: list[checks.Flag]) -> dict:
    return {"id": item_id, "created": created, "flags": _flagged(flags)}


def _outcome(each: checks.Accepted | ratings.Rated | RefusedError, new: set[str]) -> dict:
    if isinstance(each, RefusedError):
        return {"status": 422, "issues": each.issues}
    item_id = each.record_id if isinstance(each, checks.Accepted) else each.row["rating_id"]
    return {"status": 201 if item_id in new else 200, **_stored(item_id, item_id in new, each.flags)}


def _page(rows: list[dict], limit: int) -> dict:
    return {"items": rows, "next": str(rows[-1]["sequence"]) if len(rows) == limit else None}


def _download(parts: object, form: str, name: str) -> StreamingResponse:
    kind = "text/csv; charset=utf-8" if form == "csv" else "application/octet-stream"
    headers = {"content-disposition": f'attachment; filename="{name}.{form}"'}
    return StreamingResponse(parts, media_type=kind, headers=headers)
