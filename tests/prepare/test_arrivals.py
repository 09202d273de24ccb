import os

import pytest

from qcbench import store
from qcbench.prepare import arrivals


def row(image_id, voxels, source):
    return {
        "image_id": image_id,
        "participant_id": "sub-1",
        "source_path": source,
        "simulated": False,
        "voxels_sha256": voxels,
    }


def excluded(study):
    rows = store.rows(study, "images")
    return {row["image_id"]: row["excluded_reason"] for row in rows if row["excluded_reason"]}


def test_of_new_copies_the_first_source_stays(study):
    with arrivals.compared(study):
        store.upsert(study, "images", [row("z", "v", "1"), row("a", "v", "2"), row("b", "w", "3")])
    assert excluded(study) == {"a": "same voxels as z"}


def test_an_image_that_was_there_stays_whatever_comes(study):
    with arrivals.compared(study):
        store.upsert(study, "images", [row("z", "v", "9")])
    with arrivals.compared(study):
        store.upsert(study, "images", [row("a", "v", "1")])
    assert excluded(study) == {"a": "same voxels as z"}


def test_what_a_killed_ingest_left_is_new_when_it_goes_on(study):
    with pytest.raises(KeyboardInterrupt), arrivals.compared(study):
        store.upsert(study, "images", [row("z", "v", "9")])
        raise KeyboardInterrupt
    with arrivals.compared(study):
        store.upsert(study, "images", [row("a", "v", "1")])
    assert excluded(study) == {"z": "same voxels as a"}
    assert list(study.cache.iterdir()) == []


def test_what_a_killed_process_wrote_in_part_is_removed_and_what_a_living_one_writes_stays(study):
    with pytest.raises(KeyboardInterrupt), arrivals.compared(study):
        raise KeyboardInterrupt
    folder = study.bids / "sub-1" / "anat"
    folder.mkdir(parents=True)
    names = [".x.nii.gz.999999999-0123abcd.tmp", f".x.nii.gz.{os.getpid()}-0123abcd.tmp", ".notes.tmp", "x.nii.gz"]
    for name in names:
        (folder / name).touch()
    with arrivals.compared(study):
        pass
    assert sorted(os.listdir(folder)) == sorted(names[1:])


def test_a_marker_that_makes_no_sense_is_no_marker(study):
    with arrivals.compared(study):
        store.upsert(study, "images", [row("z", "v", "9")])
    study.cache.mkdir(exist_ok=True)
    (study.cache / "ingest-began-with.json").write_text("{")
    with arrivals.compared(study):
        store.upsert(study, "images", [row("a", "v", "1")])
    assert excluded(study) == {"a": "same voxels as z"}
