import json

import pytest
import sqlalchemy as sa

from qcbench import store
from qcbench.annotate.journal import Journal
from qcbench.errors import UsageError
from qcbench.iqm_keys import keys_of
from qcbench.records import linked, schema, tokens
from qcbench.records.client import Client
from qcbench.records.database import open_database
from qcbench.records.push import push
from qcbench.study import Study
from tests.records.samples import a_record, md5_of
from tests.records.server import Server


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A running server, a client of it that may write, and its database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("QCBENCH_DATABASE_URL", raising=False)
        study = Study.create(tmp_path_factory.mktemp("served") / "study", raters=["alice"])
        database = open_database(study)
        token = tokens.mint(database, client="study", scope="write")
        rates = tokens.mint(database, client="alice", scope="rate")
        with Server(study) as server:
            yield Client(server.address, token), Client(server.address, rates), database
        database.close()


@pytest.fixture
def rated(tmp_path):
    """A study of the protocol mriqc with two images, each of which alice rated, one of them twice."""
    study = Study.create(tmp_path / "ds", raters=["alice", "bob"], protocol="mriqc")
    write_images(study, {"sub-01_T1w": md5_of(1), "sub-02_T1w": md5_of(2)})
    rate(study, "alice", "sub-01_T1w", {"rating": 3.1, "artifacts": ["inu"], "confidence": 3.6}, seconds=20.5)
    rate(study, "alice", "sub-02_T1w", {"rating": 1, "confidence": 4}, comment="moved")
    first = f"{study.folder}-alice-sub-02_T1w"
    rate(study, "alice", "sub-02_T1w", {"rating": 2, "confidence": 4}, event_id=f"{first}-again", supersedes=first)
    return study


def write_images(study, md5s, **more):
    row = {"session_id": "ses-1", "source_path": "x", "simulated": False} | more
    rows = [row | {"image_id": name, "participant_id": name[:6], "file_md5": md5} for name, md5 in md5s.items()]
    store.upsert(study, "images", rows)


def rate(study, rater, image_id, answers, event_id=None, **more):
    label = study.protocol.check(answers)
    event_id = event_id or f"{study.folder}-{rater}-{image_id}"
    Journal(study, rater).append(event_id=event_id, slot=(image_id, "label"), label=label, **more)


def measure(study, image_id, modality, **more):
    metrics = {key.name: a_record(modality)[key.name] for key in keys_of(modality)}
    row = {"image_id": image_id, "modality": modality, "iqm_profile": "mriqc-24", "voxels_sha256": "c" * 64}
    store.upsert(study, "iqms", [metrics | row | more])


def ratings(database):
    with database.reading() as connection:
        return linked.ratings(connection, [], after=0, limit=100)


def test_ratings_arrive_with_rater_image_seconds_confidence_and_artifacts(served, rated):
    client, _, database = served
    summary = push(rated, client)
    assert (summary.done, summary.unchanged, summary.failed) == (3, 0, {})
    by_score = {row["score"]: row for row in ratings(database)}
    first = by_score[3.1]
    assert (first["rater"], first["file_md5"], first["class"]) == ("alice", md5_of(1), "acceptable")
    assert (first["seconds"], first["confidence"], first["artifacts"]) == (20.5, 3.6, '["inu"]')
    assert (by_score[1.0]["comment"], by_score[1.0]["current"], by_score[2.0]["current"]) == ("moved", False, True)
    assert by_score[2.0]["supersedes"] == by_score[1.0]["rating_id"]


def test_a_second_push_stores_nothing_twice_and_a_later_label_alone_is_new(served, rated):
    client, _, database = served
    push(rated, client)
    n_before = len(ratings(database))
    assert (push(rated, client).done, push(rated, client).unchanged) == (0, 3)
    rate(rated, "bob", "sub-01_T1w", {"rating": 4, "confidence": 1})
    assert push(rated, client).done == 1
    assert len(ratings(database)) == n_before + 1


def test_no_name_of_an_image_or_a_person_leaves_with_a_rating(served, rated):
    client, _, database = served
    push(rated, client)
    with database.reading() as connection:
        payloads = connection.execute(sa.select(schema.RATING.c.payload)).scalars().all()
    assert payloads and not any("sub-0" in payload for payload in payloads)


def test_metrics_become_records_with_their_profile_and_meet_the_ratings_of_the_image(served, tmp_path):
    client, _, database = served
    study = Study.create(tmp_path / "ds", raters=["alice"], protocol="mriqc")
    write_images(study, {"sub-03_T1w": md5_of(3), "sub-03_task-rest_bold": md5_of(4)})
    measure(study, "sub-03_T1w", "T1w", cjv=0.41)
    measure(study, "sub-03_task-rest_bold", "bold", fber=None)
    beside = study.derivatives / "iqm" / "mriqc-24" / "sub-03" / "sub-03_T1w.json"
    beside.parent.mkdir(parents=True)
    meta = {"subject": "03", "EchoTime": 0.004, "modality": "T1w"}
    beside.write_text(json.dumps({"bids_meta": meta, "provenance": {"version": "0.0.9"}}))
    rate(study, "alice", "sub-03_T1w", {"rating": 3, "confidence": 4})
    assert (push(study, client).done, push(study, client).unchanged) == (3, 3)
    with database.reading() as connection:
        anatomical = schema.TYPED["T1w"].c
        [row] = linked.records(connection, "T1w", [anatomical.file_md5 == md5_of(3)], after=0, limit=10)
        [series] = linked.records(connection, "bold", [], after=0, limit=10)
    told = ("cjv", "EchoTime", "software", "version", "iqm_profile", "voxels_sha256")
    assert [row[name] for name in told] == [0.41, 0.004, "qcbench", "0.0.9", "mriqc-24", "c" * 64]
    assert (series["TaskName"], series["fber"]) == ("rest", None)
    assert len(row["subject_id"]) == 64 and row["subject_id"] == series["subject_id"]
    [rating] = [each for each in ratings(database) if each["file_md5"] == md5_of(3)]
    assert (rating["link"], rating["image_id"]) == ("linked", "c" * 64)


def test_what_is_refused_is_listed_and_the_rest_is_stored(served, tmp_path):
    client, _, _ = served
    study = Study.create(tmp_path / "ds", raters=["alice"], protocol="mriqc")
    write_images(study, {"sub-05_T1w": md5_of(5), "sub-06_T1w": md5_of(6), "sub-07_T1w": None})
    for image_id in ("sub-05_T1w", "sub-06_T1w"):
        measure(study, image_id, "T1w", cjv=-5.0 if image_id == "sub-05_T1w" else 0.5)
    rate(study, "alice", "sub-07_T1w", {"rating": 3, "confidence": 4})
    summary = push(study, client)
    assert (summary.done, summary.exit_status) == (1, 1)
    assert "cjv" in summary.failed["sub-05_T1w (mriqc-24)"]
    assert "qcbench ingest" in summary.failed["sub-07_T1w by alice"]


def test_simulated_images_stay_here(served, rated):
    client, _, _ = served
    write_images(rated, {"sub-01_T1w": md5_of(1)}, simulated=True)
    summary = push(rated, client)
    assert "1 ratings are simulated" in summary.notes[0]
    assert summary.facts["ratings"] == 2


def test_a_token_that_only_rates_cannot_speak_for_others(served, rated):
    _, alice, database = served
    assert push(rated, alice).failed == {}
    rate(rated, "bob", "sub-01_T1w", {"rating": 4, "confidence": 1})
    n_before = len(ratings(database))
    with pytest.raises(UsageError, match="403"):
        push(rated, alice)
    assert len(ratings(database)) == n_before


def test_a_study_with_nothing_to_send_says_so(served, study):
    with pytest.raises(UsageError, match="t1w-warehouse"):
        push(study, served[0])
