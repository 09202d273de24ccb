import os
import tempfile
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qcbench import store
from qcbench.annotate import doctor
from qcbench.annotate.events import label_event
from qcbench.study import Study

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
GOOD = {"straight_reject": False, "gadolinium": False, "motion": 0, "contrast": 0, "noise": 2}


def label(study, rater, *, saved_at=None, session="s-1", protocol_sha256=None):
    """Write one label of a rater; return its segment."""
    event = label_event(
        study.protocol,
        study.protocol.check(GOOD),
        rater=rater,
        source="rater",
        session=session,
        sequence=0,
        event_id=str(uuid.uuid4()),
        image_id="sub-01_T1w",
        saved_at=saved_at,
    )
    event["protocol_sha256"] = protocol_sha256 or event["protocol_sha256"]
    store.SegmentLog(study.label_folder(rater) / session, "label_events").append(event)
    return max((study.label_folder(rater) / session).glob("seg-*.parquet"))


def of(findings, name):
    return [finding for finding in findings if finding.name == name]


def tree(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_a_new_study_on_a_disk_has_no_problem(study):
    findings = doctor.examine(study.folder)
    names = [finding.name for finding in findings]
    assert names == ["study", "filesystem", "free space", "flush", "rename", "labels", "blindness", "clock"]
    # Where temporary files lie in memory, that is found, and right.
    assert {finding.name for finding in findings if finding.state == "problem"} <= {"filesystem"}
    assert "raters alice, bob; protocol t1w-warehouse, version 1" in findings[0].found


def test_a_study_is_left_as_it_was(study):
    label(study, "alice")
    before = tree(study.folder)
    doctor.examine(study.folder)
    assert tree(study.folder) == before


def test_a_study_in_memory_is_a_problem():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        study = Study.create(Path(folder) / "study", raters=["alice"])
        (found,) = of(doctor.examine(study.folder), "filesystem")
    assert (found.state, "tmpfs" in found.found) == ("problem", True)


def test_labels_are_counted_and_not_shown(study):
    label(study, "alice")
    label(study, "alice", session="s-2")
    label(study, "bob")
    findings = doctor.examine(study.folder)
    assert of(findings, "labels")[0].found == "events: alice 2, bob 1; every segment can be read"
    text = repr(findings)
    assert "sub-01" not in text
    assert "noise" not in text


def test_a_damaged_segment_is_named_and_the_rest_is_still_looked_at(study):
    segment = label(study, "alice")
    label(study, "bob")
    content = bytearray(segment.read_bytes())
    content[60] ^= 255
    segment.write_bytes(content)
    findings = doctor.examine(study.folder)
    (found,) = of(findings, "labels")
    assert found.state == "problem"
    assert str(segment) in found.found
    assert "alice 0, bob 1" in found.found
    assert of(findings, "clock")[0].state == "ok"


def test_labels_of_another_protocol_and_of_strangers_are_told(study):
    label(study, "alice")
    label(study, "alice", protocol_sha256="0" * 64, session="s-2")
    (study.folder / "labels" / "rater=mallory").mkdir()
    counted, protocols, strangers = of(doctor.examine(study.folder), "labels")
    assert counted.state == "ok"
    assert (protocols.state, "2 different protocol files" in protocols.found) == ("warning", True)
    assert (strangers.state, "labels of mallory" in strangers.found) == ("warning", True)


def test_a_rater_with_an_account_of_their_own_is_told_only_of_their_labels(as_account):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        study = Study.create(Path(folder) / "study", raters=["alice", "bob"])
        for rater, owner in (("alice", 40_001), ("bob", 40_002)):
            label(study, rater)
            for path in (study.label_folder(rater), *study.label_folder(rater).rglob("*")):
                os.chown(path, owner, 40_009)
            study.label_folder(rater).chmod(0o2750)
        for path in (study.folder, study.folder / "labels", study.folder / "study.toml"):
            path.chmod(0o755)
        before = tree(study.folder)
        findings = as_account(40_001, 40_001, lambda: doctor.examine(study.folder))
        before = tree(study.folder)
        assert (
            of(findings, "labels")[0].found == "events: alice 1, bob closed to this account; every segment can be read"
        )
        assert (of(findings, "blindness")[0].state, of(findings, "flush")[0].state) == ("ok", "ok")
        assert tree(study.folder) == before


def test_a_wrong_study_toml_is_a_problem_and_the_disk_is_still_looked_at(study):
    (study.folder / "study.toml").write_text("raters = 'alice'\n")
    findings = doctor.examine(study.folder)
    assert (findings[0].state, "raters must be a list" in findings[0].found) == ("problem", True)
    assert of(findings, "flush")[0].state == "ok"


def test_a_wrong_protocol_is_a_problem_with_its_line(study):
    text = (study.folder / "study.toml").read_text()
    (study.folder / "study.toml").write_text(text.replace('"t1w-warehouse"', '"own.toml"'))
    (study.folder / "own.toml").write_text('name = "own"\nversion = 1\n')
    findings = doctor.examine(study.folder)
    assert (findings[0].state, "own.toml, line 2: version" in findings[0].found) == ("problem", True)
    assert of(findings, "labels")[0].state == "ok"


def test_a_label_from_the_future_is_told(study):
    label(study, "alice", saved_at=datetime.now(UTC) + timedelta(hours=3))
    (found,) = of(doctor.examine(study.folder), "clock")
    assert (found.state, "saved 3 hours later" in found.found) == ("warning", True)


@pytest.mark.parametrize(
    ("now", "newest", "step_s", "skew_s", "state", "words"),
    [
        (NOW, None, 0.0, 0.0, "ok", "2026-05-04 12:00:00 UTC"),
        (NOW, NOW - timedelta(days=400), 0.4, -4.9, "ok", "2026-05-04 12:00:00 UTC"),
        (NOW.replace(year=1970), None, 0.0, 0.0, "problem", "1970-05-04"),
        (NOW, NOW + timedelta(seconds=90), 0.0, 0.0, "warning", "saved 90 s later"),
        (NOW, None, -60.0, 0.0, "warning", "was set by -60.0 s"),
        (NOW, None, 0.0, 5.1, "warning", "which is 5 s ahead of this machine"),
        (NOW, None, 0.0, -600.0, "warning", "which is 10 minutes behind this machine"),
    ],
)
def test_what_a_clock_can_be_wrong_about(now, newest, step_s, skew_s, state, words):
    (found,) = doctor.clock(now, newest=newest, step_s=step_s, skew_s=skew_s)
    assert found.state == state
    assert words in found.found
