"""From the files of one DICOM series to its stacks: slices of one orientation, one size and one echo.

A series that a scanner sent may hold several stacks (the echoes, phase beside magnitude, reformatted planes), the
same slice twice, or not all of its slices. Only headers are read.
"""

from __future__ import annotations

import itertools
import math
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from qcbench.errors import ImageError
from qcbench.prepare import dicom_header
from qcbench.prepare.dicom_header import Elements

CHARACTER_SET, IMAGE_TYPE, SOP_UID = 0x00080005, 0x00080008, 0x00080018
STUDY_DATE, MANUFACTURER, HOSPITAL = 0x00080020, 0x00080070, 0x00080080
STUDY_DESCRIPTION, SERIES_DESCRIPTION, MODEL_NAME = 0x00081030, 0x0008103E, 0x00081090
PATIENT_NAME, PATIENT_ID, ISSUER = 0x00100010, 0x00100020, 0x00100021
OTHER_IDS, OTHER_NAMES, BIRTH_NAME, ACCESSION = 0x00101000, 0x00101001, 0x00101005, 0x00080050
BIRTH_DATE, SEX, AGE = 0x00100030, 0x00100040, 0x00101010
AGENT, BODY_PART, ECHO_TIME, FIELD_STRENGTH = 0x00180010, 0x00180015, 0x00180081, 0x00180087
STUDY_UID, ACQUISITION_NUMBER, INSTANCE_NUMBER = 0x0020000D, 0x00200012, 0x00200013
POSITION, ORIENTATION, COMMENTS = 0x00200032, 0x00200037, 0x00204000
FRAMES, ROWS, COLUMNS, PIXEL_SPACING = 0x00280008, 0x00280010, 0x00280011, 0x00280030
BITS, BURNED_IN = 0x00280100, 0x00280301
_WANTED = tuple(value for name, value in list(globals().items()) if name.isupper() and isinstance(value, int))
#: Transfer syntaxes of pixels that are not compressed.
_NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
#: Words of ImageType for numbers that are no magnitude; a scanner sends them beside it in one series.
_NO_MAGNITUDE = {"P": "phase", "PHASE": "phase", "PHASE MAP": "phase", "P_FFE": "phase", "P_SE": "phase"} | {
    word: kind for kind in ("real", "imaginary") for word in (kind.upper(), kind[0].upper(), f"{kind[0].upper()}_FFE")
}
#: Places along a stack that differ by less are one place.
_SAME_PLACE_MM = 0.01
#: A step from slice to slice that is this much longer than the shortest one has lost a slice.
_GAP = 1.5


@dataclass(frozen=True, kw_only=True)
class File:
    """One DICOM file as it was when it was listed."""

    path: str
    size: int
    changed_ns: int


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Files of one geometry, in the order of their places; `header` is that of the first by name.

    `name` tells stacks of a series apart and holds numbers and the kind of image alone. `n_slices` is None where
    only the pixels tell. `fault` says why it must not be converted.
    """

    name: str
    header: Elements
    paths: tuple[str, ...]
    n_slices: int | None
    fault: ImageError | None


def stacks(files: Iterable[File]) -> list[Stack]:
    """Return the stacks of a series, in the order of their names; its files are in the order of their paths.

    Raises ImageError when a file cannot be read, has changed since it was listed, or the files are not of one
    patient and one study.
    """
    headers = [(file.path, _header(file)) for file in files]
    _check_is_one_study([header for _, header in headers])
    groups: dict[str, list[tuple[str, Elements]]] = {}
    for path, header in headers:
        groups.setdefault(_geometry(header), []).append((path, header))
    return [_stack(name, group) for name, group in sorted(groups.items())]


def _header(file: File) -> Elements:
    try:
        # The listing is some time ago: what is a link or a pipe by now is neither followed nor waited for.
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as opened:
            status = os.fstat(descriptor)
            listed = (file.size, file.changed_ns)
            if not stat.S_ISREG(status.st_mode) or (status.st_size, status.st_mtime_ns) != listed:
                raise ImageError("UNREADABLE", "a file has changed since the series was listed; ingest again")
            header = dicom_header.read_elements(opened.read, _WANTED)
    except OSError as error:
        raise ImageError("UNREADABLE", f"a file cannot be opened: {error.strerror}") from None
    if _pixel_bytes(header) > file.size:
        raise ImageError("TRUNCATED", "a file ends within its pixels")
    return header


def _pixel_bytes(header: Elements) -> int:
    """Return how many bytes the pixels take at least; 0 when they are compressed."""
    if header.syntax not in _NATIVE:
        return 0
    bits = [header.short(tag) or 0 for tag in (ROWS, COLUMNS, BITS)]
    return n_frames(header) * math.prod(bits) // 8


def n_frames(header: Elements) -> int:
    """Return how many pictures a file holds."""
    frames = header.text(FRAMES)
    return int(frames) if frames and frames.isascii() and frames.isdigit() and len(frames) < 10 else 1


def _check_is_one_study(headers: list[Elements]) -> None:
    if len({(header.values.get(PATIENT_ID), header.values.get(ISSUER)) for header in headers}) > 1:
        raise ImageError("MIXED", "files of several patients have one SeriesInstanceUID")
    if len({header.values.get(STUDY_UID) for header in headers}) > 1:
        raise ImageError("MIXED", "files of several studies have one SeriesInstanceUID")


def _geometry(header: Elements) -> str:
    """Return what the files of one stack have in common, in numbers and fixed words."""
    if n_frames(header) > 1:
        # What several files of frames have to do with each other is not told by their headers' beginning.
        return f"frames {header.text(SOP_UID)}"
    kinds = {kind for word in header.words(IMAGE_TYPE)[2:] if (kind := _NO_MAGNITUDE.get(word.upper()))}
    numbers = [header.short(ROWS), header.short(COLUMNS)]
    for tag, digits in ((ORIENTATION, 3), (PIXEL_SPACING, 3), (ECHO_TIME, 3)):
        numbers += [round(number, digits) + 0.0 for number in header.decimals(tag) or ()]
    return " ".join(str(part) for part in (*numbers, *sorted(kinds)))


def _stack(name: str, group: list[tuple[str, Elements]]) -> Stack:
    header = group[0][1]
    distinct = _without_copies(group)
    if n_frames(header) > 1:
        return Stack(name=name, header=header, paths=(distinct[0][0],), n_slices=None, fault=None)
    placed = [(_place_mm(slice_), path) for path, slice_ in distinct]
    if any(place is None for place, _ in placed):
        fault = ImageError("NO_GEOMETRY", "a slice does not say where it lies in the patient")
        return Stack(name=name, header=header, paths=tuple(p for p, _ in distinct), n_slices=len(distinct), fault=fault)
    placed.sort()
    steps = [after - before for (before, _), (after, _) in itertools.pairwise(placed)]
    n_places = 1 + sum(step >= _SAME_PLACE_MM for step in steps)
    fault = _gap([step for step in steps if step >= _SAME_PLACE_MM], n_places)
    if n_places < len(placed):
        fault = ImageError("SEVERAL", f"{len(placed)} slices at {n_places} places: several volumes in one series")
    return Stack(name=name, header=header, paths=tuple(path for _, path in placed), n_slices=n_places, fault=fault)


def _without_copies(group: list[tuple[str, Elements]]) -> list[tuple[str, Elements]]:
    """Return each slice once: archives hold one twice under one UID, or sent again under another."""
    by_uid = {header.values.get(SOP_UID) or path: (path, header) for path, header in reversed(group)}
    by_number = {}
    for path, header in sorted(by_uid.values(), key=lambda pair: pair[0], reverse=True):
        told = tuple(header.values.get(tag) for tag in (POSITION, INSTANCE_NUMBER, ACQUISITION_NUMBER))
        by_number[told if header.values.get(INSTANCE_NUMBER) else path] = (path, header)
    return sorted(by_number.values(), key=lambda pair: pair[0])


def _place_mm(header: Elements) -> float | None:
    """Return how far along its stack a slice lies."""
    position, cosines = header.decimals(POSITION), header.decimals(ORIENTATION)
    if position is None or cosines is None or len(position) != 3 or len(cosines) != 6:
        return None
    (a, b, c), (d, e, f) = cosines[:3], cosines[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    if sum(part * part for part in normal) < 0.5:
        return None
    return sum(part * way for part, way in zip(normal, position, strict=True))


def _gap(steps_mm: list[float], n_places: int) -> ImageError | None:
    # The shortest step, not the usual one: where every third slice is missing, most steps are too long.
    shortest = min(steps_mm, default=0.0)
    missing = sum(round(step / shortest) - 1 for step in steps_mm if step > _GAP * shortest)
    if missing:
        return ImageError("INCOMPLETE", f"{missing} of {n_places + missing} slices are missing")
    return None


def link(stack: Stack, folder: Path) -> None:
    """Fill an empty folder with links to the files of a stack; their names are numbers."""
    for number, path in enumerate(stack.paths):
        (folder / f"{number:06d}.dcm").symlink_to(path)
