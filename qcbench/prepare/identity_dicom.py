"""What of a person is left in one DICOM file: elements at any depth, private ones, preamble, overlays, pixels.

The elements are those that the Basic Profile of DICOM PS3.15, Annex E, removes or replaces; a UID or a date that was
replaced cannot be told from one that was not, save by its root, or where the file says that dates were modified.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator

from pydicom import dcmread
from pydicom import uid as dicom_uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from qcbench.prepare import identity_pixels, identity_text
from qcbench.prepare.identity_findings import (
    ADDRESS,
    AGE,
    BURNT_IN,
    CERTAIN,
    DATE,
    FREE_TEXT,
    ID,
    INSTITUTION,
    LIKELY,
    NAME,
    PHONE,
    POSSIBLE,
    PRIVATE,
    UID,
    UNREADABLE,
    Trace,
    surest,
)

#: A function that returns the kinds of a text, known patients included.
Kinds = Callable[[str, str], dict[str, str]]

#: Element -> what it holds. Other person names, dates and UIDs are known by their value representation.
_REMOVED = {
    ID: """
        00080050 00100020 00100021 00101000 00101002 00101005 00101050 00101090 00102180 00120020 00120040
        00120042 00200010 00320012 00321070 00380010 00380011 00380014 00380060 00380061 00380062 00400009
        00400253 00400254 0040050A 00401001 00401006 00401007 00401101 00402001 00402006 00402007 00402016
        00402017 00404005 04000100
    """,
    NAME: """
        00080090 00081048 00081050 00081060 00081070 00100010 00101001 00101060 00102297 00321032 00400006
        00401010 00402008 00404037 0040A027 0040A075 0040A088 0040A123 00700084 30080054 300E0008
    """,
    ADDRESS: """
        00080092 00101040 00102150 00102152 00102299 00380400 00401102 00402009 21000140
    """,
    PHONE: "00080094 00102154 00102155 00401103 00401104 00402010 0040A353",
    INSTITUTION: """
        00020016 00020017 00020018 00080055 00080080 00080081 00081010 00081040 00081041 00102298 00120010
        00120021 00120030 00120031 00120081 00120082 00181000 00181002 00181004 00181005 00181007 00181008
        00181009 0018100A 00181018 00181200 0018700A 00321020 00321021 00321033 00380300 00400001 00400010
        00400011 00400241 00400242 00400243 00404025 00404027 00404030 00404036 0040A307
    """,
    FREE_TEXT: """
        00081030 0008103E 00081080 00081084 00082111 00084000 00101080 00101081 00102000 00102110 00102160
        001021A0 001021C0 001021D0 001021F0 00102203 00104000 00120050 00120051 00120060 00120071 00120072
        00181030 00181400 00184000 00189423 00189424 0018A003 00203401 00203404 00203406 00204000 00321030
        00321060 00324000 00380016 0038001E 00380040 00380050 00380500 00384000 00400007 00400254 00400255
        00400280 00401002 00401004 00401005 00401060 00401400 00402400 00403001 00420010 00420011 00700080
        00880200 00880904 00880906 00880910 00880912 40084000
    """,
}
_KIND_OF = {int(tag, 16): kind for kind, tags in _REMOVED.items() for tag in tags.split()}
#: Descriptions; a file that says they were cleaned (113105) is searched and not accused.
_DESCRIPTIONS = (0x00081030, 0x0008103E, 0x00181030, 0x00081080, 0x00204000, 0x00400254, 0x00321060)
_ICON, _OVERLAY_DATA, _PIXELS = 0x00880200, 0x3000, (0x7FE00008, 0x7FE00009, 0x7FE00010)
_AGE, _METHODS, _BIRTH_DATE = 0x00101010, 0x00120064, 0x00100030
_CLEANED_DESCRIPTIONS, _SAFE_PRIVATE, _KEPT_DATES = "113105", "113111", "113106"
#: Where anything may be written; the other representations have a form of their own.
_FREE = ("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UN", "UR", "UT")
#: The standard has no long text that only a machine writes; and two retired groups hold reports.
_LONG_TEXTS = ("LT", "ST", "UT")
_RESULTS = (0x4000, 0x4008)
_ALTERNATIVE_DATES = (0x00100033, 0x00100034)
#: Codes of a dictionary, and UIDs of programs, encodings and kinds of objects: they belong to no person.
_CODES = (0x00080100, 0x00080102, 0x00080119, 0x00080120, 0x0040DB00)
_CLASS_UIDS = (0x00020002, 0x00020010, 0x00020012, 0x00080016, 0x00081150, 0x0008010C, 0x00081115)
#: Objects that are pictures of a screen, documents and reports: text is what they are made of.
_DOCUMENT_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.88.",
    "1.2.840.10008.5.1.4.1.1.104.",
    "1.2.840.10008.5.1.4.1.1.11.",
    "1.2.840.10008.1.3.10",
    "1.2.840.10008.5.1.4.1.1.66",
)
_OLDEST_TOLD_YEARS = 89


def is_dicom(content: bytes) -> bool:
    """Return whether bytes begin as a DICOM file does, with its preamble or, in old archives, without it."""
    return content[128:132] == b"DICM" or (content[:2] in (b"\2\0", b"\x08\0") and content[3:4] == b"\0")


def traces(content: bytes, kinds: Kinds, *, with_pixels: bool) -> Iterator[Trace]:
    """Yield what is left of a person in the bytes of a DICOM file; what cannot be read is a trace, too."""
    with warnings.catch_warnings():
        # Values that do not keep to the standard make pydicom warn and quote them.
        warnings.simplefilter("ignore")
        if content[128:132] == b"DICM":
            yield from _of_bytes("preamble", content[:128], kinds, FREE_TEXT)
        try:
            dataset = dcmread(io.BytesIO(content), force=True)
            declared = _Declared(dataset)
            yield from _of_dataset(dataset.file_meta, "", declared, kinds)
            yield from _of_dataset(dataset, "", declared, kinds)
            if len(dataset) == 0:
                raise EOFError
        except Exception:  # damaged bytes raise whatever pydicom stumbles over
            yield Trace("header", UNREADABLE, POSSIBLE)
            yield from _of_bytes("header", content[: 1 << 20], kinds, None)
            return
        yield from _of_class(dataset)
        if any(tag in dataset for tag in _PIXELS):
            yield from _of_pixels(dataset) if with_pixels else ()
        elif dicom_uid.UID(dataset.get("SOPClassUID", "")).name.endswith("Image Storage"):
            yield Trace("the end of the file", UNREADABLE, POSSIBLE)


class _Declared:
    """What a file says of its own de-identification."""

    def __init__(self, dataset: Dataset) -> None:
        codes = {
            str(item.get("CodeValue", "")) for item in dataset.get(_METHODS, DataElement(_METHODS, "SQ", [])).value
        }
        self.are_descriptions_cleaned = _CLEANED_DESCRIPTIONS in codes
        self.are_private_safe = _SAFE_PRIVATE in codes
        modified = str(dataset.get("LongitudinalTemporalInformationModified", ""))
        self.are_dates_moved = modified == "MODIFIED" and _KEPT_DATES not in codes


def _of_dataset(dataset: Dataset, above: str, declared: _Declared, kinds: Kinds) -> Iterator[Trace]:
    for tag in sorted(dataset.keys()):
        place = f"{above}({tag.group:04X},{tag.element:04X})"
        if int(tag) in _PIXELS:
            continue
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                if tag.is_private and not declared.are_private_safe:
                    yield Trace(place, PRIVATE, POSSIBLE)
                if int(tag) in _KIND_OF and element.value:
                    yield Trace(place, BURNT_IN if int(tag) == _ICON else _KIND_OF[int(tag)], POSSIBLE)
                for number, item in enumerate(element.value, start=1):
                    yield from _of_dataset(item, f"{place}[{number}]>", declared, kinds)
                continue
            yield from _of_element(element, place, declared, kinds)
        except Exception:  # one damaged element hides no other
            yield Trace(place, UNREADABLE, POSSIBLE)
            raw = getattr(dataset.get_item(tag), "value", None)
            yield from _of_bytes(place, raw if isinstance(raw, bytes) else b"", kinds, None)


def _of_element(element: DataElement, place: str, declared: _Declared, kinds: Kinds) -> Iterator[Trace]:
    tag, values = element.tag, _values(element)
    if not values:
        return
    if tag.is_private:
        yield from _of_private(element, place, values, declared, kinds)
        return
    if tag.group & 0xFF00 in (0x5000, 0x6000) and tag.group % 2 == 0:
        yield from _of_overlay(element, place, kinds)
        return
    kind = _accused(tag, element.VR, values, declared)
    if kind:
        yield Trace(place, kind, CERTAIN if kind != FREE_TEXT and kind != UID else POSSIBLE)
    for name, certainty in _found(element, values, kinds).items():
        # A place that is accused anyway needs no guess about its value.
        if name != kind and not (kind and certainty == POSSIBLE):
            yield Trace(place, name, certainty)


def _found(element: DataElement, values: list, kinds: Kinds) -> dict[str, str]:
    """Return what an element's value has the form of; of numbers, codes, dates and UIDs only what is known."""
    if isinstance(values[0], bytes):
        return _kinds_of_bytes(b"\n".join(values), kinds)
    found = kinds(" \n ".join(values), "value")
    is_form_known = element.VR not in _FREE or int(element.tag) in _CODES
    return {name: sure for name, sure in found.items() if sure == CERTAIN or not is_form_known}


def _accused(tag: BaseTag, vr: str, values: list, declared: _Declared) -> str | None:
    """Return what the element holds by its place alone; None when nothing, or a stand-in."""
    if vr == "UI":
        if int(tag) in _CLASS_UIDS:
            return None
        return UID if any(identity_text.is_traceable_uid(value) for value in values) else None
    if int(tag) in _ALTERNATIVE_DATES:
        return DATE
    if vr in ("DA", "DT", "TM"):
        return DATE if int(tag) == _BIRTH_DATE or not (declared.are_dates_moved or _are_shifted(vr, values)) else None
    if int(tag) == _AGE:
        years = values[0][:3]
        return AGE if values[0].endswith("Y") and years.isdigit() and int(years) > _OLDEST_TOLD_YEARS else None
    if int(tag) in _DESCRIPTIONS and declared.are_descriptions_cleaned:
        return None
    kind = NAME if vr == "PN" else _KIND_OF.get(int(tag))
    if kind is None and (vr in _LONG_TEXTS or tag.group in _RESULTS):
        kind = FREE_TEXT
    if kind and not isinstance(values[0], bytes) and all(identity_text.is_stand_in(value) for value in values):
        return None
    return kind


def _are_shifted(vr: str, values: list[str]) -> bool:
    # BIDS has dates moved to 1925 or before, so that whoever sees one knows. A time alone says nothing of it.
    return vr != "TM" and all(value[:4].isdigit() and int(value[:4]) <= 1925 for value in values)


def _of_private(element: DataElement, place: str, values: list, declared: _Declared, kinds: Kinds) -> Iterator[Trace]:
    found = _found(element, values, kinds)
    if not element.tag.is_private_creator and not declared.are_private_safe:
        yield Trace(place, PRIVATE, POSSIBLE)
    yield from (Trace(place, kind, certainty) for kind, certainty in found.items())


def _of_overlay(element: DataElement, place: str, kinds: Kinds) -> Iterator[Trace]:
    value = element.value
    if element.tag.element == _OVERLAY_DATA or element.tag.group < 0x6000:
        if isinstance(value, bytes) and any(value):
            yield Trace(place, BURNT_IN, LIKELY)
    elif element.VR in _FREE:
        yield Trace(place, FREE_TEXT, POSSIBLE)
        yield from (Trace(place, kind, certainty) for kind, certainty in kinds(str(value), "value").items())


def _of_class(dataset: Dataset) -> Iterator[Trace]:
    if str(dataset.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        yield Trace("(0028,0301)", BURNT_IN, CERTAIN)
    if str(dataset.get("SOPClassUID", "")).startswith(_DOCUMENT_CLASSES):
        yield Trace("(0008,0016)", BURNT_IN, LIKELY)
    if dataset.get("ConversionType"):
        yield Trace("(0008,0064)", BURNT_IN, LIKELY)
    words = str(dataset.get("ImageType", "")).upper()
    if "SCREEN" in words or "SECONDARY CAPTURE" in words:
        yield Trace("(0008,0008)", BURNT_IN, LIKELY)


def _of_pixels(dataset: Dataset) -> Iterator[Trace]:
    try:
        pixels = dataset.pixel_array
    except Exception:  # a compression that nothing here reads, or damage
        yield Trace("pixels", UNREADABLE, POSSIBLE)
        return
    if dataset.get("SamplesPerPixel", 1) > 1:
        pixels = pixels.max(axis=-1)
    frames = pixels.reshape(-1, *pixels.shape[-2:])
    if str(dataset.get("PhotometricInterpretation", "")) == "MONOCHROME1":
        frames = frames.max() - frames
    for number, frame in enumerate(frames, start=1):
        if identity_pixels.has_text(frame):
            yield Trace(f"pixels, frame {number}", BURNT_IN, LIKELY)
            return  # the others of a file are alike


def _values(element: DataElement) -> list:
    """Return the values of an element that are not empty: bytes as they are, anything else as text."""
    value = element.value
    values = [value] if isinstance(value, (bytes, str)) or not hasattr(value, "__iter__") else list(value)
    if any(isinstance(part, bytes) for part in values):
        return [part for part in values if isinstance(part, bytes) and part.strip(b"\0 ")]
    return [text for part in values if part is not None and (text := str(part).strip("\0 "))]


def _of_bytes(place: str, content: bytes, kinds: Kinds, otherwise: str | None) -> Iterator[Trace]:
    """Yield what is in bytes of an unknown form; `otherwise` when they hold text that has no form of an identity."""
    found = _kinds_of_bytes(content, kinds)
    yield from (Trace(place, kind, certainty) for kind, certainty in found.items())
    if otherwise and not found and any(len(text) >= 4 for text in identity_text.strings(content)):
        yield Trace(place, otherwise, POSSIBLE)


def _kinds_of_bytes(content: bytes, kinds: Kinds) -> dict[str, str]:
    return surest(*(kinds(text, "value") for text in identity_text.strings(content)))
