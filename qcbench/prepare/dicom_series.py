"""Simulated DICOM: any volume as the MR series that a hospital's scanner would have sent to the archive.

For tests of the intake and for demonstrations. Geometry and voxels are exact; scanner, patient, hospital and
wording are invented after the habits of four manufacturers, and every header says SIMULATED. One classic
(single-frame) file a slice, without private elements, uncompressed.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from qcbench import durable
from qcbench.errors import ImageError, UsageError
from qcbench.images import Volume, voxels_sha256
from qcbench.imaging import geometry
from qcbench.prepare.invented import Description, Patient, Scanner

#: Stands in ImageComments (0020,4000) of every file.
MARKER = "SIMULATED by qcbench"
#: Scanners store 12 bits; a voxel above 99.9% of the others is put at half of that.
_WHITEST, _USUAL_WHITE = 4095, 2000
#: Volumes whose 99.9th percentile is below this would lose their contrast when rounded.
_DARKEST_WHITE = 100
_CODECS = {"ISO_IR 100": "latin-1", "ISO_IR 192": "utf-8"}
_LONGEST_TEXT = 64
_MHZ_A_TESLA = 42.577


def write_series(
    folder: str | Path,
    volume: Volume,
    *,
    scanner: Scanner,
    description: Description,
    patient: Patient,
    seed: int,
    study_seed: int | None = None,
    study_date: date | None = None,
    series_number: int = 3,
    slice_axis: int | None = None,
    missing: Collection[int] = (),
    character_set: str = "ISO_IR 100",
    numbered_files: bool = False,
) -> list[Path]:
    """Write one file a slice into `folder` and return the paths in the order of InstanceNumber.

    Same arguments, same bytes. Series of one patient with the same `study_seed` (the `seed` unless given) are one
    study on one day, drawn unless `study_date` is given. Slices lie along `slice_axis`, by default the axis that
    the volume names, else the last. `missing` are InstanceNumbers, from 1, that never arrived. Voxels are stored as
    `stored_values` returns them, their place in the patient exactly. Files are named by their UID, or with
    `numbered_files` IM0001 and so on. Raises ImageError for axes that are not orthogonal, UsageError for arguments
    that contradict each other.
    """
    _check_texts((*vars(description).values(), patient.name, patient.patient_id, scanner.institution), character_set)
    axis = slice_axis if slice_axis is not None else volume.slice_axis
    grid = _grid(volume, 2 if axis is None else axis)
    pictures = stored_values(volume.data).transpose(grid.axis, grid.rows, grid.columns)
    _check_missing(missing, len(pictures))
    study_seed = seed if study_seed is None else study_seed
    series = _study_elements(patient, description, study_seed, study_date, series_number)
    told = repr((seed, series_number, scanner, description, patient, grid.axis, character_set))
    series.SpecificCharacterSet = character_set
    series.SeriesInstanceUID = generate_uid(entropy_srcs=[series.StudyInstanceUID, told, voxels_sha256(volume)])
    series.update(_patient_elements(patient, series.StudyDate))
    series.update(_scanner_elements(scanner))
    series.update(_description_elements(description))
    series.update(_picture_elements(pictures, grid))
    contents = {}
    for number, picture in enumerate(pictures, start=1):
        if number not in missing:
            content = _file_bytes(series, number, picture, grid)
            name = f"IM{number:04d}" if numbered_files else f"{series.SOPInstanceUID}.dcm"
            contents[Path(folder) / name] = content
    _write(contents)
    return list(contents)


def stored_values(data: np.ndarray) -> np.ndarray:
    """Return voxels as a scanner stores them: uint16 from 0 to 4095; RescaleSlope is 1 and RescaleIntercept 0.

    Values whose 99.9th percentile lies from 100 to 4095 are only rounded; others (a volume from 0 to 1, say) are
    scaled so that it becomes 2000. What is then below 0 or above 4095 becomes 0 or 4095.

    >>> stored_values(np.array([-3.0, 99.6, 1200.4])), stored_values(np.array([0.0, 0.5, 0.5]))
    (array([   0,  100, 1200], dtype=uint16), array([   0, 2000, 2000], dtype=uint16))
    """
    white = float(np.percentile(data, 99.9))
    if not np.isfinite(white):
        raise ImageError("NOT_FINITE", "the volume has voxels that are not finite; set them to 0 first")
    scale = 1.0 if white <= 0 or _DARKEST_WHITE <= white <= _WHITEST else _USUAL_WHITE / white
    return np.clip(np.rint(np.asarray(data) * scale), 0, _WHITEST).astype(np.uint16)


def dicom_age(birth_date: date, on: date) -> str:
    """Return an age as DICOM writes it: whole years, months under two years.

    >>> dicom_age(date(1950, 6, 2), date(2015, 6, 1)), dicom_age(date(2014, 1, 15), date(2015, 6, 1))
    ('064Y', '016M')
    """
    months = 12 * (on.year - birth_date.year) + on.month - birth_date.month - (on.day < birth_date.day)
    if months < 0:
        raise UsageError(f"the study of {on} is before the birth on {birth_date}; give a later `study_date`")
    return f"{months // 12:03d}Y" if months >= 24 else f"{months:03d}M"


def _check_texts(texts: tuple[str | None, ...], character_set: str) -> None:
    if character_set not in _CODECS:
        raise UsageError(f"`character_set` is one of {', '.join(_CODECS)}, got {character_set!r}")
    for text in texts:
        if len(text or "") > _LONGEST_TEXT or "\\" in (text or ""):
            raise UsageError(f"a text of DICOM has at most {_LONGEST_TEXT} characters and no backslash, got {text!r}")
        try:
            (text or "").encode(_CODECS[character_set])
        except UnicodeEncodeError as error:
            raise UsageError(f"{character_set} cannot hold {text!r}; use character_set='ISO_IR 192'") from error


def _check_missing(missing: Collection[int], n_slices: int) -> None:
    unknown = sorted(set(missing) - set(range(1, n_slices + 1)))
    if unknown or len(set(missing)) == n_slices:
        raise UsageError(
            f"`missing` names some of the InstanceNumbers 1 to {n_slices}, got {unknown or 'all of them'}; "
            "at least one slice must remain"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Grid:
    """Where voxels lie in LPS millimetres, and which array axes a picture's rows, columns and number count."""

    origin: np.ndarray
    spacing_mm: list[float]
    direction: np.ndarray
    rows: int
    columns: int
    axis: int


def _grid(volume: Volume, axis: int) -> _Grid:
    if axis not in (0, 1, 2):
        raise UsageError(f"`slice_axis` is 0, 1 or 2, got {axis!r}")
    try:
        origin, spacing_mm, direction = geometry.to_itk(volume.affine)
    except ValueError as error:
        raise ImageError(
            "BAD_AFFINE",
            "DICOM slices have orthogonal axes, and those of this volume are sheared. "
            "Resample it, or mend its affine with qcbench.imaging.geometry.orthonormal(affine, shape).",
        ) from error
    columns, rows = (other for other in range(3) if other != axis)
    return _Grid(
        origin=np.array(origin), spacing_mm=spacing_mm, direction=direction, rows=rows, columns=columns, axis=axis
    )


def _study_elements(
    patient: Patient, description: Description, seed: int, study_date: date | None, series_number: int
) -> Dataset:
    rng = np.random.default_rng([seed, 0x57D1])
    drawn = date(2008, 1, 1) + timedelta(days=int(rng.integers(15 * 365)))
    began = datetime.combine(study_date or drawn, time(7)) + timedelta(seconds=int(rng.integers(12 * 3600)))
    scanned = began + timedelta(minutes=5 * series_number)
    source = ["study", patient.patient_id, str(seed), f"{began:%Y%m%d}"]
    return _dataset(
        StudyInstanceUID=generate_uid(entropy_srcs=source),
        FrameOfReferenceUID=generate_uid(entropy_srcs=[*source, "frame of reference"]),
        StudyID=str(rng.integers(1, 10_000)),
        AccessionNumber=f"SIM{rng.integers(10**9):09d}",
        StudyDescription=description.study,
        ReferringPhysicianName="SIMULATED^PHYSICIAN",
        OperatorsName="SIMULATED^OPERATOR",
        StudyDate=f"{began:%Y%m%d}",
        StudyTime=f"{began:%H%M%S}",
        SeriesNumber=series_number,
        **{f"{what}Date": f"{scanned:%Y%m%d}" for what in ("Series", "Acquisition", "Content")},
        **{f"{what}Time": f"{scanned:%H%M%S}" for what in ("Series", "Acquisition", "Content")},
    )


def _patient_elements(patient: Patient, study_date: str) -> Dataset:
    return _dataset(
        PatientName=patient.name,
        PatientID=patient.patient_id,
        PatientBirthDate=f"{patient.birth_date:%Y%m%d}",
        PatientSex=patient.sex,
        PatientAge=dicom_age(patient.birth_date, date.fromisoformat(study_date)),
        PatientPosition="HFS",
    )


def _scanner_elements(scanner: Scanner) -> Dataset:
    return _dataset(
        SOPClassUID=MRImageStorage,
        Modality="MR",
        Manufacturer=scanner.manufacturer,
        ManufacturerModelName=scanner.model,
        InstitutionName=scanner.institution,
        StationName=scanner.station,
        SoftwareVersions=scanner.software,
        MagneticFieldStrength=scanner.field_strength_t,
        ImagingFrequency=round(_MHZ_A_TESLA * scanner.field_strength_t, 4),
        ImagedNucleus="1H",
        MRAcquisitionType="3D",
        ImageType=scanner.image_type,
        ScanningSequence=scanner.scanning_sequence,
        SequenceVariant=scanner.sequence_variant,
        ScanOptions=scanner.scan_options,
        SequenceName=scanner.sequence_name,
        RepetitionTime=scanner.repetition_time_ms,
        EchoTime=scanner.echo_time_ms,
        InversionTime=scanner.inversion_time_ms,
        FlipAngle=scanner.flip_angle_deg,
        EchoTrainLength=1,
        AcquisitionNumber=1,
    )


def _description_elements(description: Description) -> Dataset:
    return _dataset(
        SeriesDescription=description.series,
        ProtocolName=description.protocol,
        BodyPartExamined=description.body_part,
        ContrastBolusAgent=description.contrast_agent,
        ImageComments=MARKER,
    )


def _picture_elements(pictures: np.ndarray, grid: _Grid) -> Dataset:
    spacing_mm = [format_number_as_ds(size) for size in grid.spacing_mm]
    white = max(2, round(float(np.percentile(pictures, 99.9))))
    return _dataset(
        # The first three cosines say where the column number grows.
        ImageOrientationPatient=_decimals([*grid.direction[:, grid.columns], *grid.direction[:, grid.rows]]),
        PixelSpacing=[spacing_mm[grid.rows], spacing_mm[grid.columns]],
        SliceThickness=spacing_mm[grid.axis],
        SpacingBetweenSlices=spacing_mm[grid.axis],
        PositionReferenceIndicator="",
        Rows=pictures.shape[1],
        Columns=pictures.shape[2],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        RescaleSlope=1,
        RescaleIntercept=0,
        RescaleType="US",
        WindowCenter=white // 2,
        WindowWidth=white,
    )


def _file_bytes(series: Dataset, number: int, picture: np.ndarray, grid: _Grid) -> bytes:
    """Return the file of one slice; `series` has the elements of this slice afterwards."""
    cosines = grid.direction
    position = grid.origin + (number - 1) * grid.spacing_mm[grid.axis] * cosines[:, grid.axis]
    series.SOPInstanceUID = generate_uid(entropy_srcs=[series.SeriesInstanceUID, str(number)])
    series.InstanceNumber = number
    series.ImagePositionPatient = _decimals(position)
    series.SliceLocation = _decimals([np.cross(cosines[:, grid.columns], cosines[:, grid.rows]) @ position])
    series.PixelData = picture.astype("<u2").tobytes()
    series.file_meta = FileMetaDataset()
    series.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    series.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _dataset(**elements: object) -> Dataset:
    """Return the elements by their DICOM keyword; None leaves one out."""
    dataset = Dataset()
    for keyword, value in elements.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def _decimals(numbers: Iterable[float]) -> list[str]:
    # A decimal string has 16 characters: a cosine keeps 13 digits. Adding 0 makes -0 to 0.
    return [format_number_as_ds(float(number) + 0.0) for number in numbers]


def _write(contents: dict[Path, bytes]) -> None:
    for path, content in contents.items():
        if path.exists() and path.read_bytes() != content:
            raise UsageError(
                f"{path} is there with other content; write into a folder of its own, or leave out `numbered_files`"
            )
    for path, content in contents.items():
        durable.write_bytes(path, content)
