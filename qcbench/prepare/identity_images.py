"""What of a person is left in NIfTI headers, gzip wrappers and pictures: fields, extensions, comments, pixels."""

from __future__ import annotations

import gzip
import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from qcbench import images
from qcbench.errors import ImageError
from qcbench.prepare import identity_pixels, identity_text
from qcbench.prepare.identity_findings import (
    BURNT_IN,
    CERTAIN,
    DATE,
    FREE_TEXT,
    LIKELY,
    POSSIBLE,
    UNREADABLE,
    Trace,
    surest,
)

Kinds = Callable[[str, str], dict[str, str]]

#: NIfTI-1 and NIfTI-2: where their texts begin, and how long they are.
_FIELDS = {
    348: {
        "data_type": (4, 10),
        "db_name": (14, 18),
        "descrip": (148, 80),
        "aux_file": (228, 24),
        "intent_name": (328, 16),
    },
    540: {"descrip": (240, 80), "aux_file": (320, 24), "intent_name": (508, 16), "unused_str": (525, 15)},
}
#: What programs write into these fields of their own accord.
_BY_PROGRAMS = re.compile(
    r"(?:FSL ?)?\d{1,4}(?:\.\d{1,4})*(?::[0-9a-f]{1,10})?|FreeSurfer (?:\w{3} \d{1,2} \d{4}|[\d.]{1,8})"
    r"|SPM\d* ?(?:- ?)?(?:\w+ ){0,3}compatible"
    r"|TE=[\d.e+]+(?:;(?:phase|mb|TR|dwell|echo|acq)=[\w.+-]+)*;?|none|NIFTI-?1?|nibabel|ITK ?[\d.]*|ANTs ?[\d.]*"
    r"|AFNI ?[\d.]*|mricron|dcm2niix?|simulated|Correl(?:ation)?|[TFZP]-?statistic|Label|Vector|None",
    re.IGNORECASE,
)
_TIME_OF_DAY = re.compile(r"\bTime=\d")
#: gzip: a name, a comment, and further fields may follow its ten bytes.
_EXTRA, _NAMED, _COMMENTED = 4, 8, 16
#: What pillow tells of any picture, and the name of the program that made it.
_INFO_KEYS = """
    dpi gamma jfif jfif_version jfif_unit jfif_density transparency interlace aspect srgb chromaticity software
    progressive progression adobe adobe_transform background duration loop extension version compression
    icc_profile photoshop mp mpoffset
"""
_ORDINARY_INFO = frozenset(_INFO_KEYS.split())
_MOST_PIXELS = 1 << 27


def header_traces(content: bytes, kinds: Kinds) -> Iterator[Trace]:
    """Yield what the unpacked bytes of a NIfTI file hold before and after the voxels."""
    size = next((n for n in _FIELDS for order in "<>" if content[:4] == struct.pack(f"{order}i", n)), None)
    if size is None or len(content) < size:
        yield Trace("header", UNREADABLE, POSSIBLE)
        yield from bytes_traces("header", content[:1024], kinds)
        return
    order = "<" if content[:4] == struct.pack("<i", size) else ">"
    for field, (start, length) in _FIELDS[size].items():
        raw = content[start : start + length]
        text = identity_text.decoded(raw).replace("\0", " ").strip()
        if not text or (field == "data_type" and not identity_text.decoded(raw).isprintable()):
            continue
        yield from text_traces(field, text, kinds, is_ordinary=bool(_BY_PROGRAMS.fullmatch(text)))
    if size == 348:
        voxels_at = int(struct.unpack(f"{order}f", content[108:112])[0])
    else:
        voxels_at = struct.unpack(f"{order}q", content[168:176])[0]
    if content[size : size + 1] not in (b"", b"\0"):
        yield from _extensions(content, size + 4, min(voxels_at, len(content)), order, kinds)
    yield from _after_voxels(content, size, voxels_at, order, kinds)


def gzip_traces(content: bytes, own_name: str, kinds: Kinds) -> Iterator[Trace]:
    """Yield what a gzip wrapper says of the file it was made from; its own name is no news."""
    flags, place = content[3], 10
    if flags & _EXTRA:
        place += 2 + struct.unpack("<H", content[10:12])[0]
        yield from bytes_traces("gzip FEXTRA", content[12:place], kinds)
    for flag, what in ((_NAMED, "gzip FNAME"), (_COMMENTED, "gzip FCOMMENT")):
        if flags & flag:
            end = content.find(b"\0", place)
            text = content[place : end if end >= 0 else place + 1024].decode("latin-1")
            place = end + 1
            is_ordinary = not text or (what == "gzip FNAME" and text in (own_name, own_name.removesuffix(".gz")))
            yield from text_traces(what, text, kinds, is_ordinary=is_ordinary, manner="path")


def volume_traces(path: str) -> Iterator[Trace]:
    """Yield whether the slices of a NIfTI file have text in them, along each axis."""
    try:
        volume = images.load_volume(path)
    except ImageError as error:
        if error.code not in ("CONSTANT", "ALL_NAN"):
            yield Trace("voxels", UNREADABLE, POSSIBLE)
        return
    for axis, number in identity_pixels.slices_with_text(volume.data):
        yield Trace(f"voxels, axis {axis}, slice {number + 1}", BURNT_IN, LIKELY)


def picture_traces(content: bytes, kinds: Kinds, *, with_pixels: bool) -> Iterator[Trace]:
    """Yield what a PNG, JPEG, TIFF, GIF or BMP file says beside its pixels, and whether text is in these."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise ValueError
            picture.load()
            info = {**picture.info, **({"EXIF": dict(picture.getexif())} if picture.getexif() else {})}
            grey = np.asarray(picture.convert("L")) if with_pixels else None
    except Exception:  # pillow raises what its decoders stumble over
        yield Trace("picture", UNREADABLE, POSSIBLE)
        yield from bytes_traces("picture", content[: 1 << 20], kinds)
        return
    for number, (key, value) in enumerate(info.items(), start=1):
        if str(key).lower() in _ORDINARY_INFO:
            continue
        shown = key if key in ("EXIF", "exif", "comment", "Comment", "xmp", "XML:com.adobe.xmp") else f"text {number}"
        parts = value.values() if isinstance(value, dict) else (value,)
        text = " \n ".join(identity_text.decoded(part) if isinstance(part, bytes) else str(part) for part in parts)
        yield from text_traces(shown, text.replace("\0", " "), kinds, is_ordinary=False)
    after = _after_picture(content)
    if any(len(text) >= 4 for text in identity_text.strings(after)):
        yield from text_traces("after the picture", " ".join(identity_text.strings(after)), kinds, is_ordinary=False)
    if grey is not None and (identity_pixels.has_text(grey)):
        yield Trace("pixels", BURNT_IN, LIKELY)


def text_traces(place: str, text: str, kinds: Kinds, *, is_ordinary: bool, manner: str = "value") -> Iterator[Trace]:
    """Yield what a text has the form of; a text that is not ordinary at its place is free text at least."""
    found = kinds(text, manner)
    if is_ordinary:
        found = {kind: sure for kind, sure in found.items() if sure == CERTAIN}
    if _TIME_OF_DAY.search(text):
        found.setdefault(DATE, POSSIBLE)
    if not found and not is_ordinary and any(character.isalnum() for character in text):
        found = {FREE_TEXT: POSSIBLE}
    yield from (Trace(place, kind, certainty) for kind, certainty in found.items())


def bytes_traces(place: str, content: bytes, kinds: Kinds) -> Iterator[Trace]:
    """Yield what the texts in bytes of an unknown form have the form of."""
    found = surest(*(kinds(text, "value") for text in identity_text.strings(content)))
    yield from (Trace(place, kind, certainty) for kind, certainty in found.items())


def unpacked(content: bytes, most: int) -> bytes:
    """Return what a gzip file holds, up to `most` bytes. Raises ImageError when it is damaged or larger."""
    try:
        with gzip.open(io.BytesIO(content)) as file:
            inner = file.read(most + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise ImageError("BAD_GZIP", "a damaged gzip file") from error
    if len(inner) > most:
        raise ImageError("TOO_LARGE", "a gzip file that unpacks to more than is looked at")
    return inner


def _extensions(content: bytes, start: int, end: int, order: str, kinds: Kinds) -> Iterator[Trace]:
    while start + 8 <= end:
        size, code = struct.unpack(f"{order}ii", content[start : start + 8])
        if size < 8:
            break
        text = "\n".join(identity_text.strings(content[start + 8 : start + min(size, end - start)]))
        yield from text_traces(f"extension, code {code}", text, kinds, is_ordinary=False)
        start += size


def _after_voxels(content: bytes, size: int, voxels_at: int, order: str, kinds: Kinds) -> Iterator[Trace]:
    if size == 348:
        shape = struct.unpack(f"{order}8h", content[40:56])
        bits = struct.unpack(f"{order}h", content[72:74])[0]
    else:
        shape = struct.unpack(f"{order}8q", content[16:80])
        bits = struct.unpack(f"{order}h", content[14:16])[0]
    n_voxels = 1
    for length in shape[1 : 1 + max(0, min(shape[0], 7))]:
        n_voxels *= max(1, length)
    yield from bytes_traces("after the voxels", content[max(0, voxels_at) + n_voxels * bits // 8 :], kinds)


def _after_picture(content: bytes) -> bytes:
    if content.startswith(b"\x89PNG"):
        return content[content.rfind(b"IEND") + 8 :]
    if content.startswith(b"\xff\xd8"):
        return content[content.rfind(b"\xff\xd9") + 2 :]
    return b""
