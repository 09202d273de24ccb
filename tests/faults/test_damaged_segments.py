"""A segment that is damaged or tampered with is named; it never becomes a wrong label, and the others load."""

import os
import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from qcbench import store
from qcbench.errors import TableError

LONG = bool(os.environ.get("QCBENCH_LONG_FAULTS"))
MUTATIONS = 2000 if LONG else 100
N_ROWS = 20


def event(number, session):
    grades = {"gadolinium": bool(number % 2), "motion": number % 3, "contrast": number % 2, "noise": 0}
    return {
        "event_id": f"{session}-{number}",
        "rater": "alice",
        "source": "rater",
        "session": session,
        "sequence": number,
        "image_id": f"sub-{number:04d}_ses-M00_T1w",
        "purpose": "label",
        "straight_reject": False,
        **grades,
        "comment": f"seen {number}",
        "seconds": 2.5 + number,
        "saved_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
        "protocol": "t1w-warehouse",
        "protocol_sha256": "0" * 64,
        "version": "test",
    }


def write(study, n, session):
    log = store.SegmentLog(study.label_folder("alice") / session, "label_events")
    log.extend(event(number, session) for number in range(n))
    return log.folder


def damaged(content, rng):
    """Return the content with one fault of a disk or a copy in it, and a word for it."""
    kind = rng.choice(["bit", "bit", "bit", "cut", "zeroes", "doubled"])
    place = rng.randrange(len(content))
    changed = bytearray(content)
    if kind == "bit":
        changed[place] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del changed[place:]
    elif kind == "zeroes":
        end = min(place + rng.randint(1, 512), len(content))
        changed[place:end] = bytes(end - place)
    else:
        changed[place:place] = changed[max(place - 64, 0) : place + 1]
    return bytes(changed), f"{kind} at {place} of {len(content)}"


def check(study, truth, how):
    """Read the log with a damaged segment in session-b: it is named and left out, or it means what it meant."""
    events, named = store.read_log(study.label_folder("alice"), "label_events")
    assert all(truth.get(row["event_id"]) == row for row in events), how
    kept = [row for row in events if row["session"] == "session-a"]
    assert len(kept) == N_ROWS, how
    if not named:
        assert len(events) == 2 * N_ROWS, how
        return
    assert len(named) == 1, how
    assert "session-b/seg-000000.parquet" in named[0], how
    with pytest.raises(TableError, match=r"session-b/seg-000000\.parquet"):
        store.labels(study)


@pytest.fixture
def segment(study):
    """The path of a segment of session-b; session-a beside it stays whole. `truth` is what both hold."""
    write(study, N_ROWS, "session-a")
    folder = write(study, N_ROWS, "session-b")
    truth = {row["event_id"]: row for row in store.label_events(study, "alice")}
    return SimpleNamespace(study=study, path=folder / "seg-000000.parquet", truth=truth)


def test_no_damage_ever_becomes_a_wrong_label_and_what_is_lost_is_named(segment):
    rng = random.Random(0)
    whole = segment.path.read_bytes()
    for _ in range(MUTATIONS):
        content, how = damaged(whole, rng)
        segment.path.write_bytes(content)
        check(segment.study, segment.truth, how)


def test_a_flipped_bit_in_the_description_of_the_columns_is_no_wrong_label_either(segment):
    """Checksums of pages do not cover the footer, which says what the pages mean."""
    whole = segment.path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little")
    rng = random.Random(0)
    for place in range(len(whole) - 8 - footer, len(whole), 1 if LONG else 7):
        content = bytearray(whole)
        content[place] ^= 1 << rng.randrange(8)
        segment.path.write_bytes(content)
        check(segment.study, segment.truth, f"byte {place} of {len(whole)}")


def test_a_segment_that_is_empty_or_another_file_is_named(study):
    path = write(study, 3, "session-a") / "seg-000000.parquet"
    for content in (b"", b"PAR1", b"%PDF-1.4 not a table", bytes(4096), os.urandom(4096)):
        path.write_bytes(content)
        events, named = store.read_log(study.label_folder("alice"), "label_events")
        assert (events, len(named)) == ([], 1)


def test_a_temporary_file_of_a_killed_kernel_is_no_label(study):
    folder = write(study, 3, "session-a")
    (folder / ".seg-000000.parquet.77-abcd.tmp").write_bytes(b"half a segm")
    events, named = store.read_log(study.label_folder("alice"), "label_events")
    assert (len(events), named) == (3, [])


@pytest.fixture
def sealed(study):
    """The folder of a session with two sealed segments and one that is still open."""
    return write(study, 2 * store.SegmentLog.ROWS_A_SEGMENT + 10, "session-a")


def complaints(study):
    return " ".join(store.read_log(study.label_folder("alice"), "label_events")[1])


def test_a_log_that_nobody_touched_is_whole(study, sealed):
    assert sorted(path.name for path in sealed.glob("*.seal")) == ["seg-000000.seal", "seg-000001.seal"]
    assert complaints(study) == ""
    assert len(store.label_events(study, "alice")) == 522


@pytest.mark.parametrize("number", [0, 1])
def test_every_change_of_a_sealed_segment_is_named(study, sealed, number):
    path = sealed / f"seg-{number:06d}.parquet"
    whole = path.read_bytes()
    rng = random.Random(number)
    for _ in range(MUTATIONS // 5):
        content, how = damaged(whole, rng)
        path.write_bytes(content)
        assert content == whole or path.name in complaints(study), how


def test_grades_that_were_rewritten_in_a_sealed_segment_are_named(study, sealed):
    """Not a fault of the disk: a whole new segment, with other grades and right checksums."""
    forged = [{**event(number, "session-a"), "motion": 2} for number in range(store.SegmentLog.ROWS_A_SEGMENT)]
    other = store.SegmentLog(study.folder / "elsewhere", "label_events")
    other.extend(forged)
    path = sealed / "seg-000000.parquet"
    path.write_bytes((other.folder / path.name).read_bytes())
    assert path.name in complaints(study)
    with pytest.raises(TableError, match=r"seg-000000\.parquet"):
        store.labels(study)


@pytest.mark.parametrize(
    "gone",
    [
        ["seg-000000.parquet"],
        ["seg-000001.parquet"],
        ["seg-000000.parquet", "seg-000000.seal"],
        ["seg-000001.parquet", "seg-000001.seal"],
        ["seg-000000.seal"],
        ["seg-000001.seal"],
    ],
    ids="+".join,
)
def test_what_was_removed_before_the_open_segment_is_named(study, sealed, gone):
    for name in gone:
        (sealed / name).unlink()
    assert gone[0].partition(".")[0] in complaints(study) or "seal before it" in complaints(study)


def test_two_sealed_segments_that_changed_places_are_named(study, sealed):
    first, second = sealed / "seg-000000.parquet", sealed / "seg-000001.parquet"
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])
    assert first.name in complaints(study)
    assert second.name in complaints(study)
