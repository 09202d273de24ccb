"""What of a person is left in JSON, tables and notebooks: by the key or the column, and by the form of a value."""

from __future__ import annotations

import base64
import binascii
import csv
import functools
import io
import json
import re
from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from qcbench.prepare import headers, identity_images, identity_text
from qcbench.prepare.identity_findings import (
    ADDRESS,
    AGE,
    CERTAIN,
    DATE,
    EMAIL,
    FREE_TEXT,
    ID,
    INSTITUTION,
    LIKELY,
    NAME,
    PHONE,
    POSSIBLE,
    UID,
    UNREADABLE,
    Trace,
)

Kinds = Callable[[str, str], dict[str, str]]

#: What a key or a column's title, folded and without signs between its words, says of its values.
_TITLES = {
    NAME: r"""(other)?patients?(birth|mothers?birth)?name\w*
        (birth|family|given|first|last|sur|middle|maiden|full)names?
        nom(patient|famille|naissance|usuel|denaissance)? prenoms? responsibleperson \w*physicians?
        \w*physicians?\w*name\w* operators?name medecin\w* docteur radiologue \w*operatoridentification""",
    DATE: r"""(patients?)?(birth|death)(date|time|day)\w* dob dateofbirth date(de)?(naissance|deces) ddn acqtime acqdate
        (acquisition|study|series|content|scan|exam|visit|instancecreation)(date|time|datetime)
        performedprocedurestep(start|end)?(date|time|datetime) date(examen|irm|visite)""",
    ID: r"""(other)?patients?(id|ids|number)\w* ipp nip nda iep mrn nir ins ssn insee issuerofpatientid admissionid
        numero(patient|dossier|securitesociale) accession(number|no)? studyid medicalrecord\w* nationalid\w*
        numsecu\w*""",
    UID: r"""(study|series|sopinstance|frameofreference|mediastoragesopinstance|referencedsopinstance)\w*uid
        instanceuid""",
    ADDRESS: "(patients?)?(address|adresse|street|rue|codepostal|postalcode|zip(code)?|ville|city)",
    PHONE: "(patients?)?(tele)?phones?(number|numbers)? tel mobile portable",
    EMAIL: "e?mail(address)? courriel",
    INSTITUTION: r"""institution(al)?(address|departmentname) stationname deviceserialnumber referringphysician\w*
        performedstationaetitle requestingservice gantryid""",
}
_KIND_OF_TITLE = {kind: re.compile("|".join(patterns.split())) for kind, patterns in _TITLES.items()}
_AGE_TITLES = ("age", "ageyears", "patientage", "ageatscan", "ageatvisit")
_OLDEST_TOLD_YEARS = 89
#: Texts that stand in sidecars beside the acquisition, written by programs of theirs or ours.
_PROGRAMS_KEYS = """
    Description Sources RawSources SpatialReference SkullStripped Resolution PreprocessingPreset Options Alignment
    Screenshot Versions GeneratedBy PhaseEncodingDirection InPlanePhaseEncodingDirectionDICOM SliceEncodingDirection
    PhaseEncodingAxis CoilString CoilCombinationMethod MatrixCoilMode PulseSequenceDetails ParallelAcquisitionTechnique
    BidsGuess TaskName DwellTime NonlinearGradientCorrection MTState SpoilingState SpoilingType QcbenchDicom
    ImageOrientationText ImageTypeText ImagingType SequenceType MRTransmitCoilSequence NumberOfAverages ImageOrientation
    DeidentificationMethod DeidentificationMethodCodeSequence PartialFourierDirection
"""
_BY_PROGRAMS = frozenset(_PROGRAMS_KEYS.split())
#: Keys at which programs of ours and Jupyter's note when they ran, and authors sign.
_OWN_MOMENTS = re.compile(r"\w+_at|execution|iopub\.\w+|shell\.\w+|created|started|finished|heartbeat|modified")
_AUTHORS = ("Authors", "authors", "Acknowledgements", "HowToAcknowledge", "ReferencesAndLinks", "raters", "rater")
_HOSPITALS = ("InstitutionName", "hospital")
_STAFF_COLUMNS = frozenset({"rater", "raters", "reviewer", "reviewers"})
_DEEPEST = 60
#: A picture inside a text.
EMBEDDED = re.compile(r"data:image/(?:png|jpe?g);base64,([A-Za-z0-9+/=\s]+)")
_PLAIN_KEY = re.compile(r"[A-Za-z_][\w.-]{0,60}")
_SCAN_KEYS = {"form", "source", "columns"}


def json_traces(text: str, kinds: Kinds) -> Iterator[Trace]:
    """Yield what a JSON document holds; a sidecar's texts that are on no list are free text."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        yield Trace("document", UNREADABLE, POSSIBLE)
        for number, line in enumerate(text.splitlines(), start=1):
            yield from (Trace(f"line {number}", kind, sure) for kind, sure in kinds(line, "log").items())
        return
    if isinstance(document, dict) and isinstance(document.get("cells"), list):
        yield from _notebook(document, kinds)
        return
    if isinstance(document, dict) and headers.kept(dict.fromkeys(document, 0)):
        for number, (key, value) in enumerate(document.items(), start=1):
            if not (headers.kept({key: 0}) or key in _BY_PROGRAMS) and _has_words(value):
                yield Trace(_shown(key, number, kinds), FREE_TEXT, POSSIBLE)
    yield from _walk(document, "", "", kinds)


def json_lines_traces(text: str, kinds: Kinds) -> Iterator[Trace]:
    """Yield what a file of JSON lines holds; the cache of a header scan is told as one, for its rows hold free text."""
    for number, line in enumerate(text.splitlines(), start=1):
        if number == 1 and all(f'"{key}"' in line for key in _SCAN_KEYS):
            yield Trace("the cache of a header scan", FREE_TEXT, CERTAIN)
        seen = set()
        for trace in json_traces(line, kinds) if line.strip() else ():
            if trace[1:] not in seen:
                seen.add(trace[1:])
                yield trace._replace(place=f"line {number}, {trace.place}")


def table_traces(text: str, separator: str, kinds: Kinds) -> Iterator[Trace]:
    """Yield what a TSV or CSV table holds, by column and row; the line of titles is row 1."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error:
        yield Trace("table", UNREADABLE, POSSIBLE)
        rows = [[line] for line in text.splitlines()]
    titles = rows[0] if rows else []
    if {"attribute", "value", "keep"} <= set(titles):
        yield Trace("the list of descriptions", FREE_TEXT, POSSIBLE)
    known: dict[tuple[int, str], list[Trace]] = {}
    for number, row in enumerate(rows, start=1):
        for column, cell in enumerate(row):
            if (column, cell) not in known:
                title = titles[column] if column < len(titles) and number > 1 else ""
                known[column, cell] = list(_cell(title, cell, kinds))
            for trace in known[column, cell]:
                yield trace._replace(place=f"column {column + 1}, row {number}")


def parquet_traces(content: bytes, kinds: Kinds) -> Iterator[Trace]:
    """Yield what the texts of a parquet table and its metadata hold; each distinct text is looked at once."""
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        metadata = file.metadata.metadata or {}
        for number, (key, value) in enumerate(metadata.items(), start=1):
            if key not in (b"ARROW:schema", b"pandas"):
                for kind, sure in kinds(identity_text.decoded(key + b" " + value), "value").items():
                    yield Trace(f"key-value metadata {number}", kind, sure)
            elif key == b"pandas":
                yield from (t._replace(place="pandas metadata") for t in _walk(json.loads(value), "", "", kinds))
        for number, title in enumerate(file.schema_arrow.names, start=1):
            yield from (Trace(f"column {number}, title", kind, sure) for kind, sure in kinds(title, "path").items())
            yield from _column(file, title, number, kinds)
    except Exception:  # arrow raises what damaged pages make it stumble over
        yield Trace("table", UNREADABLE, POSSIBLE)
        yield from identity_images.bytes_traces("table", content[: 1 << 20], kinds)


def _column(file: pq.ParquetFile, title: str, number: int, kinds: Kinds) -> Iterator[Trace]:
    if title in _STAFF_COLUMNS:
        return
    seen: dict[object, list[Trace]] = {}
    row = 0
    for batch in file.iter_batches(batch_size=1 << 14, columns=[title]):
        values = batch.column(0)
        is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
        if not (is_text or pa.types.is_nested(values.type) or pa.types.is_dictionary(values.type) or _accused(title)):
            return
        for value in values.to_pylist():
            row += 1
            text = value if isinstance(value, str) else "" if value is None else str(value)
            if text not in seen:
                seen[text] = list(_cell(title, text, kinds))
            yield from (trace._replace(place=f"column {number}, row {row}") for trace in seen[text])


def _cell(title: str, text: str, kinds: Kinds) -> Iterator[Trace]:
    text = text.strip()
    if not text or text.lower() in ("n/a", "nan", "none", "null") or title in _STAFF_COLUMNS:
        return
    if text[:1] in "{[" and text[-1:] in "}]":
        try:
            yield from _walk(json.loads(text), title, title, kinds)
            return
        except (ValueError, RecursionError):
            pass
    yield from _of_value(title, text, "", kinds)


def _walk(value: object, key: str, place: str, kinds: Kinds, depth: int = 0) -> Iterator[Trace]:
    if depth > _DEEPEST:
        yield Trace(place, UNREADABLE, POSSIBLE)
    elif isinstance(value, dict):
        for number, (name, inner) in enumerate(value.items(), start=1):
            shown = _shown(name, number, kinds)
            below = f"{place}.{shown}" if place else shown
            yield from (Trace(below, kind, sure) for kind, sure in kinds(name, "path").items())
            yield from _walk(inner, name, below, kinds, depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value, start=1):
            yield from _walk(inner, key, f"{place}[{number}]", kinds, depth + 1)
    elif value is not None and not isinstance(value, bool):
        yield from _of_value(key, str(value), place or "value", kinds, is_number=not isinstance(value, str))


def _of_value(key: str, text: str, place: str, kinds: Kinds, *, is_number: bool = False) -> Iterator[Trace]:
    kind = _accused(key)
    if kind and (identity_text.is_stand_in(text) or _is_moved(kind, text)):
        kind = None
    if kind:
        yield Trace(place, kind, CERTAIN)
    if _plain(key) in _AGE_TITLES and (headers.age_years(text) or 0) > _OLDEST_TOLD_YEARS:
        yield Trace(place, AGE, LIKELY)
    yield from (trace._replace(place=place) for trace in embedded_traces(text, kinds))
    found = kinds(EMBEDDED.sub("#", text), "path" if text.startswith("sub-") or "/" in text[:400] else "value")
    if is_number or key == "SoftwareVersions" or _OWN_MOMENTS.fullmatch(key):
        found = {name: sure for name, sure in found.items() if sure == CERTAIN}
    if key in _AUTHORS or key in _HOSPITALS:
        found = {name: sure for name, sure in found.items() if name != NAME or sure == CERTAIN}
    yield from (
        Trace(place, name, sure) for name, sure in found.items() if name != kind and not (kind and sure == POSSIBLE)
    )


def embedded_traces(text: str, kinds: Kinds) -> Iterator[Trace]:
    """Yield what the pictures inside a text hold (data:image/png;base64,...)."""
    for match in EMBEDDED.finditer(text) if "data:image/" in text else ():
        try:
            content = base64.b64decode(re.sub(r"\s", "", match[1]))
        except binascii.Error:
            yield Trace("embedded picture", UNREADABLE, POSSIBLE)
            continue
        # Figures have words by design.
        yield from identity_images.picture_traces(content, kinds, with_pixels=False)


@functools.lru_cache(maxsize=4096)
def _accused(title: str) -> str | None:
    plain = _plain(title)
    return next((kind for kind, pattern in _KIND_OF_TITLE.items() if pattern.fullmatch(plain)), None) if plain else None


def _plain(title: str) -> str:
    return re.sub(r"[^a-z0-9]", "", identity_text.fold(title))


def _is_moved(kind: str, text: str) -> bool:
    # BIDS: dates that were moved lie in 1925 or before. Of the 20th century a bare day could be one of birth.
    return kind == DATE and bool(re.match(r"1[0-8]\d\d-|(19[01]\d|192[0-5])-.*T", text))


def _has_words(value: object) -> bool:
    if isinstance(value, str):
        return any(character.isalnum() for character in value) and not identity_text.is_stand_in(value)
    if isinstance(value, dict):
        return any(_has_words(inner) for inner in value.values())
    return isinstance(value, list) and any(_has_words(inner) for inner in value)


def _shown(key: str, number: int, kinds: Kinds) -> str:
    """Return a key, or its number where it could name somebody."""
    return key if _PLAIN_KEY.fullmatch(key) and not kinds(key, "path") else f"#{number}"


def _notebook(document: dict, kinds: Kinds) -> Iterator[Trace]:
    yield from _walk(document.get("metadata", {}), "", "metadata", kinds)
    for number, cell in enumerate(document["cells"], start=1):
        if not isinstance(cell, dict):
            continue
        place = f"cell {number}"
        source = cell.get("source", "")
        lines = source if isinstance(source, list) else str(source).splitlines()
        for line in lines:
            yield from (Trace(f"{place}, source", kind, sure) for kind, sure in kinds(str(line), "prose").items())
        yield from _walk(cell.get("metadata", {}), "", f"{place}, metadata", kinds)
        for count, output in enumerate(cell.get("outputs") or (), start=1):
            yield from _output(output, f"{place}, output {count}", kinds)


def _output(output: dict, place: str, kinds: Kinds) -> Iterator[Trace]:
    parts: list[tuple[str, object]] = list((output.get("data") or {}).items())
    parts += [("text", output[key]) for key in ("text", "traceback", "evalue") if output.get(key)]
    for form, value in parts:
        text = "".join(map(str, value)) if isinstance(value, list) else value if isinstance(value, str) else ""
        if form.startswith("image/") and form != "image/svg+xml":
            try:
                content = base64.b64decode(text)
            except binascii.Error:
                content = b""
            found = identity_images.picture_traces(content, kinds, with_pixels=True)
            yield from (trace._replace(place=f"{place}, {trace.place}") for trace in found)
            continue
        if isinstance(value, dict):
            yield from _walk(value, "", place, kinds)
        for line in re.sub(r"\x1b\[[\d;]*m", "", text).splitlines():
            yield from (Trace(place, kind, sure) for kind, sure in kinds(line, "log").items())
