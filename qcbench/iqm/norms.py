"""What is usual: the quartiles of MRIQC's metrics over the public records of its Web-API.

Over about 799,000 T1w and 745,000 bold images, of all sites, scanners and versions of MRIQC that sent records
(Esteban et al., Scientific Data 2019; the records are CC0). They say what is common, not what is good.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import NamedTuple

from qcbench.iqm import profiles

ORIGIN = "{n} {modality} records of the MRIQC Web-API (CC0)"
N_IMAGES = {"T1w": 799_000, "bold": 745_000}
#: The beginnings of keys that the profile qcbench defines in another way: MRIQC's numbers are no measure of them.
_DEFINED_OTHERWISE = ("efc", "fber", "inu", "qi_2", "rpve", "snrd", "summary_bg", "tsnr", "wm2max")


class Quartiles(NamedTuple):
    """A quarter of the records lies below `low`, a quarter above `high`."""

    low: float
    high: float

    @property
    def iqr(self) -> float:
        """The inter-quartile range."""
        return self.high - self.low


def of(modality: str, profile: str = profiles.MRIQC_24.name) -> dict[str, Quartiles]:
    """Return the quartiles by key of those metrics that have any under this profile; {} for T2w.

    >>> round(of("T1w")["cjv"].low, 2), "efc" in of("T1w", "qcbench")
    (0.36, False)
    """
    known = _all().get(modality, {})
    if profile == profiles.MRIQC_24.name:
        return known
    return {key: found for key, found in known.items() if not _is_defined_otherwise(key)}


def origin(modality: str) -> str:
    """Return where the quartiles of a modality come from, in words; "" where there are none.

    >>> origin("T2w")
    ''
    """
    if modality not in N_IMAGES:
        return ""
    return ORIGIN.format(n=f"about {N_IMAGES[modality]:,}", modality=modality)


def _is_defined_otherwise(key: str) -> bool:
    return any(key == stem or key.startswith(f"{stem}_") for stem in _DEFINED_OTHERWISE)


@cache
def _all() -> dict[str, dict[str, Quartiles]]:
    found: dict[str, dict[str, Quartiles]] = {}
    with (resources.files("qcbench.iqm") / "norms.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["modality"], {})[row["metric"]] = Quartiles(float(row["q25"]), float(row["q75"]))
    return found
