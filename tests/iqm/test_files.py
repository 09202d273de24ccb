"""Files that belong to no study: one JSON object for one, a list for several, and a reason for what is no image."""

import nibabel as nib
import numpy as np
import pytest
from nibabel.testing import data_path

from qcbench.errors import UsageError
from qcbench.iqm import files


def save(path, n_volumes=6):
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in (24, 26, 20)), indexing="ij")
    still = 600 * (np.sqrt((x / 0.6) ** 2 + (y / 0.65) ** 2 + (z / 0.7) ** 2) < 1)
    noise = np.random.default_rng(0).uniform(0, 30, (*still.shape, n_volumes))
    data = (still[..., None] + noise).astype(np.int16)
    nib.save(nib.Nifti1Image(data if n_volumes > 1 else data[..., 0], np.diag([4.0, 4, 4, 1])), path)
    return path


def measured(*paths, **options):
    return files.iqm_of_files(paths, show_progress=False, **options)


def test_one_file_is_an_object_and_several_are_a_list_in_the_order_asked_for(tmp_path):
    first, second = save(tmp_path / "sub-2_task-a_bold.nii"), save(tmp_path / "sub-1_task-a_bold.nii")
    assert measured(first).to_json()["bids_meta"]["subject"] == "2"
    both = measured(first, second, workers=2)
    assert [each["bids_meta"]["subject"] for each in both.to_json()] == ["2", "1"]
    assert both.exit_status == 0


def test_a_bad_file_keeps_its_place_and_says_why(tmp_path):
    (tmp_path / "sub-1_task-a_bold.nii").write_bytes(b"no image")
    good = save(tmp_path / "sub-2_task-a_bold.nii")
    found = measured(tmp_path / "sub-1_task-a_bold.nii", good, tmp_path / "sub-3_FLAIR.nii")
    bad, fine, other = found.to_json()
    assert "NOT_NIFTI" in bad["provenance"]["error"] and "error" not in fine["provenance"]
    assert "IQMs are measured of T1w, T2w, bold" in other["provenance"]["error"]
    assert found.exit_status == 1 and len(found.failed) == 2
    assert "FAILED" in str(found) and "sub-2_task-a_bold (bold, qcbench): tsnr" in str(found)


def test_without_a_telling_name_a_series_is_bold(tmp_path):
    assert measured(save(tmp_path / "scan.nii")).rows[0]["modality"] == "bold"


def test_a_folder_gets_the_pages(tmp_path):
    found = measured(save(tmp_path / "sub-1_task-a_bold.nii"), out=tmp_path / "pages")
    assert found.cards == [tmp_path / "pages" / "sub-1" / "func" / "sub-1_task-a_bold.html"]
    assert found.cards[0].is_file() and found.cards[0].with_suffix(".json").is_file()


def test_motion_of_another_program_is_used_and_belongs_to_one_series(tmp_path):
    path = save(tmp_path / "sub-1_task-a_bold.nii")
    motion = tmp_path / "motion.par"
    motion.write_text("".join(f"0 0 0 {number * 0.5} 0 0\n" for number in range(6)))
    assert measured(path, motion_file=motion).rows[0]["fd_mean"] == pytest.approx(0.5)
    with pytest.raises(UsageError, match="one series, got 2 files"):
        measured(path, path, motion_file=motion)
    motion.write_text("0 0 0 0 0 0\n" * 5)
    assert "5 volumes, sub-1_task-a_bold.nii has 6" in measured(path, motion_file=motion).rows[0]["error"]
    volume = save(tmp_path / "sub-1_T1w.nii", n_volumes=1)
    assert "belong to a bold series" in measured(volume, motion_file=motion).rows[0]["error"]


def test_what_cannot_be_is_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="got 'dwi'"):
        measured("a_T1w.nii", modality="dwi")
    with pytest.raises(UsageError, match="two files are called sub-1_t1w"):
        measured(tmp_path / "a" / "sub-1_T1w.nii", tmp_path / "b" / "sub-1_T1w.nii.gz", out=tmp_path)
    with pytest.raises(UsageError, match="holds no six motion parameters"):
        measured("a_bold.nii", motion_file=tmp_path / "missing.par")


def test_a_real_series_that_was_cut_out_of_a_head_has_no_air_and_says_so():
    row = measured(f"{data_path}/functional.nii").rows[0]
    assert (row["modality"], row["size_t"], row["spacing_tr"]) == ("bold", 20, 2.0)
    assert 50 < row["tsnr"] < 200 and 0 < row["gcor"] < 1
    assert row["summary_bg_mean"] is None and "lies inside the head" in row["reasons"]
    assert row["fd_mean"] is None and "24 mm thick" in row["reasons"]
