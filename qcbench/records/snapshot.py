"""All tables of the records at one moment, as Parquet: a folder that nobody changes any more, and that says so itself.

``manifest.json`` is written last and holds the hash of each file, so a folder without one is no snapshot, and
whether one was altered can be seen. It also holds where the audit log stood, which ties it to its database.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

import qcbench
from qcbench import durable
from qcbench.errors import TableError, UsageError
from qcbench.records import audit, curated, exports, linked, schema
from qcbench.records.database import Database, now
from qcbench.summary import Summary

MANIFEST = "manifest.json"
_FORMAT = 1
_ROWS_A_PART = 5_000

#: What names a row of each table.
KEYS = {
    **dict.fromkeys((table.name for table in schema.TYPED.values()), "record_id"),
    "raw_record": "record_id",
    "image_file": "file_md5",
    "rating": "rating_id",
    "flag": "sequence",
    "decision": "sequence",
    "audit": "sequence",
    **dict.fromkeys((f"{table.name}_curated" for table in schema.TYPED.values()), "record_id"),
    "rating_curated": "rating_id",
}
#: Those with accepted repairs in place, which follow from the others: in a snapshot only where they are asked for.
CURATED = tuple(name for name in KEYS if name.endswith("_curated"))


def selects() -> dict[str, sa.Select]:
    """Return the query of each table of a snapshot. Clients are named, and their tokens stay in the database."""
    client = sa.select(schema.CLIENT.c.name)
    raw, flag, log = schema.RAW_RECORD, schema.FLAG, schema.AUDIT
    sender = client.where(schema.CLIENT.c.client_id == raw.c.client_id).scalar_subquery().label("client")
    return {
        **{table.name: linked.select_records(modality) for modality, table in schema.TYPED.items()},
        "rating": linked.select_ratings(),
        "flag": sa.select(flag).order_by(flag.c.sequence),
        "image_file": sa.select(schema.IMAGE_FILE).order_by(schema.IMAGE_FILE.c.file_md5),
        "raw_record": sa.select(raw.c.record_id, raw.c.modality, raw.c.payload, raw.c.received_at, sender),
        "decision": sa.select(schema.DECISION).order_by(schema.DECISION.c.sequence),
        "audit": sa.select(log).order_by(log.c.sequence),
        **{f"{table.name}_curated": curated.select_records(modality) for modality, table in schema.TYPED.items()},
        "rating_curated": curated.select_ratings(),
    }


def take(database: Database, folder: Path, *, with_curated: bool = False) -> Summary:
    """Write a snapshot into a folder that is new or empty; `with_curated`, also the tables with accepted repairs.

    Raises UsageError when something lies there.
    """
    began = time.perf_counter()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already and not empty; name a new folder: a snapshot is never overwritten")
    durable.make_folder(folder)
    tables = {}
    with database.reading(one_state=True) as connection:
        taken_at, head, revision = now(), audit.head(connection), _revision(connection)
        for name, query in selects().items():
            if name in CURATED and not with_curated:
                continue
            path = folder / f"{name}.parquet"
            n_rows = _write(path, query, connection)
            tables[name] = {"rows": n_rows, "bytes": path.stat().st_size, "sha256": _sha256(path)}
    manifest = {
        "format": _FORMAT,
        "taken_at": taken_at,
        "qcbench": qcbench.__version__,
        "schema_revision": revision,
        "audit_head": head,
        "tables": tables,
    }
    durable.write_text(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    counts = {name: each["rows"] for name, each in tables.items()}
    return Summary(
        stage="records snapshot",
        done=len(tables),
        facts={"folder": str(folder), "rows": counts, "audit_head": head["sha256"]},
        seconds=time.perf_counter() - began,
    )


def read_manifest(folder: Path) -> dict:
    """Return the manifest of a snapshot, each of whose files has the hash that stands there.

    Raises UsageError when the folder is no snapshot, TableError when a file was altered.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        tables = {str(name): each["sha256"] for name, each in manifest["tables"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{folder} is no whole snapshot: it has no {MANIFEST} that can be read. Take one with: "
            "qcbench records snapshot STUDY OUT"
        ) from None
    if manifest.get("format") != _FORMAT or not set(tables) <= set(KEYS):
        raise UsageError(f"{folder} was written by another version of qcbench ({manifest.get('qcbench')})")
    for name, sha256 in tables.items():
        path = folder / f"{name}.parquet"
        if not path.is_file() or _sha256(path) != sha256:
            raise TableError(f"{path} is not the file that the snapshot was made with; restore it from a backup")
    return manifest


def read_tables(database: Database, names: Collection[str]) -> dict[str, pa.Table]:
    """Return tables as they are now, all of one moment."""
    with database.reading(one_state=True) as connection:
        return {name: pa.Table.from_batches(*_batches(selects()[name], connection)) for name in names}


def _write(path: Path, query: sa.Select, connection: sa.Connection) -> int:
    batches, form = _batches(query, connection)
    n_rows = 0
    with path.open("xb") as file:
        with pq.ParquetWriter(file, form, compression="zstd", write_page_checksum=True) as writer:
            for batch in batches:
                writer.write_batch(batch)
                n_rows += batch.num_rows
        file.flush()
        os.fsync(file.fileno())
    return n_rows


def _batches(query: sa.Select, connection: sa.Connection) -> tuple[Iterator[pa.RecordBatch], pa.Schema]:
    form = exports.arrow_schema(query.selected_columns)

    def batches() -> Iterator[pa.RecordBatch]:
        # A table of a million rows does not fit into memory as rows of Python.
        with connection.execution_options(yield_per=_ROWS_A_PART).execute(query) as found:
            for part in found.partitions():
                columns = zip(*part, strict=True)
                arrays = [pa.array(column, type=field.type) for column, field in zip(columns, form, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=form)

    return batches(), form


def _revision(connection: sa.Connection) -> str:
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
