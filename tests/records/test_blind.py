"""A token that is for rating reads no other rater's ratings; every other token reads all."""

import csv
import io
import json

import pytest

from qcbench.records import tokens
from tests.records.samples import a_record, md5_of

IMAGE = md5_of(1)


@pytest.fixture
def rated(api):
    """One image with a record, rated 3 by c-rate and 1 by ben."""
    api.post("/api/v2/records/T1w", a_record(provenance={"md5sum": IMAGE}))
    api.mine = api.post("/api/v2/ratings", {"rating": 3, "md5sum": IMAGE}, scope="rate").json()["id"]
    api.token["ben"] = tokens.mint(api.database, client="ben", scope="rate")
    api.theirs = api.post("/api/v2/ratings", {"rating": 1, "md5sum": IMAGE}, scope="ben").json()["id"]
    return api


def scores(api, scope):
    """What a token of a scope reads of ratings, by the way it asks."""
    record = api.get("/api/v2/records/T1w", scope).json()["items"][0]["record_id"]
    shown = api.get(f"/api/v2/records/T1w/{record}", scope).json()
    exported = api.get("/api/v2/ratings/export", scope).text
    counted = api.get("/api/v1/rating_counts", scope, aggregate=json.dumps({"$value": IMAGE})).json()
    return {
        "list": [row["score"] for row in api.get("/api/v2/ratings", scope).json()["items"]],
        "record": [row["score"] for row in shown["ratings"]],
        "n": shown["n_ratings"],
        "file": [float(row["score"]) for row in csv.DictReader(io.StringIO(exported))],
        "statistics": api.get("/api/v2/statistics", scope).json()["ratings"],
        "v1": [float(item["rating"]) for item in api.get("/api/v1/rating", scope).json()["_items"]],
        "v1 total": api.get("/api/v1/rating", scope).json()["_meta"]["total"],
        "v1 counts": [item["_id"] for item in counted["_items"]],
    }


ALL = {
    "list": [3.0, 1.0],
    "record": [3.0, 1.0],
    "n": 2,
    "file": [3.0, 1.0],
    "statistics": {"acceptable": 1, "exclude": 1},
    "v1": [3.0, 1.0],
    "v1 total": 2,
    "v1 counts": ["1", "3"],
}
MINE = {
    "list": [3.0],
    "record": [3.0],
    "n": 1,
    "file": [3.0],
    "statistics": {"acceptable": 1},
    "v1": [3.0],
    "v1 total": 1,
    "v1 counts": ["3"],
}


@pytest.mark.parametrize(("scope", "read"), [("rate", MINE), ("read", ALL), ("write", ALL), ("admin", ALL)])
def test_who_rates_reads_their_own_ratings_alone(rated, scope, read):
    assert scores(rated, scope) == read


def test_a_filter_opens_nothing_and_another_s_rating_is_not_there(rated):
    assert rated.get("/api/v2/ratings", "rate", filter="rater==ben").json()["items"] == []
    assert rated.get("/api/v1/rating", "rate", where='{"rating": "1"}').json()["_items"] == []
    assert rated.get(f"/api/v1/rating/{rated.theirs}", "rate").status_code == 404
    assert rated.get(f"/api/v1/rating/{rated.mine}", "rate").status_code == 200
    assert rated.get(f"/api/v1/rating/{rated.theirs}", "read").status_code == 200


def test_the_widget_of_a_report_posts_as_before(rated):
    posted = {"rating": "2.0", "md5sum": "unspecified", "name": "", "comment": "[]"}
    assert rated.post("/api/v1/rating", posted, scope="rate").status_code == 201
    assert scores(rated, "rate")["v1"] == [3.0, 2.0]
