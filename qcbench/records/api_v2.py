"""/api/v2: our own. A payload is stored once however often it is sent, one by one or many at a time; lists go on
from a cursor, so that a page neither repeats nor skips what is written meanwhile; whole tables leave as CSV or Parquet.
"""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from qcbench.iqm_keys import MODALITIES
from qcbench.records import api_v2_ratings, audit, checks, curated, exports, intake, linked, many, queries, schema
from qcbench.records.gate import Refusal
from qcbench.records.many import Cursor, Filters, Form, Limit
from qcbench.records.payloads import json_schema, record_form
from qcbench.records.requests import (
    OBJECT,
    Admin,
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
_RATINGS_SHOWN = 1_000
Repaired = Annotated[bool, Query(description="with accepted repairs in place; filters compare these")]
Id = Annotated[str, Path(pattern="^[0-9a-f]{24}$")]


def _post_record(modality: str) -> Route:
    def post(request: Request, client: Writer) -> Response:
        accepted = checks.check(modality, json_body(request), pseudonyms_of(request))
        with database_of(request).writing() as connection:
            new = intake.add_records(connection, client, [accepted])
        created = accepted.record_id in new
        return as_json(many.stored(accepted.record_id, created, accepted.flags), 201 if created else 200)

    return post


def _post_records(modality: str) -> Route:
    def post(request: Request, client: Writer) -> Response:
        pseudonyms = pseudonyms_of(request)
        outcomes, accepted = many.judged(request, lambda payload: checks.check(modality, payload, pseudonyms))
        with database_of(request).writing() as connection:
            new = intake.add_records(connection, client, accepted)
        return as_json(many.all_stored(outcomes, new))

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
        return as_json(many.page(rows, limit))

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
        return many.download(parts, form, modality)

    return get


for _modality in MODALITIES:
    _form, _path = record_form(_modality), f"/records/{_modality}"
    router.add_api_route(
        _path,
        _post_record(_modality),
        methods=["POST"],
        status_code=201,
        name=f"Store a {_modality} record",
        openapi_extra=takes(_form),
        responses=answers(422, good={201: many.STORED, 200: many.STORED}),
    )
    router.add_api_route(
        f"{_path}/bulk",
        _post_records(_modality),
        methods=["POST"],
        name=f"Store many {_modality} records",
        openapi_extra=many.takes_many(json_schema(_form)),
        responses=answers(422, good={200: many.BULK}),
    )
    router.add_api_route(
        _path,
        _list_records(_modality),
        name=f"List {_modality} records",
        responses=answers(422, good={200: many.LIST}),
    )
    router.add_api_route(
        f"{_path}/export", _export_records(_modality), name=f"Export {_modality} records", responses=many.EXPORTED
    )
    router.add_api_route(
        f"{_path}/{{record_id}}",
        _show_record(_modality),
        name=f"Show a {_modality} record",
        responses=answers(404, 422, good={200: OBJECT}),
    )

router.include_router(api_v2_ratings.router)


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
