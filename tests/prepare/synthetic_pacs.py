"""An archive as a hospital's: thirty patients and more, four manufacturers, two languages, and what goes wrong."""

import csv
import shutil
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from unittest import mock

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid

from qcbench import durable
from qcbench.images import Volume
from qcbench.prepare.dicom_series import write_series
from qcbench.prepare.invented import SCANNERS, Description, Patient, describe, draw_patient

SECONDARY_CAPTURE, REPORT = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.88.11"
#: Few slices, so that the archive is written in seconds; the default of 40 is tested on single series.
N_PATIENTS, N_SLICES, MIN_SLICES = 30, 14, 12
FLAIR = Description(study="IRM cérébrale", series="AX T2 FLAIR", protocol="p", body_part="BRAIN")


@dataclass
class Pacs:
    """Where the archive lies, and what an ingest must make of it."""

    folder: Path
    n_usable: int = 0
    #: Reasons for the series that are no image of the study, by what stands in them.
    excluded: dict[str, int] = field(default_factory=dict)
    #: Words that say who somebody is; none may reach the study.
    secrets: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    #: Folder of a series -> its volume, for those that arrive whole.
    volumes: dict[str, Volume] = field(default_factory=dict)


def volume(seed, n_slices=N_SLICES):
    """Return a small picture whose every voxel tells where it is."""
    rng = np.random.default_rng(seed)
    affine = np.array([[-9.0, 0, 0, 70], [0, -9.0, 0, 60], [0, 0, 4.0, -80], [0, 0, 0, 1]])
    return Volume(data=rng.integers(0, 1500, (16, 14, n_slices)).astype(np.float32), affine=affine)


def build(folder):
    """Write the archive and return what is in it."""
    with mock.patch.object(durable, "write_bytes", write_at_once):
        return built(Pacs(folder=folder))


def write_at_once(path, content):
    """Write a file without waiting for the disk, which would take most of the time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def built(pacs):
    """Write every series."""
    for number in range(N_PATIENTS):
        add(pacs, f"patient{number:02d}/t1", number)
    add(pacs, "patient00/later", 100, patient=draw_patient(0))
    add(pacs, "patient01/post", 101, patient=draw_patient(1), study_seed=1, series_number=7)
    add(pacs, "unicode", 102, patient=replace(draw_patient(102), name="山田^太郎"), character_set="ISO_IR 192")
    misspelt = Description(study="IRM cerbrale", series="T1 MPRGAE SGA", protocol="p", body_part="CRANE")
    add(pacs, "misspelt", 103, description=misspelt)
    add_faulty(pacs)
    add_other_objects(pacs)
    return pacs


def add(pacs, name, seed, *, n_slices=N_SLICES, patient=None, description=None, usable=True, **arguments):
    """Write one series; unless said otherwise it becomes an image of the study."""
    patient, scanner = patient or draw_patient(seed), SCANNERS[seed % len(SCANNERS)]
    rng = np.random.default_rng(seed)
    language = ("fr", "en")[seed % 2]
    description = description or describe(
        scanner=scanner, gadolinium=seed % 3 == 0, language=language, noted=seed % 4 != 0, rng=rng
    )
    picture = volume(seed, n_slices)
    files = write_series(
        pacs.folder / name,
        picture,
        scanner=scanner,
        description=description,
        patient=patient,
        seed=seed,
        numbered_files=True,
        **arguments,
    )
    pacs.secrets |= {patient.patient_id, patient.name.partition("^")[2], f"{patient.birth_date:%Y%m%d}"}
    pacs.secrets |= {str(pydicom.dcmread(files[0])[tag].value) for tag in ("SeriesInstanceUID", "AccessionNumber")}
    if description is not FLAIR:
        pacs.kept.add(description.series)
    if usable:
        pacs.n_usable += 1
        pacs.volumes[name] = picture
    return files


def add_faulty(pacs):
    """Write series that are marked to be kept and must not become an image."""
    add(pacs, "called_3d", 200, n_slices=8, usable=False)
    add(pacs, "gap", 201, usable=False, missing=[5, 6])
    child = Patient(name="SIMULATED^KIND", patient_id="SIM-KIND", birth_date=date(2008, 5, 1), sex="F")
    add(pacs, "child", 202, patient=child, study_date=date(2015, 6, 1), usable=False)
    for path in add(pacs, "nobody", 203, usable=False):
        edit(path, PatientID="")
    for path in add(pacs, "burnt_in", 204, usable=False):
        edit(path, BurnedInAnnotation="YES")
    twice = add(pacs, "two_volumes", 205, usable=False)
    for number, path in enumerate(twice):
        again = shutil.copy(path, path.with_name(f"again{number}"))
        edit(again, InstanceNumber=1000 + number, SOPInstanceUID=uid(path))
    # The same slices twice, under one name and sent again under another, are one series.
    shutil.copytree(pacs.folder / "patient03" / "t1", pacs.folder / "copy_of_03")
    for path in (pacs.folder / "patient04" / "t1").iterdir():
        (pacs.folder / "sent_again").mkdir(exist_ok=True)
        edit(shutil.copy(path, pacs.folder / "sent_again"), SOPInstanceUID=uid(path))
    pacs.excluded = {
        "8 slices, fewer than 12": 1,
        "INCOMPLETE: 2 of 14 slices are missing": 1,
        "7 years old, under 18": 1,
        "no PatientID": 1,
        "burnt into the picture": 1,
        "SEVERAL: 28 slices at 14 places": 1,
    }


def add_other_objects(pacs):
    """Write what lies beside T1w series: other sequences, reports, screenshots, a list of files."""
    for number in range(5):
        add(pacs, f"patient{number:02d}/flair", 300 + number, n_slices=3, description=FLAIR, usable=False)
    pacs.excluded["not kept: its SeriesDescription is not marked"] = 5
    for name, sop_class in (("report", REPORT), ("capture", SECONDARY_CAPTURE)):
        (path,) = add(pacs, name, 310, n_slices=1, description=FLAIR, usable=False)
        edit(path, SOPClassUID=sop_class)
    (pacs.folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    write_enhanced(pacs)


def edit(path, **elements):
    """Change elements of a file."""
    dataset = pydicom.dcmread(path)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def uid(path):
    """Return a UID that depends on the file's name alone."""
    return generate_uid(entropy_srcs=[str(path.parent.name), path.name])


def write_enhanced(pacs):
    """Write one series of a single file with a frame a slice, as new scanners do."""
    description = Description(study="IRM tête", series="3D T1 enhanced", protocol="p", body_part="HEAD")
    files = add(pacs, "enhanced", 400, description=description)
    slices = [pydicom.dcmread(path) for path in files]
    whole = pydicom.dcmread(files[0])
    for place in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SliceLocation"):
        delattr(whole, place)
    whole.SOPClassUID, whole.SOPInstanceUID = EnhancedMRImageStorage, uid(files[0])
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    whole.NumberOfFrames = len(slices)
    shared = Dataset()
    measures = item(PixelSpacing=slices[0].PixelSpacing, SliceThickness=slices[0].SliceThickness)
    shared.PixelMeasuresSequence = Sequence([measures])
    orientation = item(ImageOrientationPatient=slices[0].ImageOrientationPatient)
    shared.PlaneOrientationSequence = Sequence([orientation])
    whole.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for number, slice_ in enumerate(slices, start=1):
        frame = Dataset()
        frame.PlanePositionSequence = Sequence([item(ImagePositionPatient=slice_.ImagePositionPatient)])
        frame.FrameContentSequence = Sequence([item(StackID="1", InStackPositionNumber=number)])
        frames.append(frame)
    whole.PerFrameFunctionalGroupsSequence = Sequence(frames)
    whole.PixelData = b"".join(slice_.PixelData for slice_ in slices)
    for path in files:
        path.unlink()
    whole.save_as(files[0], enforce_file_format=True)


def item(**elements):
    """Return a dataset of a sequence."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def mark(path, kept):
    """Mark those SeriesDescriptions of a list, as a radiologist would in a spreadsheet."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["attribute"] == "SeriesDescription" and row["value"] in kept:
            row["keep"] = "oui"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
