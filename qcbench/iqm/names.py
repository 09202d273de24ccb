"""What the name of an image and the sidecar beside it say: its modality, its entities, how it was acquired."""

from __future__ import annotations

import json
import re
from pathlib import Path

from qcbench import iqm_keys
from qcbench.errors import UsageError

#: What BIDS writes short in names, and long in metadata.
_ENTITIES = {
    "sub": "subject",
    "ses": "session",
    "task": "task",
    "acq": "acquisition",
    "ce": "ceagent",
    "rec": "reconstruction",
    "dir": "direction",
    "run": "run",
    "echo": "echo",
    "part": "part",
}
_WHOLE_NUMBERS = ("run", "echo")
#: How an image was acquired; a list of what is let in, for sidecars of converters may name the patient.
_ACQUISITION_WORDS = """
    AccelFactPE AccelNumReferenceLines AccelerationFactorPE BodyPartExamined CoilCombinationMethod
    ConversionSoftware ConversionSoftwareVersion DelayTime EchoTime EchoTrainLength EffectiveEchoSpacing FlipAngle
    ImageType ImagingFrequency InPlanePhaseEncodingDirection InversionTime MagneticFieldStrength Manufacturer
    ManufacturersModelName MatrixCoilMode MRAcquisitionType MultibandAccelerationFactor NumberOfAverages
    NumberOfPhaseEncodingSteps NumberOfVolumesDiscardedByScanner NumberOfVolumesDiscardedByUser NumberShots
    ParallelAcquisitionTechnique ParallelReductionFactorInPlane PartialFourier PartialFourierDirection
    PercentPhaseFieldOfView PercentSampling PhaseEncodingDirection PhaseEncodingLines PixelBandwidth
    PulseSequenceDetails PulseSequenceType ReceiveCoilName RepetitionTime ScanOptions ScanningSequence SequenceName
    SequenceVariant SliceEncodingDirection SliceThickness SoftwareVersions TaskName TotalReadoutTime
    TransmitCoilName VariableFlipAngleFlag"""
_ACQUISITION = frozenset(_ACQUISITION_WORDS.split())


def stem(path: str | Path) -> str:
    """Return the name of a file without .nii or .nii.gz, which is its image_id.

    >>> stem("folder/sub-01_T1w.nii.gz")
    'sub-01_T1w'
    """
    return re.sub(r"\.nii(\.gz)?$", "", Path(path).name, flags=re.IGNORECASE)


def modality_of(path: str | Path, asked: str | None = None) -> str:
    """Return the modality of an image: the one asked for, or the suffix of its name; T1w where it has none.

    Raises UsageError when a BIDS name has the suffix of something else, or when an unknown one is asked for.

    >>> modality_of("sub-01_task-rest_bold.nii.gz"), modality_of("scan.nii.gz")
    ('bold', 'T1w')
    """
    known = ", ".join(iqm_keys.MODALITIES)
    if asked is not None:
        if asked not in iqm_keys.MODALITIES:
            raise UsageError(f"the modality of an image is one of {known}, got {asked!r}")
        return asked
    suffix = suffix_of(path)
    if suffix is None or suffix in iqm_keys.MODALITIES:
        return suffix or "T1w"
    raise UsageError(
        f"{Path(path).name} is named as {suffix}; IQMs are measured of {known}. "
        "Name the modality with --modality when it is one of them"
    )


def suffix_of(path: str | Path) -> str | None:
    """Return the last word of a BIDS name, which says what the image is; None where the name does not say.

    >>> suffix_of("sub-01_FLAIR.nii"), suffix_of("head_T1w.nii"), suffix_of("my_scan.nii"), suffix_of("sub-01.nii")
    ('FLAIR', 'T1w', None, None)
    """
    before, _, suffix = stem(path).rpartition("_")
    is_bids = "sub-" in before and suffix.isalnum()
    return suffix if suffix in iqm_keys.MODALITIES or is_bids else None


def entities(path: str | Path) -> dict[str, str | int]:
    """Return the entities of a BIDS name by their long names.

    A file without ``sub-`` is its own subject, as everywhere in qcbench.

    >>> entities("sub-01_ses-M00_run-02_T1w.nii.gz")
    {'subject': '01', 'session': 'M00', 'run': 2}
    """
    pairs = dict(re.findall(r"(?:^|_)([a-z]+)-([A-Za-z0-9]+)", stem(path)))
    found: dict[str, str | int] = {}
    for short, long in _ENTITIES.items():
        if value := pairs.get(short):
            found[long] = int(value) if short in _WHOLE_NUMBERS and value.isdecimal() else value
    found.setdefault("subject", re.sub(r"[^A-Za-z0-9]", "", re.sub(r"_(T1w|T2w|bold)$", "", stem(path))) or "unnamed")
    return found


def folder_of(path: str | Path, modality: str) -> Path:
    """Return where an image of that name lies in a BIDS dataset, e.g. ``sub-01/ses-M00/anat``."""
    known = entities(path)
    session = [f"ses-{known['session']}"] if "session" in known else []
    return Path(f"sub-{known['subject']}", *session, datatype(modality))


def datatype(modality: str) -> str:
    """Return the folder that BIDS has for a modality."""
    return "func" if modality == "bold" else "anat"


def sidecar(path: str | Path) -> dict[str, object]:
    """Return what the JSON beside an image says of its acquisition; {} when there is none.

    Raises UsageError when it is damaged.
    """
    beside = Path(path).with_name(f"{stem(path)}.json")
    if not beside.is_file():
        return {}
    try:
        # NaN is no JSON, though Python takes it: what is no number is not known.
        content = json.loads(beside.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    except (OSError, ValueError) as error:
        raise UsageError(f"{beside.name}, the sidecar of the image, is no JSON file: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{beside.name}, the sidecar of the image, holds no JSON object")
    return {name: value for name, value in sorted(content.items()) if name in _ACQUISITION and value is not None}
