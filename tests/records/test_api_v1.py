import json
import re

import pytest

from tests.records.samples import a_record, fixtures, md5_of


def stored(api, modality="T1w", **changes):
    answer = api.post(f"/api/v1/{modality}", a_record(modality, **changes))
    assert answer.status_code == 201, answer.text
    return answer.json()["_id"]


def listed(api, modality="bold", **parameters):
    answer = api.get(f"/api/v1/{modality}", **parameters)
    assert answer.status_code == 200, answer.text
    return [item["fd_mean"] for item in answer.json()["_items"]]


def test_a_record_is_answered_as_mriqcs_server_does(api):
    answer = api.post("/api/v1/T1w", a_record(cjv=0.4))
    assert answer.status_code == 201
    made = answer.json()
    assert made["_status"] == "OK" and re.fullmatch("[0-9a-f]{24}", made["_id"])
    item = api.get(f"/api/v1/T1w/{made['_id']}").json()
    assert (item["cjv"], item["bids_meta"]["EchoTime"], item["provenance"]["md5sum"]) == (0.4, 0.003, "0" * 32)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", item["_created"])


def test_a_refused_record_says_why_field_by_field_and_is_not_stored(api):
    answer = api.post("/api/v1/T1w", a_record(cjv=-5, bids_meta={"EchoTime": -1}))
    assert answer.status_code == 422
    body = answer.json()
    assert body["_status"] == "ERR" and body["_error"]["code"] == 422
    assert set(body["_issues"]) == {"cjv", "bids_meta"} and set(body["_issues"]["bids_meta"]) == {"EchoTime"}
    assert api.get("/api/v1/T1w").json()["_meta"]["total"] == 0


def test_the_same_record_twice_is_one(api):
    assert stored(api) == stored(api)
    assert api.get("/api/v1/T1w").json()["_meta"]["total"] == 1


def test_the_fixtures_of_mriqcs_server_get_the_statuses_they_should(api, real_data):
    for name, payload in fixtures(real_data, "**/*.json").items():
        resource = "rating" if "rating" in name else "bold" if "bold" in name else "T1w"
        answer = api.post(f"/api/v1/{resource}", payload)
        assert answer.status_code == (422 if "missingField" in name else 201), name
    assert api.get("/api/v1/T1w").json()["_meta"]["total"] == 6
    assert api.get("/api/v1/bold").json()["_meta"]["total"] == 10


def test_lists_come_in_pages_with_links(api):
    for number in range(7):
        stored(api, "bold", fd_mean=number, provenance={"md5sum": md5_of(number)})
    first = api.get("/api/v1/bold", max_results=3).json()
    assert first["_meta"] == {"page": 1, "max_results": 3, "total": 7}
    assert set(first["_links"]) == {"self", "next", "last"}
    assert first["_links"]["next"]["href"] == "bold?max_results=3&page=2"
    assert listed(api, max_results=3, page=3) == [6]
    assert listed(api, max_results=3, page=4) == []
    assert listed(api, max_results=3, page=2, sort="-fd_mean") == [3, 2, 1]
    assert listed(api, max_results=2, page=2, where="fd_mean>2", sort="-fd_mean") == [4, 3]
    # The total goes on from what was counted before.
    stored(api, "bold", fd_mean=7, provenance={"md5sum": md5_of(7)})
    last = api.get("/api/v1/bold", max_results=3, page=3).json()
    assert last["_meta"]["total"] == 8 and [item["fd_mean"] for item in last["_items"]] == [6, 7]
    assert api.get("/api/v1/bold", max_results=10_000).json()["_meta"]["max_results"] == 50


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ('{"fd_mean": 2}', [2]),
        ('{"fd_mean": {"$gte": 2, "$lt": 4}}', [2, 3]),
        ('{"fd_mean": {"$in": [0, 4, 9]}}', [0, 4]),
        ('{"$and": [{"fd_mean": {"$gt": 1}}, {"bids_meta.EchoTime": {"$ne": 0.03}}]}', [2, 4, 10]),
        ('{"provenance.md5sum": "00000000000000000000000000000003"}', [3]),
        ('{"provenance.software": "mriqc", "fd_mean": {"$lte": 0}}', [0]),
        ('{"cnr": null, "bids_meta.FlipAngle": null}', "unknown"),
        ('{"bids_meta.FlipAngle": null, "fd_mean": 1}', [1]),
        ("bids_meta.EchoTime<0.03", [0, 2, 4, 10]),
        ("bids_meta.EchoTime < 0.03 and fd_mean >= 2", [2, 4, 10]),
        ("provenance.software=='mriqc' and fd_mean==1", [1]),
        ("", [0, 1, 2, 3, 4, 10]),
        ("{}", [0, 1, 2, 3, 4, 10]),
        ("size_x = 10.5", []),
        ('{"provenance.md5sum": "0000000000000000000000000000000A"}', [10]),
        ('{"_created": {"$gt": "Thu, 01 Jan 2099 00:00:00 GMT"}}', []),
        ("_updated < '2099-01-01T00:00:00+02:00' and fd_mean < 1", [0]),
        ('{"no_such": 1}', "unknown"),
        ('{"_created": {"$gt": "yesterday"}}', "unknown"),
        ('{"_created": {"$gt": 5}}', "unknown"),
        ('{"fd_mean": {}}', "unknown"),
        ('{"fd_mean": {"$where": "1"}}', "unknown"),
        ('{"fd_mean": "2"}', "unknown"),
        ('{"fd_mean": true}', "unknown"),
        ("fd_mean", "unknown"),
        ("fd_mean < 'a'", "unknown"),
        ("[1]", "unknown"),
        ("{", "unknown"),
        ("__class__ == 1", "unknown"),
    ],
)
def test_where_chooses_and_what_cannot_be_read_is_told(api_sqlite, where, expected):
    many = [
        a_record(
            "bold",
            fd_mean=number,
            bids_meta={"EchoTime": 0.03 if number % 2 else 0.025},
            provenance={"md5sum": md5_of(number)},
        )
        for number in (0, 1, 2, 3, 4, 10)
    ]
    assert api_sqlite.post("/api/v2/records/bold/bulk", many).status_code == 200
    if expected == "unknown":
        answer = api_sqlite.get("/api/v1/bold", where=where)
        assert answer.status_code == 400 and answer.json()["_error"]["message"]
    else:
        assert listed(api_sqlite, where=where) == expected


def test_where_does_the_same_on_both_engines(api):
    for number in range(3):
        meta = {"EchoTime": 0.02 + number / 100, "FlipAngle": 70.5}
        stored(api, "bold", fd_mean=number, bids_meta=meta, provenance={"md5sum": md5_of(number)})
    assert listed(api, where="bids_meta.EchoTime>=0.03 and bids_meta.FlipAngle==70.5") == [1, 2]
    assert listed(api, where='{"provenance.settings.testing": null, "size_x": {"$lt": 10.5}}') == [0, 1, 2]
    assert listed(api, where="size_x==10.5") == []
    assert listed(api, sort="-fd_mean") == [2, 1, 0]
    assert listed(api, sort="provenance.version,-_created") == [2, 1, 0]


def test_the_time_that_an_item_tells_finds_it_again(api):
    stored(api, "bold")
    (item,) = api.get("/api/v1/bold").json()["_items"]
    for sign, n in (("$eq", 1), ("$gte", 1), ("$lte", 1), ("$gt", 0), ("$lt", 0), ("$ne", 0)):
        where = json.dumps({"_created": {sign: item["_created"]}})
        assert api.get("/api/v1/bold", where=where).json()["_meta"]["total"] == n, sign
    assert api.get("/api/v1/bold", where=json.dumps({"_updated": {"$in": [item["_updated"]]}})).json()["_items"]


def test_who_comes_back_to_a_first_rating_has_it_stored_again_and_a_post_that_is_repeated_is_one(api):
    def post(score):
        return api.post("/api/v1/rating", {"rating": score, "md5sum": md5_of(1)}, scope="rate").json()["_id"]

    first, again, second, third, third_again = (post(score) for score in ("3.0", "3.0", "2.0", "3.0", "3.0"))
    assert (again, third_again) == (first, third) and len({first, second, third}) == 3
    assert [item["rating"] for item in api.get("/api/v1/rating").json()["_items"]] == ["3.0", "2.0", "3.0"]
    assert api.get("/api/v2/audit", scope="admin").json()["faults"] == []


@pytest.mark.parametrize("sort", ["no_such", "-", "fd_mean;drop table bold", "payload"])
def test_only_known_fields_sort(api_sqlite, sort):
    assert api_sqlite.get("/api/v1/bold", sort=sort).status_code == 400


def test_a_record_that_is_not_there_is_not_found(api_sqlite):
    assert api_sqlite.get(f"/api/v1/T1w/{'0' * 24}").status_code == 404
    assert api_sqlite.get("/api/v1/nipype_telemetry").status_code == 404


def test_ratings_are_taken_counted_and_given_back(api):
    for rating in ("3.0", "3.0", "good", "1.2"):
        assert api.post("/api/v1/rating", {"rating": rating, "md5sum": md5_of(7)}, scope="rate").status_code == 201
    counted = api.get("/api/v1/rating_counts", aggregate=json.dumps({"$value": md5_of(7)})).json()["_items"]
    assert counted == [{"_id": "1.2", "count": 1}, {"_id": "3.0", "count": 1}, {"_id": "good", "count": 1}]
    items = api.get("/api/v1/rating", where=json.dumps({"md5sum": md5_of(7), "rating": "1.2"})).json()["_items"]
    assert [(item["rating"], item["class"]) for item in items] == [("1.2", "exclude")]
    assert api.get(f"/api/v1/rating/{items[0]['_id']}").json()["rating"] == "1.2"
    assert api.post("/api/v1/rating", {"rating": "banana", "md5sum": md5_of(7)}).status_code == 422


def test_a_report_in_a_browser_may_ask_whether_it_may_post(api_sqlite):
    asks = {
        "Origin": "null",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = api_sqlite.http.options("/api/v1/rating", headers=asks)
    assert answer.status_code == 204 and "Authorization" in answer.headers["access-control-allow-headers"]
    posted = api_sqlite.post("/api/v1/rating", {"rating": "3", "md5sum": "unspecified", "name": "", "comment": "[]"})
    assert posted.headers["access-control-allow-origin"] == "*"
    # Pages of other sites may post with a token that somebody gave them, and read nothing.
    assert "access-control-allow-origin" not in api_sqlite.get("/api/v1/rating").headers
    assert api_sqlite.http.options("/api/v1/T1w", headers=asks).status_code == 401
