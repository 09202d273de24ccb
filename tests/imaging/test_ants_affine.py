import numpy as np
import pytest

from qcbench.errors import WorkerError
from qcbench.imaging import ants_affine, geometry, register, template
from tests.imaging.conftest import paint

PLACED = np.array([[0.9, 0, 0, 4], [0, 0.88, 0, -6], [0, 0, 0.9, 5], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def coarse():
    return template.load().coarse(4)


def pair(coarse, *, double):
    """Return the template, a smaller head beside its place, and the mask of the brain."""
    moving = paint(coarse.t1.shape, np.linalg.inv(PLACED) @ coarse.affine)
    mask = geometry.to_ants(coarse.dilated_brain(6.0).astype(np.uint8), coarse.affine)
    return [geometry.to_ants(data, coarse.affine, double=double) for data in (coarse.t1, moving)] + [mask]


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
@pytest.mark.parametrize("start", [None, np.diag([0.85, 0.85, 0.85, 1.0])], ids=["centres of mass", "a start"])
def test_a_head_is_found_in_either_precision(coarse, double, start):
    fixed, moving, mask = pair(coarse, double=double)
    found = ants_affine.find(fixed, moving, mask, start=start, spacing_mm=4, seed=0, winsorize=True)
    assert register.displacement_mm(found, PLACED) < 2


def test_the_same_images_and_seed_give_the_same_numbers(coarse):
    images = pair(coarse, double=False)
    found = [ants_affine.find(*images, start=PLACED, spacing_mm=4, seed=3) for _ in range(2)]
    assert np.array_equal(*found)


def test_the_memory_of_the_images_is_read_for_what_it_is(coarse, monkeypatch):
    asked = []

    def noted(arguments, moving):
        asked.append(arguments[arguments.index("--float") + 1])
        return 1

    monkeypatch.setattr(ants_affine.ants, "registration", noted)
    for double in (False, True):
        with pytest.raises(WorkerError, match="status 1"):
            ants_affine.find(*pair(coarse, double=double), start=None, spacing_mm=4, seed=0)
    assert asked == ["1", "0"]


def test_a_library_that_gives_up_is_an_error_of_ours(coarse, monkeypatch):
    def raises(arguments, moving):
        raise RuntimeError("Registration failed with error code 1")

    monkeypatch.setattr(ants_affine.ants, "registration", raises)
    with pytest.raises(WorkerError, match="error code 1"):
        ants_affine.find(*pair(coarse, double=False), start=None, spacing_mm=4, seed=0)
