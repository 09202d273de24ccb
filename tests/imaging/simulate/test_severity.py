"""The measures: 0 for no change, known values for known changes, and in step with another library."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torchmetrics.functional.image import structural_similarity_index_measure

from qcbench.errors import ImageError
from qcbench.imaging import simulate
from qcbench.imaging.geometry import canonical_index
from qcbench.imaging.simulate import severity


def changed(sight, change):
    return [change(plane).astype(np.float32) for plane in sight.untouched]


def test_the_slices_are_those_that_raters_see(head, sight):
    assert [plane.shape for plane in sight.untouched] == [(208, 179), (169, 179), (169, 208)]
    # x = -5 and y = 0 meet in one line, whichever slice it is read from.
    i, j, _ = canonical_index(-5, 0, 0)
    assert np.allclose(sight.untouched[0][j], sight.untouched[1][i], atol=1e-5)
    white = np.concatenate([p[b] for p, b in zip(sight.untouched, sight.brain, strict=True)])
    assert np.percentile(white, 90) == pytest.approx(1, abs=0.1)


def test_what_has_no_tissue_is_refused(head):
    with pytest.raises(ImageError, match="NO_TISSUE"):
        simulate.Sight(replace(head, brain=np.zeros_like(head.brain)))
    with pytest.raises(ImageError, match="NO_TISSUE"):
        simulate.Sight(replace(head, levels=(1.0, 1.0, 1.0)))


def test_no_change_measures_zero(sight):
    same = sight.untouched
    assert sight.dissimilarity(same, same) == pytest.approx(0, abs=1e-6)
    assert sight.contrast_lost(same, same) == pytest.approx(0, abs=1e-6)
    assert sight.noise_to_contrast(same, same) == 0
    assert sight.sharpness_lost(same, same) == 0
    assert sight.ghost_level(same, same) == 0


def test_similarity_is_that_of_torchmetrics(sight):
    rng = np.random.default_rng(0)
    first = np.clip(sight.untouched[2], 0, 1)
    second = np.clip(first + 0.1 * rng.standard_normal(first.shape).astype(np.float32), 0, 1)
    _, theirs = structural_similarity_index_measure(
        *(torch.from_numpy(plane)[None, None] for plane in (first, second)),
        data_range=1.0,
        sigma=1.5,
        kernel_size=11,
        return_full_image=True,
    )
    ours = severity._similarity(first, second)
    inside = (slice(20, -20), slice(20, -20))
    assert np.abs(ours[inside] - theirs[0, 0].numpy()[inside]).max() < 0.02


def test_noise_is_measured_in_units_of_contrast(sight):
    rng = np.random.default_rng(0)
    noisy = changed(sight, lambda plane: plane + 0.5 * sight.separation * rng.standard_normal(plane.shape))
    assert sight.noise_to_contrast(sight.untouched, noisy) == pytest.approx(0.5, rel=0.03)


def test_contrast_that_is_halved_everywhere_counts_half(sight):
    middle = 1 - sight.separation / 2
    halved = [
        np.where(inside, middle + (plane - middle) / 2, plane)
        for plane, inside in zip(sight.untouched, sight.brain, strict=True)
    ]
    assert sight.contrast_lost(sight.untouched, halved) == pytest.approx(0.5, abs=0.06)


def test_contrast_that_is_gone_in_half_of_the_brain_counts_half(sight):
    def half(plane):
        flat = plane.copy()
        rows = len(flat) // 2
        brain = (flat[:rows] > 0.5) & (flat[:rows] < 1.3)
        flat[:rows][brain] = 0.9
        return flat

    assert 0.3 < sight.contrast_lost(sight.untouched, changed(sight, half)) < 0.7


def test_a_brighter_spot_darkens_the_rest_of_the_picture(sight):
    def spot(plane):
        bright = plane.copy()
        bright[60:75, 60:75] = 4
        return bright

    assert sight.contrast_lost(sight.untouched, changed(sight, spot)) > 0.1


def test_blur_loses_sharpness_and_ghosts_light_the_air(sight):
    blurred = changed(sight, lambda plane: ndimage.gaussian_filter(plane, 2))
    assert sight.sharpness_lost(sight.untouched, blurred) > 0.2
    lighter = changed(sight, lambda plane: plane + 0.05)
    assert sight.ghost_level(sight.untouched, lighter) == pytest.approx(0.05, abs=0.005)


def test_a_brighter_gain_changes_no_measure(head):
    twice = replace(head, data=2 * head.data, levels=tuple(2 * level for level in head.levels))
    one, two = (simulate.with_strengths(each, {"abrupt": 0.5, "noise": 0.3}, seed=0) for each in (head, twice))
    assert one.severity == pytest.approx(two.severity, abs=2e-3)
