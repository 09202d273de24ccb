"""T2w and bold images are drawn as they lie, and can be labelled; nothing of them is aligned."""

import json

import nibabel as nib
import numpy as np
import pytest

from qcbench import images, store
from qcbench.annotate import queue
from qcbench.errors import ImageError
from qcbench.imaging import screenshot
from qcbench.prepare import slices, t1linear
from qcbench.study import Study
from tests.prepare.scans import block, catalogue


@pytest.fixture
def study(tmp_path):
    return Study.create(tmp_path / "study", raters=["alice"], protocol="mriqc")


def drawn(study, image_id, modality):
    path = next(study.bids.rglob(f"{image_id}.nii.gz"))
    row = slices.draw(path, study.derivatives, modality, "radiological")
    return (
        row,
        images.read_grey(row["screenshot_path"]),
        json.loads(row["screenshot_path"].with_suffix(".json").read_text()),
    )


def test_slices_go_through_the_middle_of_the_head_and_not_of_the_field(study):
    data = np.zeros((40, 44, 30), np.int16)
    data[4:15, 20:41, 10:21] = 500
    catalogue(study, {"sub-1_T2w": data})
    row, _, sidecar = drawn(study, "sub-1_T2w", "T2w")
    assert row["slice_indices"] == sidecar["SliceIndices"] == [9, 30, 15]
    assert (row["black"], row["white"]) == (sidecar["Black"], sidecar["White"]) == (0.0, 500.0)


def test_a_picture_has_the_proportions_of_the_head_whatever_the_voxels_are(study):
    catalogue(study, {"sub-1_T2w": block(1)})
    _, picture, sidecar = drawn(study, "sub-1_T2w", "T2w")
    # 40 x 44 x 30 voxels of 3 x 3 x 4 mm are 120 x 132 x 120 mm, drawn with two pixels a millimetre.
    assert picture.shape == (2 * 132, 2 * (132 + 120 + 120) + 2 * 8)
    assert sidecar["SpacingMm"] == [3.0, 3.0, 4.0]


def test_the_left_of_the_patient_is_on_the_right_of_coronal_and_axial_slices(study):
    data = block(1)
    data[8:14, 18:26, 11:19] = 3000  # on the left: x grows to the right
    catalogue(study, {"sub-1_T2w": data})
    _, picture, _ = drawn(study, "sub-1_T2w", "T2w")
    axial = picture[:, 2 * (132 + 120) + 2 * 8 :]
    columns = np.argwhere(axial > 250)[:, 1]
    assert columns.mean() > 0.6 * axial.shape[1]


def test_a_stored_orientation_changes_nothing_that_is_seen(study):
    catalogue(study, {"sub-1_T2w": block(1)})
    raw = next(study.bids.rglob("*.nii.gz"))
    _, before, _ = drawn(study, "sub-1_T2w", "T2w")
    image = nib.load(raw)
    turned = nib.orientations.axcodes2ornt("PSL")
    nib.save(image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), turned)), raw)
    assert nib.aff2axcodes(nib.load(raw).affine) == ("P", "S", "L")
    _, after, _ = drawn(study, "sub-1_T2w", "T2w")
    assert np.array_equal(before, after)


def test_of_a_series_the_mean_is_drawn(study):
    still = block(1)
    flicker = np.stack([still, 3 * still], axis=3)
    catalogue(study, {"sub-1_T2w": 2 * still, "sub-2_task-rest_bold": flicker})
    _, expected, _ = drawn(study, "sub-1_T2w", "T2w")
    _, found, sidecar = drawn(study, "sub-2_task-rest_bold", "bold")
    assert np.array_equal(found, expected)
    assert sidecar["VolumesAveraged"] == 2


def test_a_bold_file_of_one_volume_is_drawn_and_a_t2w_of_several_is_refused(study):
    catalogue(study, {"sub-1_task-rest_bold": block(1), "sub-2_T2w": np.stack([block(1), block(2)], axis=3)})
    assert drawn(study, "sub-1_task-rest_bold", "bold")[2]["VolumesAveraged"] == 1
    with pytest.raises(ImageError, match="NOT_3D"):
        drawn(study, "sub-2_T2w", "T2w")


def test_min_max_is_to_be_had_and_a_hot_voxel_then_darkens_the_head():
    volume = block(1).astype(np.float32)
    volume[20, 22, 15] = 90_000
    _, robust = screenshot.native(volume, (3, 3, 4))
    _, whole = screenshot.native(volume, (3, 3, 4), window="min-max")
    assert robust["White"] < 900
    assert (whole["Black"], whole["White"]) == (0.0, 90_000.0)


def test_pictures_of_a_study_wait_for_raters_and_their_rows_say_that_nothing_was_aligned(study):
    catalogue(study, {"sub-1_T2w": block(1), "sub-2_task-rest_bold": np.stack([block(2)] * 3, axis=3)})
    summary = t1linear.preprocess(study, show_progress=False)
    assert (summary.done, summary.failed) == (2, {})
    rows = {row["image_id"]: row for row in store.rows(study, "preprocessed")}
    for row in rows.values():
        assert row["preprocessing_preset"] == "slices"
        assert (row["volume_path"], row["alignment"], row["template"]) == (None, None, None)
    assert rows["sub-2_task-rest_bold"]["screenshot_path"] == (
        "derivatives/qcbench/sub-2/func/sub-2_task-rest_desc-slices_bold.png"
    )
    assert {image.image_id for image in queue.load(study, "alice")} == set(rows)
    assert t1linear.preprocess(study, show_progress=False).unchanged == 2
    (study.folder / rows["sub-1_T2w"]["screenshot_path"]).unlink()
    assert t1linear.preprocess(study, show_progress=False).done == 1
