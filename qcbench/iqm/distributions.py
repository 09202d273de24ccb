"""How a metric lies over the images of a study: quartiles by hospital or scanner, and the values that stand apart.

A value stands apart when its robust z is beyond 3.5 (Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993),
against its own group or against all images. Needs pandas.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from qcbench import iqm_keys, store
from qcbench.errors import StudyError, UsageError
from qcbench.iqm import norms, profiles
from qcbench.study import Study

#: What images can be grouped by: columns of the catalogue.
GROUPINGS = ("hospital", "manufacturer", "model_name", "field_strength_t")
NOT_STATED = "not stated"
ALL_IMAGES = "all images"
#: Iglewicz & Hoaglin's limit of the robust z.
Z_LIMIT = 3.5
#: Of fewer values a spread says little.
FEWEST_VALUES = 10
#: Where a value stands apart: against its direction, none known, or along it. In the order of a list, worst first.
SIDES = ("worse", "apart", "better")

_SD_OF_MAD, _SD_OF_MEAN_DEVIATION = 1 / 0.6745, 1.253314
#: Differences below this share of the median are those of rounding, as in spacings.
_ROUNDING = 1e-6
_KNOWN = ("image_id", *GROUPINGS, "simulated", "excluded_reason")
_OUTLIER_COLUMNS = [
    "image_id",
    "metric",
    "value",
    "unit",
    "better",
    "side",
    "against",
    "group",
    "z",
    "z_group",
    "z_all",
    "why",
    "usual",
    "simulated",
]
_OF_A_ROW = ("image_id", "modality", "iqm_profile", "reasons", "error")


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurements:
    """The images of one modality, measured under one profile: rows of `iqms` with what the catalogue says of them."""

    modality: str
    profile: str
    frame: pd.DataFrame

    def key(self, metric: str) -> iqm_keys.IqmKey:
        """Return what is known of a metric; raises UsageError for one that this modality does not have."""
        keys = {key.name: key for key in iqm_keys.keys_of(self.modality)}
        if metric not in keys:
            near = difflib.get_close_matches(str(metric), keys, n=4) or list(keys)[:4]
            raise UsageError(
                f"{str(metric)[:80]!r} is no metric of {self.modality} images; take e.g. {', '.join(near)}"
            )
        return keys[metric]

    def values(self, metric: str) -> np.ndarray:
        """Return a metric of every image as float64, nan where it is null."""
        return self.frame[self.key(metric).name].to_numpy(dtype=np.float64, na_value=np.nan)

    def usual(self, metric: str) -> norms.Quartiles | None:
        """Return the quartiles of public records, or None where there are none to compare with."""
        return norms.of(self.modality, self.profile).get(metric)


def collections(study: Study) -> list[tuple[str, str]]:
    """Return the modalities and profiles that were measured, the one with most images first.

    Raises StudyError when nothing was.
    """
    rows = store.read(study, "iqms").select(["modality", "iqm_profile"]).to_pylist()
    if not rows:
        raise StudyError(f"{study.folder} has no iqms yet. Run first: qcbench iqm {study.folder}")
    counts = Counter((row["modality"], row["iqm_profile"]) for row in rows)
    # Of two profiles of the same images, ours.
    return sorted(counts, key=lambda each: (-counts[each], each[1] != profiles.QCBENCH.name, each))


def read(study: Study, modality: str | None = None, profile: str | None = None) -> Measurements:
    """Return the measurements of the images that are not excluded; by default of the commonest modality and profile.

    Raises StudyError when nothing was measured, UsageError when nothing of that modality or profile was.
    """
    there = collections(study)
    wanted = [each for each in there if modality in (None, each[0]) and profile in (None, each[1])]
    if not wanted:
        known = ", ".join(f"{one} under {two}" for one, two in there)
        raise UsageError(
            f"{study.folder} has metrics of {known}; got modality {modality or 'any'}, profile {profile or 'any'}. "
            "Measure others with qcbench iqm --profile"
        )
    modality, profile = wanted[0]
    names = [key.name for key in iqm_keys.keys_of(modality)]
    measured = store.frame(study, "iqms")[[*_OF_A_ROW, *names]]
    measured = measured[(measured["modality"] == modality) & (measured["iqm_profile"] == profile)]
    known = measured.merge(store.frame(study, "images")[list(_KNOWN)], on="image_id", how="left")
    kept = known[known["excluded_reason"].isna()].reset_index(drop=True)
    return Measurements(modality=modality, profile=profile, frame=kept)


def groups(frame: pd.DataFrame, by: str | None) -> pd.Series:
    """Return the name of each image's group: hospital, manufacturer, model_name, field_strength_t, or None for one.

    Field strengths are those of the magnet: 1.494 T in a header is a magnet of 1.5 T. Raises UsageError.
    """
    if by is None:
        return pd.Series(ALL_IMAGES, index=frame.index, dtype=object)
    if by not in GROUPINGS:
        raise UsageError(f"images are grouped by one of {', '.join(GROUPINGS)}, or None; got {str(by)[:80]!r}")
    # Each distinct value is worded once, for a warehouse has few; -1, for null, is the last.
    numbers, distinct = pd.factorize(frame[by])
    words = [f"{value:.2g} T" if by == "field_strength_t" else str(value).strip() or NOT_STATED for value in distinct]
    return pd.Series(np.array([*words, NOT_STATED], dtype=object)[numbers], index=frame.index)


def robust_z(values: np.ndarray) -> np.ndarray:
    """Return how far each value is from the median in robust standard deviations; all nan for fewer than 10 values.

    0.6745 (x - median) / median absolute deviation. Where more than half of the values are the same, that deviation
    is 0 and the mean one stands in: (x - median) / (1.2533 mean absolute deviation), as Iglewicz & Hoaglin advise.

    >>> print(robust_z(np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 25.5]))[-1])
    5.396
    """
    if np.isfinite(values).sum() < FEWEST_VALUES:
        return np.full(values.shape, np.nan)
    median = np.nanmedian(values)
    deviations = values - median
    deviations[np.abs(deviations) <= _ROUNDING * abs(median)] = 0.0
    sd = _SD_OF_MAD * np.nanmedian(np.abs(deviations))
    if sd == 0.0:
        sd = _SD_OF_MEAN_DEVIATION * np.nanmean(np.abs(deviations))
    return deviations / sd if sd > 0.0 else deviations


def scores(found: Measurements, metric: str, by: str | None = "hospital") -> pd.DataFrame:
    """Return one row an image, in the order of `found.frame`: how far its value is from the others.

    Columns image_id, group, value, z_group (against its own group), z_all, z (the further of the two), side: one of
    SIDES where |z| is beyond 3.5, else "". A z is nan without a value, and where fewer than 10 can be compared.
    """
    values, named = found.values(metric), groups(found.frame, by)
    z_group = np.full(values.shape, np.nan)
    for places in named.groupby(named).indices.values():
        z_group[places] = robust_z(values[places])
    z_all = robust_z(values)
    z = np.where(np.nan_to_num(np.abs(z_group)) > np.nan_to_num(np.abs(z_all)), z_group, z_all)
    worse_sign = {"low": 1.0, "high": -1.0, "": 0.0}[found.key(metric).better]
    standing = np.choose(np.sign(np.nan_to_num(z) * worse_sign).astype(int) + 1, ["better", "apart", "worse"])
    side = np.where(np.nan_to_num(np.abs(z)) > Z_LIMIT, standing, "")
    return pd.DataFrame(
        {
            "image_id": found.frame["image_id"].astype(object),
            "group": named,
            "value": values,
            "z_group": z_group,
            "z_all": z_all,
            "z": z,
            "side": side,
        }
    )


def by_group(found: Measurements, metric: str, by: str | None = "hospital") -> pd.DataFrame:
    """Return one row a group, the largest first: its quartiles, and how many images are null or stand apart.

    Columns group, n_images, n_null, n_simulated, lower_quartile, median, upper_quartile, n_worse, n_apart, n_better,
    and the usual_low and usual_high of public records (nan where there are none).
    """
    table = scores(found, metric, by)
    usual = found.usual(metric)
    rows = []
    for name, of_group in table.groupby("group"):
        values = of_group["value"].dropna()
        quarters = np.quantile(values, (0.25, 0.5, 0.75)) if len(values) else (np.nan,) * 3
        rows.append(
            {
                "group": name,
                "n_images": len(of_group),
                "n_null": len(of_group) - len(values),
                "n_simulated": int(found.frame.loc[of_group.index, "simulated"].fillna(False).sum()),
                **dict(zip(("lower_quartile", "median", "upper_quartile"), map(float, quarters), strict=True)),
                **{f"n_{side}": int((of_group["side"] == side).sum()) for side in SIDES},
                "usual_low": usual.low if usual else np.nan,
                "usual_high": usual.high if usual else np.nan,
            }
        )
    rows.sort(key=lambda row: (row["group"] == NOT_STATED, -row["n_images"], row["group"]))
    return pd.DataFrame(rows)


def outliers(found: Measurements, metrics: Iterable[str] | None = None, by: str | None = "hospital") -> pd.DataFrame:
    """Return one row an image and metric that stands apart, worst first; by default of all metrics with a direction.

    First those on the worse side, then those of metrics that have no direction, then those on the better side; the
    furthest first. `against` says whether it is apart from its own group, all images or both, `why` how far, and
    `usual` where it lies among public records.
    """
    if metrics is None:
        metrics = [key.name for key in iqm_keys.keys_of(found.modality) if key.better]
    rows = [row for metric in metrics for row in _apart(found, metric, by)]
    rows.sort(key=lambda row: (SIDES.index(row["side"]), -abs(row["z"]), row["image_id"]))
    return pd.DataFrame(rows, columns=_OUTLIER_COLUMNS)


def _apart(found: Measurements, metric: str, by: str | None) -> list[dict]:
    key, usual = found.key(metric), found.usual(metric)
    table = scores(found, metric, by).assign(simulated=found.frame["simulated"].fillna(False).astype(bool))
    rows = []
    for row in table[table["side"] != ""].itertuples(index=False):
        words = {
            "against": _against(row),
            "why": distance_words(row),
            "usual": usual_words(row.value, key.better, usual),
        }
        rows.append({**row._asdict(), "metric": metric, "unit": key.unit, "better": key.better, **words})
    return rows


def _against(row: object) -> str:
    """Return what a row of `scores` stands apart from."""
    from_group, from_all = abs(row.z_group) > Z_LIMIT, abs(row.z_all) > Z_LIMIT
    return "both" if from_group and from_all else "own group" if from_group else ALL_IMAGES


def distance_words(row: object) -> str:
    """Return how far a row of `scores` is from its group and from all images, in words.

    >>> from types import SimpleNamespace
    >>> distance_words(SimpleNamespace(group="Site A", z_group=6.13, z_all=-0.2))
    '6.1 robust SD above Site A, 0.2 below all images'
    """
    group = f"those {NOT_STATED}" if row.group == NOT_STATED else row.group
    parts = [] if group == ALL_IMAGES else [(row.z_group, group)]
    parts.append((row.z_all, ALL_IMAGES))
    known = [(z, name) for z, name in parts if np.isfinite(z)]
    if not known:
        return f"fewer than {FEWEST_VALUES} values to compare with"
    told = [f"{_far(z)} {'above' if z > 0 else 'below'} {name}" for z, name in known]
    told[0] = told[0].replace(" ", " robust SD ", 1)
    missing = [f"{name} has fewer than {FEWEST_VALUES} values" for z, name in parts if not np.isfinite(z)]
    return ", ".join([*told, *missing])


def _far(z: float) -> str:
    return f"{abs(z):.1f}" if abs(z) < 100 else f"{abs(z):,.0f}"


def usual_words(value: float, better: str, usual: norms.Quartiles | None) -> str:
    """Return where a value lies among public records, in words; "" where there are none.

    >>> usual_words(0.7, "low", norms.Quartiles(0.36, 0.6)), usual_words(0.5, "low", norms.Quartiles(0.36, 0.6))
    ('worse than three quarters of public records', 'in the middle half of public records')
    """
    if usual is None or not np.isfinite(value):
        return ""
    if usual.low <= value <= usual.high:
        return "in the middle half of public records"
    is_above = value > usual.high
    if not better:
        return f"{'above' if is_above else 'below'} three quarters of public records"
    return f"{'worse' if is_above == (better == 'low') else 'better'} than three quarters of public records"


def null_reasons(found: Measurements, metric: str) -> pd.DataFrame:
    """Return why a metric is null and of how many images, the commonest reason first: columns reason, n_images."""
    is_null = np.isnan(found.values(metric))
    counts = Counter(null_reason(row, metric) for row in found.frame[is_null].itertuples())
    return pd.DataFrame(counts.most_common(), columns=["reason", "n_images"])


def null_reason(row: object, metric: str) -> str:
    """Return why a row of `Measurements.frame` has no such value; of an error its kind, without the file's name."""
    if not pd.isna(row.error):
        return f"nothing was measured: {str(row.error).partition(': ')[0]}"
    reasons = json.loads(row.reasons) if not pd.isna(row.reasons) else {}
    return reasons.get(metric, "not measured")
