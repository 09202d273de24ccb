import gzip
import os
import struct

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench import images
from qcbench.errors import ImageError

AFFINE = np.array([[-1.0, 0, 0, 80], [0, 1.5, 0, -120], [0, 0, 2, -60], [0, 0, 0, 1]])


def voxels(shape=(6, 7, 8), dtype=np.int16):
    return (np.arange(np.prod(shape)).reshape(shape) % 120).astype(dtype)


def save(path, data, affine=AFFINE, header=None):
    nib.save(nib.Nifti1Image(data, affine, header), path)
    return path


def refusal(path):
    with pytest.raises(ImageError) as caught:
        images.load_volume(path)
    assert path.name in caught.value.message
    return caught.value.code


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_every_kind_of_number_is_read_as_float32(tmp_path, dtype):
    volume = images.load_volume(save(tmp_path / "a.nii.gz", voxels(dtype=dtype)))
    assert volume.data.dtype == np.float32
    assert np.array_equal(volume.data, voxels(dtype=dtype).astype(np.float32))
    assert np.array_equal(volume.affine, AFFINE)
    assert volume.spacing_mm == (1.0, 1.5, 2.0)


def test_big_endian_files_are_read(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    path = save(tmp_path / "big.nii", voxels(), header=header)
    assert path.read_bytes()[:4] == struct.pack(">i", 348)
    assert np.array_equal(images.load_volume(path).data, voxels())


def test_slope_and_intercept_are_applied(tmp_path):
    path = save(tmp_path / "scaled.nii", voxels())
    content = bytearray(path.read_bytes())
    content[112:120] = struct.pack("<ff", 2, 10)
    path.write_bytes(content)
    assert np.array_equal(images.load_volume(path).data, 2 * voxels() + 10)


def test_some_voxels_that_are_no_number_become_zero_and_are_counted(tmp_path):
    data = voxels(dtype=np.float32)
    data[0, 0, 0], data[1, 1, 1], data[2, 2, 2] = np.nan, np.inf, -np.inf
    volume = images.load_volume(save(tmp_path / "nan.nii", data))
    assert volume.n_not_finite == 3
    assert volume.data[0, 0, 0] == volume.data[1, 1, 1] == volume.data[2, 2, 2] == 0


def test_negative_values_stay(tmp_path):
    assert images.load_volume(save(tmp_path / "negative.nii", voxels() - 50)).data.min() == -50


def test_a_fourth_dimension_of_one_volume_is_dropped(tmp_path):
    assert images.load_volume(save(tmp_path / "a.nii", voxels((6, 7, 8, 1)))).data.shape == (6, 7, 8)


def test_the_slice_axis_is_known_where_the_header_says_it(tmp_path):
    image = nib.Nifti1Image(voxels(), AFFINE)
    assert images.load_volume(save(tmp_path / "unknown.nii", voxels())).slice_axis is None
    image.header.set_dim_info(0, 2, 1)
    nib.save(image, tmp_path / "known.nii")
    assert images.load_volume(tmp_path / "known.nii").slice_axis == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (voxels((6, 7, 8, 2)), "NOT_3D"),
        (voxels((6, 7)), "NOT_3D"),
        (voxels((6, 7, 1)), "NOT_3D"),
        (np.full((4, 4, 4), np.nan, np.float32), "ALL_NAN"),
        (np.full((4, 4, 4), 3, np.int16), "CONSTANT"),
        (np.zeros((4, 4, 4), np.uint8), "CONSTANT"),
        (voxels().astype(np.complex64), "BAD_DTYPE"),
        (np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "BAD_DTYPE"),
    ],
)
def test_what_is_no_usable_volume_is_refused(tmp_path, data, code):
    assert refusal(save(tmp_path / "bad.nii.gz", data)) == code


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
def test_a_file_cut_short_is_refused(tmp_path, share):
    content = save(tmp_path / "whole.nii.gz", np.random.default_rng(0).random((20, 20, 20))).read_bytes()
    path = tmp_path / "cut.nii.gz"
    path.write_bytes(content[: int(share * len(content))])
    assert refusal(path) in ("TRUNCATED", "NOT_NIFTI")


def test_an_unpacked_file_cut_short_is_refused(tmp_path):
    path = save(tmp_path / "cut.nii", voxels())
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(path) == "TRUNCATED"


def test_text_named_as_an_image_is_refused(tmp_path):
    for name, code in (("text.nii.gz", "BAD_GZIP"), ("text.nii", "NOT_NIFTI")):
        (tmp_path / name).write_text("this is no image, " * 40)
        assert refusal(tmp_path / name) == code


def test_an_empty_missing_or_special_file_is_refused(tmp_path):
    (tmp_path / "empty.nii").touch()
    assert refusal(tmp_path / "empty.nii") == "EMPTY"
    assert refusal(tmp_path / "missing.nii") == "NOT_A_FILE"
    os.mkfifo(tmp_path / "pipe.nii")
    assert refusal(tmp_path / "pipe.nii") == "NOT_A_FILE"


def test_a_header_that_claims_too_much_is_refused_before_anything_is_allocated(tmp_path):
    path = save(tmp_path / "huge.nii", voxels())
    content = bytearray(path.read_bytes())
    content[40:48] = struct.pack("<4h", 3, 32767, 32767, 32767)
    path.write_bytes(content)
    assert refusal(path) == "TOO_LARGE"


@pytest.mark.parametrize(
    "affine",
    [
        np.diag([np.nan, 1, 1, 1]),
        np.diag([0.0, 1, 1, 1]),
        np.diag([44.0, 1, 1, 1]),
        np.diag([0.01, 1, 1, 1]),
        np.array([[1.0, 1, 0, 0], [1, 1, 0.01, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    ],
)
def test_an_affine_that_no_scanner_has_is_refused(tmp_path, affine):
    path = save(tmp_path / "affine.nii", voxels())
    content = bytearray(path.read_bytes())
    content[252:256] = struct.pack("<hh", 0, 1)  # sform only
    content[280:328] = affine[:3].astype("<f4").tobytes()
    path.write_bytes(content)
    assert refusal(path) == "BAD_AFFINE"


def test_a_wrong_checksum_is_found_by_reading_to_the_end(tmp_path):
    path = save(tmp_path / "flipped.nii.gz", voxels())
    images.check_gzip(path)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ImageError, match="BAD_GZIP"):
        images.check_gzip(path)


def test_a_missing_end_is_found_by_reading_to_the_end(tmp_path):
    path = save(tmp_path / "short.nii.gz", voxels())
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ImageError, match="TRUNCATED"):
        images.check_gzip(path)


def test_a_file_that_unpacks_without_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "_MOST_VOXELS", 2**20)
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(bytes(2**26)))
    with pytest.raises(ImageError, match="TOO_LARGE"):
        images.check_gzip(path)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 347), st.binary(min_size=1, max_size=8))
def test_no_damage_of_the_header_is_more_than_a_refusal(tmp_path_factory, place, damage):
    path = tmp_path_factory.mktemp("damaged") / "a.nii"
    content = bytearray(save(path, voxels()).read_bytes())
    content[place : place + len(damage)] = damage
    path.write_bytes(content[: len(content)])
    try:
        assert np.isfinite(images.load_volume(path).data).all()
    except ImageError as error:
        assert error.code


def test_a_written_volume_is_read_back_the_same_and_twice_the_same_bytes(tmp_path):
    for name in ("one.nii.gz", "two.nii.gz"):
        images.save_volume(tmp_path / name, voxels(), AFFINE)
    volume = images.load_volume(tmp_path / "one.nii.gz")
    assert np.array_equal(volume.data, voxels())
    assert np.allclose(volume.affine, AFFINE)
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()


def test_packing_anew_does_not_change_the_hash_of_the_voxels(tmp_path):
    packed = images.load_volume(save(tmp_path / "a.nii.gz", voxels()))
    plain = images.load_volume(save(tmp_path / "a.nii", voxels()))
    other = images.load_volume(save(tmp_path / "b.nii", voxels() + 1))
    elsewhere = images.load_volume(save(tmp_path / "c.nii", voxels(), AFFINE + np.eye(4)[:, [3, 0, 1, 2]] * 0.5))
    hashes = [images.voxels_sha256(volume) for volume in (packed, plain, other, elsewhere)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_a_picture_comes_back_as_it_was(tmp_path):
    from PIL import Image

    grey = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)
    sha256 = images.save_png(tmp_path / "a.png", grey)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), grey)
    assert sha256 == images.save_png(tmp_path / "b.png", grey)
    assert images.read_png(tmp_path / "a.png").startswith(b"\x89PNG")


def test_a_picture_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ImageError, match="BAD_DTYPE"):
        images.save_png(tmp_path / "a.png", np.zeros((4, 4), np.float32))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match="NOT_PNG"):
        images.read_png(tmp_path / "text.png")
    with pytest.raises(ImageError, match="NOT_A_FILE"):
        images.read_png(tmp_path / "missing.png")
