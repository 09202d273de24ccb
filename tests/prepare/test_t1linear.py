import ctypes
import json
import shutil
import time
from functools import partial

import nibabel as nib
import numpy as np
import pytest

from qcbench import durable, images, parallel, store
from qcbench.errors import StudyError, UsageError
from qcbench.imaging import geometry, isolate
from qcbench.prepare import one_image, presets, slices, t1linear, warehouse
from qcbench.study import Study
from tests.imaging.conftest import LAYOUTS, MARKER_MM, paint


def small_head(codes):
    """Return voxels and affine of a head 15 % smaller than the template, stored in one of the layouts."""
    shape, affine = LAYOUTS[codes]
    return paint(shape, np.diag([1 / 0.85, 1 / 0.85, 1 / 0.85, 1]) @ affine), affine


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study with two heads, one file cut short and one image excluded; catalogued, preprocessed, never changed."""
    folder = tmp_path_factory.mktemp("finished")
    study = Study.create(folder / "study", raters=["alice"])
    source = folder / "source"
    source.mkdir()
    for name, codes in (("sub-01_T1w", "LAS"), ("sub-02_ses-M00_T1w", "PSR")):
        data, affine = small_head(codes)
        nib.save(nib.Nifti1Image(np.rint(data).astype(np.int16), affine), source / f"{name}.nii.gz")
    (source / "sub-bad_T1w.nii.gz").write_text("no image")
    nib.save(nib.Nifti1Image(np.random.default_rng(0).random((50, 50, 12)), np.eye(4)), source / "sub-few_T1w.nii.gz")
    warehouse.ingest(study, source, show_progress=False)
    return study, t1linear.preprocess(study, workers=2, show_progress=False)


@pytest.fixture
def prepared(finished, tmp_path):
    """A copy of that study, to be changed at will."""
    return Study(shutil.copytree(finished[0].folder, tmp_path / "copy"))


def preprocess(study, **options):
    return t1linear.preprocess(study, show_progress=False, **options)


def test_each_usable_image_gets_a_row_and_no_other(finished):
    study, summary = finished
    rows = {row["image_id"]: row for row in store.rows(study, "preprocessed")}
    assert (summary.done, summary.failed) == (2, {})
    assert set(rows) == {"sub-01_T1w", "sub-02_ses-M00_T1w"}  # neither the damaged nor the excluded one
    for row in rows.values():
        assert row["preprocessing_preset"] == "fast"
        assert row["template_sha256"].startswith("421a10e8")
        assert row["alignment"] > 0.8
        assert row["n_starts"] == 1
        assert row["error"] is None
        assert row["seconds"] > 0
        assert images.read_png(study.folder / row["screenshot_path"])
    assert rows["sub-02_ses-M00_T1w"]["volume_path"] == (
        "derivatives/qcbench/sub-02/ses-M00/anat/sub-02_ses-M00_space-MNI152NLin2009aSym_res-1x1x1_T1w.nii.gz"
    )


def test_the_volume_is_on_the_canonical_grid_with_the_left_on_the_left(finished):
    study, _ = finished
    for row in store.rows(study, "preprocessed"):
        volume = images.load_volume(study.folder / row["volume_path"])
        assert volume.data.shape == geometry.CANONICAL_SHAPE
        assert np.array_equal(volume.affine, geometry.CANONICAL_AFFINE)
        bright = np.argwhere(volume.data > 0.75 * volume.data.max()).mean(axis=0)
        assert (geometry.CANONICAL_AFFINE @ [*bright, 1])[:3] == pytest.approx(MARKER_MM, abs=5)


def test_the_sidecar_says_how_the_volume_was_made(finished):
    study, _ = finished
    volume = study.folder / store.rows(study, "preprocessed")[0]["volume_path"]
    sidecar = json.loads(volume.with_name(volume.name.replace(".nii.gz", ".json")).read_text())
    assert sidecar["PreprocessingPreset"] == "fast"
    assert sidecar["Sources"] == ["bids/sub-01/anat/sub-01_T1w.nii.gz"]
    assert sidecar["Options"]["register"]["seed"] == 0
    assert sidecar["Versions"]["antspyx"]
    assert np.array(sidecar["TemplateToScannerAffineRAS"]).shape == (4, 4)


def test_a_second_run_does_nothing_and_says_so(prepared):
    table = prepared.table_path("preprocessed").read_bytes()
    again = preprocess(prepared)
    assert (again.done, again.unchanged) == (0, 2)
    assert prepared.table_path("preprocessed").read_bytes() == table


def test_a_lost_volume_is_made_again_byte_for_byte(prepared):
    row = store.rows(prepared, "preprocessed")[0]
    paths = [prepared.folder / row[name] for name in ("volume_path", "screenshot_path")]
    before = [path.read_bytes() for path in paths]
    paths[0].unlink()
    again = preprocess(prepared)
    assert (again.done, again.unchanged) == (1, 1)
    assert [path.read_bytes() for path in paths] == before


def test_a_lost_sidecar_and_an_empty_volume_are_made_again(prepared):
    rows = store.rows(prepared, "preprocessed")
    volumes = [prepared.folder / row["volume_path"] for row in rows]
    sidecar = volumes[0].with_name(volumes[0].name.replace(".nii.gz", ".json"))
    sidecar.unlink()
    volumes[1].write_bytes(b"")
    assert preprocess(prepared, workers=2).done == 2
    assert sidecar.is_file()
    assert volumes[1].stat().st_size


def test_a_run_that_ends_before_an_image_is_made_leaves_no_row_of_how_it_was_made_before(prepared, monkeypatch):
    def killed(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(t1linear.stages, "fill", killed)
    with pytest.raises(KeyboardInterrupt):
        preprocess(prepared, preset="clinica-2026")
    assert store.rows(prepared, "preprocessed") == []


def test_a_call_that_is_refused_changes_no_row(prepared, monkeypatch):
    before = store.rows(prepared, "preprocessed")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError):
        preprocess(prepared, preset="clinica-2026", slurm="")
    assert store.rows(prepared, "preprocessed") == before


def test_another_convention_or_template_makes_everything_anew(prepared, monkeypatch):
    todo = []
    monkeypatch.setattr(t1linear, "_make", lambda study, usable, images, *_, **__: todo.append(len(images)))
    settled = store.rows(prepared, "preprocessed")
    preprocess(prepared)
    for changed in ({"convention": "neurological"}, {"template_sha256": "0" * 64}):
        store.write(prepared, "preprocessed", [{**row, **changed} for row in settled])
        preprocess(prepared)
    assert todo == [0, 2, 2]


def test_a_second_run_at_the_same_time_is_refused(prepared):
    with durable.locked(prepared.derivatives / "preprocess"), pytest.raises(StudyError, match="another preprocess"):
        preprocess(prepared)


def test_raw_names_that_say_what_derivatives_say_do_not_meet(tmp_path):
    names = ("sub-1_T1w", "sub-1_desc-denoised_T1w", "sub-1_space-A_T1w", "sub-1_space-B_res-2_T1w")
    found = [one_image.output_paths(name, tmp_path) for name in names]
    assert len({path for paths in found for path in paths.values()}) == 12
    assert len({slices.output_path(name, tmp_path) for name in names}) == 4


def test_an_image_that_fails_is_a_row_and_the_next_goes_on(prepared):
    for row in store.rows(prepared, "images"):
        if row["image_id"] == "sub-01_T1w":
            (prepared.folder / row["bids_path"]).write_bytes(b"overwritten")
    prepared.table_path("preprocessed").unlink()
    summary = preprocess(prepared)
    assert set(summary.failed) == {"sub-01_T1w"}
    assert (summary.exit_status, summary.done) == (1, 1)
    rows = {row["image_id"]: row for row in store.rows(prepared, "preprocessed")}
    assert rows["sub-01_T1w"]["error"].startswith("BAD_GZIP")
    assert rows["sub-01_T1w"]["alignment"] is None
    again = preprocess(prepared)
    assert (again.unchanged, again.failed) == (2, {})
    assert set(preprocess(prepared, retry=True).failed) == {"sub-01_T1w"}


def crash(row, *, how):
    return isolate.call(*how, timeout_s=2, memory_gb=1)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ((ctypes.string_at, 0), "SIGSEGV"),
        ((time.sleep, 60), "longer than 2 s"),
        ((np.ones, 2**30), "more than 1 GB"),
    ],
)
def test_a_crash_a_hang_and_a_glutton_become_rows(how, reason):
    rows = [{"image_id": f"image-{number}"} for number in range(2)]
    with parallel.local_executor(2, threads=True) as executor:
        outcomes = list(parallel.map_rows(partial(crash, how=how), rows, executor))
    assert all(reason in row["error"] for row in outcomes)
    assert len(outcomes) == 2


def test_an_unknown_preset_is_bad_use_and_names_those_there_are(study):
    with pytest.raises(UsageError, match="there is fast"):
        preprocess(study, preset="paper")


def test_a_study_without_images_says_what_to_run(study):
    with pytest.raises(StudyError, match="qcbench ingest"):
        preprocess(study)


@pytest.mark.slow
def test_a_real_head_gives_the_same_bytes_twice(real_data, study, tmp_path):
    raw = real_data / "t1w" / "ds000011_sub-02_T1w.nii.gz"
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        isolate.call(one_image.align_and_draw, raw, folder, presets.by_name("fast"), "fast", "radiological")
        made.append({path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()})
    assert len(made[0]) == 3
    assert made[0] == made[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "file",
    [
        "reject/ds002748_sub-62_T1w_brain.nii.gz",
        "gadolinium/TCGA-FG-6692_T1_AX_pre.nii.gz",
        "gadolinium/TCGA-FG-6692_T1_AX_POST_GAD.nii.gz",
    ],
)
def test_rejects_and_thick_slices_go_through(real_data, tmp_path, file):
    row = isolate.call(
        one_image.align_and_draw, real_data / file, tmp_path, presets.by_name("fast"), "fast", "radiological"
    )
    assert 0 <= row["alignment"] <= 1
    assert row["screenshot_path"].is_file()
