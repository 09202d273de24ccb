"""Two sets of definitions under one set of names; which one was used stands in every row as `iqm_profile`.

``mriqc-24`` is what the code of MRIQC 24.0.2 computes, for comparison with its 2 million records. ``qcbench`` differs
from it where a number depends on what is not the image's quality:

==================  ==========================================  ====================================================
key                 mriqc-24                                    qcbench
==================  ==========================================  ====================================================
summary_*           data as whole numbers, results to 4 digits  nothing is rounded
efc                 every voxel but those of a rotated frame    the head above nose and nape; the brain of bold
fber                median energies of head and all the rest    mean energies, as published, of that and of the air
wm2max              over the 99.95th percentile of the field    over that of the head above nose and nape
rpve_*              counts every voxel of the field             the published sum: voxels between p02 and p98
inu_*               field as N4 scaled it                       field over its own mean
snrd_*              over the air's MAD, below 1 over its stdv   always over the stdv
qi_2                artefacts and zeros too, 300,000 are drawn  all voxels of the air above zero, without artefacts
snrd, qi_2          as computed                                 null when half of the air is zero: noise was removed
tsnr                voxels that never change count as 0         they are left out
bg of bold          every voxel outside the brain               the air mask
==================  ==========================================  ====================================================
"""

from __future__ import annotations

from dataclasses import dataclass

from qcbench.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Which definitions are used.

    `decimals`: of the results, None for no rounding; the data are then not rounded either. `whole_field`: whether
    voxels far from the head count.
    """

    name: str
    decimals: int | None
    whole_field: bool


MRIQC_24 = Profile(name="mriqc-24", decimals=4, whole_field=True)
QCBENCH = Profile(name="qcbench", decimals=None, whole_field=False)
PROFILES = {profile.name: profile for profile in (MRIQC_24, QCBENCH)}


def by_name(name: str) -> Profile:
    """Return the profile of that name; raises UsageError when there is none."""
    if name not in PROFILES:
        raise UsageError(f"an IQM profile is one of {', '.join(PROFILES)}, got {name!r}")
    return PROFILES[name]
