import gzip
import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from qcbench import images, store
from qcbench.errors import UsageError
from qcbench.prepare import warehouse

AFFINE = np.diag([1.5, 1.5, 1.5, 1.0])


def volume(seed, shape=(44, 45, 46)):
    return np.random.default_rng(seed).integers(0, 500, shape).astype(np.int16)


def save(path, data, affine=AFFINE, **sidecar):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(data, affine), path)
    if sidecar:
        path.with_name(path.name.split(".nii")[0] + ".json").write_text(json.dumps(sidecar))
    return path


def ingest(study, source, **options):
    return warehouse.ingest(study, source, show_progress=False, **options)


def catalogue(study):
    return {row["image_id"]: row for row in store.rows(study, "images")}


@pytest.fixture
def source(tmp_path):
    """A folder of two good images, one in a folder below."""
    save(tmp_path / "source" / "sub-01_ses-M00_T1w.nii.gz", volume(1), PatientAge="045Y", PatientName="X^Y")
    save(tmp_path / "source" / "below" / "patient 7.nii", volume(2))
    return tmp_path / "source"


def test_each_file_becomes_a_row_and_a_bids_image(study, source):
    summary = ingest(study, source)
    rows = catalogue(study)
    assert (summary.done, summary.unchanged, summary.failed) == (2, 0, {})
    assert set(rows) == {"sub-01_ses-M00_T1w", "sub-patient7_T1w"}
    row = rows["sub-01_ses-M00_T1w"]
    assert (row["participant_id"], row["session_id"], row["modality"]) == ("sub-01", "ses-M00", "T1w")
    assert (row["n_slices"], row["spacing_x_mm"], row["age_years"]) == (44, 1.5, 45)
    assert row["simulated"] is False
    assert row["bids_path"] == "bids/sub-01/ses-M00/anat/sub-01_ses-M00_T1w.nii.gz"
    assert (study.folder / row["bids_path"]).read_bytes() == (source / "sub-01_ses-M00_T1w.nii.gz").read_bytes()
    assert rows["sub-patient7_T1w"]["bids_path"].endswith("anat/sub-patient7_T1w.nii")


def test_the_raw_dataset_is_bids_and_names_nobody(study, source):
    ingest(study, source)
    assert json.loads((study.bids / "dataset_description.json").read_text())["DatasetType"] == "raw"
    assert "sub-01\t45\tn/a" in (study.bids / "participants.tsv").read_text()
    sidecar = (study.bids / "sub-01/ses-M00/anat/sub-01_ses-M00_T1w.json").read_text()
    assert "045Y" in sidecar
    assert "X^Y" not in sidecar


def test_the_source_is_only_read(study, source):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in source.rglob("*") if path.is_file()}
    ingest(study, source)
    assert before == {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in source.rglob("*") if path.is_file()
    }


def test_running_again_adds_what_is_new_and_only_that(study, source):
    ingest(study, source)
    table = study.table_path("images").read_bytes()
    again = ingest(study, source)
    assert (again.done, again.unchanged) == (0, 2)
    assert study.table_path("images").read_bytes() == table
    save(source / "sub-02_T1w.nii.gz", volume(3))
    third = ingest(study, source)
    assert (third.done, third.unchanged) == (1, 2)
    assert len(catalogue(study)) == 3


def damage(source):
    """Add one file of each kind of damage; return their error codes by image id."""
    whole = save(source / "sub-cut_T1w.nii.gz", volume(4))
    whole.write_bytes(whole.read_bytes()[:20_000])
    (source / "sub-text_T1w.nii.gz").write_text("no image at all")
    (source / "sub-empty_T1w.nii").touch()
    save(source / "sub-four_T1w.nii.gz", np.stack([volume(5), volume(6)], axis=-1))
    save(source / "sub-nan_T1w.nii.gz", np.full((44, 44, 44), np.nan, np.float32))
    save(source / "sub-flat_T1w.nii.gz", np.ones((44, 44, 44), np.float32))
    flipped = save(source / "sub-crc_T1w.nii.gz", volume(7))
    flipped.write_bytes(flipped.read_bytes()[:-6] + b"\x00\x01" + flipped.read_bytes()[-4:])
    os.mkfifo(source / "sub-pipe_T1w.nii")
    save(source / "sub-json_T1w.nii.gz", volume(8)).with_name("sub-json_T1w.json").write_text("{")
    return {
        "cut": "TRUNCATED",
        "text": "BAD_GZIP",
        "empty": "EMPTY",
        "four": "NOT_3D",
        "nan": "ALL_NAN",
        "flat": "CONSTANT",
        "crc": "BAD_GZIP",
        "pipe": "NOT_A_FILE",
        "json": "BAD_SIDECAR",
    }


def test_a_damaged_file_is_a_row_with_an_error_and_the_others_go_through(study, source):
    expected = damage(source)
    summary = ingest(study, source)
    assert {name: reason.split(":")[0] for name, reason in summary.failed.items()} == {
        f"sub-{name}_T1w": code for name, code in expected.items()
    }
    assert summary.exit_status == 1
    assert summary.done == 2
    rows = catalogue(study)
    assert rows["sub-cut_T1w"]["error"].startswith("TRUNCATED")
    assert rows["sub-cut_T1w"]["bids_path"] is None
    assert rows["sub-01_ses-M00_T1w"]["error"] is None


def test_a_damaged_file_is_tried_again_once_it_has_changed(study, source):
    good = volume(4)
    broken = source / "sub-cut_T1w.nii.gz"
    broken.write_bytes(gzip.compress(b"no header"))
    assert set(ingest(study, source).failed) == {"sub-cut_T1w"}
    same = ingest(study, source)
    assert (same.done, same.unchanged, same.failed) == (0, 3, {})
    save(broken, good)
    assert ingest(study, source).done == 1
    assert catalogue(study)["sub-cut_T1w"]["error"] is None


def test_the_sidecar_of_a_damaged_simulated_file_is_kept(study, source):
    path = save(source / "sub-03_T1w.nii.gz", volume(4), QcbenchSimulation={"simulated": True, "planted_fault": True})
    path.write_bytes(path.read_bytes()[:1000])
    ingest(study, source)
    row = catalogue(study)["sub-03_T1w"]
    assert row["simulated"] is True
    assert json.loads(row["simulation"])["planted_fault"] is True


def test_few_slices_and_minors_are_excluded_with_the_reason(study, source):
    save(source / "sub-thick_T1w.nii.gz", volume(9, (64, 64, 30)), np.diag([1, 1, 5, 1.0]))
    save(source / "sub-young_T1w.nii.gz", volume(10), PatientAge="017Y")
    ingest(study, source)
    rows = catalogue(study)
    assert rows["sub-thick_T1w"]["excluded_reason"] == "30 slices, fewer than 40"
    assert rows["sub-young_T1w"]["excluded_reason"] == "17 years old, under 18"
    assert rows["sub-patient7_T1w"]["excluded_reason"] is None  # age not known


def test_the_limits_can_be_set(study, source):
    save(source / "sub-young_T1w.nii.gz", volume(10), PatientAge="017Y")
    ingest(study, source, min_slices=45, min_age=10)
    reasons = {name: row["excluded_reason"] for name, row in catalogue(study).items()}
    assert reasons["sub-01_ses-M00_T1w"] == "44 slices, fewer than 45"
    assert "years" not in str(reasons["sub-young_T1w"])


@pytest.mark.parametrize(
    ("shape", "spacing", "header_axis", "axis"),
    [
        ((256, 256, 30), (1, 1, 5), None, 2),
        ((30, 256, 256), (1, 1, 5), 0, 0),
        ((160, 192, 192), (1, 1.33, 1.33), None, 0),
        ((256, 160, 256), (1, 1, 1), None, 1),
    ],
)
def test_slices_are_counted_along_the_right_axis(shape, spacing, header_axis, axis):
    assert warehouse.slice_axis(shape, spacing, header_axis) == axis


def test_the_same_voxels_twice_are_one_image(study, source):
    save(source / "zz" / "copy.nii.gz", volume(1))
    ingest(study, source)
    reasons = {name: row["excluded_reason"] for name, row in catalogue(study).items()}
    assert reasons["sub-copy_T1w"] == "same voxels as sub-01_ses-M00_T1w"
    assert reasons["sub-01_ses-M00_T1w"] is None
    save(source / "aa.nii.gz", volume(2))
    ingest(study, source)
    assert catalogue(study)["sub-aa_T1w"]["excluded_reason"] == "same voxels as sub-patient7_T1w"


def test_two_files_of_one_name_become_two_images_of_one_participant(study, source):
    save(source / "other" / "sub-01_ses-M00_T1w.nii.gz", volume(11))
    ingest(study, source)
    rows = [row for row in catalogue(study).values() if row["participant_id"] == "sub-01"]
    assert len(rows) == 2
    assert len({row["bids_path"] for row in rows}) == 2


def test_a_bids_dataset_gives_its_t1w_and_the_ages_of_its_participants(study, tmp_path):
    dataset = tmp_path / "dataset"
    save(dataset / "sub-01" / "anat" / "sub-01_T1w.nii.gz", volume(1))
    save(dataset / "sub-01" / "anat" / "sub-01_T2w.nii.gz", volume(2))
    save(dataset / "sub-01" / "func" / "sub-01_task-rest_bold.nii.gz", volume(3))
    save(dataset / "derivatives" / "x" / "sub-01" / "anat" / "sub-01_desc-preproc_T1w.nii.gz", volume(4))
    (dataset / "dataset_description.json").write_text('{"Name": "d", "BIDSVersion": "1.8.0"}')
    (dataset / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t17\tF\n")
    summary = ingest(study, dataset)
    rows = catalogue(study)
    assert set(rows) == {"sub-01_T1w"}
    assert (rows["sub-01_T1w"]["age_years"], rows["sub-01_T1w"]["sex"]) == (17, "F")
    assert rows["sub-01_T1w"]["excluded_reason"] == "17 years old, under 18"
    assert summary.notes == ["left out, being no T1w by their names: 1 T2w, 1 bold"]


def test_one_file_can_be_ingested(study, source):
    assert ingest(study, source / "sub-01_ses-M00_T1w.nii.gz").done == 1
    assert ingest(study, source).unchanged == 1


def test_a_source_without_images_is_bad_use(study, tmp_path):
    for nothing in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match="no NIfTI file"):
            ingest(study, nothing)


def test_hidden_files_are_no_images(study, source):
    (source / "._sub-01_T1w.nii.gz").write_bytes(b"resource fork")
    assert ingest(study, source).failed == {}


def test_many_files_are_read_by_several_processes(study, tmp_path, monkeypatch):
    monkeypatch.setattr(warehouse, "_MANY_FILES", 2)
    for number in range(3):
        save(tmp_path / "many" / f"sub-{number}_T1w.nii.gz", volume(number))
    assert ingest(study, tmp_path / "many").done == 3


def test_a_file_name_that_is_no_unicode_is_a_row_and_the_others_go_through(study, tmp_path):
    source = tmp_path / "latin"
    source.mkdir()
    images.save_volume(source / "sub-1_T1w.nii.gz", np.arange(64000, dtype=np.int16).reshape(40, 40, 40), np.eye(4))
    Path(os.fsdecode(os.fsencode(source) + b"/h\xe9l_T1w.nii.gz")).write_bytes(b"x")
    summary = warehouse.ingest(study, source, show_progress=False)
    assert (summary.done, len(summary.failed)) == (1, 1)
    assert any("xe9" in row["source_path"] for row in store.rows(study, "images") if row["error"])


def test_other_modalities_are_taken_where_they_are_asked_for(study, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    rng = np.random.default_rng(0)
    for name, shape in (
        ("sub-1_T1w", (50, 50, 50)),
        ("sub-1_T2w", (50, 50, 12)),
        ("sub-1_task-rest_bold", (20, 20, 12, 5)),
    ):
        nib.save(
            nib.Nifti1Image(rng.random(shape, np.float32), np.diag([2.0, 2.0, 4.0, 1.0])), source / f"{name}.nii.gz"
        )
    alone = ingest(study, source)
    assert alone.facts["images"] == 1
    assert alone.notes == ["left out, being no T1w by their names: 1 T2w, 1 bold"]
    ingest(study, source, modalities=("T1w", "T2w", "bold"))
    rows = {row["modality"]: row for row in store.rows(study, "images")}
    assert {name: (row["n_slices"], row["excluded_reason"], row["error"]) for name, row in rows.items()} == {
        "T1w": (50, None, None),
        "T2w": (12, None, None),  # thirty thick slices are usual: few exclude a T1w alone
        "bold": (12, None, None),
    }
    assert (study.folder / rows["bold"]["bids_path"]).is_file()


def test_a_modality_that_is_none_is_bad_use(study, tmp_path):
    with pytest.raises(UsageError, match="T1w, T2w, bold, got dwi"):
        ingest(study, tmp_path, modalities=("dwi",))
