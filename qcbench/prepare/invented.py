"""Invented scanners, patients and wording, after the habits of four manufacturers and two languages.

Nobody named here exists. The hospitals are invented too; whoever reads a name sees that it is.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from qcbench.errors import UsageError


@dataclass(frozen=True)
class Scanner:
    r"""A machine and its 3D T1w sequence as its headers have them; several values of one element are parted by \.

    `sequences` are the names that radiographers give the sequence; they are in no header.
    """

    manufacturer: str
    model: str
    field_strength_t: float
    software: str
    station: str
    repetition_time_ms: float
    echo_time_ms: float
    inversion_time_ms: float | None
    flip_angle_deg: float
    institution: str
    image_type: str
    scanning_sequence: str
    sequence_variant: str
    scan_options: str
    sequences: tuple[str, ...]
    sequence_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Description:
    """What the staff wrote about a series. An agent of None leaves its element out, "" leaves it empty."""

    study: str
    series: str
    protocol: str
    body_part: str
    contrast_agent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A person who does not exist; `sex` is F, M or O."""

    name: str
    patient_id: str
    birth_date: date
    sex: str


_SIEMENS = {
    "institution": "Hôpital Simulé Nord",
    "image_type": r"ORIGINAL\PRIMARY\M\ND\NORM",
    "scanning_sequence": r"GR\IR",
    "sequence_variant": r"SK\SP\MP",
    "scan_options": "IR",
    "sequences": ("MPRAGE", "mprage p2 iso", "MPR"),
    "sequence_name": "*tfl3d1_16ns",
}
_GE = {
    "institution": "CENTRE SIMULE EST",
    "image_type": r"ORIGINAL\PRIMARY\OTHER",
    "scanning_sequence": "GR",
    "sequence_variant": r"SS\SP\SK",
    "scan_options": r"FAST_GEMS\EDR_GEMS\ACC_GEMS",
    "sequences": ("FSPGR", "BRAVO", "IR-FSPGR"),
}
_PHILIPS = {
    "institution": "Clinique Simulée Sud",
    "image_type": r"ORIGINAL\PRIMARY\M_FFE\M\FFE",
    "scanning_sequence": "GR",
    "sequence_variant": "MP",
    "scan_options": "FC",
    "sequences": ("TFE", "T1TFE", "TFE SENSE"),
}
_CANON = {
    "institution": "SIMULATED WEST",
    "image_type": r"ORIGINAL\PRIMARY\OTHER",
    "scanning_sequence": r"GR\IR",
    "sequence_variant": r"SP\MP",
    "scan_options": "PFF",
    "sequences": ("FFE3D", "MPV", "FFE"),
    "sequence_name": "FFE3D",
}
_LX24, _LX27 = r"24\LX\MR Software release:", r"27\LX\MR Software release:"

#: Two machines or three of each manufacturer: tesla, software, station, TR, TE, TI (ms), flip angle (degrees).
SCANNERS = (
    Scanner("SIEMENS", "Skyra", 3, "syngo MR E11", "SIM45231", 2300, 2.98, 900, 9, **_SIEMENS),
    Scanner("SIEMENS", "Aera", 1.5, "syngo MR D13", "SIM41007", 2200, 3.16, 900, 8, **_SIEMENS),
    Scanner("Siemens Healthineers", "MAGNETOM Sola", 1.494, "syngo MR XA31", "SIM76012", 2200, 2.5, 950, 8, **_SIEMENS),
    Scanner(
        "GE MEDICAL SYSTEMS", "Signa HDxt", 1.5, _LX24 + "HD16.0_V02_1131.a", "SIMGE1", 8.932, 3.496, 400, 11, **_GE
    ),
    Scanner(
        "GE MEDICAL SYSTEMS", "Optima MR450w", 1.5, _LX27 + "DV26.0_R01_1725.a", "SIMGE2", 8.2, 3.2, 450, 12, **_GE
    ),
    Scanner(
        "GE MEDICAL SYSTEMS", "DISCOVERY MR750", 3, _LX27 + "DV25.1_R01_1617.b", "SIMGE3", 7.3, 3.0, 400, 11, **_GE
    ),
    Scanner("Philips Medical Systems", "Achieva", 3, r"3.2.3\3.2.3.2", "SIMPHIL1", 8.1432, 3.74, None, 8, **_PHILIPS),
    Scanner("Philips Healthcare", "Ingenia", 1.5, r"5.3.1\5.3.1.1", "SIMPHIL2", 7.6091, 3.46, 937.5, 8, **_PHILIPS),
    Scanner("TOSHIBA", "Titan", 1.5, "V3.10*R004", "SIMTMR1", 6.7, 2.8, 900, 10, **_CANON),
    Scanner("CANON_MEC", "Galan", 3, "V6.0*R002", "SIMCMR2", 5.8, 2.5, 900, 9, **_CANON),
)

_STUDIES = {
    "fr": ("IRM cérébrale", "IRM encéphale", "IRM du crâne", "Encéphale", "IRM cérébrale suivi", "IRM Tete", "CERVEAU"),
    "en": ("MRI BRAIN", "MR Brain", "Brain^Routine", "MRI Head", "Neuro^head", "MR BRAIN DEMENTIA"),
}
_INJECTION = {  # language, with gadolinium: each has a word of `headers.noted_as_injected`
    ("fr", True): ("GADO", "+GADO", "inj", "injecté", "après injection", "sans et avec injection", "IV", "post gado"),
    ("fr", False): ("sans injection", "SANS INJ", "avant injection", "sans gado", "sans IV", "non injecté"),
    ("en", True): ("POST GADO", "+Gado", "with IV contrast", "POST INJ", "W WO GADO", "gadolinium"),
    ("en", False): ("no gado", "without IV contrast", "pre gado", "W/O GADOLINIUM", "non inj"),
}
#: A person may understand some of these; the words that are searched for are not in them.
_UNNOTED = {True: ("", "", "", "+C", "CE", "C+"), False: ("", "", "", "", "natif", "-C")}
_LAYOUTS = (
    "{plane} {sequence}",
    "T1 {sequence} {plane}",
    "{plane} 3D T1 {sequence}",
    "3DT1 {plane}",
    "{plane} T1 3D",
    "3D T1 {sequence}",
    "3DT1",
)
_PLANES = ("SAG", "AX", "COR", "Sag", "sagittal", "")
_BODY_PARTS = {"fr": ("BRAIN", "HEAD", "CERVEAU", "CRANE", "TETE", ""), "en": ("BRAIN", "HEAD", "SKULL", "")}
_PROTOCOLS = {"fr": ("CRANE STANDARD", "Encéphale/démence"), "en": ("Brain routine", "HEAD/DEMENTIA")}
_AGENTS = ("DOTAREM", "GADOVIST", "Dotarem 0.5 mmol/ml", "CLARISCAN", "GADO 12 ml", "OUI")
_GIVEN_NAMES = {
    "F": ("ALICE", "ZOÉ", "HÉLÈNE", "MARGARET", "INÈS", "RUTH"),
    "M": ("BERNARD", "FRANÇOIS", "JOËL", "GEORGE", "THÉO", "WALTER"),
}


def draw_patient(seed: int) -> Patient:
    """Return an invented adult; each seed has an id of its own, and whoever reads the name sees that it is invented.

    >>> draw_patient(7).patient_id, draw_patient(7).name.startswith("SIMULATED^")
    ('SIM00000007', True)
    """
    rng = np.random.default_rng([seed, 0x9A71])
    sex = str(rng.choice(("F", "M")))
    birth_date = date(1925, 1, 1) + timedelta(days=int(rng.integers(60 * 365)))
    name = f"SIMULATED^{rng.choice(_GIVEN_NAMES[sex])}"
    return Patient(name=name, patient_id=f"SIM{seed:08d}", birth_date=birth_date, sex=sex)


def describe(
    *, scanner: Scanner, gadolinium: bool, language: str, noted: bool, rng: np.random.Generator
) -> Description:
    """Return how a hospital might describe a 3D T1w series of that scanner, in ``fr`` or ``en``.

    `noted`: the study's or the series' description has a word by which an injection is searched for (gado, inj,
    iv), be it to deny it ("sans injection"). Otherwise it has none, though "+C" may stand there. With gadolinium
    the contrast agent is filled or empty, without it empty or left out.
    """
    if language not in _STUDIES:
        raise UsageError(f"descriptions are in fr or en, got {language!r}")
    where = str(rng.choice(("study", "series", "both"))) if noted else ""
    injection, silence = _INJECTION[language, gadolinium], _UNNOTED[gadolinium]
    series = str(rng.choice(_LAYOUTS)).format(plane=rng.choice(_PLANES), sequence=rng.choice(scanner.sequences))
    series = f"{series} {rng.choice(injection if where in ('series', 'both') else silence)}"
    study = f"{rng.choice(_STUDIES[language])} {rng.choice(injection) if where in ('study', 'both') else ''}"
    protocol = series if rng.random() < 0.5 else str(rng.choice(_PROTOCOLS[language]))
    return Description(
        study=_spelt(study, rng),
        series=_spelt(series, rng),
        protocol=_spelt(protocol, rng),
        body_part=str(rng.choice(_BODY_PARTS[language])),
        contrast_agent=_agent(gadolinium, rng),
    )


def _spelt(text: str, rng: np.random.Generator) -> str:
    text = " ".join(text.split())
    bare = unicodedata.normalize("NFD", text).encode("ascii", "ignore").decode()
    return str(rng.choice((text, text, text.upper(), bare, bare.upper(), bare.lower().replace(" ", "_"))))


def _agent(gadolinium: bool, rng: np.random.Generator) -> str | None:
    filled, element = rng.random() < 0.6, rng.random() < 0.3
    if gadolinium:
        return str(rng.choice(_AGENTS)) if filled else ""
    return "" if element else None
