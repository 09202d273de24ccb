import csv
import io

from tests.records.samples import a_record, md5_of

HASH = "ab" * 32


def rate(api, rating=3.0, scope="rate", **more):
    return api.post("/api/v2/ratings", {"rating": rating, "md5sum": md5_of(1)} | more, scope=scope)


def test_a_rating_waits_for_its_image_and_is_linked_when_it_comes(api):
    assert rate(api).status_code == 201
    api.post("/api/v2/ratings", {"rating": 2, "unlinked": True}, scope="rate")
    assert [item["link"] for item in api.get("/api/v2/ratings").json()["items"]] == ["waiting", "unlinked"]
    made = api.post("/api/v2/records/T1w", a_record(provenance={"md5sum": md5_of(1)})).json()
    assert [item["link"] for item in api.get("/api/v2/ratings").json()["items"]] == ["linked", "unlinked"]
    assert [item["score"] for item in api.get("/api/v2/ratings", link="linked").json()["items"]] == [3.0]
    assert [rating["score"] for rating in api.get(f"/api/v2/records/T1w/{made['id']}").json()["ratings"]] == [3.0]
    assert api.get("/api/v2/statistics").json()["links"] == {"linked": 1, "unlinked": 1}


def test_a_rating_supersedes_an_earlier_one_of_the_same_rater(api):
    old = rate(api).json()["id"]
    assert rate(api, 1.0, supersedes=old).status_code == 201
    rows = api.get("/api/v2/ratings", filter="file_md5=" + md5_of(1)).json()["items"]
    assert [(row["score"], row["current"]) for row in rows] == [(3.0, False), (1.0, True)]
    assert rate(api, 1.5, supersedes="0" * 24).status_code == 409


def test_a_rating_of_one_image_does_not_supersede_that_of_another(api):
    old = rate(api).json()["id"]
    other = {"rating": 1.0, "md5sum": md5_of(2), "supersedes": old}
    assert api.post("/api/v2/ratings", other, scope="rate").status_code == 409
    # The file was packed anew: two files, one image. And who linked a rating to nothing may link it now.
    for number in (1, 2):
        api.post("/api/v2/records/T1w", a_record(provenance={"md5sum": md5_of(number), "voxels_sha256": HASH}))
    assert api.post("/api/v2/ratings", other, scope="rate").status_code == 201
    loose = api.post("/api/v2/ratings", {"rating": 2, "unlinked": True}, scope="rate").json()["id"]
    assert rate(api, 2.0, supersedes=loose).status_code == 201


def test_nobody_rates_for_another_or_supersedes_anothers_rating(api):
    old = rate(api).json()["id"]
    assert rate(api, rater="bob").status_code == 403
    assert rate(api, 1.0, scope="write", supersedes=old).status_code == 403
    bulk = [{"rating": 2, "md5sum": md5_of(2)}, {"rating": 2, "md5sum": md5_of(3), "rater": "bob"}]
    assert api.post("/api/v2/ratings/bulk", bulk, scope="rate").status_code == 403
    assert len(api.get("/api/v2/ratings").json()["items"]) == 1
    # An import of other people's ratings needs the scope to write.
    assert rate(api, scope="write", rater="bob").status_code == 201


def test_many_ratings_are_stored_at_once_and_each_has_its_own_outcome(api):
    payloads = [{"rating": 2, "md5sum": md5_of(1)}, {"rating": 7, "md5sum": md5_of(2)}, {"rating": 2}]
    items = api.post("/api/v2/ratings/bulk", payloads, scope="rate").json()["items"]
    assert [item["status"] for item in items] == [201, 422, 422]
    assert api.post("/api/v2/ratings/bulk", payloads[:1], scope="rate").json()["items"] == [
        {"status": 200, "id": items[0]["id"], "created": False, "flags": []}
    ]


def test_ratings_leave_with_their_image(api):
    rate(api, comment="@SUM(A1)")
    api.post("/api/v2/records/T1w", a_record(provenance={"md5sum": md5_of(1), "voxels_sha256": HASH}))
    (row,) = csv.DictReader(io.StringIO(api.get("/api/v2/ratings/export").text))
    assert (row["score"], row["image_id"], row["link"], row["comment"]) == ("3.0", HASH, "linked", "'@SUM(A1)")
