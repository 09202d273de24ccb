"""From a DICOM folder or export, and the marked list, to the catalogue and the study's raw BIDS dataset.

Every MR series becomes at least one row of the table `images`: an image, or the reason why there is none. Nothing
that is written into the study says who anybody is; `where` leads back to the source for those who hold the key.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qcbench import durable, parallel, store
from qcbench.errors import UsageError
from qcbench.prepare import arrivals, bids, conversion, people, pseudonyms, scan, selection, series, staging
from qcbench.prepare.pseudonyms import Key
from qcbench.prepare.stacks import File
from qcbench.study import Study
from qcbench.summary import Summary

#: What of a source waits at a time: file names of a folder in memory, files of an export on the disk.
_BATCH_SERIES, _BATCH_BYTES = 1_000, 8 * 2**30
#: A table of 100,000 rows takes seconds to write.
_FLUSH_EVERY_S = 60.0
_KEY_CHECK = "pseudonyms.json"
_LABEL = "dicom:"
_ASKED = (
    "image_id",
    "participant_id",
    "source_path",
    "bids_path",
    "age_years",
    "sex",
    "simulated",
    "excluded_reason",
    "error",
    "n_source_files",
)
#: Errors that may pass: such series are tried again.
_TRIED_AGAIN = ("UNREADABLE", "TIMEOUT", "NOT_CONVERTED", "OSError")


@dataclass(frozen=True, kw_only=True)
class _Found:
    """The series of a source by their labels; `refused` says why those not kept are not."""

    source: Path
    cache: Path
    scan: scan.Scan
    series: dict[str, dict]
    refused: dict[str, str]


def ingest(
    study: Study,
    source: str | Path,
    *,
    keep: str | Path,
    key: str | Path,
    rule: str = "all",
    participants: str | Path | None = None,
    min_slices: int = 40,
    min_age: float = 18,
    workers: int | None = None,
    show_progress: bool = True,
) -> Summary:
    """Catalogue the series whose descriptions the list `keep` marks, and convert them into bids/.

    `key` is the file whose content makes the pseudonyms, made when it is missing; `rule` is as for
    `selection.Marks`; `participants` is a second table, see `people`. Series not kept, with fewer than `min_slices`
    slices, of people known to be younger than `min_age`, or incomplete have an `excluded_reason`, damaged ones an
    `error`. Running again adds what is new, and takes a series anew that has more files than before. Raises
    UsageError when there is no MR series, or key, list or table are not usable; then nothing was changed.
    """
    began = time.monotonic()
    study, source = Study.of(study), Path(source).resolve()
    conversion.binary()  # before hours of work
    marks = selection.read_marks(Path(keep), rule=rule)
    secret = _load_key(study, source, Path(key))
    table = people.read_people(Path(participants), secret) if participants else {}
    workers = workers or os.cpu_count() or 1
    cache = _cache_path(study, Path(keep), Path(key))
    found = _look(source, cache, marks, secret, workers, show_progress)
    known = _by_label(_some_columns(study))
    refused = {label: reason for label, reason in found.refused.items() if label not in known}
    todo = [label for label in sorted(found.series) if _is_todo(found, label, known.get(label))]
    bids.write_description(study.bids, name=f"raw images of the study {study.folder.name}", derivative=False)
    with arrivals.compared(study), staging.scratch() as scratch:
        if refused:
            store.upsert(study, "images", (_refused_row(label, reason, found) for label, reason in refused.items()))
        intake = series.Intake(
            bids_folder=study.bids,
            scratch=scratch,
            key=secret,
            people=table,
            min_slices=min_slices,
            min_age=min_age,
        )
        new = _convert(study, found, todo, intake, workers, show_progress)
        _drop_replaced(study, known, new)
    catalogue = _some_columns(study)
    bids.write_participants(study.bids, (row for row in catalogue if row["bids_path"]))
    unchanged = len(found.series) - len(todo) - len(refused)
    summary = _summary(found, new, catalogue, len(refused), unchanged, time.monotonic() - began)
    n_stay = sum(any(row["bids_path"] for row in known.get(label, ())) for label in found.refused)
    if n_stay:
        summary.notes.append(f"series that were taken earlier and are no longer marked; their images stay: {n_stay}")
    return summary


def where(study: Study, source: str | Path, image_id: str, *, keep: str | Path, key: str | Path) -> list[Path]:
    """Return the DICOM files that an image was made of (of an export: their names below it), for those with the key."""
    study, source = Study.of(study), Path(source).resolve()
    rows = [row for row in store.rows(study, "images") if row["image_id"] == image_id]
    if not rows or not rows[0]["source_path"].startswith(_LABEL):
        raise UsageError(f"{image_id!r} is no image of {study.folder} that was made of DICOM")
    secret = _load_key(study, source, Path(key))
    cache = _cache_path(study, Path(keep), Path(key))
    for row in scan.scan(source, cache=cache, show_progress=False).series:
        if _label(row, secret) == rows[0]["source_path"]:
            files = scan.files(source, cache, {scan.key(row)})
            return [source / path for path, *_ in files[scan.key(row)]]
    raise UsageError(f"{source} does not hold the series of {image_id}; give the source that it was ingested from")


def _load_key(study: Study, source: Path, path: Path) -> Key:
    """Return the study's key; with the first one, what it is known again by is written into the study."""
    note = study.folder / _KEY_CHECK
    expected = json.loads(note.read_text(encoding="utf-8"))["key_check"] if note.is_file() else None
    key = pseudonyms.load(path, outside=(study.folder, source), expected=expected)
    if expected is None:
        durable.write_text(note, bids.to_json({"key_check": key.check}))
    return key


def _cache_path(study: Study, keep: Path, key: Path) -> Path:
    """Return where the scan keeps what it read: beside the list, where `attributes` left it, and not in the study."""
    beside = key if keep.resolve().is_relative_to(study.folder.resolve()) else keep
    return beside.absolute().with_name(f"{beside.name}.scan.jsonl")


def _look(source: Path, cache: Path, marks: selection.Marks, key: Key, workers: int, show_progress: bool) -> _Found:
    found = scan.scan(source, cache=cache, workers=workers, show_progress=show_progress)
    if not found.series:
        raise UsageError(f"{source} has no MR series. {_skipped(found)}. Give the folder of the DICOM files.")
    by_label = {_label(row, key): row for row in found.series}
    refused = {label: reason for label, row in by_label.items() if (reason := marks.refusal(row))}
    return _Found(source=source, cache=cache, scan=found, series=by_label, refused=refused)


def _label(row: dict, key: Key) -> str:
    """Return the name of a series in the study, the same wherever its files lie."""
    return _LABEL + key.mark("series", *(str(value) for value in scan.key(row)), letters=16)


def _some_columns(study: Study) -> list[dict]:
    """Return what is asked of every row of the catalogue; of 100,000 rows all columns would take seconds."""
    table = store.read(study, "images")
    return table.select([name for name in _ASKED if name in table.column_names]).to_pylist()


def _by_label(rows: Iterable[dict]) -> dict[str, list[dict]]:
    known: dict[str, list[dict]] = {}
    for row in rows:
        if row["source_path"].startswith(_LABEL):
            known.setdefault(row["source_path"], []).append(row)
    return known


def _is_todo(found: _Found, label: str, rows: list[dict] | None) -> bool:
    """Return whether a series is to be converted: it is kept, and new, newly kept, grown, or could not be read."""
    if label in found.refused:
        return False
    if rows is None:
        return True
    return any(
        (row["excluded_reason"] or "").startswith(selection.NOT_KEPT)
        or (row["error"] or "").startswith(_TRIED_AGAIN)
        or found.series[label]["n_files"] > (row.get("n_source_files") or 0)
        for row in rows
    )


def _refused_row(label: str, reason: str, found: _Found) -> dict:
    """Return the row of a series that is not kept: no text of the staff and nobody's name is in it."""
    return {**series.nobody(label), "n_source_files": found.series[label]["n_files"], "excluded_reason": reason}


def _convert(
    study: Study, found: _Found, todo: list[str], intake: series.Intake, workers: int, show_progress: bool
) -> list[dict]:
    """Return the new rows of the catalogue, which are in the table by then."""
    new: list[dict] = []
    worker = partial(series.ingest_series, intake=intake)
    with (
        scan.silence(),
        # Threads: the work is done by dcm2niix, and by zlib and numpy, which let others run.
        parallel.local_executor(workers, threads=True) as executor,
        parallel.progress("ingest", len(todo), show=show_progress) as advance,
        store.collect(study, "images", every_s=_FLUSH_EVERY_S) as table,
    ):
        for rows in _batches(found, todo, intake.scratch):
            for outcome in parallel.map_rows(worker, rows, executor, key="series"):
                label = outcome["series"]
                lost = [{**series.nobody(label), "error": outcome["error"]}]
                for row in lost if outcome["error"] else outcome["images"]:
                    new.append({**row, "n_source_files": found.series[label]["n_files"]})
                    table.append(new[-1])
                advance()
    return new


def _batches(found: _Found, todo: list[str], scratch: Path) -> Iterator[list[dict]]:
    """Yield rows with the `series` and its `files`, as many as may wait at a time; those of an export unpacked."""
    start = 0
    while start < len(todo):
        labels = todo[start : start + _BATCH_SERIES]
        files = scan.files(found.source, found.cache, {scan.key(found.series[label]) for label in labels})
        listed = {label: files.get(scan.key(found.series[label]), []) for label in labels}
        if found.source.is_dir():
            rows = {
                label: [
                    File(path=f"{found.source}/{path}", size=size, changed_ns=changed_ns)
                    for path, size, changed_ns in listed[label]
                ]
                for label in labels
            }
        else:
            labels = _first_bytes(labels, listed)
            wanted = {path for label in labels for path, *_ in listed[label]}
            unpacked = staging.extracted(found.source, wanted, scratch)
            rows = {label: [unpacked[path] for path, *_ in listed[label] if path in unpacked] for label in labels}
        yield [{"series": label, "files": rows[label]} for label in labels]
        for path in scratch.glob("*.dcm"):
            path.unlink()
        start += len(labels)


def _first_bytes(labels: list[str], listed: dict[str, list[tuple[str, int, int]]]) -> list[str]:
    """Return the first labels whose files together stay below the limit, at least one."""
    total, some = 0, []
    for label in labels:
        total += sum(size for _, size, _ in listed[label])
        if some and total > _BATCH_BYTES:
            break
        some.append(label)
    return some


def _drop_replaced(study: Study, known: dict[str, list[dict]], new: list[dict]) -> None:
    """Remove rows of series that were taken anew and have other rows now: not kept then, damaged then."""
    names = {row["image_id"] for row in new}
    gone = {row["image_id"] for label in {row["source_path"] for row in new} for row in known.get(label, ())} - names
    if gone:
        with store.changing(study, "images"):
            store.write(study, "images", (row for row in store.rows(study, "images") if row["image_id"] not in gone))


def _skipped(found: scan.Scan) -> str:
    if not found.skipped:
        return "It holds no file"
    return f"Files that are no part of an MR series: {selection.told(found.skipped)}"


def _summary(
    found: _Found, new: list[dict], catalogue: list[dict], n_refused: int, unchanged: int, seconds: float
) -> Summary:
    failed = {row["image_id"]: row["error"] for row in new if row["error"]}
    now = {row["image_id"]: row for row in catalogue}
    left_out = Counter(now[row["image_id"]]["excluded_reason"] for row in new if row["image_id"] in now)
    left_out.update(found.refused.values())
    left_out.pop(None, None)
    usable = [row for row in catalogue if row["bids_path"]]
    notes = [f"left out: {selection.told(left_out)}"] if left_out else []
    if found.scan.skipped:
        notes.append(_skipped(found.scan))
    n_unknown = sum(row["age_years"] is None and row["excluded_reason"] is None for row in usable)
    if n_unknown:
        notes.append(f"images of people whose age is not known, which stay: {n_unknown}")
    return Summary(
        stage="ingest",
        done=len(new) - len(failed) + n_refused,
        unchanged=unchanged,
        failed=failed,
        facts={
            "series": len(found.series),
            "series kept": len(found.series) - len(found.refused),
            "images": len(usable),
            "participants": len({row["participant_id"] for row in usable}),
            "excluded": sum(row["excluded_reason"] is not None for row in catalogue),
            "simulated": sum(row["simulated"] for row in catalogue),
        },
        notes=notes,
        seconds=seconds,
    )
