import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from qcbench.imaging import register, starts, template
from tests.imaging.conftest import LAYOUTS, paint

SHAPE, AFFINE = LAYOUTS["RAS"]
PLACED = np.diag([0.86, 0.86, 0.86, 1.0])


@pytest.fixture(scope="module")
def small_head():
    """A head 14 % smaller than the template, in its place."""
    return paint(SHAPE, np.linalg.inv(PLACED) @ AFFINE)


def perturbed(seed):
    """Return a rigid motion with scale: up to 30 degrees, 40 mm and a fifth, one in two after a turn of the header."""
    rng = np.random.default_rng(seed)
    axis = rng.standard_normal(3)
    matrix = starts.turns()[rng.integers(24)].copy() if seed % 2 else np.eye(4)
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * rng.uniform(0, 30), degrees=True).as_matrix()
    matrix[:3, :3] = matrix[:3, :3] @ turn * rng.uniform(0.8, 1.2)
    matrix[:3, 3] = rng.uniform(-40, 40, 3)
    return matrix


def test_there_are_24_turns_and_no_mirror():
    found = {tuple(np.rint(turn[:3, :3]).astype(int).ravel()) for turn in starts.turns()}
    assert len(found) == 24
    assert all(np.linalg.det(turn) == pytest.approx(1) for turn in starts.turns())
    assert np.array_equal(starts.turns()[0], np.eye(4))


@pytest.mark.parametrize("seed", range(4))
def test_the_brain_is_found_wherever_it_lies(small_head, seed):
    motion = perturbed(seed)
    best = starts.look(small_head, motion @ AFFINE, template.load())[0]
    apart_mm = register.displacement_mm(np.linalg.inv(motion) @ best.matrix, PLACED)
    assert apart_mm < 12
    assert np.linalg.det(best.matrix) > 0


@pytest.mark.parametrize("number", [0, 3, 17])
def test_the_turn_that_puts_an_affine_upright_is_known(number):
    turn = starts.turns()[number]
    tilted = np.eye(4)
    tilted[:3, :3] = 0.8 * Rotation.from_euler("xyz", (20, -10, 15), degrees=True).as_matrix()
    assert np.array_equal(starts.nearest_turn(np.linalg.inv(turn) @ tilted), turn)


def test_an_upright_head_is_not_looked_at_in_other_directions(small_head):
    found = starts.look(small_head, AFFINE, template.load())
    assert len(found) == 2
    assert not any(start.is_turned for start in found)


def test_noise_is_alike_nowhere_and_the_best_comes_first():
    noise = np.random.default_rng(0).random((30, 30, 30), dtype=np.float32)
    found = starts.look(noise, np.diag([6.0, 6.0, 6.0, 1.0]), template.load())
    keys = [start.likeness - starts.TURN_MARGIN * start.is_turned for start in found]
    assert keys == sorted(keys, reverse=True)
    assert found[0].likeness < 0.5
