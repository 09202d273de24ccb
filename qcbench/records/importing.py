"""Records that lie in files become rows: MRIQC's JSON, one file an image, and tables dumped from its Web-API (CSV)."""

from __future__ import annotations

import ast
import csv
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from qcbench.errors import UsageError
from qcbench.iqm_keys import MODALITIES
from qcbench.records import checks, intake, metadata, tokens
from qcbench.records.database import Database
from qcbench.records.identity import Pseudonyms
from qcbench.records.payloads import RefusedError
from qcbench.summary import Summary

_AT_A_TIME = 500
#: What the Web-API adds to a record: which database it came from is no part of it.
_OF_THE_SERVER = ("_id", "_created", "_updated", "_etag", "_links")
_WORDS = {"True": True, "False": False}


@dataclass(frozen=True)
class _Unreadable:
    """Stands for what a file, or the rest of one, would have held."""

    reason: str


def import_records(database: Database, pseudonyms: Pseudonyms, source: Path, *, client: str = "import") -> Summary:
    """Store the records of a file, or of every JSON and CSV file in a folder.

    What is refused is listed with its reason, and so is a file that cannot be read; the facts count flagged records,
    by modality and reason.
    """
    began = time.perf_counter()
    summary = Summary(stage="records import")
    flags: dict[str, Counter] = {}
    with database.writing() as connection:
        importer = tokens.Client(tokens.client_id(connection, client), client, "write")
    batch: list[checks.Accepted] = []

    def store() -> None:
        with database.writing() as connection:
            new = intake.add_records(connection, importer, batch)
        summary.done += len(new)
        summary.unchanged += len(batch) - len(new)
        batch.clear()

    for place, payload in _payloads(source):
        if isinstance(payload, _Unreadable):
            summary.failed[place] = payload.reason
            continue
        try:
            accepted = checks.check(_modality(payload), payload, pseudonyms)
        except RefusedError as error:
            summary.failed[place] = str(error)
            continue
        for code in sorted({flag.code for flag in accepted.flags}):
            flags.setdefault(accepted.modality, Counter())[code] += 1
        batch.append(accepted)
        if len(batch) >= _AT_A_TIME:
            store()
    store()
    summary.facts["flags"] = {
        modality: dict(sorted(flags[modality].items())) for modality in MODALITIES if modality in flags
    }
    summary.seconds = time.perf_counter() - began
    return summary


def _modality(payload: object) -> str:
    meta = payload.get("bids_meta") if isinstance(payload, dict) else None
    modality = (meta.get("modality") or meta.get("suffix")) if isinstance(meta, dict) else None
    if modality not in MODALITIES:
        raise RefusedError({"bids_meta": {"modality": f"must be one of {', '.join(MODALITIES)}, got {modality!r}"}})
    return modality


def _payloads(source: Path) -> Iterator[tuple[str, object]]:
    """Yield where each record stands, and what it says."""
    if not source.exists():
        raise UsageError(f"{source} is not there; name a JSON or CSV file of MRIQC, or a folder of them")
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.suffix in (".json", ".csv"))
    for file in files:
        # Files of one name lie in many folders.
        place = file.relative_to(source).as_posix() if source.is_dir() else file.name
        if file.suffix == ".csv":
            yield from _of_table(file, place)
            continue
        # A BIDS folder is full of sidecars, which are no records and no faults.
        payload = _of_file(file)
        if source.is_file() or isinstance(payload, _Unreadable) or _is_record(payload):
            yield place, payload


def _of_file(file: Path) -> object:
    try:
        return orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        # A number that is none (NaN) makes it so too: MRIQC wrote some.
        return _Unreadable(f"it cannot be read as JSON: {error}")


def _is_record(payload: object) -> bool:
    return isinstance(payload, dict) and {"bids_meta", "provenance"} <= payload.keys()


def _of_table(file: Path, name: str) -> Iterator[tuple[str, dict | _Unreadable]]:
    number = 1
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            if "bids_meta.modality" not in (rows.fieldnames or ()):
                # A data dictionary lies beside such tables.
                return
            for number, row in enumerate(rows, start=2):
                yield f"{name} line {number}", _of_row(row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        yield f"{name} after line {number}", _Unreadable(f"it cannot be read as CSV (UTF-8): {error}")


def _of_row(row: dict[str, str]) -> dict:
    """Return a row as the record that it was: ``bids_meta.EchoTime`` is an entry of ``bids_meta``."""
    record: dict = {"bids_meta": {}, "provenance": {}}
    for name, cell in row.items():
        if not cell or name is None or name.split(".")[0] in _OF_THE_SERVER:
            continue
        *above, last = name.split(".")
        place = record
        for step in above:
            place = place.setdefault(step, {})
        place[last] = _value(name, cell)
    return record


def _value(name: str, cell: str) -> object:
    field = name.removeprefix("bids_meta.")
    if field in metadata.TEXTS or name in ("bids_meta.subject_id", "bids_meta.modality"):
        # pandas wrote a column of whole numbers with gaps as 1.0, 2.0.
        return _listed(cell) if cell.startswith("[") else cell.removesuffix(".0") if field == "run_id" else cell
    if name in ("provenance.md5sum", "provenance.version", "provenance.software"):
        return cell
    if cell in _WORDS:
        return _WORDS[cell]
    try:
        return float(cell)
    except ValueError:
        return cell


def _listed(cell: str) -> object:
    try:
        return ast.literal_eval(cell)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return cell
