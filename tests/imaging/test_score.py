import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from qcbench.imaging import score, template


@pytest.fixture(scope="module")
def coarse():
    return template.load().coarse(4)


def scaled(factor):
    return np.diag([factor, factor, factor, 1.0])


def test_the_template_on_itself_scores_high(coarse):
    found = score.score(coarse.t1, coarse.affine, np.eye(4), coarse)
    assert found.correlation == 1
    assert found.coverage == 1
    assert found.tissue_information > 0.4
    assert found.plausibility == 1
    assert found.alignment > 0.9


def test_another_contrast_in_its_place_scores_high(coarse):
    inverted = np.where(coarse.brain, 1.2 - coarse.t1, coarse.t1)
    found = score.score(inverted, coarse.affine, np.eye(4), coarse)
    assert found.correlation < 0
    assert found.likeness > 0.9
    assert found.alignment > 0.75
    assert found.doubts() == []


@pytest.mark.parametrize("axis", ["x", "z"])
def test_neither_contrast_saves_a_turned_head(coarse, axis):
    centre = (coarse.affine @ [*np.argwhere(coarse.brain).mean(axis=0), 1])[:3]
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler(axis, 180, degrees=True).as_matrix()
    turn[:3, 3] = centre - turn[:3, :3] @ centre
    for contrast in (coarse.t1, np.where(coarse.brain, 1.2 - coarse.t1, coarse.t1)):
        found = score.score(contrast, coarse.affine, turn, coarse)
        assert found.alignment < score.LOW
        assert f"alignment below {score.LOW}" in found.doubts()


def test_a_header_known_to_be_turned_is_no_fault_of_the_alignment_but_is_told(coarse):
    turn = np.eye(4)
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    as_written = np.linalg.inv(turn) @ coarse.affine
    laid = np.linalg.inv(turn)
    believed = score.score(coarse.t1, as_written, laid, coarse)
    known = score.score(coarse.t1, as_written, laid, coarse, turn)
    assert believed.alignment == pytest.approx(0.2 * known.alignment, abs=0.01)
    assert known.alignment > 0.9
    assert known.doubts() == ["the header is turned by 90 degrees"]


def test_what_is_no_brain_and_what_lies_outside_is_said(coarse):
    ball = np.linalg.norm(np.indices(coarse.t1.shape).T - np.array(coarse.t1.shape) / 2, axis=-1).T < 15
    assert "no brain found" in score.score(ball.astype(np.float32), coarse.affine, np.eye(4), coarse).doubts()
    part = coarse.t1[:, : coarse.t1.shape[1] // 3]
    doubts = score.score(part, coarse.affine, np.eye(4), coarse).doubts()
    assert "half of the brain or more lies outside the image" in doubts


@pytest.mark.parametrize("values", [np.ones(50), np.zeros(50)])
def test_a_constant_brain_is_like_nothing(values):
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((50, 3)))[0]
    assert score.likeness(values, basis) == 0


def test_an_image_beside_the_template_scores_nothing(coarse):
    beside = np.eye(4)
    beside[0, 3] = 500
    found = score.score(coarse.t1, coarse.affine, beside, coarse)
    assert found.coverage == 0
    assert found.alignment == 0


def test_half_a_field_of_view_halves_the_coverage(coarse):
    half = coarse.t1[: coarse.t1.shape[0] // 2]
    assert score.score(half, coarse.affine, np.eye(4), coarse).coverage == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("scales", "rotation", "expected"),
    [
        ([0.85, 0.85, 0.85], 10, 1.0),
        ([1.2, 1.15, 1.1], 10, 0.2),  # the scalp taken for the brain's edge
        ([0.66, 0.65, 0.66], 10, 1.0),  # a small head: half a litre
        ([0.6, 0.6, 0.6], 10, 0.2),
        ([1.2, 0.8, 0.7], 10, 0.2),
        ([0.85, 0.85, 0.85], 90, 0.2),
    ],
)
def test_what_no_head_has_is_not_plausible(scales, rotation, expected):
    assert score.plausibility(np.array(scales), rotation) == pytest.approx(expected)


def test_scales_and_rotation_are_those_of_the_matrix():
    angle = np.radians(30)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn * 0.8
    scales, rotation = score.scales_and_rotation(matrix)
    assert np.allclose(scales, 0.8)
    assert rotation == pytest.approx(30)


def test_noise_tells_nothing_of_tissues(coarse):
    noise = np.random.default_rng(0).random(coarse.t1.shape)
    assert score.tissue_information(noise, coarse) < 0.01


def test_every_part_is_a_column(coarse):
    row = score.score(coarse.t1, coarse.affine, scaled(0.9), coarse).as_row()
    assert {"alignment", "correlation", "tissue_information", "scale_min", "scale_max", "coverage"} <= set(row)
    assert 0 <= row["alignment"] <= 1
