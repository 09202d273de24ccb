"""A head and a series made of arithmetic alone, so that their voxels are literal data wherever they are made."""

from types import SimpleNamespace

import numpy as np
import pytest

from qcbench.iqm.anatomical import Anatomy
from qcbench.iqm.functional import Run

TISSUES = ("csf", "gm", "wm")


def balls(shape, *radii):
    """Return a mask for each radius, 0.5 being half the field of view."""
    places = np.meshgrid(*(np.linspace(-0.5, 0.5, size) for size in shape), indexing="ij")
    distance = np.sqrt(sum(np.square(place) for place in places))
    return [distance < radius for radius in radii]


def grain(shape, step):
    """Return whole numbers from 0 to 100 that look like noise."""
    return (np.arange(np.prod(shape)) * step % 10007 % 101).reshape(shape).astype(np.float64)


def head_arrays(shape=(30, 34, 32)):
    """Return the arrays of an invented head: white matter in grey matter in fluid in skin, in noisy air."""
    head, brain, cortex, white = balls(shape, 0.45, 0.36, 0.33, 0.24)
    raw = 10.0 * head + 30 * brain + 35 * cortex + 40 * white + grain(shape, 7919) / 10
    maps = {}
    for name, centre in zip(TISSUES, (45, 80, 120), strict=True):
        maps[name] = np.exp(-np.square((raw - centre) / 20)) * brain
    total = sum(maps.values()) + 1e-3
    maps = {name: share / total for name, share in maps.items()}
    above = np.zeros(shape, bool)
    above[:, :, shape[2] // 3 :] = True
    hat = ~head & above
    frame = np.zeros(shape, bool)
    frame[:2] = True
    return {
        "raw": raw,
        "harmonised": raw * (1000 / 120),
        "bias": 1 + grain(shape, 5) / 1000 + np.linspace(0, 0.3, shape[0])[:, None, None],
        "brain": brain,
        "head": head,
        "crown": head & above,
        "hat": hat & ~frame,
        "artefact": hat & ~frame & (grain(shape, 31) > 97),
        "frame": frame,
        **{f"map_{name}": share for name, share in maps.items()},
        **{f"template_{name}": np.clip(share + grain(shape, 13) / 500, 0, 1) for name, share in maps.items()},
    }


def as_anatomy(arrays, spacing_mm=(1.0, 1.0, 1.0), **others):
    """Return the arrays as the formulas take them."""
    plain = {name: array for name, array in arrays.items() if not name.startswith(("map_", "template_"))}
    made = {
        "maps": {name: arrays[f"map_{name}"] for name in TISSUES},
        "template_maps": {name: arrays[f"template_{name}"] for name in TISSUES},
        **plain,
    }
    return Anatomy(spacing_mm=spacing_mm, **{**made, **others})


def series_arrays(shape=(12, 14, 10), n_volumes=30):
    """Return an invented series: a bright ball in dim air, with grain and a slow wave."""
    (brain,) = balls(shape, 0.36)
    wave = np.sin(np.arange(n_volumes) / 3.0)
    noise = grain((*shape, n_volumes), 7919) / 10
    data = noise + brain[..., None] * (500 + grain(shape, 31)[..., None] + 4 * wave)
    parameters = np.outer(np.arange(n_volumes) % 4, [0.01, 0.02, 0.03, 0.0004, 0.0002, 0.001])
    return {"data": data.astype(np.float32), "brain": brain, "parameters": parameters}


def as_run(arrays, **others):
    """Return the arrays as the formulas take them."""
    air = ~balls(arrays["brain"].shape, 0.45)[0]
    signal = arrays["data"].mean(axis=(0, 1, 2), dtype=np.float64)
    made = {"spacing_mm": (3.0, 3.0, 3.0), "repetition_time_s": 2.0, "global_signal": signal, "air": air, **arrays}
    return Run(**{**made, **others})


@pytest.fixture(scope="session")
def makers():
    """What makes the arrays of a head and of a series, and an Anatomy and a Run of them."""
    return SimpleNamespace(head=head_arrays, series=series_arrays, anatomy=as_anatomy, run=as_run)


@pytest.fixture
def head():
    """The arrays of a head; a test may change them."""
    return head_arrays()


@pytest.fixture
def series():
    """The arrays of a series; a test may change them."""
    return series_arrays()
