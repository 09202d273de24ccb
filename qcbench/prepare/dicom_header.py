"""What a scan needs of one DICOM file, from its first kilobytes: no pixel is read and no name becomes a path.

pydicom walks the elements; here is decided how far. A header is read until Columns (0028,0011), the last
element asked for, so that neither pixels nor what a scanner's maker hides behind them is touched.
"""

from __future__ import annotations

import io
import math
import re
import struct
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TypeVar

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
_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True, kw_only=True)
class Elements:
    """Elements of one header by their tag, undecoded; the file's encoding is known."""

    values: Mapping[int, bytes | None]
    big_endian: bool
    syntax: str

    def text(self, tag: int) -> str | None:
        """Return a text in one line without control characters; None when it is empty or not there."""
        return _text(self.values.get(tag), _encodings(self.values.get(_CHARACTER_SET)))

    def words(self, tag: int) -> list[str]:
        """Return the values of an element that may hold several."""
        return [word.strip() for word in (self.text(tag) or "").split("\\")]

    def decimals(self, tag: int) -> tuple[float, ...] | None:
        """Return the numbers of a decimal string; None when one of them is no finite number."""
        try:
            numbers = tuple(float(word) for word in _uid(self.values.get(tag)).split("\\"))
        except ValueError:
            return None
        return numbers if all(math.isfinite(number) for number in numbers) else None

    def short(self, tag: int) -> int | None:
        """Return an unsigned short."""
        return _short(self.values.get(tag), ">" if self.big_endian else "<")


def read_elements(read: Callable[[int], bytes], wanted: Collection[int]) -> Elements:
    """Return the elements `wanted` of an MR image, from a function that returns the next bytes of a file.

    The header is read no further than the last of them. Raises ImageError as `read_raw` does.
    """
    return _climb(read, partial(_elements, wanted=[_CHARACTER_SET, _SOP_CLASS, *wanted], last=max(wanted)))


def read_raw(read: Callable[[int], bytes]) -> Raw:
    """Return what `decoded` understands, from a function that returns the next bytes of a file.

    Raises ImageError for what is no MR image (NOT_DICOM, DICOMDIR, NOT_MR), is cut off or damaged (TRUNCATED,
    DAMAGED, NESTED) or belongs to no series (NO_SERIES).
    """
    return _climb(read, _parsed)


def _climb(read: Callable[[int], bytes], parse: Callable[[bytes], _Parsed | None]) -> _Parsed:
    """Return what `parse` makes of the beginning of a file, taking more and more of it while it returns None."""
    content = b""
    for length in _LENGTHS_BYTES:
        content += read(length - len(content))
        is_all = len(content) < length
        try:
            parsed = parse(content)
        except ImageError as error:
            # A sequence that is cut looks damaged: with more of the file it may be whole.
            if is_all or error.code != "DAMAGED":
                raise
            parsed = None
        if parsed is not None:
            return parsed
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
    found = _elements(content, wanted=_WANTED, last=_LAST)
    if found is None:
        return None
    if not _uid(found.values.get(_TEXTS["series_uid"])):
        raise ImageError("NO_SERIES", "the header has no SeriesInstanceUID")
    elements = (_CHARACTER_SET, *_TEXTS.values(), *_NUMBERS.values(), _FRAMES)
    return (b"\1" if found.big_endian else b"", *(found.values.get(element) for element in elements))


def _elements(content: bytes, *, wanted: Collection[int], last: int) -> Elements | None:
    """Return the elements of a header up to the tag `last`; None when they go on after the end of `content`."""
    try:
        meta, start = _file_meta(content)
        syntax = _uid(meta.get(_TRANSFER_SYNTAX))
        if syntax == DeflatedExplicitVRLittleEndian:
            # Inflated as far as a header may reach and no further: the rest may be a bomb.
            content, start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[start:], _LENGTHS_BYTES[-1]), 0
        big_endian = syntax == ExplicitVRBigEndian
        reading = _Reading(wanted=wanted, last=last, big_endian=big_endian, media_class=_uid(meta.get(_MEDIA_CLASS)))
        values = reading.values(content, start)
    except RecursionError:
        raise ImageError("NESTED", "sequences are nested absurdly deep") from None
    except _DAMAGE:
        raise ImageError("DAMAGED", "the header cannot be read") from None
    return None if values is None else Elements(values=values, big_endian=big_endian, syntax=syntax)


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


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """How far a data set is read, and what of it is kept."""

    wanted: Collection[int]
    last: int
    big_endian: bool
    media_class: str

    def values(self, content: bytes, start: int) -> dict[int, bytes | None] | None:
        # Some writers announce one encoding and use the other; the first element tells: its type is two capitals.
        implicit = not (content[start + 4 : start + 6].isalpha() and content[start + 4 : start + 6].isupper())
        stream = io.BytesIO(content)
        stream.seek(start)
        values: dict[int, bytes | None] = {}
        past: list[int] = []

        def is_past(tag: int, vr: str | None, length: int) -> bool:
            if int.__gt__(tag, self.last):  # pydicom's own comparison of tags takes a fifth of the time
                past.append(tag)
            return bool(past)

        elements: Iterator = data_element_generator(
            stream,
            implicit,
            not self.big_endian,
            stop_when=is_past,
            defer_size=_LONGEST_VALUE_BYTES,
            specific_tags=self.wanted,
        )
        for element in elements:
            tag = int(element.tag)
            values[tag] = element.value if isinstance(element.value, bytes) else None
            if tag == _SOP_CLASS:
                _check_is_mr(_uid(values[tag]) or self.media_class)
            # A value that is shorter than announced was cut.
            if tag == self.last and len(values[tag] or b"") == element.length:
                past.append(tag)
                break
        if _SOP_CLASS not in values and len(content) > start:
            _check_is_mr(self.media_class)
        # Without the size of its pictures it is no image: the header was cut off, or is still to come.
        return values if _LAST in values and past else None


def _check_is_mr(sop_class: str) -> None:
    if sop_class == MediaStorageDirectoryStorage:
        raise ImageError("DICOMDIR", "a list of files, no image")
    if sop_class not in _MR:
        raise ImageError("NOT_MR", "another kind of object than MR images (report, screenshot, other modality)")


def _uid(value: object) -> str:
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else ""


@lru_cache(maxsize=64)
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
