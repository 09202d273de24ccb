import numpy as np
import pytest

from qcbench import images
from qcbench.imaging import bias, crop, geometry, register
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


def test_more_than_one_affine_or_a_warp_is_an_error(monkeypatch):
    shape, affine = LAYOUTS["RAS"]
    monkeypatch.setattr(register.ants, "registration", lambda arguments, moving: 1)
    level = register._Level(paint(shape, affine), affine, 4, register.RegisterOptions())
    with pytest.raises(register.WorkerError, match="status 1"):
        level.align(np.eye(4), masked=True)


def test_a_low_score_leads_to_further_starts_and_the_best_is_kept(monkeypatch):
    shape, affine = LAYOUTS["RAS"]
    data = paint(shape, np.diag([1 / 0.86, 1 / 0.86, 1 / 0.86, 1]) @ affine)
    astray = np.diag([1.0, 1, 1, 1])
    astray[0, 3] = 60
    real, calls = register._Level.align, []

    def first_goes_astray(self, guess, *, masked):
        calls.append(masked)
        return astray if len(calls) == 1 else real(self, guess, masked=masked)

    monkeypatch.setattr(register._Level, "align", first_goes_astray)
    found = register.register(data, affine, register.RegisterOptions())
    assert calls[0]  # masked first
    assert found.n_starts == 2 == len(calls)
    assert found.score.alignment > 0.8


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
def test_another_sequence_in_its_place_does_not_score_zero(real_data):
    volume = images.load_volume(real_data / "reject" / "ds000011_sub-01_inplaneT2.nii.gz")
    _, _, found = aligned(volume.data, volume.affine)
    assert found.score.alignment > 0.25
