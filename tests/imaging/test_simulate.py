"""Artefacts: seen in the numbers, stronger with the grade, and all made by the same steps."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from qcbench.errors import UsageError
from qcbench.imaging import heads, landmarks, simulate

GOOD = {"gadolinium": False, "motion": 0, "contrast": 0, "noise": 0}
SEEDS = (0, 1, 2)
ORIENTED_SEEDS = (0, 2, 6)  # one of each storage order


@pytest.fixture(scope="module")
def head():
    return heads.synthetic_head(seed=1, spacing_mm=(2.0, 2.0, 2.0))


def degraded(head, seed, **grades):
    return simulate.degrade(head, **{**GOOD, **grades}, seed=seed)


def middle(volume):
    """The voxels of a box in the middle of the picture: mostly brain."""
    return volume.data[tuple(slice(size // 3, 2 * size // 3) for size in volume.data.shape)]


def test_the_same_arguments_give_the_same_bytes(head):
    grades = {"gadolinium": True, "motion": 2, "contrast": 1, "noise": 1}
    first, second = (degraded(head, 5, **grades) for _ in range(2))
    assert first.data.tobytes() == second.data.tobytes()
    assert first.affine.tobytes() == second.affine.tobytes()
    assert degraded(head, 6, **grades).data.tobytes() != first.data.tobytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_motion_changes_the_picture_more_with_each_grade(head, seed):
    reference = middle(degraded(head, seed)).ravel()
    alike = [np.corrcoef(reference, middle(degraded(head, seed, motion=grade)).ravel())[0, 1] for grade in (0, 1, 2)]
    assert alike[0] == pytest.approx(1)
    assert alike[1] < 0.993
    assert alike[2] < alike[1] - 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_motion_throws_ghosts_into_the_air(head, seed):
    def brightest_air(grade):
        volume = degraded(head, seed, motion=grade)
        body = ndimage.binary_dilation(degraded(head, seed).data > 0.3 * middle(volume).mean(), iterations=5)
        return volume.data[~body].mean() / middle(volume).mean()

    assert brightest_air(0) < brightest_air(1) < brightest_air(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_rises_with_the_grade(head, seed):
    def noise_sd(grade):
        volume = middle(degraded(head, seed, noise=grade))
        # Immerkaer 1996: a difference of Laplacians leaves noise and little anatomy.
        return np.abs(volume - ndimage.median_filter(volume, 3)).mean() / volume.mean()

    sds = [noise_sd(grade) for grade in (0, 1, 2)]
    assert sds[1] > 1.3 * sds[0]
    assert sds[2] > 1.6 * sds[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_grey_and_white_matter_draw_together_with_the_grade(head, seed):
    def separation(grade):
        poorer = simulate.with_poor_contrast(head, grade=grade, seed=seed)
        _, grey, white = landmarks.tissue_levels(head.data, head.brain)
        is_grey = head.brain & (np.abs(head.data - grey) < 0.05 * white)
        is_white = head.brain & (np.abs(head.data - white) < 0.05 * white)
        return 1 - poorer.data[is_grey].mean() / poorer.data[is_white].mean()

    clear, hard, hopeless = (separation(grade) for grade in (0, 1, 2))
    assert hard < 0.75 * clear
    assert hopeless < 0.45 * clear


@pytest.mark.parametrize("seed", SEEDS)
def test_poor_contrast_loses_sharpness(head, seed):
    def sharpness(grade):
        volume = middle(degraded(head, seed, contrast=grade))
        return ndimage.gaussian_gradient_magnitude(volume, 1).mean() / volume.mean()

    assert sharpness(0) > sharpness(1) > sharpness(2)


@pytest.mark.parametrize("seed", SEEDS)
def test_gadolinium_brightens_vessels_and_leaves_the_rest(head, seed):
    white = landmarks.tissue_levels(head.data, head.brain)[2]
    enhanced = simulate.with_gadolinium(head, seed=seed)
    vessels, rest = head.enhancement > 0.9, head.enhancement == 0
    assert enhanced.data[vessels].mean() > 1.2 * white
    assert head.data[vessels].mean() < 0.9 * white
    assert np.array_equal(enhanced.data[rest], head.data[rest])


def test_a_good_copy_passes_the_same_steps_as_a_bad_one(head):
    good, noisy, moved = degraded(head, 3), degraded(head, 3, noise=2), degraded(head, 3, motion=2)
    assert good.data.tobytes() == simulate.reacquire(head, seed=3).data.tobytes()
    assert good.data.shape == noisy.data.shape == moved.data.shape
    assert np.array_equal(good.affine, noisy.affine)
    assert np.array_equal(good.affine, moved.affine)
    assert good.data.shape != head.data.shape or not np.allclose(good.affine, head.affine)


def test_every_straight_reject_ends_in_the_same_step(head, monkeypatch):
    calls = []
    monkeypatch.setattr(simulate, "reacquire", lambda head, **options: calls.append(options) or head)
    for kind in simulate.KINDS:
        simulate.straight_reject(head, kind=kind, seed=0)
    assert calls == [{"seed": 0}] * len(simulate.KINDS)


def test_margins_gain_and_background_differ_from_copy_to_copy(head):
    copies = [degraded(head, seed) for seed in range(5)]
    assert len({copy.data.shape for copy in copies}) > 3
    brightness = [middle(copy).mean() for copy in copies]
    assert max(brightness) > 1.5 * min(brightness)
    air = [(copy.data == 0).mean() for copy in copies]
    assert max(air) - min(air) > 0.05


@pytest.mark.parametrize("seed", ORIENTED_SEEDS)
def test_a_marker_on_the_left_stays_on_the_left(seed):
    source = heads.synthetic_head(seed=seed, spacing_mm=(4, 4, 4))
    place = np.einsum("ij,jklm->iklm", source.affine[:3, :3], np.indices(source.data.shape))
    place += source.affine[:3, 3, None, None, None]
    inside = place[:, source.brain].mean(axis=1)
    near = np.linalg.norm(place - (inside - (45, 0, 0))[:, None, None, None], axis=0) < 12
    marked = replace(source, data=np.where(near, 20 * source.data.max(), source.data).astype(np.float32))
    copy = simulate.reacquire(marked, seed=seed)
    index = np.argwhere(copy.data > 0.5 * copy.data.max()).mean(axis=0)
    found = copy.affine[:3, :3] @ index + copy.affine[:3, 3]
    assert found == pytest.approx(inside - (45, 0, 0), abs=10)


class TestStraightRejects:
    def test_a_tissue_map_is_nearly_empty(self, head):
        for seed in SEEDS:
            data = simulate.straight_reject(head, kind="tissue_map", seed=seed).data
            top = np.percentile(data, 99)
            assert 0.015 < (data > 0.5 * top).mean() < 0.15
            assert (data < 0.25 * top).mean() > 0.8

    def test_a_skull_stripped_image_has_no_scalp(self, head):
        good, stripped = degraded(head, 1), simulate.straight_reject(head, kind="skull_stripped", seed=1)
        bright = 0.4 * np.percentile(middle(good), 90)
        scaled = stripped.data * np.percentile(middle(good), 90) / np.percentile(middle(stripped), 90)
        assert (scaled > bright).sum() < 0.75 * (good.data > bright).sum()

    def test_a_truncated_image_lacks_half_of_the_brain_and_keeps_forty_slices(self, head):
        for seed in range(6):
            cut = simulate.straight_reject(head, kind="truncated", seed=seed)
            assert cut.data.size < 0.85 * head.data.size
            assert min(cut.data.shape) >= 40

    def test_another_sequence_turns_the_tissues_round(self, head):
        good, inverted = degraded(head, 2), simulate.straight_reject(head, kind="other_sequence", seed=2)
        assert np.corrcoef(middle(good).ravel(), middle(inverted).ravel())[0, 1] < 0

    def test_a_melon_is_no_brain(self, head):
        good, melon = degraded(head, 2), simulate.straight_reject(head, kind="not_a_brain", seed=2)
        assert np.corrcoef(good.data.ravel(), melon.data.ravel())[0, 1] < 0.75

    def test_an_unknown_kind_is_refused(self, head):
        with pytest.raises(UsageError, match="tissue_map"):
            simulate.straight_reject(head, kind="banana", seed=0)


def test_a_grade_beyond_the_protocol_is_refused(head):
    with pytest.raises(UsageError, match="noise must be 0, 1 or 2"):
        degraded(head, 0, noise=3)


def test_a_real_head_is_degraded_without_a_transform(real_data):
    from qcbench import images

    source = images.load_volume(real_data / "t1w" / "ds000011_sub-04_T1w.nii.gz")
    head = landmarks.locate(source)
    enhanced = simulate.with_gadolinium(head, seed=0)
    brighter = enhanced.data > 1.2 * source.data + 10
    assert 0.0005 < brighter.mean() < 0.02
    poor = simulate.degrade(head, gadolinium=False, motion=1, contrast=2, noise=0, seed=0)
    assert poor.data.min() >= 0
    assert np.isfinite(poor.data).all()
