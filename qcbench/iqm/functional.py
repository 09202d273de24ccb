"""The 44 metrics of a bold series, from its arrays and masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from qcbench.iqm import motion, regions, series, signal, smoothness
from qcbench.iqm.profiles import Profile
from qcbench.iqm.reasons import Findings, NotMeasurableError

_DVARS = ("nstd", "std", "vstd")
_FD = ("mean", "num", "perc")


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A bold series and its masks on one grid, whose axes lead to the right, the front and the top (RAS).

    `global_signal` is the mean of each volume as stored; `data` (x, y, z, volume) is without those that are not steady
    yet, motion corrected; `parameters` are three translations (mm) and three rotations (radians) a volume. Masks are
    boolean: `brain`, and `air` well outside the head. What could not be made is None, and `failures` says why.
    """

    spacing_mm: tuple[float, float, float]
    repetition_time_s: float | None
    global_signal: np.ndarray
    data: np.ndarray
    parameters: np.ndarray | None = None
    brain: np.ndarray | None = None
    air: np.ndarray | None = None
    failures: Mapping[str, str] = field(default_factory=dict)

    def part(self, name: str) -> np.ndarray:
        """Return an array by name; raises NotMeasurableError when it could not be made."""
        array = getattr(self, name)
        if array is None:
            raise NotMeasurableError(self.failures.get(name, f"{name} was not made"))
        return array

    @cached_property
    def mean(self) -> np.ndarray:
        """The mean volume; what is not finite or below zero is zero, as MRIQC has it."""
        mean = self.data.mean(axis=3, dtype=np.float64).astype(np.float32)
        return np.maximum(np.nan_to_num(mean, posinf=0.0, neginf=0.0), 0)

    @cached_property
    def voxels(self) -> np.ndarray:
        """The series of the brain's voxels, a row each."""
        return np.nan_to_num(self.data[self.part("brain")], posinf=0.0, neginf=0.0)

    def background(self, profile: Profile) -> np.ndarray:
        """Return what counts as background: all that is no brain as in MRIQC, or air alone."""
        return ~self.part("brain") if profile.whole_field else self.part("air")


def metrics(run: Run, profile: Profile) -> Findings:
    """Return the 44 metrics by MRIQC's keys; those that cannot be measured are null with a reason."""
    found = Findings()
    found.note("dummy_trs", lambda: series.dummy_trs(run.global_signal))
    for region in ("bg", "fg"):
        keys = tuple(f"summary_{region}_{name}" for name in regions.STATISTICS)
        found.note_all(keys, partial(_summary, run, region, profile))
    found.note("snr", lambda: signal.snr(found["summary_fg_median"], found["summary_fg_stdv"], found["summary_fg_n"]))
    found.note("fber", partial(_fber, run, profile))
    found.note("efc", partial(_efc, run, profile))
    for axis, name in enumerate(smoothness.AXES):
        found.note(f"fwhm_{name}", lambda axis=axis: smoothness.fwhm(run.mean, run.part("brain"), axis))
    found.note_mean("fwhm_avg", ("fwhm_x", "fwhm_y", "fwhm_z"))
    for axis, name in enumerate("xy"):
        found.note(f"gsr_{name}", partial(_gsr, run, axis, profile))
    _note_series(found, run, profile)
    _note_grid(found, run)
    return found


def _note_series(found: Findings, run: Run, profile: Profile) -> None:
    found.note_all(tuple(f"dvars_{name}" for name in _DVARS), lambda: _prefixed("dvars", series.dvars(run.voxels)))
    found.note("tsnr", lambda: series.tsnr(run.voxels, with_constant=profile.whole_field))
    found.note("gcor", lambda: series.gcor(run.voxels))
    found.note("aor", lambda: series.aor(run.voxels))
    found.note("aqi", lambda: series.aqi(run.voxels))
    found.note_all(
        tuple(f"fd_{name}" for name in _FD),
        lambda: _prefixed("fd", motion.fd_summary(motion.framewise_displacement(run.part("parameters")))),
    )


def _note_grid(found: Findings, run: Run) -> None:
    for axis, name in enumerate(smoothness.AXES):
        found.values[f"size_{name}"] = int(run.data.shape[axis])
        found.values[f"spacing_{name}"] = float(run.spacing_mm[axis])
    found.values["size_t"] = int(run.data.shape[3])
    if run.repetition_time_s:
        found.values["spacing_tr"] = float(run.repetition_time_s)
    else:
        found.miss(("spacing_tr",), "the header and the sidecar hold no repetition time")


def _summary(run: Run, region: str, profile: Profile) -> dict[str, float]:
    share = run.part("brain") if region == "fg" else run.background(profile)
    return _prefixed(f"summary_{region}", regions.summary(run.mean, share, decimals=profile.decimals))


def _fber(run: Run, profile: Profile) -> float:
    ratio = signal.fber(run.mean, run.part("brain"), run.background(profile), of_medians=profile.whole_field)
    return ratio if profile.decimals is None else round(ratio, profile.decimals)


def _efc(run: Run, profile: Profile) -> float:
    if not profile.whole_field:
        return signal.efc(run.mean, run.part("brain"))
    return round(signal.efc(run.mean, np.ones(run.mean.shape, bool)), profile.decimals)


def _gsr(run: Run, axis: int, profile: Profile) -> float:
    # MRIQC takes the difference of two means in single precision, which changes its fifth digit.
    mean = run.mean if profile.whole_field else run.mean.astype(np.float64)
    return series.gsr(mean, run.part("brain"), axis=axis)


def _prefixed(stem: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{stem}_{name}": value for name, value in values.items()}
