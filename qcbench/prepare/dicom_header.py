"""What a scan needs of one DICOM file, from its first kilobytes: no pixel is read and no name becomes a path.

pydicom walks the elements; here is decided how far. A header is read until Columns (0028,0011), the last
element asked for, so that neither pixels nor what a scanner's maker hides behind them is touched.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator

from pydicom import charset
from pydicom.filereader import data_element_generator
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    LegacyConvertedEnhancedMRImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
)

from qcbench.errors import ImageError
from qcbench.prepare import headers

#: Column -> element, in the order of a file. Frames are counted and thus no part of what makes a series.
_TEXTS = {
    "modality": 0x00080060,
    "manufacturer": 0x00080070,
    "study_description": 0x00081030,
    "series_description": 0x0008103E,
    "model_name": 0x00081090,
    "body_part": 0x00180015,
    "field_strength_t": 0x00180087,
    "series_uid": 0x0020000E,
}
_NUMBERS = {"rows": 0x00280010, "columns": 0x00280011}
COLUMNS = (*_TEXTS, *_NUMBERS, "n_frames")
_CHARACTER_SET, _SOP_CLASS, _FRAMES, _LAST = 0x00080005, 0x00080016, 0x00280008, 0x00280011
_WANTED = [_CHARACTER_SET, _SOP_CLASS, *_TEXTS.values(), _FRAMES, *_NUMBERS.values()]
_MEDIA_CLASS, _TRANSFER_SYNTAX = 0x00020002, 0x00020010
_MR = (MRImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage)
#: Most headers end in the first 16 kB; one that has not ended after 4 MB is taken for damaged.
_LENGTHS_BYTES = (1 << 14, 1 << 18, 1 << 22)
#: A value of DICOM's short texts has at most 64 characters; a longer one is a mistake or an attack.
_LONGEST_VALUE_BYTES = 4096
#: What pydicom raises on damaged bytes. No value of a header is in a reason: it could be a name.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

Raw = tuple[bytes | None, ...]


def read_raw(read: Callable[[int], bytes]) -> Raw:
    """Return what `decoded` understands, from a function that returns the next bytes of a file.

    Raises ImageError for what is no MR image (NOT_DICOM, DICOMDIR, NOT_MR), is cut off or damaged (TRUNCATED,
    DAMAGED, NESTED) or belongs to no series (NO_SERIES).
    """
    content = b""
    for length in _LENGTHS_BYTES:
        content += read(length - len(content))
        is_all = len(content) < length
        try:
            raw = _parsed(content)
        except ImageError as error:
            # A sequence that is cut looks damaged: with more of the file it may be whole.
            if is_all or error.code != "DAMAGED":
                raise
            raw = None
        if raw is not None:
            return raw
        if is_all:
            raise ImageError("TRUNCATED", "the file ends within its header")
    raise ImageError("DAMAGED", "the header does not end")


def decoded(raw: Raw) -> dict:
    """Return a row with COLUMNS: text without odd spaces, numbers, None for what is not there."""
    big_endian, character_set, *values = raw
    told = dict(zip(COLUMNS, values, strict=True))
    encodings = _encodings(character_set)
    row: dict[str, object] = {column: _text(told[column], encodings) for column in _TEXTS}
    row["field_strength_t"] = headers.field_strength_t(row["field_strength_t"])
    row |= {column: _short(told[column], ">" if big_endian else "<") for column in _NUMBERS}
    frames = _text(told["n_frames"], ["latin-1"])
    row["n_frames"] = int(frames) if frames and re.fullmatch(r"[0-9]{1,9}", frames) else 1
    return row


def _parsed(content: bytes) -> Raw | None:
    """Return the values asked for; None when they go on after the end of `content`."""
    try:
        meta, start = _file_meta(content)
        syntax = _uid(meta.get(_TRANSFER_SYNTAX))
        if syntax == DeflatedExplicitVRLittleEndian:
            # Inflated as far as a header may reach and no further: the rest may be a bomb.
            content, start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[start:], _LENGTHS_BYTES[-1]), 0
        big_endian = syntax == ExplicitVRBigEndian
        values = _values(content, start, big_endian=big_endian, media_class=_uid(meta.get(_MEDIA_CLASS)))
    except RecursionError:
        raise ImageError("NESTED", "sequences are nested absurdly deep") from None
    except _DAMAGE:
        raise ImageError("DAMAGED", "the header cannot be read") from None
    if _LAST not in values:
        return None
    if not _uid(values.get(_TEXTS["series_uid"])):
        raise ImageError("NO_SERIES", "the header has no SeriesInstanceUID")
    elements = (_CHARACTER_SET, *_TEXTS.values(), *_NUMBERS.values(), _FRAMES)
    return (b"\1" if big_endian else b"", *(values.get(element) for element in elements))


def _file_meta(content: bytes) -> tuple[dict[int, bytes], int]:
    """Return the elements of the file's own group, and where the data set begins. The preamble is not looked at."""
    if content[128:132] == b"DICM":
        start = 132
    elif content[:2] in (b"\2\0", b"\x08\0") and content[3:4] == b"\0":
        start = 0  # old archives leave out the preamble
    else:
        raise ImageError("NOT_DICOM", "no DICOM file")
    stream = io.BytesIO(content)
    stream.seek(start)
    if content[start : start + 2] != b"\2\0":
        return {}, start
    found = data_element_generator(stream, False, True, stop_when=_is_past_meta, defer_size=_LONGEST_VALUE_BYTES)
    return {int(element.tag): element.value for element in found}, stream.tell()


def _is_past_meta(tag: int, vr: str | None, length: int) -> bool:
    return tag >> 16 != 2


def _values(content: bytes, start: int, *, big_endian: bool, media_class: str) -> dict[int, bytes | None]:
    # Some writers announce one encoding and use the other; the first element tells: its type is two capital letters.
    implicit = not (content[start + 4 : start + 6].isalpha() and content[start + 4 : start + 6].isupper())
    stream = io.BytesIO(content)
    stream.seek(start)
    values: dict[int, bytes | None] = {}
    elements: Iterator = data_element_generator(
        stream, implicit, not big_endian, defer_size=_LONGEST_VALUE_BYTES, specific_tags=_WANTED
    )
    for element in elements:
        tag = int(element.tag)
        values[tag] = element.value if isinstance(element.value, bytes) else None
        if tag == _SOP_CLASS:
            _check_is_mr(_uid(values[tag]) or media_class)
        if tag == _LAST:
            break
    if _SOP_CLASS not in values and len(content) > start:
        _check_is_mr(media_class)
    return values


def _check_is_mr(sop_class: str) -> None:
    if sop_class == MediaStorageDirectoryStorage:
        raise ImageError("DICOMDIR", "a list of files, no image")
    if sop_class not in _MR:
        raise ImageError("NOT_MR", "another kind of object than MR images (report, screenshot, other modality)")


def _uid(value: object) -> str:
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else ""


def _encodings(character_set: bytes | None) -> list[str]:
    names = [part.strip() for part in _uid(character_set).split("\\")]
    try:
        return charset.convert_encodings(names)
    except LookupError:
        return ["latin-1"]


def _text(value: bytes | None, encodings: list[str]) -> str | None:
    if not value:
        return None
    try:
        text = charset.decode_bytes(value, encodings, {"\\", "\r", "\n", "\t", "\f"})
    except (LookupError, ValueError):
        text = value.decode("latin-1")
    # Control characters could steer a terminal or break a line of a table.
    shown = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(shown.split()) or None


def _short(value: bytes | None, order: str) -> int | None:
    return struct.unpack(f"{order}H", value[:2])[0] if value and len(value) >= 2 else None
