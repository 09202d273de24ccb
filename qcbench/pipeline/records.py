"""Image quality metrics and ratings in a database, behind a REST API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qcbench.pipeline.extras import StudyLike, extra
from qcbench.study import Study
from qcbench.summary import Summary

if TYPE_CHECKING:
    from qcbench.records.comparison import Difference
    from qcbench.records.curate import Proposals
    from qcbench.records.sql import Answer


def records_token(study: StudyLike, *, client: str, scope: str = "read") -> str:
    """Make a token for a client of the records API; it is shown this once."""
    with extra("records"):
        from qcbench.records import database, tokens
    opened = database.open_database(Study.of(study))
    try:
        return tokens.mint(opened, client=client, scope=scope)
    finally:
        opened.close()


def records_revoke(study: StudyLike, *, client: str) -> int:
    """End every token of a client at once; return how many were in force."""
    with extra("records"):
        from qcbench.records import database, tokens
    opened = database.open_database(Study.of(study))
    try:
        return tokens.revoke(opened, client=client)
    finally:
        opened.close()


def records_serve(
    study: StudyLike,
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    open_reads: bool = False,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the records API until it is interrupted. Refuses to start while there is no token."""
    with extra("records"):
        from qcbench.records import serve as room
    room.serve(Study.of(study), port=port or 0, host=host, open_reads=open_reads, on_ready=on_ready)


def records_import(study: StudyLike, source: str | Path) -> Summary:
    """Store the records of MRIQC that lie in files."""
    with extra("records"):
        from qcbench.records import database, importing
        from qcbench.records.serve import pseudonyms_of
    study = Study.of(study)
    opened = database.open_database(study)
    try:
        return importing.import_records(opened, pseudonyms_of(study), Path(source))
    finally:
        opened.close()


def records_push(study: StudyLike, *, to: str, token: str) -> Summary:
    """Send the study's ratings (protocol mriqc) and its metrics to a records server, which stores each once."""
    from qcbench.records.client import Client
    from qcbench.records.push import push

    return push(Study.of(study), Client(to, token))


def records_proposals(study: StudyLike) -> Proposals:
    """Return the repairs that flags propose, in groups, with how many wait for a decision."""
    with extra("records"):
        from qcbench.records import curate, database
    opened = database.open_database(Study.of(study))
    try:
        with opened.reading() as connection:
            return curate.proposals(connection)
    finally:
        opened.close()


def records_decide(
    study: StudyLike,
    verdict: str,
    group: str,
    *,
    why: str = "",
    by: str | None = None,
    item: str | None = None,
    scanner: str | None = None,
) -> Summary:
    """Have what waits in a group of proposals accepted or refused, or what was decided reopened.

    With `item` or `scanner` only that record's or that scanner's; `by` is the Unix account where nobody is named.
    """
    with extra("records"):
        from qcbench.records import curate, database
    opened = database.open_database(Study.of(study))
    try:
        with opened.writing() as connection:
            return curate.decide(
                connection, verdict, group, by=by or curate.account(), why=why, item=item, scanner=scanner
            )
    finally:
        opened.close()


def records_page(study: StudyLike, *, port: int | None = None, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve the page of who looks after the records through voila on loopback until it is interrupted."""
    with extra("label"):
        from qcbench.widgets import serve
    serve.serve(Study.of(study), port=port, notebook="07_records.ipynb", on_ready=on_ready)


def records_snapshot(study: StudyLike, folder: str | Path, *, with_curated: bool = False) -> Summary:
    """Write all tables of the records at one moment into a new folder, as Parquet with a manifest.

    `with_curated` adds the tables with accepted repairs in place.
    """
    with extra("records"):
        from qcbench.records import database, snapshot
    opened = database.open_database(Study.of(study))
    try:
        return snapshot.take(opened, Path(folder), with_curated=with_curated)
    finally:
        opened.close()


def records_diff(before: str | Path, after: str | Path) -> Difference:
    """Return what was added, superseded and changed from one snapshot to another."""
    with extra("records"):
        from qcbench.records.comparison import difference
    return difference(Path(before), Path(after))


def records_query(study: StudyLike, question: str, *, snapshot: str | Path | None = None) -> Answer:
    """Return the answer to a SELECT over the study's records as they are now, or over a snapshot of any."""
    with extra("records"):
        from qcbench.records import database, sql
    if snapshot is not None:
        return sql.ask_snapshot(Path(snapshot), question)
    opened = database.open_database(Study.of(study))
    try:
        return sql.ask_database(opened, question)
    finally:
        opened.close()
