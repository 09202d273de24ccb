"""What a sidecar or participants.tsv says of an image, in the catalogue's words and units."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from qcbench.prepare import words

#: Field strengths that scanners are sold with; 1.494 in a header means 1.5, 2.89 means 3.
_NOMINAL_TESLA = (0.055, 0.064, 0.2, 0.23, 0.3, 0.35, 0.4, 0.5, 0.55, 0.6, 0.7, 1.0, 1.2, 1.5, 3.0, 4.0, 4.7, 7.0, 9.4)
_YEARS_IN = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
#: Bottani et al. 2022: an image is "noted as injected" by one of the words gado, inj, iv.
_INJECTED = re.compile(r"gado|inj|(?<![a-z])iv(?![a-z])", re.IGNORECASE)

#: What a manufacturer's name begins with in headers -> the one name it has here.
_MANUFACTURERS = {
    "siemens": "Siemens",
    "ge": "GE",
    "general electric": "GE",
    "philips": "Philips",
    "toshiba": "Canon",  # renamed in 2018; the machines stayed
    "canon": "Canon",
    "hitachi": "Hitachi",
    "fujifilm": "Fujifilm",
    "hyperfine": "Hyperfine",
    "uih": "United Imaging",
    "united imaging": "United Imaging",
    "shanghai united imaging": "United Imaging",
}

#: BIDS tells no age above this one, since few are as old; the catalogue does.
OLDEST_TOLD_YEARS = 89

#: Sidecar key -> column, taken over as text.
_TEXTS = {
    "Manufacturer": "manufacturer",
    "ManufacturersModelName": "model_name",
    "InstitutionName": "hospital",
    "StudyDescription": "study_description",
    "SeriesDescription": "series_description",
    "BodyPartExamined": "body_part",
    "ContrastBolusAgent": "contrast_agent",
}
#: What else of a sidecar may enter the study. Names, dates and identifiers are on no list, and so stay out.
_ACQUISITION = (
    "Modality",
    "MagneticFieldStrength",
    "ImagingFrequency",
    "PatientAge",
    "PatientSex",
    "PatientPosition",
    "MRAcquisitionType",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "SequenceName",
    "PulseSequenceType",
    "SliceThickness",
    "SpacingBetweenSlices",
    "EchoTime",
    "RepetitionTime",
    "InversionTime",
    "FlipAngle",
    "ReceiveCoilName",
    "PixelBandwidth",
    "ParallelReductionFactorInPlane",
    "ImageType",
    "SoftwareVersions",
    "ConversionSoftware",
    "ConversionSoftwareVersion",
    "QcbenchSimulation",
)


def columns(sidecar: Mapping, participant: Mapping) -> dict:
    """Return the catalogue's columns that a sidecar fills, and age and sex also from participants.tsv.

    >>> columns({"MagneticFieldStrength": 1.494, "PatientAge": "045Y"}, {"sex": "female"})["age_years"]
    45.0
    """
    row: dict[str, object] = {column: _text(sidecar.get(key)) for key, column in _TEXTS.items()}
    row["manufacturer"] = manufacturer(row["manufacturer"])
    row["field_strength_t"] = field_strength_t(sidecar.get("MagneticFieldStrength"))
    age = age_years(sidecar.get("PatientAge"))
    row["age_years"] = age_years(participant.get("age")) if age is None else age
    row["sex"] = sex(sidecar.get("PatientSex")) or sex(participant.get("sex"))
    row["diagnosis"] = _text(participant.get("diagnosis"))
    row["dicom_gadolinium"] = noted_as_injected(row["study_description"], row["series_description"])
    row["described_injection"] = words.injected(study=row["study_description"], series=row["series_description"])
    return {**row, **_simulation(sidecar.get("QcbenchSimulation"))}


def kept(sidecar: Mapping) -> dict:
    """Return the part of a sidecar that may enter the study: acquisition, never names, dates or identifiers.

    The few who are older than 89 could be told by their age; an age that is none is free text.
    """
    allowed = {key: sidecar[key] for key in sidecar if key in _TEXTS or key in _ACQUISITION}
    if age_years(allowed.get("PatientAge")) is None:
        allowed.pop("PatientAge", None)
    if (age_years(allowed.get("PatientAge")) or 0) > OLDEST_TOLD_YEARS:
        allowed["PatientAge"] = f"{OLDEST_TOLD_YEARS:03d}Y"
    return allowed


def acquisition(sidecar: Mapping) -> dict:
    """Return the part of a sidecar that a machine wrote: how the image was made, and no text of the staff."""
    return {key: sidecar[key] for key in sidecar if key in _ACQUISITION}


def manufacturer(text: str | None) -> str | None:
    """Return the one name of a manufacturer that headers spell in many ways; an unknown one as it is.

    >>> manufacturer("GE MEDICAL SYSTEMS"), manufacturer("Siemens HealthCare GmbH"), manufacturer("Genesis")
    ('GE', 'Siemens', 'Genesis')
    """
    spelt = " ".join(re.findall(r"[a-z0-9]+", (text or "").lower()))
    names = [name for start, name in _MANUFACTURERS.items() if re.match(rf"{start}\b", spelt)]
    return names[0] if names else text


def field_strength_t(value: object) -> float | None:
    """Return the nominal field strength in tesla; None when it is not known.

    >>> field_strength_t(1.494), field_strength_t("30000"), field_strength_t(0)
    (1.5, 3.0, None)
    """
    tesla = _number(value)
    if tesla is None or tesla <= 0:
        return None
    if tesla > 100:  # some headers speak in gauss
        tesla /= 10_000
    nearest = min(_NOMINAL_TESLA, key=lambda nominal: abs(nominal - tesla))
    return nearest if abs(nearest - tesla) <= 0.05 * nearest else round(tesla, 3)


def age_years(value: object) -> float | None:
    """Return an age in years from a number or DICOM's form (``045Y``, ``018M``); None when it is not known.

    >>> age_years("018M"), age_years("n/a"), age_years(89)
    (1.5, None, 89.0)
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([YMWD+]?)\s*", value, re.IGNORECASE)
        if not match:
            return None
        years = float(match[1]) * _YEARS_IN.get(match[2].upper(), 1.0)
    else:
        years = _number(value)
    return years if years is not None and 0 <= years <= 130 else None


def sex(value: object) -> str | None:
    """Return ``F``, ``M`` or ``O`` as DICOM writes them; None when it is not known.

    >>> sex("female"), sex("m"), sex("n/a")
    ('F', 'M', None)
    """
    first = str(value or "").strip().upper()
    if first in ("F", "FEMALE", "W", "WOMAN"):
        return "F"
    if first in ("M", "MALE", "MAN"):
        return "M"
    return "O" if first in ("O", "OTHER") else None


def noted_as_injected(*descriptions: str | None) -> bool | None:
    """Return whether a description speaks of an injection; None without any description.

    >>> noted_as_injected("IRM cerebrale", "T1 3D GADO"), noted_as_injected("drive"), noted_as_injected(None)
    (True, False, None)
    """
    known = [text for text in descriptions if text]
    return any(_INJECTED.search(text) for text in known) if known else None


def _simulation(value: object) -> dict:
    if not isinstance(value, Mapping):
        return {"simulated": False, "derived_from": None, "simulation": None}
    return {
        "simulated": bool(value.get("simulated", True)),
        "derived_from": _text(value.get("derived_from")),
        "simulation": json.dumps(dict(value), sort_keys=True, ensure_ascii=False),
    }


def _text(value: object) -> str | None:
    text = " ".join(str(value).split()) if value is not None else ""
    return text if text and text.lower() != "n/a" else None


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
