"""The same source taken in again: what is new is added, what was cut short goes on, nothing is there twice."""

import shutil
import subprocess
import sys
import time

import pytest

from qcbench.study import Study
from tests.prepare.synthetic_pacs import MIN_SLICES, Pacs, add, edit, uid
from tests.prepare.test_intake import T1, catalogue, ingest, listed, three_series, told


@pytest.fixture
def few(tmp_path):
    """A small archive and its marked list."""
    return three_series(tmp_path)


def test_running_again_adds_what_is_new_and_completes_what_was_incomplete(study, tmp_path):
    pacs = Pacs(folder=tmp_path / "pacs")
    add(pacs, "whole", 1, description=T1)
    add(pacs, "gap", 2, description=T1, missing=[5])
    marked = listed(pacs, tmp_path / "list.csv")
    assert ingest(study, pacs, marked).facts["images"] == 1
    add(pacs, "gap", 2, description=T1)
    add(pacs, "third", 3, description=T1)
    again = ingest(study, pacs, marked)
    assert (again.done, again.unchanged, again.facts["images"]) == (2, 1, 3)
    assert len(catalogue(study)) == 3


def test_a_series_that_is_marked_later_takes_the_place_of_its_refusal(study, few):
    pacs, marked = few
    mark_all = marked.read_text()
    marked.write_text(mark_all.replace("T1 3D,1,14,likely,oui", "T1 3D,1,14,likely,"))
    assert ingest(study, pacs, marked).facts["images"] == 2
    refused = [row for row in catalogue(study).values() if row["excluded_reason"]]
    assert [row["excluded_reason"] for row in refused] == ["not kept: its SeriesDescription is not marked"]
    assert (refused[0]["series_description"], refused[0]["participant_id"][:12]) == (None, "sub-excluded")
    marked.write_text(mark_all)
    assert ingest(study, pacs, marked).facts["images"] == 3
    assert len(catalogue(study)) == 3
    marked.write_text(mark_all.replace("T1 3D,1,14,likely,oui", "T1 3D,1,14,likely,no"))
    again = ingest(study, pacs, marked)
    assert again.facts["images"] == 3
    assert again.notes[-1] == "series that were taken earlier and are no longer marked; their images stay: 1"


def test_the_same_voxels_under_another_uid_are_excluded(study, few):
    pacs, marked = few
    shutil.copytree(pacs.folder / "a", pacs.folder / "copy")
    for path in (pacs.folder / "copy").iterdir():
        edit(path, SeriesInstanceUID="1.2.3.4", SOPInstanceUID=uid(path))
    summary = ingest(study, pacs, marked)
    reasons = [row["excluded_reason"] for row in catalogue(study).values() if row["excluded_reason"]]
    assert (len(reasons), summary.facts["excluded"]) == (1, 1)
    assert reasons[0].startswith("same voxels as sub-")


def test_one_series_in_two_sources_is_one_image(study, few, tmp_path):
    pacs, marked = few
    ingest(study, pacs, marked)
    shutil.copytree(pacs.folder, tmp_path / "again")
    again = ingest(study, pacs, marked, source=tmp_path / "again")
    assert (again.done, again.unchanged, len(catalogue(study))) == (0, 3, 3)


def run_and_kill(study, pacs, marked, n_images):
    """Ingest in a process of its own that is killed when so many images are there."""
    code = (
        "import sys; from qcbench.prepare import intake;"
        "intake.ingest(sys.argv[1], sys.argv[2], keep=sys.argv[3], key=sys.argv[4],"
        f" min_slices={MIN_SLICES}, workers=2, show_progress=False)"
    )
    arguments = [study.folder, pacs.folder, marked, marked.with_name("key")]
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)])
    while process.poll() is None and len(list(study.bids.rglob("*.nii.gz"))) < n_images:
        time.sleep(0.005)
    process.kill()
    return process.wait()


def test_killed_in_the_middle_and_run_again_gives_what_one_run_gives(tmp_path):
    pacs = Pacs(folder=tmp_path / "pacs")
    for number in range(6):
        add(pacs, f"{number}", number, description=T1)
    shutil.copytree(pacs.folder / "0", pacs.folder / "copy")
    for path in (pacs.folder / "copy").iterdir():
        edit(path, SeriesInstanceUID="1.2.3.4", SOPInstanceUID=uid(path))
    marked = listed(pacs, tmp_path / "list.csv")
    at_once, killed = (Study.create(tmp_path / name / "study", raters=["alice"]) for name in ("one", "two"))
    ingest(at_once, pacs, marked)
    statuses = [run_and_kill(killed, pacs, marked, n_images) for n_images in (2, 5)]
    assert -9 in statuses
    (killed.bids / ".sub-x_T1w.nii.gz.999999999-0123abcd.tmp").touch()  # as a kill between two system calls leaves
    ingest(killed, pacs, marked)
    assert told(killed) == told(at_once)
