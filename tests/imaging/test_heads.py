"""Synthetic heads: seeded, head-like in the numbers, and each a person of its own."""

from functools import lru_cache

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from qcbench.errors import ImageError
from qcbench.images import Volume, load_volume
from qcbench.imaging import heads, landmarks

COARSE_MM = (2.4, 2.4, 2.4)
ORIENTED_SEEDS = (0, 2, 6)  # one of each storage order


@lru_cache
def coarse_head(seed):
    return heads.synthetic_head(seed=seed, spacing_mm=(4, 4, 4))


@pytest.fixture(scope="module")
def head():
    return heads.synthetic_head(seed=3, spacing_mm=COARSE_MM)


def test_the_same_seed_gives_the_same_bytes(head):
    again = heads.synthetic_head(seed=3, spacing_mm=COARSE_MM)
    assert again.data.tobytes() == head.data.tobytes()
    assert again.affine.tobytes() == head.affine.tobytes()


def test_another_seed_gives_another_person(head):
    other = heads.synthetic_head(seed=4, spacing_mm=COARSE_MM)
    assert other.affine.tobytes() != head.affine.tobytes()
    assert abs(other.brain.sum() / head.brain.sum() - 1) > 0.005
    ratios = [np.divide(*landmarks.tissue_levels(one.data, one.brain)[1:]) for one in (head, other)]
    assert ratios[0] != pytest.approx(ratios[1], abs=0.005)


def test_the_grid_is_the_one_asked_for():
    fine = heads.synthetic_head(seed=0, spacing_mm=(2.0, 2.4, 3.0))
    canonical = nib.as_closest_canonical(nib.Nifti1Image(fine.data, fine.affine))
    assert canonical.header.get_zooms() == pytest.approx((2.0, 2.4, 3.0))
    assert fine.data.dtype == np.float32
    assert fine.brain.shape == fine.enhancement.shape == fine.data.shape


def test_heads_are_stored_in_several_orientations():
    codes = {nib.aff2axcodes(coarse_head(seed).affine) for seed in ORIENTED_SEEDS}
    assert codes == {("R", "A", "S"), ("L", "A", "S"), ("P", "I", "R")}


def test_the_brain_is_where_the_affine_says():
    for (
        seed
    ) in ORIENTED_SEEDS:  # whatever the storage order, front is front: the nose is the head's farthest point forward
        one = coarse_head(seed)
        canonical = nib.as_closest_canonical(nib.Nifti1Image(one.data, one.affine))
        data = canonical.get_fdata()
        brain = nib.as_closest_canonical(nib.Nifti1Image(one.brain.astype(np.uint8), one.affine)).get_fdata() > 0
        head_voxels, brain_voxels = np.argwhere(data > 0.3 * np.median(data[brain])), np.argwhere(brain)
        front_room = head_voxels[:, 1].max() - brain_voxels[:, 1].max()
        back_room = brain_voxels[:, 1].min() - head_voxels[:, 1].min()
        assert front_room > back_room
        assert brain_voxels[:, 2].mean() > head_voxels[:, 2].mean()


def test_the_brain_has_a_persons_size_and_tissues(head):
    litres = head.brain.sum() * np.prod(head.spacing_mm) / 1e6
    fluid, grey, white = landmarks.tissue_levels(head.data, head.brain)
    assert 1.1 < litres < 1.8
    assert 0.15 < fluid / white < 0.5
    assert 0.55 < grey / white < 0.85


def test_the_scalp_is_bright_the_skull_dark_and_the_air_darkest(head):
    white = landmarks.tissue_levels(head.data, head.brain)[2]
    beyond_mm = distance_transform_edt(~head.brain, sampling=head.spacing_mm)
    up = nib.aff2axcodes(head.affine).index("S")
    vault = np.indices(head.data.shape)[up] > np.argwhere(head.brain)[:, up].mean()
    shells = [np.median(head.data[vault & (beyond_mm > low) & (beyond_mm < low + 1.5)]) / white for low in range(3, 16)]
    assert min(shells[:5]) < 0.3
    assert max(shells) > 0.9
    assert shells.index(max(shells)) > 4  # beyond the skull
    assert np.median(head.data[vault & (beyond_mm > 40)]) / white < 0.1


def test_gadolinium_would_brighten_little_of_the_head(head):
    share = (head.enhancement > 0.5).mean()
    assert 0.0005 < share < 0.02
    assert head.enhancement.min() >= 0
    assert head.enhancement.max() <= 1


def test_rician_noise_in_air_has_the_rayleigh_mean():
    air = heads.rician(np.zeros((60, 60, 60), np.float32), 2.0, np.random.default_rng(0))
    assert air.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.01)


def test_smooth_noise_has_about_unit_variance_and_neighbours_alike():
    field = heads.smooth_noise((60, 60, 60), (6, 6, 6), np.random.default_rng(0))
    assert field.shape == (60, 60, 60)
    assert 0.5 < field.std() < 1.3
    assert np.abs(np.diff(field, axis=0)).max() < 0.5


def test_the_brain_of_a_head_is_found_from_its_voxels(head):
    found = landmarks.locate(head)
    overlap = 2 * (found.brain & head.brain).sum() / (found.brain.sum() + head.brain.sum())
    assert overlap > 0.85


def test_noise_holds_no_head():
    noise = np.random.default_rng(0).random((50, 50, 50), dtype=np.float32) ** 8
    with pytest.raises(ImageError, match="NO_HEAD"):
        landmarks.locate(Volume(data=noise, affine=np.eye(4)))


def test_the_brain_of_a_real_head_is_found(real_data):
    found = landmarks.locate(load_volume(real_data / "t1w" / "ds000011_sub-07_T1w.nii.gz"))
    litres = found.brain.sum() * np.prod(found.spacing_mm) / 1e6
    assert 0.9 < litres < 1.9
    fluid, grey, white = landmarks.tissue_levels(found.data, found.brain)
    assert fluid < 0.8 * grey < 0.8 * white
    assert 0.0005 < (found.enhancement > 0.5).mean() < 0.02
