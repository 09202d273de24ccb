"""A head that is no mirror image of itself, and the ways in which a file can lie in the scanner."""

import os

import numpy as np
import pytest
from scipy import ndimage

from qcbench.imaging import template

# Before ITK runs for the first time: with more threads its sums come out in another order.
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

#: Where the bright marker sits, in template millimetres: on the left, in front of the middle, high.
MARKER_MM = (-45.0, 10.0, 25.0)


def world_of(shape, affine):
    """Return the RAS coordinates (3, i, j, k) of every voxel."""
    grid = np.indices(shape).reshape(3, -1)
    return (affine[:3, :3] @ grid + affine[:3, 3:]).reshape(3, *shape)


def paint(shape, affine):
    """Return the template's brain, a skull around it and a marker on its left, seen on any grid."""
    known = template.load()
    voxels = np.linalg.inv(known.affine) @ np.vstack(
        [world_of(shape, affine).reshape(3, -1), np.ones((1, np.prod(shape)))]
    )
    values = {
        name: ndimage.map_coordinates(getattr(known, name).astype(np.float32), voxels[:3], order=1).reshape(shape)
        for name in ("t1", "brain")
    }
    marker = np.linalg.norm(world_of(shape, affine) - np.array(MARKER_MM)[:, None, None, None], axis=0) < 9
    return (1000 * values["t1"] + 1000 * marker).astype(np.float32)


def turned(degrees_about_z):
    angle = np.radians(degrees_about_z)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn


def _grid(columns, spacing, shape):
    """Return an affine with the given axes whose field of view is centred on the head."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(columns, dtype=float).T * spacing
    affine[:3, 3] = np.array([0, -17, 5]) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


#: name -> (shape, affine): the same head, stored in different orders and directions.
LAYOUTS = {
    "RAS": ((90, 110, 90), _grid([[1, 0, 0], [0, 1, 0], [0, 0, 1]], 2.0, (90, 110, 90))),
    "LAS": ((90, 110, 90), _grid([[-1, 0, 0], [0, 1, 0], [0, 0, 1]], 2.0, (90, 110, 90))),
    "PSR": ((110, 90, 90), _grid([[0, -1, 0], [0, 0, 1], [1, 0, 0]], 2.0, (110, 90, 90))),
    "AIL": ((110, 90, 90), _grid([[0, 1, 0], [0, 0, -1], [-1, 0, 0]], 2.0, (110, 90, 90))),
    "oblique LPI": (
        (100, 120, 90),
        turned(15) @ _grid([[-1, 0, 0], [0, -1, 0], [0, 0, -1]], 2.0, (100, 120, 90)),
    ),
}


@pytest.fixture(params=sorted(LAYOUTS))
def layout(request):
    """Shape and affine of one way to store a head."""
    return LAYOUTS[request.param]
