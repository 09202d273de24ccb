"""The only reader and writer of parquet tables.

Tables are written whole, durably and with page checksums (without them a flipped bit is read
back as a wrong number); label events are segments of a log that is only ever appended to.
Needs pyarrow alone, so that a labelling kernel stays small; `frame` imports pandas.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import json as arrow_json

from qcbench import durable, schema, seals
from qcbench.errors import StudyError, TableError
from qcbench.protocol import Protocol
from qcbench.study import Study

if TYPE_CHECKING:
    import pandas as pd

_ARROW = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "list<string>": pa.list_(pa.string()),
}
Row = Mapping[str, object]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read(study: Study, name: str) -> pa.Table:
    """Return a table of the study; an empty one with its columns when it was not written yet.

    Raises TableError when the file is damaged or lacks a column.
    """
    table = _schema(name)
    path = study.table_path(name)
    if not path.exists():
        return pa.table({column.name: pa.nulls(0, _ARROW[column.dtype]) for column in table.columns})
    return _read_file(path, table)


def rows(study: Study, name: str) -> list[dict]:
    """Return a table as a list of rows."""
    return read(study, name).to_pylist()


def frame(study: Study, name: str) -> pd.DataFrame:
    """Return a table as a pandas DataFrame with nullable dtypes; ``labels`` is folded first."""
    import pandas as pd

    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.string(): pd.StringDtype()}
    table = _to_arrow(labels(study), schema.LABELS, study.folder) if name == "labels" else read(study, name)
    return table.to_pandas(types_mapper=nullable.get)


def require(study: Study, name: str, made_by: str) -> list[dict]:
    """Return the rows of a table that an earlier stage makes; raise StudyError when it is empty."""
    found = rows(study, name)
    if not found:
        raise StudyError(f"{study.folder} has no {name} yet. Run first: qcbench {made_by} {study.folder}")
    return found


def write(study: Study, name: str, new: Iterable[Row]) -> None:
    """Write a table whole, its rows in the order of its key. Same rows, same bytes.

    Raises TableError when a row lacks a required value, breaks a vocabulary or repeats a key.
    """
    table = _schema(name)
    ordered = sorted((dict(row) for row in new), key=lambda row: _sort_key(row, table))
    path = study.table_path(name)
    _refuse_bad_rows(ordered, table, path)
    durable.write_bytes(path, _to_bytes(_to_arrow(ordered, table, path)))


def upsert(study: Study, name: str, new: Iterable[Row]) -> None:
    """Add rows to a table; a row with the key of an old one takes its place. Two at once lose nothing.

    Old rows never become Python objects: a table of a million costs seconds, not minutes.
    """
    table, path = _schema(name), study.table_path(name)
    latest = {_key(row, table): dict(row) for row in new}
    _refuse_bad_rows(list(latest.values()), table, path)
    added = _to_arrow(list(latest.values()), table, path)
    with changing(study, name):
        durable.write_bytes(path, _to_bytes(_merged(read(study, name), added, table)))


def changing(study: Study, name: str) -> AbstractContextManager[None]:
    """Keep others from changing a table between a `rows` and the `write` that rests on it; `upsert` does so itself."""
    return durable.locked(study.table_path(name))


@contextmanager
def collect(study: Study, name: str, *, every_s: float = 15.0) -> Iterator[list[dict]]:
    """Yield a list whose rows reach the table now and then and at the end.

    A batch that is killed loses the rows of at most the last `every_s` seconds, or of ten times what
    writing the table takes; `append` to the list is all the caller does.
    """
    pending = _Collected(study, name, every_s)
    try:
        yield pending
    finally:
        pending.flush()


class _Collected(list):
    def __init__(self, study: Study, name: str, every_s: float) -> None:
        super().__init__()
        self._study, self._name, self._every_s = study, name, every_s
        self._flushed_at = time.monotonic()

    def append(self, row: Row) -> None:
        super().append(dict(row))
        if time.monotonic() - self._flushed_at > self._every_s:
            self.flush()

    def flush(self) -> None:
        started = time.monotonic()
        if self:
            upsert(self._study, self._name, self)
            self.clear()
        self._flushed_at = time.monotonic()
        # A table of millions takes seconds to write: at most a tenth of the time goes into it.
        self._every_s = max(self._every_s, 10 * (self._flushed_at - started))


class SegmentLog:
    """A log of events in parquet segments: one folder a session, one writer a folder.

    `append` returns once the row is on the disk. A segment takes 256 rows, is then sealed
    (`seals`) and never written again. Without locks and without appending to a file, so that it
    is safe on NFS.
    """

    ROWS_A_SEGMENT = 256

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = Path(folder)
        self._table = _schema(name)
        # Never into a segment that stands there already, whoever wrote it.
        self._number = 1 + max((int(path.stem[4:]) for path in self.folder.glob("seg-*.parquet")), default=-1)
        self._rows: list[dict] = []
        self._full: bytes | None = None  # a whole segment without its seal

    def append(self, row: Row) -> None:
        """Add one event durably. Raises OSError (nothing was added) or TableError."""
        self.extend([row])

    def extend(self, new: Iterable[Row]) -> None:
        """Add events durably, a segment at a time. Raises OSError or TableError."""
        waiting = [dict(row) for row in new]
        while waiting:
            if len(self._rows) >= self.ROWS_A_SEGMENT:
                self._seal()
                self._number, self._rows = self._number + 1, []
            room = self.ROWS_A_SEGMENT - len(self._rows)
            extended, waiting = [*self._rows, *waiting[:room]], waiting[room:]
            _refuse_bad_rows(extended, self._table, self._path)
            content = _to_bytes(_events_to_arrow(extended, self._table, self._path))
            durable.write_bytes(self._path, content)
            self._rows = extended
            if len(extended) == self.ROWS_A_SEGMENT:
                self._full = content
                with suppress(OSError):  # the rows are safe; the seal is tried again before the next segment
                    self._seal()

    @property
    def _path(self) -> Path:
        return self.folder / f"seg-{self._number:06d}.parquet"

    def _seal(self) -> None:
        if self._full is not None:
            seals.seal(self._path, self._full)
            self._full = None


def read_log(folder: Path, name: str) -> tuple[list[dict], list[str]]:
    """Return the events below a folder, oldest session first, and what could not be read.

    A damaged segment is named and left out; the others still count. So is what was changed or
    removed since it was sealed. An event that was written twice (the browser sent it again) is
    returned once.
    """
    table = _schema(name)
    events: dict[object, dict] = {}
    paths = sorted(folder.rglob("seg-*.parquet"))
    n_rows: dict[Path, int] = {}
    damaged = [
        words for session in sorted({path.parent for path in folder.rglob("seg-*")}) for words in seals.broken(session)
    ]
    for path in paths:
        try:
            found = _read_file(path, table).to_pylist()
        except TableError as error:
            damaged.append(str(error))
            continue
        n_rows[path] = len(found)
        for row in found:
            events.setdefault(row["event_id"], row)
    damaged += seals.missing(paths, {path for path, n in n_rows.items() if n < SegmentLog.ROWS_A_SEGMENT})
    return list(events.values()), damaged


def label_events(study: Study, rater: str) -> list[dict]:
    """Return one rater's label events. Raises TableError when a segment is damaged.

    Whoever folds labels must know all of them: an older grade must not come back because the
    newer one could not be read.
    """
    events, damaged = read_log(study.label_folder(rater), "label_events")
    if damaged:
        raise TableError(
            f"{'; '.join(damaged)}. Restore it from a backup. To go on without it, move the segment out of labels/ "
            f"and let its seal end in {seals.LOST} (an empty file of that name, where it had none)."
        )
    return events


def labels(study: Study, raters: Iterable[str] | None = None, *, purpose: str = "label") -> list[dict]:
    """Return the current label of each image and rater, folded from the events; of all raters by default.

    The current one is the last of the longest chain of `supersedes`; two tabs may end two chains
    of one length, then the later `saved_at` counts, then the event id: the same for every reader.
    """
    folded = []
    for rater in study.all_raters if raters is None else raters:
        folded += fold(label_events(study, rater), study, purpose=purpose)
    return sorted(folded, key=lambda row: (row["image_id"], row["rater"]))


def fold(events: Iterable[dict], study: Study, *, purpose: str = "label") -> list[dict]:
    """Return the label that counts for each image, of all events of one rater.

    What was noted under another protocol, or another version of it, may mean something else and
    is not read; the image waits for a label again.
    """
    by_image: dict[str, list[dict]] = {}
    for event in events:
        if event["purpose"] == purpose and is_of_protocol(event, study.protocol):
            by_image.setdefault(event["image_id"], []).append(event)
    return [_current(versions, study) for versions in by_image.values()]


def is_of_protocol(event: Row, protocol: Protocol) -> bool:
    """Return whether an event was noted under this protocol, in this version."""
    return event["protocol"] == protocol.name and event.get("protocol_version") in (None, protocol.version)


def stale_consensus(study: Study) -> set[str]:
    """Return the images whose consensus rests on labels that were revised since, or that others have joined.

    Whoever trains or reports on a consensus asks this first; `qcbench consensus` brings it up to date.
    """
    current: dict[str, set[str]] = {}
    for label in labels(study, study.consensus_raters):
        current.setdefault(label["image_id"], set()).add(label["event_id"])
    return {
        row["image_id"]
        for row in rows(study, "consensus")
        if row["stale"] or current.get(row["image_id"], set(row["label_event_ids"])) != set(row["label_event_ids"])
    }


def _current(versions: list[dict], study: Study) -> dict:
    by_id = {event["event_id"]: event for event in versions}

    def chain_length(event: dict) -> int:
        seen = set()
        while event is not None and event["event_id"] not in seen:
            seen.add(event["event_id"])
            event = by_id.get(event["supersedes"])
        return len(seen)

    latest = max(versions, key=lambda event: (chain_length(event), event["saved_at"], event["event_id"]))
    label = {name: latest[name] for name in schema.LABELS.column_names if name in latest}
    answers = {**latest, **json.loads(latest.get("answers") or "{}")}  # criteria without a column of their own
    return {**label, "tier": study.protocol.tier(answers), "n_revisions": len(versions) - 1}


def _schema(name: str) -> schema.TableSchema:
    if name not in schema.TABLES:
        raise TableError(f"there is no table {name!r}; there are {', '.join(schema.TABLES)}")
    return schema.TABLES[name]


def _key(row: Row, table: schema.TableSchema) -> tuple:
    return tuple(row.get(name) for name in table.key)


def _sort_key(row: Row, table: schema.TableSchema) -> tuple:
    return tuple((value is not None, value) for value in _key(row, table))


def _refuse_bad_rows(new: list[dict], table: schema.TableSchema, path: Path) -> None:
    seen = set()
    for row in new:
        key = _key(row, table)
        if key in seen:
            raise TableError(f"{path}: two rows with {dict(zip(table.key, key, strict=True))}; a key names one row")
        seen.add(key)
        for column in table.columns:
            value = row.get(column.name)
            if value is None and column.required:
                raise TableError(f"{path}: {column.name} is missing in row {key}")
            if value is not None and column.choices and value not in column.choices:
                raise TableError(f"{path}: {column.name} must be one of {column.choices}, got {value!r} in row {key}")


def _to_arrow(new: list[dict], table: schema.TableSchema, path: Path) -> pa.Table:
    """Return the rows as arrow: the schema's columns first, then what else the rows carry."""
    fields = {column.name: _ARROW[column.dtype] for column in table.columns}
    extra = sorted({name for row in new for name in row} - set(fields))
    try:
        arrays = {name: pa.array([row.get(name) for row in new], type=dtype) for name, dtype in fields.items()}
        arrays.update({name: pa.array([row.get(name) for row in new]) for name in extra})
    except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
        raise TableError(f"{path}: a value has the wrong type: {error}") from error
    return pa.table(arrays)


def _merged(old: pa.Table, added: pa.Table, table: schema.TableSchema) -> pa.Table:
    """Return both as `write` would have it: a row a key, the added one where there are two, in the order of the key."""
    import pyarrow.compute as pc  # a labelling kernel only appends events

    both = pa.concat_tables([old, added], promote_options="permissive")
    extra = sorted(set(both.column_names) - set(table.column_names))
    both = both.select([*table.column_names, *extra])
    position = "_position"
    numbered = both.select(list(table.key)).append_column(position, pa.array(range(len(both)), pa.int64()))
    last = numbered.group_by(list(table.key)).aggregate([(position, "max")])
    for name in table.key:  # nulls first, as `_sort_key` has them
        last = last.append_column(f"{name} is there", pc.is_valid(last[name]))
    order = pc.sort_indices(last, [(key, "ascending") for name in table.key for key in (f"{name} is there", name)])
    return both.take(last[f"{position}_max"].take(order)).combine_chunks()


def _events_to_arrow(new: list[dict], table: schema.TableSchema, path: Path) -> pa.Table:
    """Return a few events as arrow, without the pandas that `pyarrow.array` imports where it is installed.

    A labelling kernel writes events and needs nothing else of either: 36 MB for each rater. Events
    go through JSON, whose reader is arrow's own; what JSON cannot hold goes the usual way.
    """
    names = {column.name for column in table.columns}
    if any(row.keys() - names for row in new):
        return _to_arrow(new, table, path)
    moments = {column.name for column in table.columns if column.dtype == "timestamp"}
    fields = [(column.name, pa.int64() if column.name in moments else _ARROW[column.dtype]) for column in table.columns]
    try:
        lines = [json.dumps({name: _as_json(row.get(name)) for name in names}, allow_nan=False) for row in new]
        content = "\n".join(lines).encode()
        found = arrow_json.read_json(
            pa.BufferReader(content),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(content) + 1),
            parse_options=arrow_json.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="error"),
        )
    except (ValueError, TypeError):
        return _to_arrow(new, table, path)
    for name in moments:
        place = found.column_names.index(name)
        found = found.set_column(place, name, found.column(name).cast(_ARROW["timestamp"]))
    return found.select([name for name, _ in fields])


def _as_json(value: object) -> object:
    """Return microseconds since 1970 for a moment, and anything else as it is."""
    if not isinstance(value, datetime):
        return value
    since = value.astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _to_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue().to_pybytes()


def _read_file(path: Path, table: schema.TableSchema) -> pa.Table:
    try:
        found = pq.ParquetFile(path, page_checksum_verification=True).read()
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read: {error}") from error
    for column in table.columns:
        if column.name not in found.column_names:
            raise TableError(
                f"{path} lacks the column {column.name!r} of the table {table.name}: another version of qcbench "
                "wrote it. Move it away and run its stage again"
            )
        # Checksums guard the pages and not the footer, where a flipped bit makes one type of another.
        if (came := found.schema.field(column.name).type) != _ARROW[column.dtype]:
            raise TableError(f"{path}: {column.name} must be {_ARROW[column.dtype]}, got {came}; the file is damaged")
    return found
