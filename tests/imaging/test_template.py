import numpy as np
import pytest

from qcbench.errors import ImageError
from qcbench.imaging import template


def test_the_template_lies_where_mni_space_says():
    known = template.load()
    assert known.t1.shape == (197, 233, 189)
    assert known.affine[:3, 3].tolist() == [-98, -134, -72]
    assert known.sha256.startswith("421a10e8")


def test_the_brain_has_the_size_of_a_brain_and_no_holes():
    known = template.load()
    litres = known.brain.sum() / 1e6
    assert 1.7 < litres < 2.0
    ventricle = np.linalg.inv(known.affine) @ [-10, 10, 15, 1]
    assert known.brain[tuple(np.rint(ventricle[:3]).astype(int))]


def test_grey_and_white_matter_lie_in_the_brain():
    known = template.load()
    assert known.brain[known.white > 0.5].mean() > 0.99
    assert known.brain[known.grey > 0.5].mean() > 0.95


def test_a_coarse_template_covers_the_same_head():
    known = template.load()
    coarse = known.coarse(2)
    middle = [(known.affine @ [*np.argwhere(known.brain).mean(0), 1])[:3]]
    middle.append((coarse.affine @ [*np.argwhere(coarse.brain).mean(0), 1])[:3])
    assert np.allclose(*middle, atol=0.2)
    assert coarse.brain.sum() * 8 == pytest.approx(known.brain.sum(), rel=0.02)


def test_dilating_the_brain_adds_a_margin_in_millimetres():
    coarse = template.load().coarse(4)
    assert coarse.dilated_brain(0).sum() == coarse.brain.sum()
    assert coarse.brain.sum() < coarse.dilated_brain(4).sum() < coarse.dilated_brain(12).sum()


def test_another_file_in_its_place_is_refused(monkeypatch):
    monkeypatch.setitem(template._FILES, "t1", (template._FILES["t1"][0], "0" * 64))
    with pytest.raises(ImageError, match=r"WRONG_TEMPLATE.*reinstall nilearn"):
        template.load.__wrapped__()


def test_block_means_fill_up_the_last_block_with_its_edge():
    assert template.block_mean(np.array([[[1.0, 3.0, 5.0]]]), (1, 1, 2)).ravel().tolist() == [2.0, 5.0]
