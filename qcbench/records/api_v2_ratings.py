"""The ratings of /api/v2, with the image that each is of."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from qcbench.records import exports, intake, linked, many, queries, ratings
from qcbench.records.many import Cursor, Filters, Form, Limit
from qcbench.records.payloads import RatingV2, json_schema
from qcbench.records.requests import MayRate, Reader, answers, as_json, database_of, json_body, takes

router = APIRouter()
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
    responses=answers(409, 422, good={201: many.STORED, 200: many.STORED}),
)
def rate(request: Request, client: MayRate) -> Response:
    """Store a rating. The same payload twice is one; a `key` of your own tells apart what is otherwise the same."""
    rated = ratings.check_v2(json_body(request), rater=client.name)
    with database_of(request).writing() as connection:
        new = intake.add_ratings(connection, client, [rated])
    created = rated.row["rating_id"] in new
    return as_json(many.stored(rated.row["rating_id"], created, rated.flags), 201 if created else 200)


@router.post(
    "/ratings/bulk",
    openapi_extra=many.takes_many(json_schema(RatingV2)),
    responses=answers(409, 422, good={200: many.BULK}),
)
def rate_many(request: Request, client: MayRate) -> Response:
    """Store many ratings. What is refused is told beside it; one that is not yours to give refuses them all."""
    outcomes, accepted = many.judged(request, lambda payload: ratings.check_v2(payload, rater=client.name))
    with database_of(request).writing() as connection:
        new = intake.add_ratings(connection, client, accepted)
    return as_json(many.all_stored(outcomes, new))


@router.get("/ratings", responses=answers(422, good={200: many.LIST}))
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
    return as_json(many.page(rows, limit))


@router.get("/ratings/export", responses=many.EXPORTED)
def export_ratings(
    request: Request,
    client: Reader,
    form: Form = "csv",
    filters: Filters = (),
) -> Response:
    """Give the ratings with the image they are of as one file."""
    conditions = [*queries.filters(filters, queries.RATING_FIELDS_V2), *linked.shown_to(client)]
    return many.download(exports.ratings(database_of(request), conditions, form), form, "ratings")
