import errno
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

import qcbench
from qcbench import durable, protocol, store
from qcbench.annotate.consensus import consensus
from qcbench.annotate.journal import Journal
from qcbench.errors import StudyError, TableError
from qcbench.study import Study

GRADED = {"straight_reject": False, "gadolinium": True, "motion": 1, "contrast": 0, "noise": 2}
REJECTED = {"straight_reject": True, "gadolinium": None, "motion": None, "contrast": None, "noise": None}


def shipped_text():
    """The shipped protocol without its pictures, to be changed and written elsewhere."""
    return re.sub(r', exemplar = "[^"]+"', "", (protocol._SHIPPED / "t1w-warehouse.toml").read_text())


def test_an_event_is_stamped_with_who_when_and_under_which_protocol(study):
    journal = Journal(study, "alice")
    journal.append(event_id="e1", slot=("i1", "label"), label=GRADED, screenshot_sha256="abc", seconds=2.5, comment="x")
    journal.append(event_id="e2", slot=("i2", "label"), label=REJECTED)
    first, second = store.label_events(study, "alice")
    assert (first["rater"], first["source"], first["purpose"]) == ("alice", "rater", "label")
    assert [first["sequence"], second["sequence"]] == [0, 1]
    assert first["session"] == second["session"] == journal.session
    assert first["protocol_sha256"] == study.protocol.sha256
    assert first["version"] == qcbench.__version__
    assert timedelta(0) <= datetime.now(UTC) - first["saved_at"] < timedelta(minutes=1)
    assert {name: first[name] for name in GRADED} == GRADED
    assert second["motion"] is None


def test_opening_a_journal_writes_nothing(study):
    Journal(study, "alice")
    assert not (study.folder / "labels").exists()


def test_an_event_id_that_is_known_writes_no_second_row(study):
    journal = Journal(study, "alice")
    journal.append(event_id="e1", slot=("i1", "label"), label=GRADED)
    again = journal.append(event_id="e1", slot=("i1", "label"), label=REJECTED)
    assert again["straight_reject"] is False
    Journal(study, "alice").append(event_id="e1", slot=("i1", "label"), label=REJECTED)
    assert len(store.label_events(study, "alice")) == 1


def test_a_later_session_knows_the_labels_and_their_order(study):
    journal = Journal(study, "alice")
    journal.append(event_id="e1", slot=("i9", "label"), label=GRADED)
    journal.append(event_id="e2", slot=("i1", "label"), label=REJECTED)
    journal.append(
        event_id="e3", slot=("i9", "label"), label={**GRADED, "noise": 0}, supersedes="e1", reason="wrong key"
    )
    later = Journal(study, "alice")
    assert later.labelled() == (("i9", "label"), ("i1", "label"))
    assert later.current(("i9", "label"))["event_id"] == "e3"
    assert later.answers(("i9", "label"))["noise"] == 0
    assert later.n_revisions(("i9", "label")) == 1
    assert later.answers(("i1", "label")) == {"straight_reject": True}
    assert later.answers(("i5", "label")) is None


def test_a_rater_never_meets_the_labels_of_another(study):
    Journal(study, "bob").append(event_id="e1", slot=("i1", "label"), label=GRADED)
    journal = Journal(study, "alice")
    assert journal.labelled() == ()
    assert journal.find("e1") is None


def test_a_damaged_segment_of_another_rater_does_not_matter(study):
    Journal(study, "bob").append(event_id="e1", slot=("i1", "label"), label=GRADED)
    next(study.label_folder("bob").rglob("*.parquet")).write_bytes(b"PAR1 damaged")
    assert Journal(study, "alice").labelled() == ()
    with pytest.raises(TableError, match="seg-000000"):
        Journal(study, "bob")


def test_a_full_disk_leaves_nothing_behind_and_the_label_can_be_sent_again(study, monkeypatch):
    journal = Journal(study, "alice")

    def full(path, content, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken, pytest.raises(OSError, match="No space"):
        broken.setattr(durable, "write_bytes", full)
        journal.append(event_id="e1", slot=("i1", "label"), label=GRADED)
    assert journal.current(("i1", "label")) is None
    journal.append(event_id="e1", slot=("i1", "label"), label=GRADED)
    assert [event["sequence"] for event in store.label_events(study, "alice")] == [0]


def test_a_stranger_has_no_journal(study):
    with pytest.raises(StudyError, match="'mallory' is no rater"):
        Journal(study, "mallory")


def test_a_label_made_under_one_version_of_the_protocol_is_never_read_as_another(tmp_path):
    text = shipped_text()
    (tmp_path / "mine.toml").write_text(text)
    study = Study.create(tmp_path / "study", raters=["alice", "bob"], protocol=str(tmp_path / "mine.toml"))
    Journal(study, "alice").append(event_id="e1", slot=("i1", "label"), label=GRADED)
    [copy] = (study.folder / "protocol").glob("*.toml")
    copy.write_text(text.replace('version = "1"', 'version = "2"'))
    changed = Study(study.folder)
    assert store.labels(changed) == []
    journal = Journal(changed, "alice")
    assert journal.labelled() == ()
    assert "1 labels were made under another protocol than version 2" in consensus(changed).notes[-1]
    journal.append(event_id="e2", slot=("i1", "label"), label={**GRADED, "noise": 0})
    [label] = store.labels(changed)
    assert (label["noise"], label["n_revisions"]) == (0, 0)
    assert {event["protocol_version"] for event in store.label_events(changed, "alice")} == {"1", "2"}


def test_criteria_of_other_protocols_are_kept_as_json(tmp_path):
    text = shipped_text().replace('"noise"', '"ghosting"')
    (tmp_path / "mine.toml").write_text(text)
    study = Study.create(tmp_path / "study", raters=["alice"], protocol=str(tmp_path / "mine.toml"))
    label = study.protocol.check({"gadolinium": False, "motion": 0, "contrast": 0, "ghosting": 2})
    Journal(study, "alice").append(event_id="e1", slot=("i1", "label"), label=label)
    [event] = store.label_events(study, "alice")
    assert json.loads(event["answers"]) == {"ghosting": 2}
    assert Journal(study, "alice").answers(("i1", "label"))["ghosting"] == 2
    assert store.labels(study)[0]["tier"] == 3
