"""Which kind of file bytes are, and thus where in them something of a person may stand."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from qcbench.errors import ImageError
from qcbench.prepare import identity_dicom, identity_images, identity_json, identity_text
from qcbench.prepare.identity_findings import CERTAIN, FREE_TEXT, POSSIBLE, UNREADABLE, Trace, surest
from qcbench.prepare.identity_text import LOG, PROSE, VALUE

Kinds = Callable[[str, str], dict[str, str]]

#: What is unpacked of one gzip file, and looked at of any file.
MOST_BYTES = 1 << 30
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_MANNERS = {
    PROSE: (".md", ".rst", ".html", ".htm", ".svg", ".css", ".py", ".js", ".sh", ".ipynb", ".bib"),
    LOG: (".log", ".out", ".err", ".txt"),
}
#: Files in which authors and days of releases stand by custom.
_ABOUT_THE_DATA = ("CHANGES", "CHANGELOG", "LICENSE", "COPYING", "CITATION", "CONTRIBUTORS", "AUTHORS")
_DRAWN = re.compile(r"\s(?:d|points|transform|viewBox|style)=\"[^\"]*\"|\sxmlns(?::\w+)?=\"[^\"]*\"|<dc:date>[^<]*")
_LONGEST_LINE = 100_000
_NESTED = 2


def traces(
    content: bytes, name: str, kinds: Kinds, *, path: str | None, with_pixels: bool, depth: int = 0
) -> Iterator[Trace]:
    """Yield what is left of a person in the bytes of a file of that name.

    `path` is where the file lies, None for one inside an archive: a volume's voxels are then not looked at, and said
    not to be. Bytes of an unknown form are searched for texts.
    """
    if not content:
        return
    lower = name.lower()
    if content[:2] == b"\x1f\x8b":
        yield from _gzipped(content, name, kinds, path=path, with_pixels=with_pixels, depth=depth)
    elif identity_dicom.is_dicom(content):
        yield from identity_dicom.traces(content, kinds, with_pixels=with_pixels)
    elif _is_nifti(content, lower):
        yield from _nifti(content, kinds, path=path, with_pixels=with_pixels)
    elif content.startswith(_PICTURES):
        yield from identity_images.picture_traces(content, kinds, with_pixels=with_pixels)
    elif content[:4] == b"PK\3\4":
        yield from _zipped(content, kinds, with_pixels=with_pixels, depth=depth)
    else:
        yield from _other(content, name, kinds)


def _other(content: bytes, name: str, kinds: Kinds) -> Iterator[Trace]:
    if content[:4] == b"PAR1":
        yield from identity_json.parquet_traces(content, kinds)
    elif content[:5] == b"%PDF-":
        # Its texts are packed and may be drawn: what is plain is searched, the rest has to be looked at.
        yield Trace("document", FREE_TEXT, POSSIBLE)
        yield from identity_images.bytes_traces("document", content, kinds)
    elif name.lower().endswith(".safetensors"):
        yield from _weights(content, kinds)
    elif _is_text(content):
        yield from _text(identity_text.decoded(content), name, kinds)
    else:
        yield from identity_images.bytes_traces("bytes", content, kinds)


def _gzipped(
    content: bytes, name: str, kinds: Kinds, *, path: str | None, with_pixels: bool, depth: int
) -> Iterator[Trace]:
    yield from identity_images.gzip_traces(content, name, kinds)
    try:
        inner = identity_images.unpacked(content, MOST_BYTES)
    except ImageError:
        yield Trace("gzip", UNREADABLE, POSSIBLE)
        inner = zlib_beginning(content)
    if depth >= _NESTED:
        yield Trace("gzip", UNREADABLE, POSSIBLE)
        return
    inner_name = name[: -len(".gz")] if name.lower().endswith(".gz") else name
    yield from traces(inner, inner_name, kinds, path=path, with_pixels=with_pixels, depth=depth + 1)


def zlib_beginning(content: bytes) -> bytes:
    """Return what can be unpacked of the beginning of a damaged gzip file."""
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        return unpacker.decompress(content, 1 << 20)
    except zlib.error:
        return b""


def _is_nifti(content: bytes, name: str) -> bool:
    size = content[:4]
    return size in (struct.pack("<i", 348), struct.pack(">i", 348), struct.pack("<i", 540), struct.pack(">i", 540)) or (
        name.endswith((".nii", ".hdr"))
    )


def _nifti(content: bytes, kinds: Kinds, *, path: str | None, with_pixels: bool) -> Iterator[Trace]:
    yield from identity_images.header_traces(content, kinds)
    if not with_pixels:
        return
    if path is None:
        yield Trace("voxels (in an archive: unpack it)", UNREADABLE, POSSIBLE)
    elif not path.lower().endswith(".hdr"):
        yield from identity_images.volume_traces(path)


def _zipped(content: bytes, kinds: Kinds, *, with_pixels: bool, depth: int) -> Iterator[Trace]:
    """Yield what the entries of a document or an archive hold: .docx, .xlsx, .npz and the like are ZIP files."""
    if depth >= _NESTED:
        yield Trace("archive", UNREADABLE, POSSIBLE)
        return
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from identity_images.bytes_traces("archive comment", archive.comment, kinds)
            for number, entry in enumerate(archive.infolist(), start=1):
                place = f"entry {number}"
                yield from (Trace(place, kind, sure) for kind, sure in kinds(entry.filename, "path").items())
                left -= entry.file_size
                if entry.is_dir():
                    continue
                if left < 0 or entry.flag_bits & 1:
                    yield Trace(place, UNREADABLE, POSSIBLE)
                    continue
                name = PurePosixPath(entry.filename).name
                found = traces(archive.read(entry), name, kinds, path=None, with_pixels=with_pixels, depth=depth + 1)
                yield from (trace._replace(place=f"{place}, {trace.place}") for trace in found)
    except (EOFError, OSError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error):
        yield Trace("archive", UNREADABLE, POSSIBLE)


def _weights(content: bytes, kinds: Kinds) -> Iterator[Trace]:
    try:
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + min(length, len(content))])
        yield from identity_json.json_traces(json.dumps({"metadata": header.get("__metadata__", {})}), kinds)
    except (AttributeError, ValueError, struct.error):
        yield Trace("header", UNREADABLE, POSSIBLE)


def _is_text(content: bytes) -> bool:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    beginning = content[: 1 << 16]
    return b"\0" not in beginning and sum(byte < 9 or 13 < byte < 27 for byte in beginning) <= len(beginning) // 100


def _text(text: str, name: str, kinds: Kinds) -> Iterator[Trace]:
    lower = name.lower()
    if lower.endswith((".json", ".ipynb")):
        yield from identity_json.json_traces(text, kinds)
    elif lower.endswith((".jsonl", ".ndjson")):
        yield from identity_json.json_lines_traces(text, kinds)
    elif lower.endswith((".tsv", ".csv")):
        first = text.partition("\n")[0]
        yield from identity_json.table_traces(text, max("\t;,", key=first.count), kinds)
    else:
        yield from _lines(text, name, kinds)


def _lines(text: str, name: str, kinds: Kinds) -> Iterator[Trace]:
    lower = name.lower()
    is_about_the_data = name.upper().startswith(_ABOUT_THE_DATA)
    manner = next((manner for manner, endings in _MANNERS.items() if lower.endswith(endings)), VALUE)
    if manner == VALUE and ("." not in name or "log" in lower):
        manner = PROSE if name.upper().startswith("README") else LOG
    for number, line in enumerate(text.splitlines(), start=1):
        found: dict[str, str] = {}
        for trace in identity_json.embedded_traces(line, kinds):
            found.setdefault(trace.kind, trace.certainty)
        line = _DRAWN.sub(" ", identity_json.EMBEDDED.sub("#", line)) if "<" in line or "data:" in line else line
        for start in range(0, len(line), _LONGEST_LINE):
            found = surest(found, kinds(line[start : start + _LONGEST_LINE], manner))
        if is_about_the_data:
            found = {kind: sure for kind, sure in found.items() if sure == CERTAIN}  # known patients sign nothing
        yield from (Trace(f"line {number}", kind, sure) for kind, sure in found.items())
