import pytest

from qcbench.records import many
from qcbench.records.checks import Accepted, Flag
from qcbench.records.payloads import RefusedError


def judge(payload):
    if payload["n"] < 0:
        raise RefusedError({"n": "too small"})
    name = f"id-{payload['n']}"
    flags = [Flag("unit", "EchoTime", 30.0, 0.03)] if payload["n"] else []
    return Accepted(modality="T1w", record_id=name, payload="{}", row={}, flags=flags)


def test_each_of_many_has_its_outcome_in_its_place(monkeypatch):
    monkeypatch.setattr(many, "json_body", lambda request: [{"n": 1}, {"n": -1}, {"n": 0}])
    outcomes, accepted = many.judged(None, judge)
    assert [each.record_id for each in accepted] == ["id-1", "id-0"]
    assert many.all_stored(outcomes, {"id-0"}) == {
        "items": [
            {
                "status": 200,
                "id": "id-1",
                "created": False,
                "flags": [{"code": "unit", "field": "EchoTime", "found": 30.0, "proposed": 0.03}],
            },
            {"status": 422, "issues": {"n": "too small"}},
            {"status": 201, "id": "id-0", "created": True, "flags": []},
        ]
    }


@pytest.mark.parametrize(
    ("body", "told"),
    [({}, "a list of at most 1000 objects"), ([{}] * 1001, "a list of at most 1000"), ([{}, 1], "must be an object")],
)
def test_what_is_no_list_of_objects_is_refused_whole(monkeypatch, body, told):
    monkeypatch.setattr(many, "json_body", lambda request: body)
    with pytest.raises(RefusedError) as refused:
        many.judged(None, judge)
    assert told in refused.value.issues["payload"]


def test_a_full_page_says_where_the_next_begins_and_a_short_one_that_it_is_the_last():
    rows = [{"sequence": 4}, {"sequence": 9}]
    assert many.page(rows, 2) == {"items": rows, "next": "9"}
    assert many.page(rows, 3)["next"] is None
    assert many.page([], 3) == {"items": [], "next": None}
