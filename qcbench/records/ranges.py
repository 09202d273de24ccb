"""What is plausible: one table of ranges a modality, for whoever wants to read or change what is flagged.

A value outside its range is kept and flagged, and where another unit explains it the repair is proposed beside it.
What no scanner and no formula can give is refused instead: `iqm_keys` and `IMPOSSIBLE` bound that.
"""

from __future__ import annotations

from typing import NamedTuple

from qcbench.iqm_keys import MODALITIES

_T1W, _T2W, _BOLD = MODALITIES
_ALL = MODALITIES
_STRUCTURAL = (_T1W, _T2W)


class Range(NamedTuple):
    """The plausible values of a field in some modalities; `factors` turn other units into this one."""

    field: str
    modalities: tuple[str, ...]
    low: float
    high: float
    unit: str
    factors: tuple[float, ...] = ()


_MS = (0.001,)

# fmt: off
PLAUSIBLE = (
    # field                  modalities    low      high      unit   a factor that other units need
    Range("EchoTime",             (_T1W,), 0.0005,  0.05,     "s",   _MS),
    # SPACE and other long trains have effective echo times of half a second.
    Range("EchoTime",             (_T2W,), 0.01,    1.0,      "s",   _MS),
    Range("EchoTime",             (_BOLD,), 0.003,  0.15,     "s",   _MS),
    # Philips gives the time from pulse to pulse of a gradient echo (8 ms), Siemens that of a whole line.
    Range("RepetitionTime",       (_T1W,), 0.002,   12.0,     "s",   _MS),
    Range("RepetitionTime",       (_T2W,), 0.002,   30.0,     "s",   _MS),
    Range("RepetitionTime",       (_BOLD,), 0.1,    20.0,     "s",   _MS),
    Range("spacing_tr",           (_BOLD,), 0.1,    20.0,     "s",   (0.001, 1000.0)),
    Range("InversionTime",        _ALL,    0.01,    5.0,      "s",   _MS),
    Range("FlipAngle",            _ALL,    0.5,     180.0,    "deg"),
    Range("MagneticFieldStrength", _ALL,   0.04,    12.0,     "T",   (0.0001,)),
    Range("ImagingFrequency",     _ALL,    1.5,     520.0,    "MHz", (1e-6, 1e-3)),
    # Of T1w and T2w images several archives give the dwell time of 6.5 us under both names.
    Range("EffectiveEchoSpacing", (_BOLD,), 0.0001, 0.01,     "s",   _MS),
    Range("TotalReadoutTime",     (_BOLD,), 0.001,  1.0,      "s",   _MS),
    Range("spacing_x",            _STRUCTURAL, 0.2, 6.0,      "mm"),
    Range("spacing_y",            _STRUCTURAL, 0.2, 6.0,      "mm"),
    Range("spacing_z",            _STRUCTURAL, 0.2, 10.0,     "mm"),
    Range("spacing_x",            (_BOLD,), 0.5,    10.0,     "mm"),
    Range("spacing_y",            (_BOLD,), 0.5,    10.0,     "mm"),
    Range("spacing_z",            (_BOLD,), 0.5,    12.0,     "mm"),
    Range("cjv",                  _STRUCTURAL, 0.05, 5.0,     ""),
    Range("efc",                  _ALL,    0.05,    0.95,     ""),
    Range("inu_med",              _STRUCTURAL, 0.1, 5.0,      ""),
    Range("wm2max",               _STRUCTURAL, 0.05, 1.2,     ""),
    Range("snr_total",            _STRUCTURAL, 0.5, 100.0,    ""),
    Range("fwhm_avg",             _STRUCTURAL, 1.0, 15.0,     "voxels"),
    Range("fwhm_avg",             (_BOLD,), 1.0,    15.0,     "voxels"),
    Range("fd_mean",              (_BOLD,), 0.0,    5.0,      "mm"),
    Range("tsnr",                 (_BOLD,), 1.0,    1000.0,   ""),
)
# fmt: on

#: What BIDS metadata cannot be in any unit that was ever seen; it is refused.
IMPOSSIBLE: dict[str, tuple[float, float]] = {
    "EchoTime": (0.0, 10_000.0),
    "EffectiveEchoSpacing": (0.0, 1_000.0),
    "FlipAngle": (0.0, 360.0),
    "ImagingFrequency": (0.0, 1e9),
    "InversionTime": (0.0, 100_000.0),
    "MagneticFieldStrength": (0.0, 200_000.0),
    "PixelBandwidth": (0.0, 1e9),
    "RepetitionTime": (0.0, 1_000_000.0),
    "TotalReadoutTime": (0.0, 100_000.0),
}
#: Beyond this no number of a record means anything.
LARGEST = 1e15

#: MHz of the proton's resonance at 1 T.
MHZ_PER_TESLA = 42.577

PLAUSIBLE_OF: dict[str, dict[str, Range]] = {
    modality: {each.field: each for each in PLAUSIBLE if modality in each.modalities} for modality in MODALITIES
}


def in_another_unit(value: float, plausible: Range) -> float | None:
    """Return the value in the right unit where exactly one change of unit makes it plausible, None otherwise.

    >>> in_another_unit(2.98, PLAUSIBLE_OF["T1w"]["EchoTime"]), in_another_unit(0.4, PLAUSIBLE_OF["bold"]["EchoTime"])
    (0.00298, None)
    """
    found = [value * factor for factor in plausible.factors if plausible.low <= value * factor <= plausible.high]
    # 2300 * 0.001 is 2.3000000000000003; a proposal reads as a person would write it.
    return float(f"{found[0]:.12g}") if len(found) == 1 else None
