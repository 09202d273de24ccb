import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcbench.imaging import geometry

SIZES = st.floats(0.3, 6.0)
ANGLES = st.floats(-3.1, 3.1)


@st.composite
def affines(draw):
    """Orthogonal affines of any orientation, left-handed ones too."""
    a, b, c = draw(ANGLES), draw(ANGLES), draw(ANGLES)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    sizes = np.array([draw(SIZES) * draw(st.sampled_from([-1, 1])), draw(SIZES), draw(SIZES)])
    affine = np.eye(4)
    affine[:3, :3] = (about_x @ about_y @ about_z) * sizes
    affine[:3, 3] = [draw(st.floats(-200, 200)) for _ in range(3)]
    return affine


def test_the_canonical_grid_is_that_of_the_paper():
    corner = geometry.CANONICAL_AFFINE @ [*(np.array(geometry.CANONICAL_SHAPE) - 1), 1]
    assert geometry.CANONICAL_SHAPE == (169, 208, 179)
    assert geometry.CANONICAL_AFFINE[:3, 3].tolist() == [-84, -119, -78]
    assert corner[:3].tolist() == [84, 88, 100]


def test_the_canonical_affine_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        geometry.CANONICAL_AFFINE[0, 0] = 2


def test_itk_says_the_opposite_of_x_and_y():
    origin, spacing, direction = geometry.to_itk(geometry.CANONICAL_AFFINE)
    assert (origin, spacing) == ([84, 119, -78], [1, 1, 1])
    assert direction.tolist() == [[-1, 0, 0], [0, -1, 0], [0, 0, 1]]


@given(affines())
def test_an_affine_survives_the_way_to_itk_and_back(affine):
    assert np.allclose(geometry.from_itk(*geometry.to_itk(affine)), affine, atol=1e-6)


def test_a_sheared_affine_is_refused_by_itk():
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    with pytest.raises(ValueError, match="orthogonal"):
        geometry.to_itk(sheared)


def test_an_ants_image_lies_where_the_array_lies():
    affine = np.array([[-1.0, 0, 0, 80], [0, 1.5, 0, -120], [0, 0, 2, -60], [0, 0, 0, 1]])
    data = np.zeros((6, 7, 8), np.float32)
    data[5, 2, 3] = 1
    image = geometry.to_ants(data, affine)
    left_posterior_superior = np.array(image.origin) + image.direction @ (np.array(image.spacing) * [5, 2, 3])
    assert image.numpy()[5, 2, 3] == 1
    assert left_posterior_superior.tolist() == [-75, 117, -54]  # RAS (75, -117, -54)


@pytest.mark.parametrize(("double", "pixeltype"), [(False, "float"), (True, "double")])
def test_the_precision_of_an_ants_image_is_the_one_asked_for(double, pixeltype):
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    image = geometry.to_ants(data, np.eye(4), double=double)
    assert image.pixeltype == pixeltype
    assert np.array_equal(image.numpy(), data)
    assert geometry.to_ants(data > 3, np.eye(4), double=double).pixeltype == "unsigned char"


def test_a_transform_survives_the_way_to_itk_and_back():
    matrix = np.array([[0.9, 0.1, 0, 5], [-0.1, 0.8, 0.2, -7], [0, -0.2, 0.85, 11], [0, 0, 0, 1]])
    assert np.allclose(geometry.transform_from_itk(geometry.transform_to_itk(matrix), np.zeros(3)), matrix)


def test_a_transform_about_a_centre_leaves_that_centre_in_place():
    parameters = np.array([0, -1.0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0])  # a quarter turn, no translation
    matrix = geometry.transform_from_itk(parameters, np.array([10.0, 20.0, 30.0]))
    assert np.allclose(matrix @ [-10, -20, 30, 1], [-10, -20, 30, 1])


@given(affines())
def test_an_orthogonal_affine_is_left_as_it_is(affine):
    mended, shear = geometry.orthonormal(affine, (20, 30, 40))
    assert shear == 0
    assert np.allclose(mended, affine, atol=1e-6)


@given(affines(), st.floats(-0.4, 0.4))
def test_a_sheared_affine_becomes_orthogonal_about_the_middle_of_the_volume(affine, shear):
    sheared = affine.copy()
    sheared[:3, 1] += shear * sheared[:3, 2]
    mended, _ = geometry.orthonormal(sheared, (20, 30, 40))
    geometry.to_itk(mended)  # raises when the axes are not orthogonal
    middle = [9.5, 14.5, 19.5, 1]
    assert np.allclose(mended @ middle, sheared @ middle)
    assert np.allclose(np.linalg.norm(mended[:3, :3], axis=0), np.linalg.norm(sheared[:3, :3], axis=0))
    assert np.sign(np.linalg.det(mended[:3, :3])) == np.sign(np.linalg.det(sheared[:3, :3]))


def test_the_shear_of_a_tilted_gantry_is_told_in_degrees():
    tilted = np.eye(4)
    tilted[1, 2] = np.tan(np.radians(12))
    assert geometry.orthonormal(tilted, (10, 10, 10))[1] == pytest.approx(12)


@given(affines())
def test_turning_to_ras_moves_no_voxel_in_the_head(affine):
    data = np.zeros((4, 5, 6), np.float32)
    data[3, 1, 2] = 7
    turned, turned_affine = geometry.to_ras(data, affine)
    place = np.argwhere(turned == 7)[0]
    assert np.allclose(turned_affine @ [*place, 1], affine @ [3, 1, 2, 1], atol=1e-6)


@pytest.mark.parametrize("codes", ["LAS", "PSR", "SPL"])
def test_after_turning_the_axes_grow_right_front_and_up(codes):
    letters = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, letter in enumerate(codes):
        affine[letters[letter][0], axis] = letters[letter][1]
    assert geometry.axis_codes(affine) == codes
    assert geometry.axis_codes(geometry.to_ras(np.zeros((2, 3, 4)), affine)[1]) == "RAS"
