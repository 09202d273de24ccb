"""Arrays and masks that the metrics are compared and timed on: real heads with simple masks, and random ones.

Nothing of qcbench is imported: MRIQC's own environment reads them too.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

TISSUES = ("csf", "gm", "wm")


def anatomical_cases(folder: Path, *, most: int = 24) -> None:
    """Write the arrays of at most 8 real heads, and of random heads up to `most`; one folder a case."""
    real = sorted(Path(os.environ.get("QCBENCH_REAL_DATA", "nowhere")).glob("t1w/*_T1w.nii.gz"))
    for path in real[:most]:
        import nibabel as nib

        data = np.asarray(nib.as_closest_canonical(nib.load(path)).dataobj, dtype=np.float64)
        _write(folder / path.name.split(".")[0], "T1w", _masked(data, np.random.default_rng(0)))
    for seed in range(most - len(real[:most])):
        rng = np.random.default_rng(seed)
        _write(folder / f"random-{seed:02}", "T1w", _masked(_random_head(rng), rng))


def functional_cases(folder: Path, *, most: int = 12) -> None:
    """Write the arrays of random series, some with drift, spikes, voxels that do not change or a first transient."""
    for seed in range(most):
        rng = np.random.default_rng(100 + seed)
        shape = tuple(int(size) for size in rng.integers(18, 30, 3))
        inside = _ball(shape, 0.36)
        data = rng.gamma(2.0, 20.0, shape)[..., None] + rng.normal(0, 4, (*shape, 40))
        data += inside[..., None] * (600 + 200 * rng.random(shape)[..., None])
        data += inside[..., None] * (seed % 3) * np.linspace(0, 20, 40)
        if seed % 4 == 1:
            data[..., :3] *= np.array([1.5, 1.3, 1.15])
        if seed % 4 == 2:
            data[..., 17] *= 1.2
        if seed % 4 == 3:
            data[shape[0] // 2, shape[1] // 2] = 500.0
        parameters = np.cumsum(rng.normal(0, [0.05] * 3 + [0.001] * 3, (40, 6)), axis=0)
        arrays = {"data": data.astype(np.float32), "brain": inside, "parameters": parameters}
        _write(folder / f"series-{seed:02}", "bold", arrays)


def _random_head(rng: np.random.Generator) -> np.ndarray:
    shape = tuple(int(size) for size in rng.integers(60, 90, 3))
    head, brain, white = (_ball(shape, radius) for radius in (0.45, 0.35, 0.24))
    clean = 300.0 * head + 300 * brain + 350 * white
    noise = rng.normal(0, rng.uniform(5, 40), (2, *shape))
    data = np.hypot(clean + noise[0], noise[1])
    data[rng.random(shape) < 1e-4] *= 10
    # As scanners store them, as they come out of a filter, and with an empty margin.
    if rng.random() < 0.6:
        data = np.rint(data)
    if rng.random() < 0.3:
        data[:6] = 0
    return data


def _masked(data: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the arrays that the formulas take, from simple masks: thresholds, balls and noise."""
    level = np.percentile(data, 60)
    shape = data.shape
    head = (data > level) & _ball(shape, 0.49) | _ball(shape, 0.3)
    brain = _ball(shape, 0.33)
    white = np.median(data[brain & (data > np.percentile(data[brain], 60))])
    maps = {}
    for name, centre in zip(TISSUES, (0.35, 0.65, 1.0), strict=True):
        maps[name] = np.exp(-np.square(data / white - centre) / 0.02) * brain
    total = sum(maps.values()) + 1e-6
    maps = {name: share / total for name, share in maps.items()}
    hat = ~head
    hat[:, :, : shape[2] // 3] = False
    artefact = hat & (rng.random(shape) < 0.02)
    ramps = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    frame = np.zeros(shape, bool)
    frame[:4] = True
    return {
        "raw": data,
        "harmonised": data * 1000 / white,
        "bias": np.exp(0.2 * ramps[0] + 0.1 * ramps[2] ** 2),
        "brain": brain,
        "head": head,
        "hat": hat,
        "artefact": artefact,
        "frame": frame & ~head,
        **{f"map_{name}": share for name, share in maps.items()},
        **{f"template_{name}": np.clip(share + rng.normal(0, 0.1, shape), 0, 1) for name, share in maps.items()},
    }


def _ball(shape: tuple[int, ...], radius: float) -> np.ndarray:
    places = np.meshgrid(*(np.linspace(-0.5, 0.5, size) for size in shape), indexing="ij")
    return sum(np.square(place) for place in places) < radius**2


def _write(folder: Path, modality: str, arrays: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "modality").write_text(modality)


def read(case: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a case."""
    return {path.stem: np.load(path) for path in case.glob("*.npy")}
