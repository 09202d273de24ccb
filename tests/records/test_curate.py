"""What flags propose is decided on by people, as groups or one by one, and every decision stands in the audit log."""

import json
import threading

import pytest
import sqlalchemy as sa

from qcbench.errors import UsageError
from qcbench.records import audit, curate, schema
from qcbench.records.identity import Pseudonyms
from qcbench.records.importing import import_records
from tests.records.samples import a_record, md5_of

ONE_TESLA = {"MagneticFieldStrength": 1.0, "Manufacturer": "Siemens", "ManufacturersModelName": "Trio"}


def stored(api, modality="T1w", *, number, **meta):
    record = a_record(modality, bids_meta=meta, provenance={"md5sum": md5_of(number)})
    return api.post(f"/api/v2/records/{modality}", record).json()["id"]


@pytest.fixture
def filled(api):
    """Three records of 1.0 T, of which one is of another scanner and modality; two echo times in milliseconds."""
    stored(api, number=1, **ONE_TESLA)
    stored(api, number=2, **ONE_TESLA)
    stored(api, "bold", number=3, MagneticFieldStrength=1.0, Manufacturer="GE", ManufacturersModelName="Signa HDe")
    stored(api, number=4, EchoTime=2.9)
    stored(api, number=5, EchoTime=4.6)
    return api


def groups(api):
    with api.database.reading() as connection:
        return {each.code: each for each in curate.proposals(connection).groups}


def decide(api, verdict, code="field-truncated", *, by="carla", why="asked the site", **narrowed):
    with api.database.writing() as connection:
        return curate.decide(connection, verdict, groups(api)[code].group, by=by, why=why, **narrowed)


def counts(api, code="field-truncated"):
    each = groups(api)[code]
    return each.waiting, each.accepted, each.refused


def faults(api):
    with api.database.reading(one_state=True) as connection:
        return audit.verify(connection)


def n_decisions(api):
    with api.database.reading() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(schema.DECISION)).scalar_one()


def test_proposals_are_grouped_with_where_they_come_from(filled):
    field = groups(filled)["field-truncated"]
    assert (field.field, field.found, field.proposed, field.waiting) == ("MagneticFieldStrength", "1.0", "1.5", 3)
    assert field.modalities == {"T1w": 2, "bold": 1}
    assert field.scanners == {"Siemens Trio": 2, "GE Signa HDe": 1}
    assert field.words == "MagneticFieldStrength 1.0, proposed 1.5"


def test_one_change_of_unit_is_one_group_whatever_the_values(filled):
    unit = groups(filled)["unit"]
    assert (unit.waiting, unit.values, unit.words) == (
        2,
        2,
        "EchoTime 2.9, proposed 0.0029 and 1 other value alike",
    )


def test_a_group_is_accepted_by_name_and_told_of_in_the_audit_log(filled):
    summary = decide(filled, "accepted", by="carla", why="1.5 T by its frequency")
    assert (summary.done, summary.unchanged, summary.exit_status) == (3, 0, 0)
    assert counts(filled) == (0, 3, 0)
    assert groups(filled)["field-truncated"].decided.startswith("accepted by carla on 20")
    with filled.database.reading() as connection:
        last = connection.execute(sa.select(schema.AUDIT).order_by(schema.AUDIT.c.sequence.desc())).mappings().first()
    assert (last["client"], last["action"]) == ("carla", "repairs accepted")
    assert json.loads(last["detail"])["why"] == "1.5 T by its frequency"
    assert faults(filled) == []


def test_the_payload_the_typed_table_and_the_flag_stay_as_they_came(filled):
    tables = schema.RAW_RECORD, schema.TYPED["T1w"], schema.FLAG

    def rows():
        with filled.database.reading() as connection:
            return [connection.execute(sa.select(table)).all() for table in tables]

    before = rows()
    decide(filled, "accepted")
    assert rows() == before


def test_accepting_again_decides_nothing(filled):
    decide(filled, "accepted")
    summary = decide(filled, "accepted", by="ben")
    assert (summary.done, summary.unchanged, n_decisions(filled)) == (0, 3, 3)


def test_one_record_and_one_scanner_are_decided_alone(filled):
    with filled.database.reading() as connection:
        [first, *_] = curate.members(connection, groups(filled)["field-truncated"].group)
    assert decide(filled, "refused", item=first["item_id"]).done == 1
    assert decide(filled, "accepted", scanner="GE Signa HDe").done == 1
    assert counts(filled) == (1, 1, 1)


def test_what_somebody_refused_is_not_accepted_with_its_group(filled):
    decide(filled, "refused", scanner="GE Signa HDe", by="ben", why="it has a rare magnet")
    summary = decide(filled, "accepted")
    assert (summary.done, summary.unchanged) == (2, 0)
    assert summary.notes[0].startswith("one of them is refused already: refused by ben on ")
    assert counts(filled) == (0, 2, 1)
    with pytest.raises(UsageError, match=r"refused by ben .*Reopen it first"):
        decide(filled, "accepted", scanner="GE Signa HDe")


def test_what_is_reopened_waits_again_and_can_be_decided_otherwise(filled):
    decide(filled, "accepted")
    assert decide(filled, "reopened", by="ben", why="too fast").done == 3
    assert counts(filled) == (3, 0, 0)
    assert decide(filled, "reopened").unchanged == 3
    decide(filled, "refused")
    assert counts(filled) == (0, 0, 3)
    assert (n_decisions(filled), faults(filled)) == (9, [])


def test_what_came_after_the_list_was_shown_waits(filled):
    shown = groups(filled)["field-truncated"].newest
    stored(filled, number=9, **ONE_TESLA)
    summary = decide(filled, "accepted", until=shown)
    assert (summary.done, summary.notes) == (3, ["1 came after the list was shown, and wait"])
    assert counts(filled) == (1, 3, 0)


def test_two_curators_at_once_decide_each_proposal_once(filled):
    """Ten threads accept and refuse the same group: one of them decides on all, the others are told who it was."""
    outcomes, begin = [], threading.Barrier(10)
    group = groups(filled)["field-truncated"].group

    def work(number):
        begin.wait()
        verdict = ("accepted", "refused")[number % 2]
        try:
            with filled.database.writing() as connection:
                summary = curate.decide(connection, verdict, group, by=f"curator-{number}", why="looked at it")
            outcomes.append((summary.done, summary.unchanged))
        except UsageError as error:
            assert "already" in str(error)
            outcomes.append("told")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [(0, 3)] * 4 + [(3, 0)] + ["told"] * 5
    assert n_decisions(filled) == 3
    assert faults(filled) == []


def test_two_processes_see_each_others_decisions(filled):
    """Another opening of the same database, as the command line beside the page."""
    from qcbench.records.database import Database

    other = Database(filled.database.url)
    group = groups(filled)["unit"].group
    with other.writing() as connection:
        assert curate.decide(connection, "accepted", group, by="ben").done == 2
    other.close()
    assert decide(filled, "accepted", "unit").unchanged == 2


@pytest.mark.parametrize(
    ("verdict", "asked", "words"),
    [
        ("maybe", {}, "accepted, refused, reopened"),
        ("refused", {"why": " "}, "say why"),
        ("accepted", {"why": "x" * 501}, "say why"),
        ("accepted", {"by": ""}, "say who"),
        ("accepted", {"by": "carla@example.org"}, "say who"),
        ("accepted", {"scanner": "none such"}, "there is no proposal .* of none such"),
    ],
)
def test_who_what_and_why_are_checked(filled, verdict, asked, words):
    with pytest.raises(UsageError, match=words):
        decide(filled, verdict, **asked)
    assert n_decisions(filled) == 0


def test_a_group_that_is_none_is_told_with_what_to_do(filled):
    with filled.database.writing() as connection, pytest.raises(UsageError, match="curate STUDY --list"):
        curate.decide(connection, "accepted", "unit-00000000", by="carla")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decision SET proposed = '3.0'",
        "UPDATE decision SET decided_by = 'ben'",
        "UPDATE decision SET verdict = 'refused' WHERE sequence = (SELECT max(sequence) FROM decision)",
        "DELETE FROM decision WHERE sequence = (SELECT max(sequence) FROM decision)",
    ],
)
def test_a_decision_that_was_altered_or_taken_away_is_found(filled, statement):
    decide(filled, "accepted")
    with filled.database.writing() as connection:
        connection.execute(sa.text(statement))
    assert any(fault.startswith("decision ") for fault in faults(filled))


def test_a_word_that_is_no_class_is_a_proposal_too(api):
    api.post("/api/v1/rating", {"rating": "good", "md5sum": md5_of(1)})
    (group,) = groups(api).values()
    assert (group.words, group.modalities, group.scanners) == ("rating good, proposed acceptable", {"rating": 1}, {})


def test_the_list_reads_as_a_person_needs_it(filled):
    with filled.database.reading() as connection:
        text = str(curate.proposals(connection))
    assert text.splitlines()[0] == "proposed repairs: 5 wait, in 2 groups"
    assert "MagneticFieldStrength 1.0, proposed 1.5 (1.0 T, which is 1.5 T cast to an integer" in text
    assert "T1w 2, bold 1; Siemens Trio 2, GE Signa HDe 1" in text


def test_three_thousand_real_records_wait_in_six_groups(api_sqlite, real_data):
    import_records(api_sqlite.database, Pseudonyms(bytes(range(32))), real_data / "mriqc" / "webapi_sample")
    with api_sqlite.database.reading() as connection:
        found = {(each.found, each.proposed): each for each in curate.proposals(connection).groups}
    field = found["1.0", "1.5"]
    assert (field.waiting, field.modalities) == (79, {"bold": 66, "T1w": 13})
    assert field.scanners == {"General Electric Signa HDe": 52, "Siemens": 27}
    # 35 rows of the table are 18 records: the others were sent twice.
    assert found["0.002000001", "2.0"].waiting == 18
    assert found["1.0", "2.5"].waiting == 14
    assert (len(found), sum(each.waiting for each in found.values())) == (6, 652)
