"""/api/v1: what MRIQC's Web-API answers, for clients that were written for it.

MRIQC's own client, with ``--webapi-url``, and the rating widget of its reports work here unchanged. Unlike the
original it takes what valid BIDS allows, refuses nonsense, stores a payload once, and asks readers for a token too.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache
from typing import Annotated
from urllib.parse import urlencode

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request, Response

from qcbench.iqm_keys import MODALITIES
from qcbench.records import checks, intake, linked, queries, ratings, schema
from qcbench.records.gate import Refusal
from qcbench.records.payloads import RatingV1, record_form
from qcbench.records.requests import (
    OBJECT,
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
    prefix="/api/v1",
    tags=["as MRIQC's server"],
    # The last two are of the original; they only make an answer shorter or prettier.
    dependencies=[only_parameters("where", "sort", "page", "max_results", "aggregate", "projection", "pretty")],
)
_PAGE_AT_MOST = 50
_MADE = {
    "type": "object",
    "required": ["_id", "_status"],
    "properties": {"_id": {"type": "string"}, "_status": {"const": "OK"}},
}
_LIST = {
    "type": "object",
    "required": ["_items", "_meta", "_links"],
    "properties": {"_items": {"type": "array", "items": OBJECT}, "_meta": OBJECT, "_links": OBJECT},
}
_ITEM_ANSWERS = answers(404, 422, good={200: OBJECT})
_LIST_ANSWERS = answers(422, good={200: _LIST})

Where = Annotated[str | None, Query(description="JSON as MongoDB's, or comparisons with `and` between")]
Sort = Annotated[str | None, Query(description="names with commas; a minus before one that falls")]
Page = Annotated[int, Query(ge=1, le=1_000_000)]
MaxResults = Annotated[int, Query(ge=1, le=1_000_000, description=f"at most {_PAGE_AT_MOST} are given")]
Id = Annotated[str, Path(pattern="^[0-9a-f]{24}$")]


def _post_record(modality: str) -> Route:
    def post(request: Request, client: Writer) -> Response:
        accepted = checks.check(modality, json_body(request), pseudonyms_of(request))
        with database_of(request).writing() as connection:
            intake.add_records(connection, client, [accepted])
        return _made(modality, accepted.record_id, accepted.payload)

    return post


def _get_records(modality: str) -> Route:
    table, raw = schema.TYPED[modality], schema.RAW_RECORD

    def get(
        request: Request,
        client: Reader,
        where: Where = None,
        sort: Sort = None,
        page: Page = 1,
        max_results: MaxResults = 25,
    ) -> Response:
        fields = queries.fields_v1(modality)
        conditions = queries.where_v1(where, fields)
        order = queries.order_v1(sort, fields)
        max_results = min(max_results, _PAGE_AT_MOST)
        skipped = (page - 1) * max_results
        with database_of(request).reading() as connection:
            if conditions:
                counted = sa.select(sa.func.count()).select_from(table).where(*conditions)
                total, is_numbered = connection.execute(counted).scalar_one(), False
            else:
                total, is_numbered = request.app.state.counted.rows(connection, table)
            if is_numbered and not order:
                # Rows before a page need not be read to be skipped.
                conditions, skipped = [table.c.sequence > skipped], 0
            order.append(table.c.sequence.asc())
            found = sa.select(table.c.sequence).where(*conditions).order_by(*order).limit(max_results).offset(skipped)
            # Apart from the rest, so that the payloads of other pages are neither sorted nor read to be skipped.
            of_page = table.c.sequence.in_(found.correlate(None))
            wanted = sa.select(raw.c.record_id, raw.c.payload, raw.c.received_at).join_from(table, raw)
            rows = connection.execute(wanted.where(of_page).order_by(*order)).all()
        items = [_item(modality, *row) for row in rows]
        return as_json(_listed(request, modality, items, page, max_results, total))

    return get


def _get_record(modality: str) -> Route:
    raw = schema.RAW_RECORD

    def get(request: Request, record_id: Id, client: Reader) -> Response:
        wanted = sa.select(raw.c.payload, raw.c.received_at)
        wanted = wanted.where(raw.c.record_id == record_id, raw.c.modality == modality)
        with database_of(request).reading() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            raise Refusal(404, f"there is no {modality} record {record_id}")
        return as_json(_item(modality, record_id, row.payload, row.received_at))

    return get


for _modality in MODALITIES:
    _form = record_form(_modality)
    router.add_api_route(
        f"/{_modality}",
        _post_record(_modality),
        methods=["POST"],
        status_code=201,
        name=f"Store a {_modality} record",
        openapi_extra=takes(_form),
        responses=answers(422, good={201: _MADE}),
    )
    router.add_api_route(
        f"/{_modality}", _get_records(_modality), name=f"List {_modality} records", responses=_LIST_ANSWERS
    )
    router.add_api_route(
        f"/{_modality}/{{record_id}}",
        _get_record(_modality),
        name=f"Show a {_modality} record",
        responses=_ITEM_ANSWERS,
    )


@router.post(
    "/rating",
    status_code=201,
    openapi_extra=takes(RatingV1),
    responses=answers(409, 422, good={201: _MADE}),
)
def rate(request: Request, client: MayRate) -> Response:
    """Store a rating, as the widget of MRIQC's report posts it."""
    rated = ratings.check_v1(json_body(request), rater=client.name)
    with database_of(request).writing() as connection:
        stored = intake.add_posted(connection, client, rated)
    return _made("rating", stored.row["rating_id"], stored.row["payload"])


@router.get("/rating", responses=_LIST_ANSWERS)
def list_ratings(
    request: Request,
    client: Reader,
    where: Where = None,
    sort: Sort = None,
    page: Page = 1,
    max_results: MaxResults = 25,
) -> Response:
    """List ratings: your own where the token is for rating, else all."""
    table = schema.RATING
    conditions = [*queries.where_v1(where, queries.RATING_FIELDS_V1), *linked.shown_to(client)]
    order = [*queries.order_v1(sort, queries.RATING_FIELDS_V1), table.c.sequence.asc()]
    max_results = min(max_results, _PAGE_AT_MOST)
    wanted = sa.select(table).where(*conditions).order_by(*order).limit(max_results).offset((page - 1) * max_results)
    with database_of(request).reading() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar_one()
        items = [_rating(row) for row in connection.execute(wanted).mappings()]
    return as_json(_listed(request, "rating", items, page, max_results, total))


@router.get("/rating/{rating_id}", responses=_ITEM_ANSWERS)
def show_rating(request: Request, rating_id: Id, client: Reader) -> Response:
    """Show a rating."""
    with database_of(request).reading() as connection:
        wanted = sa.select(schema.RATING).where(schema.RATING.c.rating_id == rating_id, *linked.shown_to(client))
        row = connection.execute(wanted).mappings().first()
    if row is None:
        raise Refusal(404, f"there is no rating {rating_id}")
    return as_json(_rating(row))


@router.get("/rating_counts", responses=_LIST_ANSWERS)
def count_ratings(
    request: Request,
    aggregate: Annotated[str, Query(description='{"$value": "<MD5 of the image file>"}')],
    client: Reader,
) -> Response:
    """Count the ratings of one image by what they say."""
    try:
        file_md5 = orjson.loads(aggregate)["$value"]
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        file_md5 = None
    if not isinstance(file_md5, str) or "\0" in file_md5:
        raise Refusal(400, 'aggregate reads {"$value": "<MD5 of the image file>"}')
    table = schema.RATING
    counted = sa.select(table.c.given, sa.func.count()).where(
        table.c.file_md5 == file_md5.lower(), *linked.shown_to(client)
    )
    with database_of(request).reading() as connection:
        rows = connection.execute(counted.group_by(table.c.given).order_by(table.c.given)).all()
    items = [{"_id": given, "count": count} for given, count in rows]
    return as_json(_listed(request, "rating_counts", items, 1, max(len(items), 1), len(items)))


def _made(resource: str, item_id: str, payload: str) -> Response:
    made = {"_status": "OK", "_id": item_id, "_etag": _etag(payload), "_links": _self(resource, item_id)}
    return as_json(made, 201)


def _item(resource: str, item_id: str, payload: str, received_at: str) -> orjson.Fragment:
    at = _http_date(received_at)
    links = _self(resource, item_id)
    dated = {"_id": item_id, "_created": at, "_updated": at, "_etag": _etag(payload), "_links": links}
    # The payload is JSON already, an object that is never empty: it is put in as it is.
    return orjson.Fragment(orjson.dumps(dated)[:-1] + b"," + payload[1:].encode())


def _rating(row: sa.RowMapping) -> dict:
    given = {
        "rating": row["given"],
        "md5sum": row["file_md5"] or "unspecified",
        "name": row["image_name"] or "",
        "comment": row["comment"] or row["artifacts"],
        "rater": row["rater"],
        "class": row["class"],
    }
    return _item("rating", row["rating_id"], orjson.dumps(given).decode(), row["received_at"])


def _listed(request: Request, resource: str, items: list, page: int, max_results: int, total: int) -> dict:
    last = max(1, -(-total // max_results))
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != "page"]

    def link(number: int) -> dict:
        return {"title": resource, "href": f"{resource}?{urlencode([*asked, ('page', number)])}"}

    links = {"self": link(page)}
    if page < last:
        links |= {"next": link(page + 1), "last": link(last)}
    if page > 1:
        links["prev"] = link(page - 1)
    return {"_items": items, "_meta": {"page": page, "max_results": max_results, "total": total}, "_links": links}


def _self(resource: str, item_id: str) -> dict:
    return {"self": {"title": resource, "href": f"{resource}/{item_id}"}}


def _etag(payload: str) -> str:
    return hashlib.sha256(payload.encode()).hexdigest()[:40]


# What came in one request came at one time.
@lru_cache(256)
def _http_date(at: str) -> str:
    return datetime.fromisoformat(at).strftime("%a, %d %b %Y %H:%M:%S GMT")
