"""A disk that is full: the rater is told, nothing that was saved is touched, and it goes on when there is room."""

import resource
import secrets
import time

import pytest

from qcbench import store
from tests.faults.disk import fill, small_disk

#: What the rater is promised: NOT SAVED within a second.
PROMISE_S = 1.0


def label_until_refused(page):
    """Label until the disk refuses; return the acknowledged event ids, the refusal and how long it took."""
    acknowledged = []
    for _ in range(30):
        started = time.monotonic()
        answer = page.label(comment=secrets.token_hex(500))  # what cannot be compressed fills a disk soon
        if answer["kind"] == "nack":
            return acknowledged, answer, time.monotonic() - started
        acknowledged.append(answer["event_id"])
    raise AssertionError("the disk was never full")


def goes_on(page, acknowledged):
    """The label that was refused is sent again as it was, and the next ones are saved too."""
    [waiting] = page.outbox.values()
    page.send(waiting)
    assert page.wait_for("ack", "nack")["kind"] == "ack"
    assert page.label()["kind"] == "ack"
    kept = [event["event_id"] for event in store.label_events(page.study, "alice")]
    assert kept[: len(acknowledged)] == acknowledged
    assert len(kept) == len(acknowledged) + 2


def test_a_full_disk_is_told_at_once_and_the_label_is_saved_when_there_is_room(page, rows_on_disk):
    with small_disk(page.study.folder / "labels") as disk:
        ballast = fill(disk, free_kb=20)
        acknowledged, refusal, seconds = label_until_refused(page)
        assert refusal["retry"] is True
        assert "No space left on device" in refusal["why"]
        assert seconds < PROMISE_S
        assert [row["event_id"] for row in rows_on_disk(page.study)] == acknowledged
        assert not list(disk.rglob("*.tmp"))  # what was half written gives its room back
        ballast.unlink()
        goes_on(page, acknowledged)


def test_an_image_cannot_be_put_off_on_a_full_disk_and_the_page_is_told(page):
    with small_disk(page.study.folder / "labels") as disk:
        fill(disk, free_kb=0)
        image = page.image(0)
        page.send({"kind": "defer", "key": image["key"]})
        answer = page.wait_for("deferred", "refused")
        assert answer["kind"] == "refused"
        assert "No space left on device" in answer["why"]
        page.send({"kind": "ping"})
        assert page.wait_for("pong")


def test_a_limit_of_the_account_is_told_like_a_full_disk(page, rows_on_disk):
    """Needs no rights: the kernel may write no file beyond some kilobytes."""
    acknowledged = [page.label()["event_id"]]
    [segment] = (page.study.folder / "labels").rglob("seg-*.parquet")
    limit = segment.stat().st_size + 2000
    page.kernel.run(f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {resource.RLIM_INFINITY}))")
    more, refusal, seconds = label_until_refused(page)
    acknowledged += more
    assert refusal["retry"] is True
    assert "File too large" in refusal["why"]
    assert seconds < PROMISE_S
    assert [row["event_id"] for row in rows_on_disk(page.study)] == acknowledged
    page.kernel.run(f"resource.setrlimit(resource.RLIMIT_FSIZE, ({resource.RLIM_INFINITY},) * 2)")
    goes_on(page, acknowledged)


@pytest.mark.parametrize("folder", ["labels", "labels/rater=alice"])
def test_something_else_in_the_place_of_the_folder_is_told_too(page, folder):
    obstacle = page.study.folder / folder
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text("no folder can be made here")
    answer = page.label()
    assert (answer["kind"], answer["retry"]) == ("nack", True)
    obstacle.unlink()
    goes_on(page, [])
