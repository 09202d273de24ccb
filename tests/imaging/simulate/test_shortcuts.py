"""No classifier may learn how copies are made: nothing tells one without artefacts from its source."""

import numpy as np
import pytest

from benchmarks import shortcuts
from qcbench.imaging import crop, geometry, heads

N_PEOPLE = 20


def as_coarse_bytes(head, template_to_scanner):
    shape = tuple(-(-size // 4) for size in geometry.CANONICAL_SHAPE)
    volume = crop.resample(head.data, head.affine, template_to_scanner, shape, crop.coarse_affine(4))
    return np.rint(255 * crop.min_max(volume)).astype(np.uint8)


@pytest.fixture(scope="module")
def people():
    return [heads.synthetic_head(seed=2000 + number, spacing_mm=(4, 4, 4)) for number in range(N_PEOPLE)]


@pytest.fixture(scope="module")
def untouched(people):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shortcuts, "as_bytes", as_coarse_bytes)
        return shortcuts.volumes_of(people, lambda head, seed: head, first_seed=1)


def accuracy(people, untouched, change, monkeypatch):
    monkeypatch.setattr(shortcuts, "as_bytes", as_coarse_bytes)
    changed = shortcuts.volumes_of(people, change, first_seed=1)
    return shortcuts.cross_validated(untouched, changed, shortcuts.forest)[0]


def test_a_forest_cannot_tell_copies_without_artefacts_from_their_sources(people, untouched, monkeypatch):
    assert accuracy(people, untouched, shortcuts.passed_through, monkeypatch) <= 0.55


def test_the_same_forest_finds_one_more_interpolation(people, untouched, monkeypatch):
    assert accuracy(people, untouched, shortcuts.interpolated, monkeypatch) >= 0.9
