"""What each metric is, where it was published, and what differs between the profiles: a dictionary for machines.

The keys, units, directions and ranges are those of `qcbench.iqm_keys`; the sentences here are about families of keys.
"""

from __future__ import annotations

from dataclasses import asdict

from qcbench import iqm_keys

_MRIQC = "Esteban et al., PLoS ONE 2017, doi:10.1371/journal.pone.0184661"
_FBIRN = "Magnotta & Friedman, J Digit Imaging 2006, doi:10.1007/s10278-006-0264-x"
_MORTAMET = "Mortamet et al., Magn Reson Med 2009, doi:10.1002/mrm.21992"
_POWER = "Power et al., NeuroImage 2012, doi:10.1016/j.neuroimage.2011.10.018"
_NICHOLS = "Nichols, Notes on creating a standardized version of DVARS, 2013"

#: The beginning of a key -> definition, reference. The longest beginning counts.
_FAMILIES: dict[str, tuple[str, str]] = {
    "aor": ("mean share of a volume's voxels that are far from their own median", "AFNI, 3dToutcount -fraction"),
    "aqi": ("mean of 1 minus the rank correlation of a volume with the median volume", "AFNI, 3dTqual"),
    "cjv": (
        "(mad wm + mad gm) / |median wm - median gm|",
        "Ganzetti et al., Front Neuroinform 2016, doi:10.3389/fninf.2016.00010",
    ),
    "cnr": ("|median wm - median gm| / sqrt(stdv air^2 + stdv wm^2 + stdv gm^2)", _FBIRN),
    "dummy_trs": ("volumes at the start whose mean is far from the median", "Iglewicz & Hoaglin 1993; nipype"),
    "dvars": ("mean over time of the spatial root mean square of the change, brain at 1000", _POWER),
    "dvars_std": ("dvars over what an autoregressive series of that spread would have", _NICHOLS),
    "dvars_vstd": ("the change of each voxel over what is expected of it, root mean square", _NICHOLS),
    "efc": (
        "entropy of the intensities over that of a uniform image",
        "Atkinson et al., IEEE Trans Med Imaging 1997, doi:10.1109/42.650886",
    ),
    "fber": (
        "energy of the voxels of the head over that of the air",
        "Shehzad et al., Front Neurosci 2015, doi:10.3389/conf.fnins.2015.91.00047",
    ),
    "fd": ("sum of absolute changes of six motion parameters, rotations on a sphere of 50 mm", _POWER),
    "fwhm": (
        "width of a Gaussian blur that makes neighbours as alike as they are",
        "Forman et al., Magn Reson Med 1995, doi:10.1002/mrm.1910330508",
    ),
    "gcor": (
        "mean correlation of all pairs of voxels of the brain",
        "Saad et al., Brain Connect 2013, doi:10.1089/brain.2013.0156",
    ),
    "gsr": (
        "(mean where a ghost would lie - mean of other air) / median of the brain",
        "Giannelli et al., J Appl Clin Med Phys 2010",
    ),
    "icvs": ("share of the tissues' volume", _MRIQC),
    "inu": (
        "median, and 5th to 95th percentile, of the bias field in the brain",
        "Tustison et al., IEEE Trans Med Imaging 2010, doi:10.1109/TMI.2010.2046908",
    ),
    "qi_1": ("artefacts over artefacts and air, above nose and nape", _MORTAMET),
    "qi_2": ("distance of the air's density from the chi-squared one that fits it best", _MORTAMET),
    "rpve": ("sum of shares above a half and of what others lack to 1, over the voxels with any", _MRIQC),
    "size": ("voxels along an axis, or volumes", "the header"),
    "snr": ("median / (stdv sqrt(n / (n - 1)))", _FBIRN),
    "snrd": (
        "0.655 median / spread of the air",
        "Dietrich et al., J Magn Reson Imaging 2007, doi:10.1002/jmri.20969",
    ),
    "spacing": ("distance of voxels along an axis, or of volumes in time", "the header"),
    "summary": ("statistic of the voxels of a region, weighted by how much of each belongs to it", _MRIQC),
    "tpm_overlap": ("sum of minima over sum of maxima of tissue map and template", "fuzzy Jaccard index; " + _MRIQC),
    "tsnr": (
        "median over voxels of mean / stdv over time",
        "Krueger & Glover, Magn Reson Med 2001, doi:10.1002/mrm.1240",
    ),
    "wm2max": ("median wm / 99.95th percentile of the image", _MRIQC),
}

#: The same for what the profile qcbench does in another way.
_IN_QCBENCH = {
    "efc": "of the head above nose and nape (bold: of the brain), not of the whole field",
    "fber": "mean energies, the air's near the head, in place of medians of the whole field",
    "inu": "the field is divided by its own mean",
    "qi_2": "artefacts and zeros left out, no voxels drawn; null where half of the air is zero",
    "rpve": "only voxels between the 2nd and the 98th percentile count, as published",
    "snrd": "the spread is always the standard deviation; null where half of the air is zero",
    "summary": "nothing is rounded",
    "summary_bg": "nothing is rounded; the air near the head only",
    "tsnr": "voxels that never change are left out",
    "wm2max": "of the head above nose and nape, not of the whole field",
}


def dictionary(modality: str) -> list[dict[str, object]]:
    """Return one entry a key of T1w, T2w or bold: name, unit, better, low, high, definition, reference, in_qcbench.

    >>> dictionary("T1w")[0]["definition"]
    '(mad wm + mad gm) / |median wm - median gm|'
    """
    entries = []
    for key in iqm_keys.keys_of(modality):
        known = asdict(key)
        definition, reference = _FAMILIES[_family(key.name, _FAMILIES)]
        ours = _family(key.name, _IN_QCBENCH)
        entries.append(
            {name: known[name] for name in ("name", "unit", "better", "dtype", "low", "high", "doc")}
            | {"definition": definition, "reference": reference, "in_qcbench": _IN_QCBENCH.get(ours, "")}
        )
    return entries


def _family(key: str, families: dict) -> str:
    """Return the longest beginning of the key that is there, in whole words; "" for none."""
    words = key.split("_")
    beginnings = ["_".join(words[:end]) for end in range(len(words), 0, -1)]
    return next((beginning for beginning in beginnings if beginning in families), "")
