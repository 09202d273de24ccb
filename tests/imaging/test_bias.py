import ants
import numpy as np
import pytest

from qcbench.imaging import bias, geometry
from tests.imaging.conftest import LAYOUTS, paint, world_of

SHAPE, AFFINE = LAYOUTS["RAS"]


@pytest.fixture(scope="module")
def shaded_head():
    """A head, and the same head with a strong field across it."""
    head = paint(SHAPE, AFFINE)
    field = np.exp(0.008 * world_of(SHAPE, AFFINE)[1] + 0.005 * world_of(SHAPE, AFFINE)[0])
    return head, (head * field).astype(np.float32), field


def test_a_field_across_the_head_is_removed(shaded_head):
    head, shaded, field = shaded_head
    corrected, strength = bias.correct(shaded, AFFINE, bias.BiasOptions())
    white = (head > 650) & (head < 900)
    before, after = np.std(np.log(shaded[white])), np.std(np.log(corrected[white]))
    assert after < 0.5 * before
    assert strength == pytest.approx(np.log(field[head > 100]).std(), rel=0.35)


def test_the_head_keeps_its_brightness(shaded_head):
    head, shaded, _ = shaded_head
    corrected, _ = bias.correct(shaded, AFFINE, bias.BiasOptions())
    inside = head > 100
    assert np.log(corrected[inside]).mean() == pytest.approx(np.log(shaded[inside]).mean(), abs=0.1)


def test_without_a_mask_and_on_all_voxels_the_field_is_that_of_n4_itself(shaded_head):
    head, shaded, _ = shaded_head
    coarse, affine = shaded[::2, ::2, ::2], AFFINE @ np.diag([2, 2, 2, 1])
    options = bias.BiasOptions(
        spacing_mm=None, in_head=False, shrink_factor=2, iterations=(10, 10), spline_distance_mm=200
    )
    corrected, strength = bias.correct(coarse, affine, options)
    plain = ants.n4_bias_field_correction(
        geometry.to_ants(coarse, affine), shrink_factor=2, convergence={"iters": [10, 10], "tol": 0}, spline_param=200
    )
    white = (head[::2, ::2, ::2] > 650) & (head[::2, ::2, ::2] < 900)
    assert np.allclose(corrected[white], plain.numpy()[white], rtol=1e-4)
    assert strength > 0


def test_without_iterations_nothing_is_touched(shaded_head):
    _, shaded, _ = shaded_head
    corrected, strength = bias.correct(shaded, AFFINE, bias.BiasOptions(iterations=()))
    assert corrected is shaded
    assert strength == 0


def test_the_head_is_one_piece_without_holes_or_noise():
    rng = np.random.default_rng(0)
    data = rng.random((30, 30, 30)).astype(np.float32)
    data[8:22, 8:22, 8:22] += 10
    data[14:16, 14:16, 14:16] = 0
    mask = bias.head_mask(data)
    assert mask[15, 15, 15]
    assert mask.sum() == pytest.approx(14**3, rel=0.1)


def test_an_image_without_a_head_counts_as_one():
    speckle = np.indices((12, 12, 12)).sum(0) % 2
    assert bias.head_mask(speckle.astype(np.float32)).all()


def test_negative_and_zero_voxels_do_not_become_infinite(shaded_head):
    _, shaded, _ = shaded_head
    dark = shaded - 50
    corrected, _ = bias.correct(dark, AFFINE, bias.BiasOptions())
    assert np.isfinite(corrected).all()


def test_the_coarse_field_is_enlarged_without_a_shift():
    ramp = np.arange(5.0)[:, None, None] * np.ones((5, 2, 2))
    fine = bias._enlarge(ramp, (4, 1, 1), (20, 2, 2))
    # The middle of block i lies between its second and third voxel.
    assert (fine[5, 0, 0] + fine[6, 0, 0]) / 2 == pytest.approx(1.0)
    assert np.all(np.diff(fine[:, 0, 0]) >= 0)
