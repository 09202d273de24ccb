"""What happened between two snapshots: rows that were added, ratings that were superseded, and what should not be."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from qcbench.records import curated, snapshot

_LISTED = 20


@dataclass(kw_only=True)
class Difference:
    """How two snapshots differ, table by table; `faults` are differences that nothing in qcbench makes.

    Of each table `added`, `gone` and `changed` count rows; `fields` counts the changes of each column. `superseded`
    are the ratings that were current in the first and are not in the second.
    """

    tables: dict[str, dict] = field(default_factory=dict)
    superseded: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_status(self) -> int:
        """0 when all differences are of the kind that arises in use, 1 when something was altered or taken away."""
        return 1 if self.faults else 0

    def to_json(self) -> dict:
        """Return the difference as plain JSON values."""
        return {
            "tables": self.tables,
            "superseded": self.superseded,
            "faults": self.faults,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        lines = [f"records diff: {self.seconds:.1f} s"]
        for name, each in self.tables.items():
            if any(each[what] for what in ("added", "gone", "changed")):
                fields = f" ({', '.join(f'{column}: {n}' for column, n in each['fields'].items())})"
                counts = f"{each['added']} added, {each['gone']} gone, {each['changed']} changed"
                lines.append(f"  {name}: {counts}{fields if each['fields'] else ''}")
        if len(lines) == 1:
            lines.append("  no difference")
        if self.superseded:
            more = f" and {len(self.superseded) - _LISTED} more" if len(self.superseded) > _LISTED else ""
            lines.append(f"  superseded ratings: {', '.join(self.superseded[:_LISTED])}{more}")
        return "\n".join([*lines, *(f"  FAULT {fault}" for fault in self.faults)])


#: What changes in use: voxels become known of a file, its image follows, a rating is linked or superseded.
_MAY_CHANGE = {
    **{table: {"image_id"} for table, key in snapshot.KEYS.items() if key == "record_id"},
    "image_file": {"voxels_sha256", "image_id"},
    "rating": {"link", "image_id", "current"},
    **{table: {"image_id", "link", "current", *curated.CHANGING} for table in snapshot.CURATED},
}


def difference(before: Path, after: Path) -> Difference:
    """Return how two snapshots differ. Raises UsageError or TableError when one is none, or was altered."""
    began = time.perf_counter()
    found = Difference()
    first, second = snapshot.read_manifest(before), snapshot.read_manifest(after)
    if first["taken_at"] > second["taken_at"]:
        found.faults.append(f"{before} was taken after {after}; name the older one first")
    with duckdb.connect() as connection:
        for name in _in_both(first["tables"], second["tables"], found):
            key = snapshot.KEYS[name]
            for side, folder in (("a", before), ("b", after)):
                connection.read_parquet(str(folder / f"{name}.parquet")).create_view(side, replace=True)
            found.tables[name] = counted = _count(connection, key)
            _judge(found, name, counted)
            if name == "rating":
                found.superseded = _superseded(connection)
            elif name == "audit":
                _follow(connection, first["audit_head"], found)
    found.seconds = time.perf_counter() - began
    return found


def _in_both(first: Collection[str], second: Collection[str], found: Difference) -> list[str]:
    """Return the tables to compare: repairs are only where they were asked for, decisions in no old snapshot."""
    gone = [name for name in first if name not in second and name not in snapshot.CURATED]
    found.faults += (f"{name}: the second snapshot does not have it" for name in gone)
    return [name for name in snapshot.KEYS if name in first and name in second]


def _count(connection: duckdb.DuckDBPyConnection, key: str) -> dict:
    def one(query: str) -> tuple:
        [row] = connection.execute(query).fetchall()
        return row

    of_a, of_b = ([row[0] for row in connection.execute(f"DESCRIBE {side}").fetchall()] for side in ("a", "b"))
    # A column that one of them does not have yet is no change of a row.
    shared = [name for name in of_a if name in of_b and name != key]
    # The names are those of columns of our own tables.
    differs = [f'a."{name}" IS DISTINCT FROM b."{name}"' for name in shared]
    counts = ", ".join(f"count(*) FILTER (WHERE {each})" for each in differs)
    joined = f'FROM a JOIN b ON a."{key}" = b."{key}"'
    both, changed, *by_field = one(
        f"SELECT count(*), count(*) FILTER (WHERE {' OR '.join(differs)}), {counts} {joined}"
    )
    [n_a], [n_b] = one("SELECT count(*) FROM a"), one("SELECT count(*) FROM b")
    fields = {name: n for name, n in zip(shared, by_field, strict=True) if n}
    return {"added": n_b - both, "gone": n_a - both, "changed": changed, "fields": fields}


def _judge(found: Difference, name: str, counted: dict) -> None:
    if counted["gone"]:
        found.faults.append(f"{name}: {counted['gone']} rows are gone; no row is ever taken away")
    altered = sorted(set(counted["fields"]) - _MAY_CHANGE.get(name, set()))
    if altered:
        found.faults.append(f"{name}: {', '.join(altered)} of rows that never change was altered")


def _superseded(connection: duckdb.DuckDBPyConnection) -> list[str]:
    query = "SELECT rating_id FROM a JOIN b USING (rating_id) WHERE a.current AND NOT b.current ORDER BY rating_id"
    return [row[0] for row in connection.execute(query).fetchall()]


def _follow(connection: duckdb.DuckDBPyConnection, head: dict, found: Difference) -> None:
    """The second must go on from where the audit log of the first ended, or it is of another database."""
    if head["sequence"] is None:
        return
    entries = connection.execute("SELECT sha256 FROM b WHERE sequence = ?", [head["sequence"]]).fetchall()
    if entries != [(head["sha256"],)]:
        found.faults.append("the audit log of the second does not go on from the first: another database, or altered")
