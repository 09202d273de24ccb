"""The whole way from a file to a row, on invented heads of large voxels."""

import json

import numpy as np
import pytest

from qcbench import images, iqm_keys
from qcbench.errors import ImageError, UsageError
from qcbench.imaging import geometry, register
from qcbench.imaging.heads import synthetic_head
from qcbench.imaging.score import Score
from qcbench.iqm import anatomical, apart, masks
from qcbench.iqm.measure import as_row, measure
from qcbench.iqm.profiles import QCBENCH
from qcbench.iqm.reasons import NotMeasurableError


@pytest.fixture(scope="module")
def head():
    return synthetic_head(seed=1, spacing_mm=(3.0, 3.0, 3.0))


@pytest.fixture(scope="module")
def path(head, tmp_path_factory):
    path = tmp_path_factory.mktemp("heads") / "sub-1_T1w.nii.gz"
    images.save_volume(path, head.data, head.affine)
    return path


@pytest.fixture(scope="module")
def anatomy(path):
    return masks.anatomy_of(path, whole_field=False)


def ras(volume, mask):
    return geometry.to_ras(mask, volume.affine)[0]


def overlap(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def test_the_brain_is_where_it_was_drawn(head, anatomy):
    assert anatomy.failures == {}
    assert overlap(anatomy.brain, ras(head, head.brain)) > 0.85


def test_the_masks_part_the_field(anatomy):
    assert not (anatomy.head & anatomy.hat).any()
    assert (anatomy.brain & ~anatomy.head).sum() < 0.01 * anatomy.brain.sum()
    assert not (anatomy.artefact & ~anatomy.hat).any()
    assert not (anatomy.crown & ~anatomy.head).any()
    assert (anatomy.hat & (anatomy.raw > np.median(anatomy.raw[anatomy.brain]) / 2)).mean() < 1e-3


def test_white_matter_is_brighter_than_grey_and_its_median_is_1000(anatomy):
    medians = {name: np.median(anatomy.harmonised[share > 0.6]) for name, share in anatomy.maps.items()}
    assert medians["csf"] < medians["gm"] < medians["wm"]
    assert medians["wm"] == pytest.approx(1000, rel=0.05)
    total = sum(anatomy.maps.values())
    assert total[anatomy.brain] == pytest.approx(1, abs=1e-3)


def test_a_file_becomes_a_row_without_nulls(path, anatomy, monkeypatch):
    # The masks are made once in this module; making them is what takes long.
    monkeypatch.setattr(masks, "anatomy_of", lambda *_, **__: anatomy)
    row = measure(path, "T1w", "mriqc-24")
    assert (row["image_id"], row["modality"], row["iqm_profile"]) == ("sub-1_T1w", "T1w", "mriqc-24")
    assert row["reasons"] is None
    assert {key.name for key in iqm_keys.keys_of("T1w")} <= row.keys()
    assert (row["size_x"], row["spacing_x"]) == (61, pytest.approx(3.0))
    assert 0.2 < row["icvs_wm"] < 0.5 and row["cjv"] < 1 and row["tpm_overlap_gm"] > 0.3


def test_a_head_gets_its_page_its_mosaic_and_mriqcs_json(path, anatomy, monkeypatch, tmp_path):
    monkeypatch.setattr(masks, "anatomy_of", lambda *_, **__: anatomy)
    outputs = apart.output_paths("sub-1_T1w", "T1w", tmp_path)
    row, document = apart.measure_and_write(path, "T1w", "qcbench", outputs=outputs)
    assert outputs["json"] == tmp_path / "sub-1" / "anat" / "sub-1_T1w.json"
    assert json.loads(outputs["json"].read_text()) == document and document["cjv"] == row["cjv"]
    # At 3 mm there is less air than the half million voxels that MRIQC wants.
    assert document["provenance"]["warnings"] == {"small_air_mask": True, "large_rot_frame": False}
    # The head fills most of the height of each of the five rows.
    mosaic = images.read_grey(outputs["masks"])
    assert mosaic.shape[0] > 5 * 200 and (mosaic == 255).sum() > 1000
    assert outputs["card"].read_text().count("<img ") == 5


def test_every_metric_of_our_profile_can_be_had_from_a_file(anatomy):
    assert anatomical.metrics(anatomy, QCBENCH).reasons == {}


def test_a_melon_is_a_row_of_reasons(tmp_path):
    places = np.meshgrid(*[np.linspace(-1, 1, 40)] * 3, indexing="ij")
    grain = np.random.default_rng(0).uniform(0, 20, (40, 40, 40))
    melon = 300 * (np.sqrt(sum(np.square(place) for place in places)) < 0.6) + grain
    path = tmp_path / "melon_T1w.nii.gz"
    images.save_volume(path, melon.astype(np.float32), np.diag([6.0, 6, 6, 1]))
    # One start is enough to fail.
    options = masks.MaskOptions(register=register.RegisterOptions(enough=0.0))
    found = anatomical.metrics(masks.anatomy_of(path, whole_field=False, options=options), QCBENCH)
    row = as_row("melon_T1w", "T1w", QCBENCH, found)
    assert row["cjv"] is None and "does not fit" in json.loads(row["reasons"])["cjv"]
    assert row["size_x"] == 40


def test_a_file_that_is_no_image_and_an_unknown_modality_are_refused(tmp_path):
    (tmp_path / "a_T1w.nii").write_bytes(b"no image")
    with pytest.raises(ImageError, match="NOT_NIFTI"):
        measure(tmp_path / "a_T1w.nii")
    with pytest.raises(UsageError, match="T1w, T2w, bold, got 'dwi'"):
        measure(tmp_path / "a_T1w.nii", "dwi")


def test_a_small_frame_is_none_and_a_padded_margin_is_one():
    data = np.random.default_rng(0).uniform(1, 9, (20, 20, 20))
    assert not masks.frame_mask(data).any()
    data[:3] = 0
    data[10, 10, 10] = 0
    frame = masks.frame_mask(data)
    assert frame[:3].all() and frame.sum() == 3 * 20 * 20


def test_a_bright_patch_in_the_air_is_an_artefact_where_it_is_far_from_the_head():
    hat = np.zeros((40, 20, 20), bool)
    hat[10:] = True
    data = np.where(hat, np.random.default_rng(0).uniform(1, 3, hat.shape), 100.0)
    distance = np.where(hat, np.arange(40)[:, None, None] - 9.0, 0)
    for start in (10, 30):
        data[start : start + 3, 5:9, 5:9] = 60
    artefact = masks.artefact_mask(data, hat, distance)
    assert artefact[30:33, 6:8, 6:8].all() and not artefact[:13].any()
    assert artefact.sum() <= 3 * 4 * 4


@pytest.mark.parametrize(
    ("modality", "alignment", "information", "fits"),
    [("T1w", 0.9, 0.38, True), ("T1w", 0.47, 0.38, False), ("T2w", 0.47, 0.38, True), ("T2w", 0.46, 0.24, False)],
)
def test_another_contrast_is_judged_by_its_tissues_and_not_by_its_likeness(
    monkeypatch, modality, alignment, information, fits
):
    score = Score(
        alignment=alignment,
        likeness=0.6,
        correlation=-0.07,
        tissue_information=information,
        plausibility=1.0,
        coverage=1.0,
        scale_min=0.9,
        scale_max=1.0,
        rotation_degrees=5.0,
    )
    found = register.Alignment(template_to_scanner=np.eye(4), score=score, n_starts=1)
    monkeypatch.setattr(register, "register", lambda *_: found)
    data = np.zeros((4, 4, 4))
    if fits:
        assert masks._placed(data, np.eye(4), modality, masks.MaskOptions()) is found.template_to_scanner
    else:
        with pytest.raises(NotMeasurableError, match="does not fit"):
            masks._placed(data, np.eye(4), modality, masks.MaskOptions())


def test_white_matter_without_a_core_is_taken_whole():
    share = np.zeros((9, 9, 3), np.float32)
    share[2:7, 2:7, 1] = 0.95
    data = np.where(share > 0, 250.0, 90.0)
    assert np.median(masks.harmonised(data, share)[share > 0]) == 1000
    with pytest.raises(NotMeasurableError, match="surely white matter"):
        masks.harmonised(data, share / 2)
