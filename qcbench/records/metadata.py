"""What a record may say of a scan besides its metrics: BIDS metadata and provenance, as MRIQC's clients send them.

A list of what is let in, not of what is kept out: a name that does not stand here never reaches the database.
"""

from __future__ import annotations

import re

#: Numbers, seconds and degrees and tesla as BIDS has them; a list where BIDS allows one value a volume or an echo.
NUMBERS = (
    "AccelNumReferenceLines",
    "AccelerationFactorPE",
    "DelayTime",
    "EchoTime",
    "EchoTrainLength",
    "EffectiveEchoSpacing",
    "FlipAngle",
    "ImagingFrequency",
    "InversionTime",
    "MagneticFieldStrength",
    "MultibandAccelerationFactor",
    "NumberOfAverages",
    "NumberOfPhaseEncodingSteps",
    "NumberOfVolumesDiscardedByScanner",
    "NumberOfVolumesDiscardedByUser",
    "NumberShots",
    "ParallelReductionFactorInPlane",
    "PercentPhaseFieldOfView",
    "PercentSampling",
    "PixelBandwidth",
    "RepetitionTime",
    "TotalReadoutTime",
    "TotalScanTimeSec",
)
#: Texts, or numbers and lists of either, which is how sidecars of several vendors have them.
TEXTS = (
    "AcquisitionMatrix",
    "CogAtlasID",
    "CogPOID",
    "CoilCombinationMethod",
    "ContrastBolusIngredient",
    "ConversionSoftware",
    "ConversionSoftwareVersion",
    "DeviceSerialNumber",
    "GradientSetType",
    "HardcopyDeviceSoftwareVersion",
    "ImageType",
    "InPlanePhaseEncodingDirection",
    "InstitutionAddress",
    "InstitutionName",
    "Instructions",
    "MRAcquisitionType",
    "MRTransmitCoilSequence",
    "Manufacturer",
    "ManufacturersModelName",
    "MatrixCoilMode",
    "ParallelAcquisitionTechnique",
    "PartialFourier",
    "PartialFourierDirection",
    "PatientPosition",
    "PhaseEncodingDirection",
    "ProtocolName",
    "PulseSequenceDetails",
    "PulseSequenceType",
    "ReceiveCoilName",
    "ScanOptions",
    "ScanningSequence",
    "SequenceName",
    "SequenceVariant",
    "SliceEncodingDirection",
    "SoftwareVersions",
    "TaskDescription",
    "TaskName",
    "TransmitCoilName",
    "VariableFlipAngleFlag",
    "acq_id",
    "run_id",
    "session_id",
    "task_id",
)
#: Which entities BIDS names go under in a record.
ENTITIES = {
    "subject": "subject_id",
    "session": "session_id",
    "run": "run_id",
    "acquisition": "acq_id",
    "task": "task_id",
    "suffix": "modality",
}
#: Of them, those that take the place of a text that may be missing.
OTHER_NAMES = tuple(theirs for theirs, ours in ENTITIES.items() if ours in TEXTS)

#: Those with a column of their own, to filter and to sort by; the others stay in the payload.
NUMBER_COLUMNS = (
    "EchoTime",
    "EffectiveEchoSpacing",
    "FlipAngle",
    "ImagingFrequency",
    "InversionTime",
    "MagneticFieldStrength",
    "PixelBandwidth",
    "RepetitionTime",
    "TotalReadoutTime",
)
TEXT_COLUMNS = (
    "DeviceSerialNumber",
    "InstitutionName",
    "MRAcquisitionType",
    "Manufacturer",
    "ManufacturersModelName",
    "PhaseEncodingDirection",
    "ProtocolName",
    "ReceiveCoilName",
    "ScanningSequence",
    "SequenceName",
    "SoftwareVersions",
    "TaskName",
    "acq_id",
    "run_id",
    "session_id",
    "subject_id",
    "task_id",
)

#: How vendors are spelled once blanks are collapsed, case is folded and what they are by law is cut off.
_VENDORS = {
    "bruker": "Bruker",
    "canon": "Canon",
    "canon mec": "Canon",
    "canon medical systems": "Canon",
    "esaote": "Esaote",
    "fujifilm": "Fujifilm",
    "fujifilm healthcare": "Fujifilm",
    "ge": "GE",
    "ge healthcare": "GE",
    "ge medical": "GE",
    "ge medical systems": "GE",
    "gems": "GE",
    "general electric": "GE",
    "general electric healthcare": "GE",
    "hitachi": "Hitachi",
    "hitachi medical": "Hitachi",
    "marconi": "Marconi",
    "philips": "Philips",
    "philips healthcare": "Philips",
    "philips medical": "Philips",
    "philips medical systems": "Philips",
    "picker": "Picker",
    "siemens": "Siemens",
    "siemens healthcare": "Siemens",
    "siemens healthineers": "Siemens",
    "siemens medical systems": "Siemens",
    "toshiba": "Toshiba",
    "toshiba mec": "Toshiba",
    "toshiba medical": "Toshiba",
    "toshiba medical systems": "Toshiba",
    "uih": "United Imaging",
    "united imaging": "United Imaging",
    "united imaging healthcare": "United Imaging",
}
_LEGAL_FORM = re.compile(r"[ ,]+(ag|bv|co|corp|corporation|gmbh|inc|kk|ltd|nv|sa|company)\.?$")


def vendor(spelling: str) -> str | None:
    """Return the one spelling of a vendor, None for a vendor that is not known.

    >>> vendor("GE_MEDICAL_SYSTEMS"), vendor("Siemens Healthcare GmbH"), vendor("Acme")
    ('GE', 'Siemens', None)
    """
    words = re.sub(r"[\s_]+", " ", spelling).strip().lower()
    while (shorter := _LEGAL_FORM.sub("", words)) != words:
        words = shorter
    return _VENDORS.get(words)
