import json

import pytest

from qcbench import seals


def write(folder, number, content):
    path = folder / f"seg-{number:06d}.parquet"
    path.write_bytes(content)
    seals.seal(path, content)
    return path


@pytest.fixture
def log(tmp_path):
    """A folder with three sealed segments."""
    for number in range(3):
        write(tmp_path, number, f"rows of segment {number}".encode())
    return tmp_path


def test_a_log_that_nobody_touched_is_well(log):
    assert seals.broken(log) == []
    claims = json.loads((log / "seg-000001.seal").read_text())
    assert (claims["segment"], len(claims["sha256"]), len(claims["previous"])) == ("seg-000001.parquet", 64, 64)


def test_an_edited_segment_is_named(log):
    (log / "seg-000001.parquet").write_bytes(b"rows of segment 9")
    assert seals.broken(log) == [f"{log}/seg-000001.parquet was changed after it was sealed"]


def test_a_segment_that_is_gone_is_named(log):
    (log / "seg-000002.parquet").unlink()
    assert seals.broken(log) == [f"{log}/seg-000002.parquet was removed after it was sealed"]


@pytest.mark.parametrize("both", [False, True])
def test_a_segment_that_was_edited_and_sealed_anew_breaks_the_chain(log, both):
    if both:
        (log / "seg-000001.parquet").unlink()
        (log / "seg-000001.seal").unlink()
    else:
        write(log, 1, b"other rows")
    assert seals.broken(log) == [f"{log}/seg-000002.seal: the seal before it was changed or removed"]


def test_a_seal_that_is_no_seal_is_named(log):
    (log / "seg-000002.seal").write_text("{}")
    assert "cannot be read" in seals.broken(log)[0]


def test_a_loss_that_is_admitted_is_no_longer_a_complaint_but_stays_on_record(log):
    (log / "seg-000001.parquet").unlink()
    (log / "seg-000001.seal").rename(log / "seg-000001.seal.lost")
    assert seals.broken(log) == []
    (log / "seg-000001.seal.lost").unlink()
    assert seals.broken(log) == [f"{log}/seg-000002.seal: the seal before it was changed or removed"]
