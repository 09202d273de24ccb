import json
import subprocess
import tarfile
from dataclasses import replace

import dcm2niix
import nibabel as nib
import numpy as np
import pytest

from qcbench import images
from qcbench.imaging import crop, geometry, isolate, register, template
from qcbench.imaging.bias import BiasOptions
from qcbench.prepare import one_image, presets
from qcbench.prepare.presets import PRESETS, Preset
from tests.imaging.conftest import LAYOUTS, MARKER_MM, paint

SHAPE, AFFINE = LAYOUTS["PSR"]
UNTOUCHED = Preset(bias=BiasOptions(iterations=()))
#: The head in the scanner: smaller than the template, beside the middle.
PLACED = np.array([[0.86, 0, 0, 5], [0, 0.86, 0, -9], [0, 0, 0.86, 7], [0, 0, 0, 1]])
STORED = {
    "uint8": ("<u1", 0.12),
    "int16": ("<i2", 1.0),
    "big-endian int16": (">i2", 1.0),
    "uint16": ("<u2", 1.0),
    "int32": ("<i4", 1.0),
    "float32": ("<f4", 1.0),
    "big-endian float32": (">f4", 1.0),
    "float64": ("<f8", 1e-3),
}


def write(path, data, affine, dtype="<f4"):
    header = nib.Nifti1Header(endianness=">" if dtype[0] == ">" else "<")
    header.set_data_dtype(np.dtype(dtype))
    image = nib.Nifti1Image(data.astype(dtype), affine, header)
    image.header.set_data_dtype(np.dtype(dtype))
    nib.save(image, path)
    return path


def marker(canonical):
    """Return where the marker lies (MNI mm): the brightest five hundredths of a thousandth."""
    bright = np.argwhere(canonical > 0.72 * canonical.max()).mean(axis=0)
    return (geometry.CANONICAL_AFFINE @ [*bright, 1])[:3]


def laid(path, placed=PLACED):
    data, affine, _, _ = one_image.corrected(path, UNTOUCHED)
    return crop.to_canonical(data, affine, placed)


@pytest.fixture(scope="module")
def head():
    return paint(SHAPE, np.linalg.inv(PLACED) @ AFFINE)


@pytest.mark.parametrize("kind", STORED)
def test_the_left_stays_on_the_left_in_every_type_of_voxel(head, tmp_path, kind):
    dtype, scale = STORED[kind]
    path = write(tmp_path / "sub-1_T1w.nii", np.clip(head * scale, 0, 250 if kind == "uint8" else None), AFFINE, dtype)
    assert nib.load(path).get_data_dtype().newbyteorder("=") == np.dtype(dtype).newbyteorder("=")
    assert marker(laid(path)) == pytest.approx(MARKER_MM, abs=3)


def test_negative_voxels_nans_and_a_fourth_axis_change_nothing_about_left_and_right(head, tmp_path):
    strange = head - 100
    strange[:4] = np.nan
    strange[-4:] = np.inf
    path = write(tmp_path / "sub-1_T1w.nii.gz", strange[..., None], AFFINE)
    canonical = laid(path)
    assert np.isfinite(canonical).all()
    assert marker(canonical) == pytest.approx(MARKER_MM, abs=3)


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("tilt", [0.0, 0.15])
def test_neither_oblique_nor_sheared_axes_swap_the_sides(tmp_path, layout, tilt):
    shape, affine = LAYOUTS[layout]
    sheared = affine.copy()
    sheared[:3, 1] += tilt * affine[:3, 2]
    path = write(tmp_path / "sub-1_T1w.nii", paint(shape, np.linalg.inv(PLACED) @ sheared), sheared)
    data, affine, shear_degrees, _ = one_image.corrected(path, UNTOUCHED)
    assert (shear_degrees > 1) == (tilt > 0)
    # Nine degrees of shear cannot be had with orthogonal axes: half of it is left on each side.
    found = marker(crop.to_canonical(data, affine, PLACED))
    assert found == pytest.approx(MARKER_MM, abs=3 if not tilt else 9)
    assert found[0] < -30


@pytest.fixture
def coarse_template(monkeypatch):
    """The template at 4 mm: the published call on it takes a second and not a minute."""
    coarse = template.load().coarse(4)
    monkeypatch.setattr(one_image.whole_head, "choose", lambda *arguments, **options: coarse)
    return coarse


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_leaves_the_left_on_the_left_and_says_how(tmp_path, name, coarse_template, monkeypatch):
    shape, affine = (56, 46, 46), AFFINE @ np.diag([2, 2, 2, 1])
    raw = write(tmp_path / "sub-1_T1w.nii.gz", paint(shape, np.linalg.inv(PLACED) @ affine), affine)
    # At 4 mm the search has the template's own voxels; it is made no coarser.
    monkeypatch.setattr(register, "_coarse", lambda fixed, spacing_mm, margin_mm: (fixed, fixed.dilated_brain(6.0)))
    made = one_image.align_and_draw(raw, tmp_path / "out", presets.by_name(name), name, "radiological")
    volume = images.load_volume(made["volume_path"])
    assert marker(volume.data) == pytest.approx(MARKER_MM, abs=6)
    assert made["alignment"] > 0.7
    assert made["alignment_doubts"] is None
    assert made["seed"] == 0
    assert "antspyx" in made["versions"]
    assert made["template_sha256"] == coarse_template.sha256
    assert made["template"].endswith("not the template of the paper") == (name != "fast")
    sidecar = json.loads(
        made["volume_path"].with_name(made["volume_path"].name.replace(".nii.gz", ".json")).read_text()
    )
    assert sidecar["PreprocessingPreset"] == name
    assert sidecar["Options"]["bias"]["spline_distance_mm"] == PRESETS[name].bias.spline_distance_mm
    assert sidecar["Alignment"]["template_sha256"] == coarse_template.sha256
    assert sidecar["Alignment"]["seed"] == 0


def test_fine_voxels_are_made_cubes_where_the_preset_says_so(tmp_path):
    fine = np.diag([0.8, 1.2, 1.2, 1.0])
    data = np.random.default_rng(0).random((30, 20, 20)).astype(np.float32)
    path = write(tmp_path / "sub-1_T1w.nii", data, fine)
    paper = replace(UNTOUCHED, cubes_below_mm=0.9)
    _, affine, _, is_resampled = one_image._loaded(path, paper)
    assert is_resampled
    assert np.allclose(np.linalg.norm(affine[:3, :3], axis=0), 1)
    _, affine, _, is_resampled = one_image._loaded(path, UNTOUCHED)
    assert not is_resampled
    assert np.allclose(affine, fine)


def test_min_max_draws_the_lowest_black_and_the_highest_white():
    volume = np.full(geometry.CANONICAL_SHAPE, 100, np.int16)
    volume[79, 119, 78] = 1000  # where the three slices meet
    volume[0, 0, 0] = -100
    wide = one_image.picture(volume, "radiological", "min-max")
    assert wide.max() > 200
    assert np.median(wide[wide > 0]) == pytest.approx(255 * 200 / 1100, abs=1)
    assert np.median(one_image.picture(volume, "radiological", "percentile")) == 255


def test_an_image_without_a_brain_keeps_its_picture_and_its_doubts(tmp_path):
    ball = (np.linalg.norm(np.indices((48, 48, 48)) - 24, axis=0) < 18).astype(np.float32) * 500
    raw = write(tmp_path / "sub-1_T1w.nii.gz", ball, np.diag([4.0, 4.0, 4.0, 1.0]))
    made = one_image.align_and_draw(raw, tmp_path / "out", presets.by_name("fast"), "fast", "radiological")
    assert made["alignment"] < 0.5
    assert "no brain found" in made["alignment_doubts"]
    assert images.read_png(made["screenshot_path"])


def preprocessed(path, folder):
    return isolate.call(one_image.align_and_draw, path, folder, presets.by_name("fast"), "fast", "radiological")


@pytest.mark.slow
@pytest.mark.parametrize(
    "file",
    [
        "reject/ds000011_sub-01_inplaneT2.nii.gz",
        "reject/ds002748_sub-62_T1w_brain.nii.gz",  # a reject for having no skull; the brain is in its place
        "gadolinium/TCGA-FG-6692_T1_AX_pre.nii.gz",
    ],
)
def test_rejects_for_another_reason_than_their_place_are_aligned_and_drawn(real_data, tmp_path, file):
    made = preprocessed(real_data / file, tmp_path)
    assert made["alignment"] > 0.5
    assert not made["is_header_turned"]
    assert images.read_png(made["screenshot_path"])


@pytest.mark.slow
def test_a_melon_that_is_called_a_t1w_scores_low_and_is_drawn(real_data, tmp_path):
    with tarfile.open(real_data / "dicom" / "melon_GE.tar.xz") as archive:
        archive.extractall(tmp_path / "dicom", filter="data")
    subprocess.run([dcm2niix.bin, "-z", "y", "-f", "sub-melon_T1w", "-o", tmp_path, tmp_path / "dicom"], check=True)
    made = preprocessed(tmp_path / "sub-melon_T1w.nii.gz", tmp_path / "out")
    assert made["alignment"] < 0.5
    assert "no brain found" in made["alignment_doubts"]
    assert images.read_png(made["screenshot_path"])
