"""The 68 metrics of a T1w or T2w image, from its arrays and masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from qcbench.iqm import air, regions, signal, smoothness, tissue
from qcbench.iqm.profiles import Profile
from qcbench.iqm.reasons import Findings, NotMeasurableError, need

_REGIONS = ("bg", *tissue.TISSUES)


@dataclass(frozen=True, kw_only=True, eq=False)
class Anatomy:
    """An image and its masks on one grid, whose axes lead to the right, the front and the top (RAS).

    `harmonised` is the image without its bias field, white matter at 1000; `raw` is as stored; `bias` is the field.
    `maps` are the shares of csf, gm and wm, `template_maps` the template's laid over the image. Masks are boolean:
    `brain`; `head` (all of it); `crown` (the head above nose and nape, which defacing spares); `hat` (the air above
    them, artefacts included) and `artefact` within it; `frame` (voxels that a rotation or padding put in). What could
    not be made is None, and `failures` says why, by name.
    """

    spacing_mm: tuple[float, float, float]
    raw: np.ndarray
    harmonised: np.ndarray | None = None
    bias: np.ndarray | None = None
    maps: Mapping[str, np.ndarray] | None = None
    template_maps: Mapping[str, np.ndarray] | None = None
    brain: np.ndarray | None = None
    head: np.ndarray | None = None
    crown: np.ndarray | None = None
    hat: np.ndarray | None = None
    artefact: np.ndarray | None = None
    frame: np.ndarray | None = None
    failures: Mapping[str, str] = field(default_factory=dict)

    def part(self, name: str) -> np.ndarray:
        """Return an array by name; raises NotMeasurableError when it could not be made."""
        array = getattr(self, name)
        if array is None:
            raise NotMeasurableError(self.failures.get(name, f"{name} was not made"))
        return array

    @cached_property
    def image(self) -> np.ndarray:
        """The harmonised image; what is not finite or below zero is zero, as MRIQC has it."""
        return np.maximum(np.nan_to_num(self.part("harmonised"), posinf=0.0, neginf=0.0), 0)

    @cached_property
    def stored(self) -> np.ndarray:
        """The image as stored; what is not finite is zero."""
        return np.nan_to_num(self.raw, posinf=0.0, neginf=0.0)

    @cached_property
    def air(self) -> np.ndarray:
        """The hat without artefacts."""
        return self.part("hat") & ~self.part("artefact")


def metrics(anatomy: Anatomy, profile: Profile) -> Findings:
    """Return the 68 metrics by MRIQC's keys; those that cannot be measured are null with a reason."""
    found = Findings()
    for region in _REGIONS:
        keys = tuple(f"summary_{region}_{name}" for name in regions.STATISTICS)
        found.note_all(keys, partial(_summary, anatomy, region, profile))
    _note_signal(found)
    _note_dietrich(found, anatomy, profile)
    found.note("fber", partial(_fber, anatomy, profile))
    found.note("efc", partial(_efc, anatomy, profile))
    found.note("wm2max", partial(_wm2max, found, anatomy, profile))
    found.note("qi_1", lambda: air.qi1(anatomy.air, anatomy.part("artefact")))
    found.note("qi_2", partial(_qi2, anatomy, profile))
    found.note_all(("inu_med", "inu_range"), partial(_inu, anatomy, profile))
    for axis, name in enumerate(smoothness.AXES):
        found.note(f"fwhm_{name}", lambda axis=axis: smoothness.fwhm(anatomy.stored, anatomy.part("brain"), axis))
    found.note_mean("fwhm_avg", ("fwhm_x", "fwhm_y", "fwhm_z"))
    _note_tissues(found, anatomy, profile)
    for axis, name in enumerate(smoothness.AXES):
        found.values[f"size_{name}"] = int(anatomy.raw.shape[axis])
        found.values[f"spacing_{name}"] = float(anatomy.spacing_mm[axis])
    return found


def _summary(anatomy: Anatomy, region: str, profile: Profile) -> dict[str, float]:
    share = anatomy.air if region == "bg" else anatomy.part("maps")[region]
    return _prefixed(f"summary_{region}", regions.summary(anatomy.image, share, decimals=profile.decimals))


def _note_signal(found: Findings) -> None:
    for name in tissue.TISSUES:
        stem = f"summary_{name}"
        found.note(
            f"snr_{name}",
            lambda stem=stem: signal.snr(found[f"{stem}_median"], found[f"{stem}_stdv"], found[f"{stem}_n"]),
        )
    found.note_mean("snr_total", tuple(f"snr_{name}" for name in tissue.TISSUES))
    found.note(
        "cjv",
        lambda: signal.cjv(
            wm_median=found["summary_wm_median"],
            gm_median=found["summary_gm_median"],
            wm_mad=found["summary_wm_mad"],
            gm_mad=found["summary_gm_mad"],
        ),
    )
    found.note(
        "cnr",
        lambda: signal.cnr(
            wm_median=found["summary_wm_median"],
            gm_median=found["summary_gm_median"],
            wm_stdv=found["summary_wm_stdv"],
            gm_stdv=found["summary_gm_stdv"],
            air_stdv=found["summary_bg_stdv"],
        ),
    )


def _note_dietrich(found: Findings, anatomy: Anatomy, profile: Profile) -> None:
    def ratio(name: str) -> float:
        _need_noise(anatomy, profile)
        air_mad = found["summary_bg_mad"] if profile.whole_field else None
        return signal.snr_dietrich(found[f"summary_{name}_median"], air_stdv=found["summary_bg_stdv"], air_mad=air_mad)

    for name in tissue.TISSUES:
        found.note(f"snrd_{name}", partial(ratio, name))
    found.note_mean("snrd_total", tuple(f"snrd_{name}" for name in tissue.TISSUES))


def _note_tissues(found: Findings, anatomy: Anatomy, profile: Profile) -> None:
    found.note_all(
        tuple(f"icvs_{name}" for name in tissue.TISSUES), lambda: _prefixed("icvs", tissue.icvs(anatomy.part("maps")))
    )
    for name in tissue.TISSUES:
        found.note(
            f"rpve_{name}",
            lambda name=name: tissue.rpve(anatomy.part("maps")[name], whole_field=profile.whole_field),
        )
        found.note(
            f"tpm_overlap_{name}",
            lambda name=name: tissue.tpm_overlap(anatomy.part("maps")[name], anatomy.part("template_maps")[name]),
        )


def _fber(anatomy: Anatomy, profile: Profile) -> float:
    if not profile.whole_field:
        return signal.fber(anatomy.image, anatomy.part("crown"), anatomy.air, of_medians=False)
    head = anatomy.part("head")
    ratio = signal.fber(anatomy.image, head, ~head & ~anatomy.part("frame"), of_medians=True)
    return round(ratio, profile.decimals)


def _efc(anatomy: Anatomy, profile: Profile) -> float:
    if not profile.whole_field:
        return signal.efc(anatomy.image, anatomy.part("crown"))
    return round(signal.efc(anatomy.image, ~anatomy.part("frame")), profile.decimals)


def _wm2max(found: Findings, anatomy: Anatomy, profile: Profile) -> float:
    image = anatomy.image
    voxels = image if profile.whole_field else image[anatomy.part("crown")]
    return signal.wm2max(voxels, found["summary_wm_median"])


def _qi2(anatomy: Anatomy, profile: Profile) -> float:
    _need_noise(anatomy, profile)
    region = anatomy.part("hat") if profile.whole_field else anatomy.air
    return air.qi2(anatomy.stored, region, drawn=profile.whole_field)


def _inu(anatomy: Anatomy, profile: Profile) -> dict[str, float]:
    segmented = sum(anatomy.part("maps").values()) > 0
    field_values = anatomy.part("bias")[segmented]
    return _prefixed("inu", tissue.inu(field_values, over_mean=not profile.whole_field))


def _need_noise(anatomy: Anatomy, profile: Profile) -> None:
    """Raise NotMeasurableError when most of the air is zero: what is left is no sample of the scanner's noise."""
    if not profile.whole_field:
        values = anatomy.stored[anatomy.air]
        need(
            2 * np.count_nonzero(values) > values.size,
            "at least half of the air is zero: its noise was removed by the scanner, by defacing or by a mask",
        )


def _prefixed(stem: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{stem}_{name}": value for name, value in values.items()}
