"""One DICOM series becomes the catalogue rows of its images, and what may be used goes into the BIDS dataset.

Of a header the study takes what is on a list, and nothing of it becomes a path: names are made of keyed hashes.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from isal import igzip

from qcbench import durable, images
from qcbench.errors import ImageError
from qcbench.prepare import bids, conversion, headers, people, stacks
from qcbench.prepare.dicom_header import Elements
from qcbench.prepare.dicom_series import MARKER, dicom_age
from qcbench.prepare.pseudonyms import Key, without_names
from qcbench.prepare.warehouse import slice_axis, too_few_slices, too_young

#: Sidecar key -> element; these are read by us, since dcm2niix garbles texts in UTF-8 and leaves the agent out.
_TEXTS = {
    "Manufacturer": stacks.MANUFACTURER,
    "ManufacturersModelName": stacks.MODEL_NAME,
    "InstitutionName": stacks.HOSPITAL,
}
#: Those in which a person may be named.
_FREE_TEXTS = {
    "StudyDescription": stacks.STUDY_DESCRIPTION,
    "SeriesDescription": stacks.SERIES_DESCRIPTION,
    "BodyPartExamined": stacks.BODY_PART,
    "ContrastBolusAgent": stacks.AGENT,
}
#: Faults that make an image no part of the study rather than a damaged one.
_EXCLUDING = ("INCOMPLETE", "SEVERAL", "TILTED")
_NOTHING_KNOWN = headers.columns({}, {})
_NOBODY = "no PatientID: nobody can tell whose image it is"


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What is the same for all series of an ingest."""

    bids_folder: Path
    scratch: Path
    key: Key
    people: people.People
    min_slices: int
    min_age: float


def ingest_series(row: dict, *, intake: Intake) -> dict:
    """Return the catalogue rows of one series as `images`; what may be used is in the BIDS dataset then.

    `row` has the label of the `series`, which says nothing of it to those without the key, and its `files`. Raises
    ImageError when its files cannot be read, or are not of one examination.
    """
    if not row["files"]:
        raise ImageError("UNREADABLE", "its files have gone or changed since they were listed; ingest again")
    try:
        rows = [_stack_row(stack, row, intake) for stack in stacks.stacks(row["files"])]
    except OSError as error:
        # Its text would name files of the source, and folders there are named after people.
        why = error.strerror or type(error).__name__
        raise ImageError("UNREADABLE", f"the disk refused: {why}; ingest again") from None
    return {"images": list({found["image_id"]: found for found in rows}.values())}


def nobody(label: str) -> dict:
    """Return the names of a series of which nobody may be told whose it is."""
    participant = f"sub-excluded{label.partition(':')[2]}"
    return {"image_id": f"{participant}_T1w", "participant_id": participant, "source_path": label, **_NOTHING_KNOWN}


def _stack_row(stack: stacks.Stack, row: dict, intake: Intake) -> dict:
    header, label = stack.header, row["series"]
    patient_id = header.text(stacks.PATIENT_ID)
    if not patient_id:
        return {**nobody(label), "n_slices": stack.n_slices, "excluded_reason": _NOBODY, "error": None}
    name = _name(stack, label, intake.key)
    session = f"ses-{name.entities['ses']}" if "ses" in name.entities else None
    sidecar = _described(header, patient_id)
    told = {
        "image_id": str(name),
        "participant_id": f"sub-{name.entities['sub']}",
        "session_id": session,
        "source_path": label,
        "modality": "T1w",
        "n_slices": _n_slices_at_most(stack, intake.min_slices),
        **headers.columns(sidecar, {}),
        "excluded_reason": None,
        "error": None,
    }
    told["study_date"] = _moved_day(header, told["participant_id"], intake.key)
    told |= _known(header, intake, told["participant_id"], session)
    told["excluded_reason"] = _refusal(header, told, intake)
    if told["excluded_reason"]:
        return told
    try:
        if stack.fault:
            raise stack.fault
        return told | _converted(stack, name, sidecar, intake)
    except ImageError as fault:
        return {**told, "excluded_reason" if fault.code in _EXCLUDING else "error": str(fault)}


def _name(stack: stacks.Stack, label: str, key: Key) -> bids.Name:
    header = stack.header
    participant = key.participant(header.text(stacks.PATIENT_ID) or "", header.text(stacks.ISSUER))
    entities = {"sub": participant.removeprefix("sub-")}
    if study_uid := header.text(stacks.STUDY_UID):
        entities["ses"] = key.session(study_uid).removeprefix("ses-")
    return bids.Name(entities={**entities, "acq": key.mark("stack", label, stack.name)})


def _n_slices_at_most(stack: stacks.Stack, min_slices: int) -> int | None:
    """Return the slices of a stack; those of a file of frames only where they are too few in any case."""
    frames = stacks.n_frames(stack.header)
    return frames if stack.n_slices is None and frames < min_slices else stack.n_slices


def _described(header: Elements, patient_id: str) -> dict:
    """Return what the header says in the words of a sidecar; a patient named in a description is not."""
    sidecar: dict[str, object] = {key: header.text(tag) for key, tag in _TEXTS.items()}
    names = [header.text(tag) for tag in (stacks.PATIENT_NAME, stacks.BIRTH_NAME, stacks.OTHER_NAMES)]
    ids = [patient_id, *(header.text(tag) for tag in (stacks.OTHER_IDS, stacks.ACCESSION))]
    sidecar |= {key: without_names(header.text(tag), names, ids) for key, tag in _FREE_TEXTS.items()}
    sidecar["MagneticFieldStrength"] = headers.field_strength_t(header.text(stacks.FIELD_STRENGTH))
    # What is no age is free text, and the day of birth then says how old the patient was.
    age = header.text(stacks.AGE)
    sidecar["PatientAge"] = age if headers.age_years(age) is not None else _age(header)
    sidecar["PatientSex"] = headers.sex(header.text(stacks.SEX))
    if (header.text(stacks.COMMENTS) or "").startswith(MARKER):
        sidecar["QcbenchSimulation"] = {"simulated": True, "from": "simulated DICOM"}
    return {key: value for key, value in sidecar.items() if value is not None}


def _age(header: Elements) -> str | None:
    born, scanned = _day(header.text(stacks.BIRTH_DATE)), _day(header.text(stacks.STUDY_DATE))
    if born is None or scanned is None or scanned < born:
        return None
    return dicom_age(born, scanned)


def _day(text: str | None) -> date | None:
    with contextlib.suppress(ValueError):
        return date.fromisoformat((text or "").replace(".", "-"))
    return None


def _moved_day(header: Elements, participant: str, key: Key) -> str | None:
    day = _day(header.text(stacks.STUDY_DATE))
    return key.moved(day, participant).isoformat() if day else None


def _known(header: Elements, intake: Intake, participant: str, session: str | None) -> dict:
    """Return what the second table says; it may not know who issued an id."""
    anywhere = intake.key.participant(header.text(stacks.PATIENT_ID) or "")
    return people.known(intake.people, anywhere, session) | people.known(intake.people, participant, session)


def _refusal(header: Elements, row: dict, intake: Intake) -> str | None:
    if (header.text(stacks.BURNED_IN) or "").upper() == "YES":
        return "its header says that writing is burnt into the picture"
    return too_few_slices(row, intake.min_slices) or too_young(row, intake.min_age)


def _converted(stack: stacks.Stack, name: bids.Name, sidecar: dict, intake: Intake) -> dict:
    """Put the image into the BIDS dataset and return the columns that its voxels tell."""
    with tempfile.TemporaryDirectory(dir=intake.scratch) as folder, ThreadPoolExecutor(1) as beside:
        sources, out = Path(folder) / "dicom", Path(folder) / "out"
        sources.mkdir()
        out.mkdir()
        stacks.link(stack, sources)
        made = conversion.convert(sources, out)
        packed = beside.submit(_packed, made.path.read_bytes())
        volume = images.load_volume(made.path)
        columns = {
            "voxels_sha256": images.voxels_sha256(volume),
            **{f"spacing_{axis}_mm": round(size, 4) for axis, size in zip("xyz", volume.spacing_mm, strict=True)},
            "n_not_finite": volume.n_not_finite,
        }
    if stack.n_slices is None:
        shape, frames = volume.data.shape, stacks.n_frames(stack.header)
        axis = slice_axis(shape, volume.spacing_mm, volume.slice_axis)
        columns["n_slices"] = frames if frames in shape else shape[axis]
        if reason := too_few_slices(columns, intake.min_slices):
            return {**columns, "excluded_reason": reason}
    content = packed.result()
    target = intake.bids_folder / name.folder / f"{name}.nii.gz"
    durable.write_bytes(target, content)
    kept = {**headers.acquisition(made.sidecar), **headers.kept(sidecar)}
    durable.write_text(target.with_name(f"{name}.json"), bids.to_json(kept))
    return {
        **columns,
        "file_md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "bids_path": f"bids/{name.folder}/{target.name}",
    }


def _packed(nifti: bytes) -> bytes:
    """Return the bytes as gzip without a time stamp; same bytes, same result."""
    return igzip.compress(nifti, 1, mtime=0)
