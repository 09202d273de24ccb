"""Copies of a study's scans: known, marked, resumable, and never given away by how they were made."""

import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from multiprocessing import get_context

import numpy as np
import pytest

from qcbench import images, parallel, store
from qcbench.annotate import queue
from qcbench.errors import UsageError
from qcbench.imaging import crop, geometry, heads, register, simulate
from qcbench.learn import datasets
from qcbench.prepare import draws, one_image, pool, presets, t1linear, warehouse
from qcbench.study import Study


@pytest.fixture(scope="module")
def template_study(tmp_path_factory):
    """A study of two preprocessed people at 2.5 mm; where they lie is known, so nothing is registered."""
    folder = tmp_path_factory.mktemp("pool")
    source = folder / "source"
    source.mkdir()
    people = {}
    for number in (1, 2):
        head = heads.synthetic_head(seed=number, spacing_mm=(2.5, 2.5, 2.5))
        images.save_volume(source / f"sub-{number:02d}_T1w.nii.gz", head.data.astype(np.int16), head.affine)
        people[f"sub-{number:02d}_T1w"] = head
    study = Study.create(folder / "study", raters=["alice"])
    warehouse.ingest(study, source, min_slices=40, min_age=18, show_progress=False)
    store.write(study, "preprocessed", [aligned(study, row, people) for row in store.rows(study, "images")])
    return study


def aligned(study, row, people):
    """Preprocess one scan in this process, with the alignment that its maker knows."""
    known = people[row["image_id"]].template_to_scanner
    score = register.Score(**dict.fromkeys((field.name for field in fields(register.Score)), 0.9))
    found = register.Alignment(template_to_scanner=known, score=score, n_starts=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(register, "register", lambda *arguments: found)
        made = one_image.align_and_draw(
            study.absolute(row["bids_path"]), study.derivatives, presets.by_name("fast"), "fast", study.convention
        )
    paths = {name: study.relative(made.pop(name)) for name in ("volume_path", "screenshot_path")}
    settled = {"preprocessing_preset": "fast", "source_voxels_sha256": row["voxels_sha256"], "error": None}
    return {"image_id": row["image_id"], **made, **paths, **settled}


@pytest.fixture
def study(template_study, tmp_path):
    shutil.copytree(template_study.folder, tmp_path / "study")
    return Study(tmp_path / "study")


def make(study, **options):
    return pool.make_pool(study, **{"source": "all", "n": 4, "seed": 3, "show_progress": False, **options})


def copies(study):
    return [row for row in store.rows(study, "images") if row["simulated"]]


def files(study):
    return {path.name: path.read_bytes() for path in study.derivatives.rglob("*acq-sim*")}


def test_copies_are_catalogued_with_what_is_in_them(study):
    summary = make(study)
    assert (summary.done, summary.failed) == (4, {})
    rows = copies(study)
    names = sorted(row["image_id"].split("_", 1)[1] for row in rows)
    assert names == [f"acq-sim3_run-000{number}_T1w" for number in (1, 2, 3, 4)]
    for row in rows:
        truth = json.loads(row["simulation"])
        assert row["derived_from"] == f"{row['participant_id']}_T1w" == truth["derived_from"]
        assert truth["simulated"] is True
        if not truth["planted"]["straight_reject"]:
            assert set(truth["severity"]) == {"motion", "contrast", "noise"}
            assert truth["added"] == truth["planted"]  # nobody judged the sources
            assert truth["planted"]["motion"] == simulate.grades.scales()["motion"].grade(truth["severity"]["motion"])
    aligned = {row["image_id"]: row for row in store.rows(study, "preprocessed")}
    for row in rows:
        assert study.absolute(aligned[row["image_id"]]["screenshot_path"]).is_file()
        volume = images.load_volume(study.absolute(aligned[row["image_id"]]["volume_path"]))
        assert volume.data.shape == (169, 208, 179)
        source = aligned[row["derived_from"]]
        assert aligned[row["image_id"]]["alignment"] == source["alignment"]


def test_a_copy_without_artefacts_and_surroundings_is_its_source_voxel_for_voxel(study, monkeypatch):
    monkeypatch.setattr(simulate.copies, "surrounded", lambda head, seed: head)
    good = {"straight_reject": False, "kind": None, "gadolinium": False, "motion": 0, "contrast": 0, "noise": 0}
    monkeypatch.setattr(draws, "planted", lambda quality_class, rng: dict(good))
    # Half of the good copies have an artefact too weak to be seen; these are made to have none.
    monkeypatch.setattr(simulate.copies._Making, "reach", lambda self, characteristic, grade: None)
    make(study, n=2)
    aligned = {row["image_id"]: row for row in store.rows(study, "preprocessed")}
    for row in copies(study):
        ours, theirs = (
            images.load_volume(study.absolute(aligned[name]["volume_path"]))
            for name in (row["image_id"], row["derived_from"])
        )
        # The transform is kept with nine decimals: a voxel on the border between two steps may turn.
        assert np.abs(ours.data - theirs.data).max() <= 1
        assert (ours.data != theirs.data).mean() < 1e-5


def test_a_second_call_makes_nothing_and_a_longer_one_the_rest(study):
    make(study, n=2)
    before = files(study)
    again = make(study, n=2)
    assert (again.done, again.unchanged) == (0, 2)
    more = make(study, n=3)
    assert (more.done, more.unchanged) == (1, 2)
    assert before.items() <= files(study).items()


def test_a_lost_file_is_made_again_byte_for_byte(study):
    make(study, n=2)
    before = files(study)
    lost = next(study.derivatives.rglob("*acq-sim3_run-0002*.nii.gz"))
    lost.unlink()
    assert make(study, n=2).done == 1
    assert files(study) == before


def test_the_same_seed_gives_the_same_bytes_on_any_executor(study, template_study, tmp_path):
    shutil.copytree(template_study.folder, tmp_path / "other")
    other = Study(tmp_path / "other")
    make(study, executor=parallel.SerialExecutor())
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        make(other, executor=executor)
    assert files(study) == files(other)


@pytest.mark.parametrize("spacing", [2, 4])
def test_coarse_copies_serve_the_cache_of_their_spacing(study, spacing):
    make(study, n=2, spacing=1)
    fine = datasets.build_cache(study, spacing=spacing, show_progress=False)
    expected = {
        row["image_id"]: datasets.open_cache(study, spacing=spacing).volume(row["image_id"]) for row in copies(study)
    }
    assert fine.failed == {}
    make(study, n=2, spacing=spacing)
    assert datasets.build_cache(study, spacing=spacing, show_progress=False).failed == {}
    cache = datasets.open_cache(study, spacing=spacing)
    for name, volume in expected.items():
        assert np.abs(cache.volume(name).astype(int) - volume).max() <= 1
    other = datasets.build_cache(study, spacing=1, show_progress=False)
    assert (other.failed, set(datasets.open_cache(study, spacing=1).rows) & set(expected)) == ({}, set())
    asked_for = datasets.build_cache(study, spacing=1, image_ids=list(expected), show_progress=False)
    assert "simulate for this spacing" in next(iter(asked_for.failed.values()))


def test_copies_stored_at_another_spacing_are_stored_again(study):
    make(study, n=1, spacing=1)
    assert make(study, n=1, spacing=2).done == 1
    assert make(study, n=1, spacing=1).done == 1
    (row,) = copies(study)
    aligned = {entry["image_id"]: entry for entry in store.rows(study, "preprocessed")}
    assert "res-1x1x1" in aligned[row["image_id"]]["volume_path"]


def test_the_coarse_volume_lies_where_the_fine_one_does(study):
    make(study, n=1, spacing=2)
    (row,) = copies(study)
    aligned = {entry["image_id"]: entry for entry in store.rows(study, "preprocessed")}
    coarse = images.load_volume(study.absolute(aligned[row["image_id"]]["volume_path"]))
    assert coarse.data.shape == (85, 104, 90)
    assert np.allclose(coarse.affine, crop.coarse_affine(2))
    assert geometry.axis_codes(coarse.affine) == "RAS"


def test_no_rater_is_asked_to_label_a_copy_and_nobody_preprocesses_it(study):
    make(study, n=2)
    assert {image.image_id for image in queue.load(study, "alice")} == {"sub-01_T1w", "sub-02_T1w"}
    summary = t1linear.preprocess(study, show_progress=False)
    assert (summary.done, summary.unchanged) == (0, 2)


def test_what_the_source_has_itself_counts_too(study):
    judged = {"straight_reject": False, "gadolinium": True, "motion": 0, "contrast": 1, "noise": 0}
    names = ("sub-01_T1w", "sub-02_T1w")
    rest = {"decided_by": "raters", "reviewers": [], "label_event_ids": [], "stale": False, "simulated": False}
    store.write(study, "consensus", [{"image_id": name, **judged, "tier": 2, **rest} for name in names])
    make(study, source="tier2", n=4)
    truths = [json.loads(row["simulation"]) for row in copies(study)]
    good = [truth for truth in truths if not truth["planted"]["straight_reject"]]
    assert len(good) == 3
    for truth in good:
        assert truth["source"] == judged
        assert truth["planted"]["gadolinium"] is True
        assert truth["planted"]["contrast"] == max(1, truth["added"]["contrast"])
        assert truth["planted"]["noise"] == truth["added"]["noise"]


def test_a_source_that_is_lost_is_a_reason_for_its_copies_and_spares_the_rest(study):
    of_first = [image for image in draws.plan(draws.sources(study, "all"), n=4, seed=3) if image["place"] == 0]
    (study.folder / "bids/sub-01/anat/sub-01_T1w.nii.gz").unlink()
    summary = make(study, n=4)
    assert 0 < summary.done == 4 - len(of_first)
    assert sorted(summary.failed) == [image["image_id"] for image in of_first]
    assert all("sub-01_T1w.nii.gz" in why for why in summary.failed.values())


def test_options_that_make_no_sense_are_refused(study):
    with pytest.raises(UsageError, match="spacing must be one of 1, 2, 4 mm, got 3"):
        make(study, spacing=3)
    with pytest.raises(UsageError, match="n must be 1 or more"):
        make(study, n=0)
    with pytest.raises(UsageError, match="seed 0 or more, got 4 and -1"):
        make(study, seed=-1)
