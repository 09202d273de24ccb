"""A study's images become rows and pages, once; what cannot be measured is a row with a reason."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from qcbench import iqm_keys, store
from qcbench.errors import StudyError, UsageError, WorkerError
from qcbench.iqm import apart, stage

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def volumes(seed=0, n_volumes=6):
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in (24, 26, 20)), indexing="ij")
    distance = np.sqrt((x / 0.6) ** 2 + (y / 0.65) ** 2 + (z / 0.7) ** 2)
    still = 600 * (distance < 1) * (1 + 0.2 * np.sin(7 * x + 3 * z) * np.cos(6 * y))
    noise = np.random.default_rng(seed).uniform(0, 30, (*still.shape, n_volumes))
    return (ndimage.gaussian_filter(still, 1.0)[..., None] + noise).astype(np.int16)


def catalogue(study, *rows):
    """Write the catalogue; a row is an id, and the voxels of its file or None."""
    made = []
    for image_id, data in rows:
        path = study.bids / "sub-1" / "func" / f"{image_id}.nii"
        if data is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            image = nib.Nifti1Image(data, AFFINE)
            if data.ndim == 4:
                image.header.set_zooms((4, 4, 4, 2))
            nib.save(image, path)
        made.append(
            {
                "image_id": image_id,
                "participant_id": "sub-1",
                "source_path": image_id,
                "bids_path": study.relative(path),
                "modality": image_id.rpartition("_")[2],
                "voxels_sha256": str(np.sum(data)),
                "simulated": False,
            }
        )
    store.write(study, "images", made)
    return made


def rows_of(study):
    return {(row["image_id"], row["iqm_profile"]): row for row in store.rows(study, "iqms")}


def run(study, **options):
    return stage.iqm(study, show_progress=False, **options)


def test_a_study_has_a_row_a_page_and_mriqcs_json_for_each_image(study):
    catalogue(study, ("sub-1_task-rest_bold", volumes()))
    summary = run(study)
    assert (summary.done, summary.unchanged, summary.failed, summary.exit_status) == (1, 0, {}, 0)
    row = rows_of(study)["sub-1_task-rest_bold", "qcbench"]
    assert {key.name for key in iqm_keys.keys_of("bold")} <= row.keys()
    assert (row["modality"], row["size_t"], row["spacing_tr"], row["error"]) == ("bold", 6, 2.0, None)
    assert 30 < row["tsnr"] < 90 and row["fd_mean"] < 0.2
    assert (row["template"], row["cjv"]) == (None, None)
    folder = study.derivatives / "iqm" / "qcbench" / "sub-1" / "func"
    document = json.loads((folder / "sub-1_task-rest_bold.json").read_text())
    assert document["tsnr"] == row["tsnr"]
    assert "tsnr" in (folder / "sub-1_task-rest_bold.html").read_text()
    assert (folder / "sub-1_task-rest_bold_masks.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_done_stays_done_until_the_voxels_or_the_files_change(study):
    images = [("sub-1_run-1_bold", volumes()), ("sub-1_run-2_bold", volumes(1))]
    catalogue(study, *images)
    assert run(study).done == 2
    assert (run(study).done, run(study).unchanged) == (0, 2)
    catalogue(study, images[0], ("sub-1_run-2_bold", volumes(2)))
    assert run(study).done == 1
    outputs = apart.output_paths("sub-1_run-1_bold", "bold", study.derivatives / "iqm" / "qcbench")
    outputs["card"].unlink()
    assert run(study).done == 1 and outputs["card"].is_file()


def test_a_stop_in_the_middle_keeps_what_was_measured(study, monkeypatch):
    catalogue(study, ("sub-1_run-1_bold", volumes()), ("sub-1_run-2_bold", volumes(1)))
    whole = stage.measure_image

    def interrupted(row, **options):
        if row["image_id"] == "sub-1_run-2_bold":
            raise KeyboardInterrupt
        return whole(row, **options)

    monkeypatch.setattr(stage, "measure_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(study)
    assert set(rows_of(study)) == {("sub-1_run-1_bold", "qcbench")}
    monkeypatch.setattr(stage, "measure_image", whole)
    assert (run(study).done, len(rows_of(study))) == (1, 2)


def test_a_bad_image_is_a_row_and_is_tried_again_only_when_asked(study):
    catalogue(study, ("sub-1_run-1_bold", volumes()), ("sub-1_run-2_bold", volumes()[..., 0]))
    summary = run(study)
    assert summary.exit_status == 1 and "NOT_4D" in summary.failed["sub-1_run-2_bold"]
    row = rows_of(study)["sub-1_run-2_bold", "qcbench"]
    assert "NOT_4D" in row["error"] and (row["tsnr"], row["modality"]) == (None, "bold")
    again = run(study)
    assert (again.done, again.unchanged, again.failed) == (0, 2, {})
    assert "1 images failed in an earlier run" in again.notes[0]
    assert run(study, retry=True).failed.keys() == {"sub-1_run-2_bold"}


def test_a_crash_costs_one_image(study, monkeypatch):
    catalogue(study, ("sub-1_run-1_bold", volumes()), ("sub-1_run-2_bold", volumes(1)))
    whole = apart.measure_apart

    def crashing(path, *arguments, **options):
        if "run-1" in Path(path).name:
            raise WorkerError("measure_and_write crashed in native code with SIGSEGV")
        return whole(path, *arguments, **options)

    monkeypatch.setattr(apart, "measure_apart", crashing)
    summary = run(study, workers=2)
    assert summary.done == 1 and "SIGSEGV" in summary.failed["sub-1_run-1_bold"]


def test_the_limits_of_time_and_memory_are_those_of_the_modality(monkeypatch):
    seen = {}
    monkeypatch.setattr(apart.isolate, "call", lambda *_, **options: seen.update(options) or ({}, {}))
    apart.measure_apart(Path("a_bold.nii"), "bold", "qcbench")
    assert (seen["timeout_s"], seen["memory_gb"]) == (7200.0, 12.0)
    apart.measure_apart(Path("a_T1w.nii"), "T1w", "qcbench")
    assert seen["timeout_s"] == 1200.0


def test_each_profile_has_its_own_rows_and_files(study):
    catalogue(study, ("sub-1_task-rest_bold", volumes()))
    assert run(study).done == run(study, profile="mriqc-24").done == 1
    both = rows_of(study)
    assert set(both) == {("sub-1_task-rest_bold", "qcbench"), ("sub-1_task-rest_bold", "mriqc-24")}
    assert both["sub-1_task-rest_bold", "qcbench"]["efc"] != both["sub-1_task-rest_bold", "mriqc-24"]["efc"]
    assert (study.derivatives / "iqm" / "mriqc-24" / "sub-1" / "func" / "sub-1_task-rest_bold.json").is_file()


def test_excluded_images_simulated_copies_and_other_modalities_are_left_out(study):
    excluded, copied, other = catalogue(
        study, ("sub-1_run-1_bold", volumes()), ("sub-1_run-2_bold", volumes()), ("sub-1_FLAIR", volumes())
    )
    excluded["excluded_reason"] = "fewer than 40 slices"
    copied |= {"bids_path": None, "simulated": True, "derived_from": "sub-1_run-1_bold"}
    store.write(study, "images", [excluded, copied, other])
    assert run(study).facts["images"] == 0


def test_an_unknown_profile_and_a_study_without_images_are_refused(study):
    with pytest.raises(UsageError, match="got 'mriqc'"):
        run(study, profile="mriqc")
    with pytest.raises(StudyError, match="qcbench ingest"):
        run(study)
