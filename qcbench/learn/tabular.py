"""The baseline without a network: a random forest on 25 global numbers of the 4 mm volume.

A network that is no better than this has learned the histogram and the background. The forest is
never stored: it is seeded, so fitting it again gives the same one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import numpy as np
import sklearn
from sklearn.ensemble import RandomForestClassifier

import qcbench
from qcbench import parallel, store
from qcbench.learn import predictions, runs
from qcbench.learn.datasets import VolumeCache, build_cache, open_cache, without_volume
from qcbench.learn.runs import Run
from qcbench.learn.task_data import TaskData, identity, sound_splits, task_data
from qcbench.learn.tasks import chosen_tasks, class_weights
from qcbench.study import Study
from qcbench.summary import Summary

ARCHITECTURE = "forest_25"
SPACING = 4
N_TREES = 200
_PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
#: What a prediction rests on, beside the labels that name the run.
_SEEN = ("run_id", "fold", "image_id", "preprocessing_preset", "volume_hash")
_EDGES = ("edge_x", "edge_y", "edge_z")

#: Names of the 25 numbers, in their order.
NUMBERS = (
    *(f"percentile_{percentile}" for percentile in _PERCENTILES),
    "mean",
    "sd",
    "skewness",
    "kurtosis",
    "entropy_bits",
    "zero_fraction",
    "foreground_fraction",
    "foreground_mean",
    "foreground_sd",
    "background_mean",
    "background_sd",
    *_EDGES,
    "edge_percentile_95",
    "curvature",
)


def forest(
    study: Study,
    *,
    task: str = "all",
    seed: int | None = 0,
    workers: int = 0,
    image_ids: Collection[str] | None = None,
    show_progress: bool = True,
) -> Summary:
    """Write the forest's predictions for all preprocessed images, or for `image_ids`; return how many are new.

    One forest per task and fold, on the same splits as the networks; architecture ``forest_25``
    in `predictions`. A fold in which a class has no image is named in `notes`, labelled images without a volume in
    `failed`. Without a `seed` forests have those of the runs that are there.
    """
    started = time.monotonic()
    study = Study.of(study)
    splits = sound_splits(study)
    labelled = {row["image_id"] for row in splits}
    needed = None if image_ids is None else {*image_ids, *(row["image_id"] for row in splits if row["set"] == "cv")}
    cached = build_cache(study, spacing=SPACING, image_ids=needed, workers=workers, show_progress=show_progress)
    cache = open_cache(study, spacing=SPACING)
    without = without_volume(study, labelled if needed is None else labelled & needed, cache)
    summary = Summary(stage="forest", failed={**without, **cached.failed})
    wanted = sorted(cache.rows if image_ids is None else set(cache.rows) & set(image_ids))
    preset_of = {row["image_id"]: row["preprocessing_preset"] for row in store.rows(study, "preprocessed")}
    numbers = _Numbers(cache, show_progress=show_progress)
    run_ids = []
    with store.collect(study, "predictions") as found:
        for name in chosen_tasks(task):
            data = task_data(study, name, cache.hashes)
            for each in _seeds(study, name, seed):
                run = _run(study, data, each)
                run_ids.append(run.run_id)
                there = set(predictions.of_runs(study, [run.run_id], _SEEN))
                for fold in _folds(data, summary):
                    new = [i for i in wanted if (run.run_id, fold, i, preset_of[i], cache.hashes[i]) not in there]
                    summary.unchanged += len(wanted) - len(new)
                    summary.done += len(new)
                    for image_id, probability in _fit_and_predict(numbers, data, fold, new, each).items():
                        about = {"preprocessing_preset": preset_of[image_id], "volume_hash": cache.hashes[image_id]}
                        found.append({**_prediction(run, fold, image_id, probability), **about})
    summary.facts["runs"] = ", ".join(run_ids)
    summary.seconds = time.monotonic() - started
    return summary


def global_numbers(volume: np.ndarray) -> np.ndarray:
    """Return 25 numbers (float64, in the order of NUMBERS) of a volume of bytes (x, y, z).

    Intensities are in [0, 1]; foreground is what Otsu's threshold separates; edges are mean
    absolute differences of neighbours along an axis, curvature that of second differences.
    """
    data = volume.astype(np.float64) / 255
    counts = np.bincount(volume.ravel(), minlength=256)
    foreground = data > otsu_threshold(counts) / 255
    edges = [np.abs(np.diff(data, axis=axis)) for axis in range(3)]
    inside, outside = data[foreground], data[~foreground]
    numbers = [
        *np.percentile(data, _PERCENTILES),
        data.mean(),
        data.std(),
        *_skewness_and_kurtosis(data),
        _entropy_bits(counts),
        counts[0] / volume.size,
        foreground.mean(),
        *((inside.mean(), inside.std()) if inside.size else (0.0, 0.0)),
        *((outside.mean(), outside.std()) if outside.size else (0.0, 0.0)),
        *(edge.mean() for edge in edges),
        np.percentile(np.concatenate([edge.ravel() for edge in edges]), 95),
        np.mean([np.abs(np.diff(data, n=2, axis=axis)).mean() for axis in range(3)]),
    ]
    return np.array(numbers)


def otsu_threshold(counts: np.ndarray) -> int:
    """Return the grey value up to which voxels are background: the variance between the classes is largest.

    `counts` is the histogram over the grey values (Otsu 1979).

    >>> otsu_threshold(np.array([10, 0, 0, 0, 5]))
    0
    """
    values = np.arange(len(counts))
    below, sum_below = np.cumsum(counts)[:-1], np.cumsum(counts * values)[:-1]
    above, sum_above = counts.sum() - below, (counts * values).sum() - sum_below
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (sum_below / below - sum_above / above) ** 2
    return int(np.nan_to_num(between).argmax())


def _run(study: Study, data: TaskData, seed: int) -> Run:
    config = {
        "task": data.task,
        "architecture": ARCHITECTURE,
        "preset": f"{N_TREES} trees",
        "spacing": SPACING,
        "seed": seed,
        "folds": data.folds,
        "class_weights": class_weights(data.labels.values()),
        "preprocessing": data.preprocessing,
        "versions": {"qcbench": qcbench.__version__, "scikit-learn": sklearn.__version__},
        **identity(study, data),
    }
    digest = runs.sha256_of([config["inputs_sha256"], config["preset"]])[:8]
    run = Run(folder=study.runs / f"{data.task}-{ARCHITECTURE}-{SPACING}mm-s{seed}-{digest}", config=config)
    if not (run.folder / "config.json").exists():
        run.save_skipped({fold: why for fold in data.folds if (why := data.why_not(fold))})
        run.save_fitted_to(data.fitted_to())
        run.save_config()
    return run


def _folds(data: TaskData, summary: Summary) -> list[int]:
    """Return the folds that can be fitted; the others are named in the summary."""
    reasons = {fold: data.why_not(fold) for fold in data.folds}
    summary.notes += [f"{data.task} fold {fold} was not fitted: {why}" for fold, why in reasons.items() if why]
    return [fold for fold, why in reasons.items() if not why]


def _seeds(study: Study, task: str, seed: int | None) -> list[int]:
    """Return the seed that is asked for, or those of the task's forests on the present splits, or 0."""
    if seed is not None:
        return [seed]
    current, _ = runs.of_these_splits(study, runs.find(study, task=task, architecture=ARCHITECTURE))
    return sorted({run.config["seed"] for run in current}) or [0]


class _Numbers:
    """The global numbers of images, measured when they are first asked for."""

    def __init__(self, cache: VolumeCache, *, show_progress: bool) -> None:
        self._cache, self._show_progress = cache, show_progress
        self._known: dict[str, np.ndarray] = {}

    def of(self, image_ids: Collection[str]) -> list[np.ndarray]:
        """Return (25,) of each image."""
        unknown = [image_id for image_id in image_ids if image_id not in self._known]
        with parallel.progress("global numbers", len(unknown), show=self._show_progress and bool(unknown)) as advance:
            for image_id in unknown:
                self._known[image_id] = global_numbers(self._cache.volume(image_id))
                advance()
        return [self._known[image_id] for image_id in image_ids]


def _fit_and_predict(
    numbers: _Numbers, data: TaskData, fold: int, image_ids: Sequence[str], seed: int
) -> dict[str, float]:
    if not image_ids:
        return {}
    labels, _ = data.parts(fold)
    model = RandomForestClassifier(N_TREES, class_weight="balanced", random_state=seed, n_jobs=1)
    model.fit(numbers.of(labels), list(labels.values()))
    probabilities = model.predict_proba(numbers.of(image_ids))[:, 1]
    return dict(zip(image_ids, probabilities.tolist(), strict=True))


def _prediction(run: Run, fold: int, image_id: str, probability: float) -> dict:
    return {
        "image_id": image_id,
        "task": run.task,
        "architecture": ARCHITECTURE,
        "run_id": run.run_id,
        "fold": fold,
        "probability": probability,
        "probability_calibrated": None,
        "decision": "yes" if probability >= 0.5 else "no",
    }


def _skewness_and_kurtosis(data: np.ndarray) -> tuple[float, float]:
    """Return the third and fourth standardised moments (3 subtracted from the fourth); 0 for a constant image."""
    sd = data.std()
    if sd < 1e-9:
        return 0.0, 0.0
    standardised = (data - data.mean()) / sd
    return float((standardised**3).mean()), float((standardised**4).mean() - 3)


def _entropy_bits(counts: np.ndarray) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
