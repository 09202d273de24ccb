import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from qcbench.images import load_volume
from qcbench.imaging.heads import synthetic_head
from qcbench.prepare import identity_pixels


def written(picture, text, *, at, size, value):
    """Return the picture with words on it, as a scanner or a screenshot writes them."""
    ink = Image.new("L", picture.shape[::-1])
    ImageDraw.Draw(ink).text(at, text, fill=255, font=ImageFont.load_default(size))
    share = np.asarray(ink, np.float32) / 255
    return picture * (1 - share) + share * value


def noise(shape=(192, 192), seed=0):
    return np.abs(np.random.default_rng(seed).normal(0, 12, shape)).astype(np.float32)


@pytest.fixture(scope="module")
def head():
    return synthetic_head(seed=5, spacing_mm=(1.3, 1.2, 1.2)).data


@pytest.mark.parametrize("size", [10, 14, 20, 30])
@pytest.mark.parametrize("text", ["LEFEVRE JEANNE", "12/03/1945", "IPP 7781230"])
def test_words_on_air_are_seen(text, size):
    assert identity_pixels.has_text(written(noise(), text, at=(4, 6), size=size, value=900))


def test_words_beside_a_head_are_seen(head):
    picture = np.pad(head[head.shape[0] // 2], 20)
    picture = written(picture, "DURAND", at=(2, 2), size=12, value=float(head.max()))
    assert identity_pixels.has_text(picture)


def test_dark_words_on_a_page_are_seen():
    assert identity_pixels.has_text(
        255 - written(np.zeros((200, 300), np.float32), "Durand", at=(9, 9), size=16, value=255)
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_words_in_one_slice_of_a_volume_are_seen_either_way(head, axis):
    volume = head.copy()
    place = [slice(None)] * 3
    place[axis] = 1
    plane = volume[tuple(place)]
    volume[tuple(place)] = written(plane.T, "LEFEVRE", at=(3, 3), size=14, value=float(head.max())).T
    assert (axis, 0) in set(identity_pixels.slices_with_text(volume))


def test_a_head_alone_has_no_words(head):
    assert list(identity_pixels.slices_with_text(head)) == []


def test_noise_and_a_letter_for_the_side_are_no_words():
    assert not identity_pixels.has_text(noise(seed=1))
    assert not identity_pixels.has_text(written(noise(), "R", at=(5, 90), size=14, value=900))


def test_pictures_of_nothing_are_no_words():
    assert not identity_pixels.has_text(np.zeros((64, 64)))
    assert not identity_pixels.has_text(np.full((64, 64), np.nan))
    assert not identity_pixels.has_text(np.zeros((3, 400)))


def test_real_heads_have_no_words(real_data):
    for name in ("t1w/ds000011_sub-05_T1w.nii.gz", "reject/ds000011_sub-01_inplaneT2.nii.gz"):
        assert list(identity_pixels.slices_with_text(load_volume(real_data / name).data)) == []
