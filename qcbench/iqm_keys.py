"""The image quality metrics (IQMs) that MRIQC computes: their names, dtypes, units, and which direction is better.

Pure: the standard library alone. Names are MRIQC's own, so that records of either program compare; the formulas
stand where they are computed. 68 keys of an anatomical image (T1w, T2w), 44 of a functional one (bold).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: The modalities that have IQMs here, spelled as BIDS suffixes.
MODALITIES = ("T1w", "T2w", "bold")


@dataclass(frozen=True, kw_only=True)
class IqmKey:
    """One metric: its dtype (float64 or int64), unit, and the direction that is better (low, high, or "" for none).

    `low` and `high` bound what the formula can give at all, None is no bound. `sentinels` are numbers that MRIQC
    writes where it could compute none. Keys with `optional` are absent from records of older versions.
    """

    name: str
    unit: str = ""
    better: str = ""
    dtype: str = "float64"
    low: float | None = None
    high: float | None = None
    sentinels: tuple[float, ...] = ()
    optional: bool = False
    doc: str = ""


_STATISTICS = {
    "mean": "",
    "median": "",
    "p05": "5th percentile",
    "p95": "95th percentile",
    "stdv": "standard deviation",
    "k": "excess kurtosis",
    "mad": "median absolute deviation",
    "n": "voxels",
}
_NEWER_STATISTICS = ("mad", "median", "n")
_TISSUES = ("csf", "gm", "wm")
_AXES = ("x", "y", "z")


def _summaries(regions: tuple[str, ...], may_lack: tuple[str, ...] = ()) -> Iterator[IqmKey]:
    for region in regions:
        for statistic, doc in _STATISTICS.items():
            yield IqmKey(
                name=f"summary_{region}_{statistic}",
                unit="voxels" if statistic == "n" else "",
                low=0.0 if statistic in ("stdv", "mad", "n") else None,
                optional=statistic in may_lack,
                doc=f"{doc or statistic} in {region}",
            )


def _by_tissue(stem: str, others: tuple[str, ...] = (), **shared: object) -> Iterator[IqmKey]:
    for part in (*_TISSUES, *others):
        yield IqmKey(name=f"{stem}_{part}", **shared)


def _by_axis(stem: str, others: tuple[str, ...] = (), **shared: object) -> Iterator[IqmKey]:
    for part in (*_AXES, *others):
        yield IqmKey(name=f"{stem}_{part}", **shared)


def _grid() -> Iterator[IqmKey]:
    yield from _by_axis("size", unit="voxels", dtype="int64", low=1, high=100_000)
    # No scanner makes voxels of 100 mm; some real records have 44 mm.
    yield from _by_axis("spacing", unit="mm", low=0.01, high=100.0)


#: Of T1w and T2w images.
ANATOMICAL: tuple[IqmKey, ...] = (
    IqmKey(name="cjv", better="low", low=0.0, doc="coefficient of joint variation of white and grey matter"),
    IqmKey(name="cnr", better="high", low=0.0, doc="contrast-to-noise ratio of white and grey matter"),
    IqmKey(name="efc", better="low", low=0.0, high=2.0, doc="entropy focus criterion"),
    IqmKey(name="fber", better="high", low=-1.0, sentinels=(-1.0, 0.0), doc="energy of the head over that of the air"),
    *_by_axis("fwhm", ("avg",), unit="voxels", better="low", low=0.0, high=1000.0, doc="smoothness"),
    *_by_tissue("icvs", low=0.0, high=1.0, doc="share of the intracranial volume"),
    IqmKey(name="inu_med", low=0.0, doc="bias field, median; near 1 is better"),
    IqmKey(name="inu_range", better="low", low=0.0, doc="bias field, 5th to 95th percentile"),
    IqmKey(name="qi_1", better="low", low=0.0, high=1.0, doc="share of the air that holds artefacts"),
    IqmKey(
        name="qi_2",
        better="low",
        low=0.0,
        sentinels=(0.0,),
        doc="misfit of the air's intensities to a chi distribution",
    ),
    *_by_tissue("rpve", better="low", low=0.0, doc="residual partial volume error"),
    *_by_tissue("snr", ("total",), better="high", low=-1.0, doc="signal over its own spread"),
    *_by_tissue(
        "snrd",
        ("total",),
        better="high",
        low=-1.0,
        sentinels=(-1.0,),
        doc="signal over the air's (Dietrich et al. 2007)",
    ),
    *_by_tissue("tpm_overlap", better="high", low=0.0, high=1.0, doc="overlap with the template's tissue"),
    IqmKey(name="wm2max", low=0.0, doc="white matter over the 99.95th percentile; 0.6 to 0.8 is usual"),
    *_grid(),
    *_summaries(("bg", *_TISSUES), may_lack=_NEWER_STATISTICS),
)

#: Of bold series.
FUNCTIONAL: tuple[IqmKey, ...] = (
    IqmKey(name="aor", better="low", low=0.0, high=1.0, doc="share of outlying voxels a volume (AFNI)"),
    IqmKey(name="aqi", better="low", low=0.0, high=2.0, doc="distance from the median volume (AFNI)"),
    IqmKey(name="dummy_trs", unit="volumes", dtype="int64", low=0, high=100_000, optional=True, doc="not steady yet"),
    IqmKey(name="dvars_nstd", better="low", low=0.0, doc="change from volume to volume"),
    IqmKey(name="dvars_std", better="low", low=0.0, doc="the same over what is expected; near 1"),
    IqmKey(name="dvars_vstd", better="low", low=0.0, doc="the same voxel by voxel; near 1"),
    IqmKey(name="efc", better="low", low=0.0, high=2.0, doc="entropy focus criterion"),
    IqmKey(name="fber", better="high", low=-1.0, sentinels=(-1.0, 0.0), doc="energy of the head over that of the air"),
    IqmKey(name="fd_mean", unit="mm", better="low", low=0.0, doc="framewise displacement, mean"),
    IqmKey(name="fd_num", unit="volumes", better="low", dtype="int64", low=0, high=1_000_000, doc="above 0.2 mm"),
    IqmKey(name="fd_perc", unit="%", better="low", low=0.0, high=100.0, doc="share of volumes above 0.2 mm"),
    *_by_axis("fwhm", ("avg",), unit="voxels", better="low", low=0.0, high=1000.0, doc="smoothness"),
    IqmKey(name="gcor", better="low", low=-1.0, high=1.0, doc="mean correlation of all pairs of voxels"),
    IqmKey(name="gsr_x", better="low", low=-100.0, high=100.0, doc="ghost over signal; near 0"),
    IqmKey(name="gsr_y", better="low", low=-100.0, high=100.0, doc="ghost over signal; near 0"),
    IqmKey(name="size_t", unit="volumes", dtype="int64", low=1, high=1_000_000),
    IqmKey(name="snr", better="high", low=-1.0, doc="signal over its own spread"),
    IqmKey(name="spacing_tr", unit="s", low=0.0, high=100_000.0, doc="repetition time in the image's header"),
    IqmKey(name="tsnr", better="high", low=0.0, doc="temporal signal-to-noise ratio"),
    *_grid(),
    *_summaries(("bg", "fg")),
)


def keys_of(modality: str) -> tuple[IqmKey, ...]:
    """Return the metrics of a modality, T1w, T2w or bold.

    >>> len(keys_of("T1w")), len(keys_of("bold"))
    (68, 44)
    """
    return FUNCTIONAL if modality == "bold" else ANATOMICAL
