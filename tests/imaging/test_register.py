import numpy as np
import pytest
from scipy import ndimage

from qcbench import images
from qcbench.imaging import bias, crop, geometry, register, starts, template
from tests.imaging.conftest import LAYOUTS, MARKER_MM, paint, turned

#: The two heads on which a single start at full scale takes the scalp for the brain.
TRAPS = ("sub-02", "sub-03")
OTHERS = ("sub-01", "sub-04", "sub-05", "sub-06", "sub-07", "sub-08")


def aligned(data, affine):
    data, affine = geometry.to_ras(data, affine)
    affine, _ = geometry.orthonormal(affine, data.shape)
    return data, affine, register.register(data, affine, register.RegisterOptions())


def head(real_data, subject):
    volume = images.load_volume(real_data / "t1w" / f"ds000011_{subject}_T1w.nii.gz")
    data, affine = geometry.to_ras(volume.data, volume.affine)
    data, _ = bias.correct(data, affine, bias.BiasOptions())
    return register.register(data, affine, register.RegisterOptions())


@pytest.mark.parametrize("codes", ["LAS", "PSR"])
def test_a_marker_on_the_left_is_on_the_left_after_registration(codes):
    shape, affine = LAYOUTS[codes]
    # The head is 15 % smaller than the template, turned and off the middle, as people are.
    placed = turned(8) @ np.diag([0.85, 0.88, 0.85, 1])
    placed[:3, 3] = [6, -12, 9]
    data = paint(shape, np.linalg.inv(placed) @ affine)
    data, affine, found = aligned(data, affine)
    cropped = crop.to_canonical(data, affine, found.template_to_scanner)
    bright = np.argwhere(cropped > 1250).mean(axis=0)
    assert (geometry.CANONICAL_AFFINE @ [*bright, 1])[:3] == pytest.approx(MARKER_MM, abs=4)
    assert found.score.alignment > 0.8
    assert np.allclose(found.template_to_scanner, placed, atol=4)


@pytest.mark.parametrize("turn", [5, 14])
def test_a_header_that_lies_by_right_angles_is_found_out(turn):
    shape, affine = LAYOUTS["RAS"]
    header = starts.turns()[turn] @ affine
    placed = np.diag([0.86, 0.86, 0.86, 1])
    data = paint(shape, np.linalg.inv(placed) @ affine)
    found = register.register(data, header, register.RegisterOptions())
    truth = starts.turns()[turn] @ placed
    assert register.displacement_mm(found.template_to_scanner, truth) < 3
    assert found.score.is_turned
    assert found.score.alignment > 0.75
    # Turned, never mirrored: the marker is where it was painted.
    assert np.linalg.det(found.template_to_scanner) > 0


def test_a_start_that_ants_cannot_follow_leaves_what_looked_alike(monkeypatch):
    shape, affine = LAYOUTS["RAS"]
    placed = np.diag([0.86, 0.86, 0.86, 1])
    monkeypatch.setattr(register.ants_affine.ants, "registration", lambda arguments, moving: 1)
    found = register.register(paint(shape, np.linalg.inv(placed) @ affine), affine, register.RegisterOptions())
    assert found.n_starts == 3
    assert "antsRegistration failed in 3 of 3 starts" in found.doubts()
    assert register.displacement_mm(found.template_to_scanner, placed) < 12


def test_a_low_score_leads_to_further_starts_and_the_best_is_kept(monkeypatch):
    shape, affine = LAYOUTS["RAS"]
    data = paint(shape, np.diag([1 / 0.86, 1 / 0.86, 1 / 0.86, 1]) @ affine)
    astray = np.eye(4)
    astray[0, 3] = 60
    real, calls = register.ants_affine.find, []

    def first_goes_astray(fixed, moving, mask, **how):
        calls.append(mask is not None)
        return astray if len(calls) == 1 else real(fixed, moving, mask, **how)

    monkeypatch.setattr(register.ants_affine, "find", first_goes_astray)
    # A start as good as this would end the search; the score of a found affine alone must.
    found = register.register(data, affine, register.RegisterOptions())
    assert calls[0]  # masked first
    assert found.n_starts == 2 == len(calls)
    assert found.score.alignment > 0.8


@pytest.mark.parametrize(
    "data",
    [
        np.random.default_rng(0).random((40, 40, 40), dtype=np.float32),
        (np.linalg.norm(np.indices((40, 40, 40)) - 20, axis=0) < 14).astype(np.float32),
    ],
    ids=["noise", "ball"],
)
def test_what_is_no_head_scores_low_and_still_has_its_place(data):
    found = register.register(data, np.diag([4.0, 4.0, 4.0, 1.0]), register.RegisterOptions())
    assert found.score.alignment < 0.5
    assert "alignment below 0.5" in found.score.doubts()
    assert np.isfinite(found.template_to_scanner).all()
    assert np.linalg.det(found.template_to_scanner) > 0


def test_half_a_head_is_told(monkeypatch):
    shape, affine = LAYOUTS["RAS"]
    placed = np.diag([0.86, 0.86, 0.86, 1])
    data = paint(shape, np.linalg.inv(placed) @ affine)[:, :, 62:]
    low = affine.copy()
    low[2, 3] += 62 * 2
    found = register.register(data, low, register.RegisterOptions())
    assert found.score.doubts()


def test_displacement_is_the_mean_distance_in_the_brain():
    shifted = np.eye(4)
    shifted[:3, 3] = [3, 0, 4]
    assert register.displacement_mm(np.eye(4), shifted) == pytest.approx(5)


def t2w_like(volume, found):
    """Return a head whose brain is as bright as it was dark, as fluid is in a T2w image."""
    data, affine = geometry.to_ras(volume.data, volume.affine)
    known = template.load().coarse(2)
    to_template = np.linalg.inv(known.affine) @ np.linalg.inv(found) @ affine
    brain = (
        ndimage.affine_transform(known.brain.astype(np.float32), to_template, output_shape=data.shape, order=1) > 0.5
    )
    return np.where(brain, np.clip(np.percentile(data[brain], 98) - data, 0, None), data), affine


@pytest.mark.slow
def test_a_head_of_t2w_like_contrast_is_aligned_and_scores_high(real_data):
    volume = images.load_volume(real_data / "t1w" / "ds000011_sub-04_T1w.nii.gz")
    found = head(real_data, "sub-04").template_to_scanner
    data, affine = t2w_like(volume, found)
    other = register.register(data, affine, register.RegisterOptions())
    assert register.displacement_mm(other.template_to_scanner, found) < 5
    assert other.score.alignment > 0.6
    assert other.score.correlation < 0


@pytest.mark.parametrize("subject", TRAPS)
def test_the_heads_whose_scalp_looks_like_a_brain_are_aligned(real_data, subject):
    score = head(real_data, subject).score
    assert score.correlation > 0.5
    assert score.alignment > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("subject", OTHERS)
def test_every_real_head_is_aligned(real_data, subject):
    score = head(real_data, subject).score
    assert score.correlation > 0.5
    assert score.alignment > 0.8


@pytest.mark.slow
def test_a_real_t2w_of_thick_slices_in_its_place_scores_above_the_limit(real_data):
    volume = images.load_volume(real_data / "reject" / "ds000011_sub-01_inplaneT2.nii.gz")
    _, _, found = aligned(volume.data, volume.affine)
    assert found.score.alignment > 0.5
