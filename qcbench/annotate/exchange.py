"""Labels made elsewhere: CSV, the letters of the Quality_Control_Interface, ratings of MRIQC and Q'Kay."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from qcbench import schema, spreadsheet, store
from qcbench.annotate import letters, mriqc
from qcbench.annotate.events import label_event
from qcbench.criteria import Criterion, Value
from qcbench.errors import QcbenchError, UsageError
from qcbench.protocol import Protocol
from qcbench.study import Study
from qcbench.summary import Summary

_NEEDED = ("rater", "image_id")
_COPIED = ("comment", "reason", "screenshot_sha256")
#: The lines of a file with their numbers, under our column names.
Lines = list[tuple[int, dict[str, str | None]]]
_TRUE, _FALSE = ("true", "yes", "1", "1.0"), ("false", "no", "0", "0.0")


def import_labels(
    study: Study, file: Path, *, rater: str | None = None, columns: Mapping[str, str] | None = None
) -> Summary:
    """Add the labels of a file as events with the source ``imported``.

    The file is CSV, TSV or JSON of MRIQC and Q'Kay (by its ending; see `mriqc`), or text of the
    Quality_Control_Interface (by its first line; see `letters`). `rater` is whose labels they are
    where the file does not say; `columns` says for our columns what the file calls them, e.g.
    ``{"image_id": "scan"}``.

    Needed columns are rater, image_id and the required criteria of the protocol (for
    ``t1w-warehouse`` straight_reject; gadolinium, motion, contrast and noise for images that are
    kept); flags are a JSON list or separated by commas; comment, reason, seconds and saved_at
    (ISO 8601) are taken when they are there, other columns are ignored. Empty means not noted; a
    grade may read ``1.0``. A line that breaks the protocol is listed in `failed` and the others
    are kept. Importing the same file again adds nothing. Raises UsageError when the file cannot
    be read.
    """
    started = time.monotonic()
    needed = (*_NEEDED, *(each.name for each in study.protocol.criteria if each.ends_label))
    lines, doubted, notes = _read(file, rater, columns or {}, needed)
    known = {row["image_id"] for row in store.rows(study, "images")}
    earlier = {event["event_id"] for rater in study.all_raters for event in store.label_events(study, rater)}
    current = {(label["image_id"], label["rater"]): label for label in store.labels(study)}
    session = f"import-{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"
    events: dict[str, list[dict]] = defaultdict(list)
    failed: dict[str, str] = dict(doubted)
    unchanged = 0
    for number, line in lines:
        event_id = _event_id(line, study.protocol)
        if event_id in earlier:
            unchanged += 1
            continue
        try:
            event = _event(study, line, known, session, len(events[line["rater"] or ""]), event_id)
        except (QcbenchError, ValueError) as error:
            failed[f"line {number}"] = str(error)
            continue
        key = (event["image_id"], event["rater"])
        if event["purpose"] == "label":
            counting = current.get(key)
            if counting and line.get("saved_at") and event["saved_at"] < counting["saved_at"]:
                failed[f"line {number}"] = f"older than the label of {line['rater']} that counts for {line['image_id']}"
                continue
            event["supersedes"] = counting and counting["event_id"]
            current[key] = event
        earlier.add(event_id)
        events[event["rater"]].append(event)
    for rater, new in events.items():
        if new:
            store.SegmentLog(study.label_folder(rater) / session, "label_events").extend(new)
    return Summary(
        stage="import-labels",
        done=sum(map(len, events.values())),
        unchanged=unchanged,
        failed=failed,
        notes=notes,
        facts={"raters": ", ".join(sorted(rater for rater, new in events.items() if new)) or "none"},
        seconds=time.monotonic() - started,
    )


def _read(
    file: Path, rater: str | None, columns: Mapping[str, str], needed: Sequence[str]
) -> tuple[Lines, dict[str, str], list[str]]:
    """Return the lines of a file under our names, the lines that are not believed and why, and notes."""
    if file.suffix == ".json":
        return *mriqc.read(file, rater), []
    try:
        text = file.read_text(encoding="utf-8-sig")
        if letters.is_letter_file(text):
            return _read_letters(text, file, rater)
        return _read_columns(text, file, rater, columns, needed), {}, []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{file} cannot be read as CSV (UTF-8, separated by commas): {error}") from error


def _read_letters(text: str, file: Path, rater: str | None) -> tuple[Lines, dict[str, str], list[str]]:
    if rater is None:
        raise UsageError(f"{file} is of the Quality_Control_Interface and names no rater; say whose labels they are")
    believed, failed, n_empty = letters.believed(text)
    lines = []
    for noted in believed:
        try:
            answers = letters.answers(noted.code)
        except ValueError as error:
            failed[f"line {noted.line}"] = str(error)
            continue
        lines.append((noted.line, {"rater": rater, "image_id": noted.image_id, **_as_text(answers)}))
    note = f"{n_empty} images have no letter at all and were taken for tier 1; a stray space looks the same."
    return lines, failed, [note] if n_empty else []


def _as_text(answers: Mapping[str, bool | int]) -> dict[str, str]:
    return {name: str(value) for name, value in answers.items()}


def _read_columns(text: str, file: Path, rater: str | None, columns: Mapping[str, str], needed: Sequence[str]) -> Lines:
    # Not by `splitlines`, which ends a line at signs that a comment may hold, such as U+2028.
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if file.suffix == ".tsv" else ",")
    ours = {theirs: name for name, theirs in columns.items()}
    present = {ours.get(name, name) for name in reader.fieldnames or ()} | ({"rater"} if rater else set())
    missing = [columns.get(name, name) for name in needed if name not in present]
    if missing:
        raise UsageError(
            f"{file} lacks the column {missing[0]!r}; needed are {', '.join(needed)} and the other criteria "
            "of the study's protocol"
        )
    lines = []
    for row in reader:
        line = {ours.get(name, name): _text(value) for name, value in row.items() if name}
        lines.append((reader.line_num, {**line, "rater": line.get("rater") or rater}))
    return lines


def _text(value: str | None) -> str | None:
    """Return a cell's text without the apostrophe that `export` gives a formula; empty and n/a are null."""
    text = spreadsheet.original((value or "").strip())
    return None if text in ("", "n/a") else text


def _event_id(line: dict, protocol: Protocol) -> str:
    """Return an id that follows from what is taken from a line, so that the same label is no second row."""
    taken = {name: line.get(name) for name in (*_NEEDED, *_COPIED, "purpose", "seconds", "saved_at")}
    taken |= {criterion.name: line.get(criterion.name) for criterion in protocol.criteria}
    return "imported-" + hashlib.sha256(repr(sorted(taken.items())).encode()).hexdigest()[:32]


def _event(study: Study, line: dict, known: set[str], session: str, sequence: int, event_id: str) -> dict:
    if line["image_id"] not in known:
        raise UsageError(f"image_id {line['image_id']!r} is not in the study's catalogue; run qcbench ingest first")
    purpose = line.get("purpose") or "label"
    if purpose not in schema.PURPOSES:
        raise ValueError(f"purpose must be one of {', '.join(schema.PURPOSES)}, got {purpose!r}")
    answers = {criterion.name: _value(criterion, line.get(criterion.name)) for criterion in study.protocol.criteria}
    return label_event(
        study.protocol,
        study.protocol.check(answers, may_lack=mriqc.MAY_LACK),
        rater=study.require_rater(line["rater"] or ""),
        source="imported",
        session=session,
        sequence=sequence,
        event_id=event_id,
        image_id=line["image_id"],
        saved_at=_saved_at(line.get("saved_at")),
        purpose=purpose,
        seconds=_seconds(line.get("seconds")),
        **{name: line.get(name) for name in _COPIED},
    )


def _value(criterion: Criterion, text: str | None) -> Value | None:
    if text is None or criterion.kind == "text":
        return text
    return {"yes_no": _truth, "grade": _grade, "level": _level, "flags": _flags}[criterion.kind](criterion, text)


def _truth(criterion: Criterion, text: str) -> bool:
    if text.lower() in _TRUE + _FALSE:
        return text.lower() in _TRUE
    raise ValueError(f"{criterion.name} must be true or false, got {text!r}")


def _grade(criterion: Criterion, text: str) -> int:
    number = _level(criterion, text)
    if not number.is_integer():
        raise ValueError(f"{criterion.name} must be a whole grade, got {text!r}")
    return int(number)


def _level(criterion: Criterion, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{criterion.name} must be a number, got {text!r}") from None


def _flags(criterion: Criterion, text: str) -> list[str]:
    """Return flags written as a JSON list, or with commas between them."""
    if not text.startswith("["):
        return [flag.strip() for flag in text.split(",") if flag.strip()]
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"{criterion.name} must be a list, got {text!r}") from None


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"seconds must be a number from 0 on, got {text!r}")
    return seconds


def _saved_at(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
