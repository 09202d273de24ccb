import nibabel as nib
import numpy as np
import pytest

from qcbench import images
from qcbench.errors import ImageError

AFFINE = np.diag([3.0, 3.0, 4.0, 1.0])


def voxels(shape=(5, 6, 7, 4)):
    return (np.arange(np.prod(shape)).reshape(shape) % 119).astype(np.int16)


def save(path, data, repetition_time=2.5, unit="sec"):
    image = nib.Nifti1Image(data, AFFINE)
    image.header.set_xyzt_units("mm", unit)
    if data.ndim > 3:
        image.header.set_zooms((3, 3, 4, repetition_time, 1, 1)[: data.ndim])
    nib.save(image, path)
    return path


def refusal(path):
    with pytest.raises(ImageError) as caught:
        images.load_series(path)
    assert path.name in caught.value.message
    return caught.value.code


def test_volumes_keep_their_order_and_their_time(tmp_path):
    series = images.load_series(save(tmp_path / "a_bold.nii.gz", voxels()))
    assert series.data.dtype == np.float32
    assert np.array_equal(series.data, voxels())
    assert np.array_equal(series.affine, AFFINE)
    assert series.repetition_time_s == 2.5


@pytest.mark.parametrize(
    ("stored", "unit", "seconds"),
    [(2500, "msec", 2.5), (2_500_000, "usec", 2.5), (2.5, "unknown", 2.5), (0, "sec", None)],
)
def test_the_repetition_time_is_in_seconds_or_unknown(tmp_path, stored, unit, seconds):
    found = images.load_series(save(tmp_path / "a_bold.nii", voxels(), stored, unit)).repetition_time_s
    assert found == (seconds if seconds is None else pytest.approx(seconds, rel=1e-6))


def test_trailing_axes_of_length_one_are_dropped(tmp_path):
    series = images.load_series(save(tmp_path / "a_bold.nii", voxels()[..., None, None]))
    assert series.data.shape == (5, 6, 7, 4)


def test_voxels_that_are_no_number_become_zero_and_are_counted(tmp_path):
    data = voxels().astype(np.float32)
    data[1, 1, 1, 2], data[2, 2, 2, 3] = np.nan, np.inf
    series = images.load_series(save(tmp_path / "a_bold.nii", data))
    assert series.n_not_finite == 2
    assert series.data[1, 1, 1, 2] == series.data[2, 2, 2, 3] == 0


@pytest.mark.parametrize("shape", [(5, 6, 7), (5, 6, 7, 1), (5, 6, 7, 3, 2), (5, 6, 1, 4)])
def test_what_is_no_series_of_volumes_is_refused(tmp_path, shape):
    assert refusal(save(tmp_path / "a_bold.nii", voxels(shape))) == "NOT_4D"


def test_a_series_is_still_no_single_volume(tmp_path):
    with pytest.raises(ImageError, match=r"NOT_3D: a_bold\.nii has shape 5 x 6 x 7 x 4; one 3D volume is expected"):
        images.load_volume(save(tmp_path / "a_bold.nii", voxels()))


def test_a_file_that_ends_early_is_refused(tmp_path):
    path = save(tmp_path / "a_bold.nii", voxels())
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal(path) == "TRUNCATED"


def test_a_series_without_contrast_is_refused(tmp_path):
    assert refusal(save(tmp_path / "a_bold.nii", np.full((5, 6, 7, 4), 3, np.int16))) == "CONSTANT"


def test_a_header_that_claims_too_much_is_refused_before_anything_is_read(tmp_path):
    path = save(tmp_path / "a_bold.nii", voxels())
    content = bytearray(path.read_bytes())
    content[42:50] = np.array([1024, 1024, 256, 4], "<i2").tobytes()
    path.write_bytes(content)
    assert refusal(path) == "TOO_LARGE"
