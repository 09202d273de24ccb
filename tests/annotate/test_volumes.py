import io

import numpy as np
import pytest
from PIL import Image

from qcbench import images
from qcbench.annotate.messages import Refused
from qcbench.annotate.queue import QueuedImage
from qcbench.annotate.volumes import Volumes
from qcbench.imaging import screenshot
from qcbench.imaging.geometry import CANONICAL_AFFINE, CANONICAL_SHAPE
from qcbench.study import Study


@pytest.fixture
def volume():
    voxels = np.random.default_rng(7).integers(0, 900, CANONICAL_SHAPE).astype(np.int16)
    voxels[100:, :, :] //= 3  # the patient's right is darker
    return voxels


@pytest.fixture
def study(tmp_path, volume):
    made = Study.create(tmp_path / "study", raters=["alice"])
    images.save_volume(made.folder / "sub-1.nii.gz", volume, CANONICAL_AFFINE)
    return made


def queued(**more):
    path = {"volume_path": "sub-1.nii.gz"}
    return QueuedImage(image_id="sub-1_T1w", screenshot_path="", screenshot_sha256="", **{**path, **more})


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("convention", ["radiological", "neurological"])
def test_the_middle_slices_are_those_of_the_picture_pixel_for_pixel(study, volume, convention):
    volumes, image = Volumes(study, of_all=True), queued(convention=convention)
    about = volumes.describe(image)
    assert about == {"counts": [169, 208, 179], "start": [79, 119, 78], "origin_mm": [-84.0, -119.0, -78.0]}
    picture = screenshot.screenshot(volume, convention)
    sagittal, coronal, axial = (pixels(volumes.png(image, axis, n)) for axis, n in enumerate(about["start"]))
    assert np.array_equal(sagittal, picture[29:387, :416])
    assert np.array_equal(coronal, picture[29:387, 424:762])
    assert np.array_equal(axial, picture[:, 770:])


def test_only_images_labelled_from_the_volume_are_opened_unless_the_study_opens_all(study):
    assert [Volumes(study, of_all=False).may_open(queued(purpose=purpose)) for purpose in ("label", "repeat")] == [
        False
    ] * 2
    assert Volumes(study, of_all=False).may_open(queued(purpose="volume"))
    assert Volumes(study, of_all=True).may_open(queued())
    assert not Volumes(study, of_all=True).may_open(queued(volume_path=None))


@pytest.mark.parametrize("path", ["sub-2.nii.gz", "../outside.nii.gz", "coarse.nii.gz"])
def test_a_volume_that_cannot_be_read_is_told_without_its_name(study, path):
    images.save_volume(study.folder / "coarse.nii.gz", np.arange(8.0).reshape(2, 2, 2), np.eye(4))
    with pytest.raises(Refused, match="the volume is missing or damaged; tell the coordinator"):
        Volumes(study, of_all=True).describe(queued(volume_path=path))


@pytest.mark.parametrize(
    ("plane", "numbers"),
    [(3, [1]), (True, [1]), ("0", [1]), (0, [169]), (0, [-1]), (0, [1.0]), (0, "1"), (1, list(range(9)))],
)
def test_slices_that_a_volume_does_not_have_are_refused(study, plane, numbers):
    with pytest.raises(Refused):
        Volumes(study, of_all=True).check(queued(), plane, numbers)
