"""The records database and its API: records token, revoke, serve, import, push, curate, page, snapshot, diff, query."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from qcbench import pipeline
from qcbench.cli.arguments import Json, Port, StudyArgument, end_with_sigterm, finish, print_address
from qcbench.errors import UsageError

app = typer.Typer()
records = typer.Typer(
    help="Image quality metrics and ratings in one database, behind a REST API.", no_args_is_help=True
)
app.add_typer(records, name="records")

Client = Annotated[str, typer.Option(help="who uses it, e.g. mriqc; in the audit log")]


def _print_address(address: str) -> None:
    print(address, flush=True)
    print(f"What it answers to is described at {address}/docs. Ctrl-C ends the server.", file=sys.stderr)


@records.command()
def token(
    study: StudyArgument,
    client: Client,
    scope: Annotated[str, typer.Option(help="read, rate, write or admin; each includes those before it")] = "read",
) -> None:
    """Make a token for a client and print it: this once, since only its hash is kept."""
    print(pipeline.records_token(study, client=client, scope=scope))


@records.command()
def revoke(study: StudyArgument, client: Client) -> None:
    """End every token of a client at once."""
    print(f"{pipeline.records_revoke(study, client=client)} tokens of {client} ended")


@records.command()
def serve(
    study: StudyArgument,
    port: Port = None,
    host: Annotated[str, typer.Option(help="the address to listen at; others than this machine need TLS in front")] = (
        "127.0.0.1"
    ),
    open_reads: Annotated[bool, typer.Option("--open-reads", help="whoever reaches the port may read")] = False,
) -> None:
    """Serve the API; the first line is its address. Ctrl-C ends it."""
    end_with_sigterm()
    pipeline.records_serve(study, port=port, host=host, open_reads=open_reads, on_ready=_print_address)


@records.command("import")
def import_(
    study: StudyArgument,
    source: Annotated[Path, typer.Argument(help="JSON of MRIQC, a CSV dumped from its Web-API, or a folder of them")],
    as_json: Json = False,
) -> None:
    """Store records that lie in files; what is implausible is flagged, what is impossible is listed."""
    finish(pipeline.records_import(study, source), as_json)


@records.command()
def push(
    study: StudyArgument,
    to: Annotated[str, typer.Option(metavar="ADDRESS", help="of the records server, e.g. https://qc.hospital.local")],
    token_file: Annotated[Path, typer.Option(help="a file with a token of scope write, readable by you alone")],
    as_json: Json = False,
) -> None:
    """Send the ratings of a study with the protocol mriqc, and its metrics; run it again as often as you like."""
    finish(pipeline.records_push(study, to=to, token=_token_in(token_file)), as_json)


def _token_in(file: Path) -> str:
    lines = file.read_text().split()
    if len(lines) != 1:
        raise UsageError(f"{file} must hold one token and nothing else, as records token prints it")
    return lines[0]


@records.command()
def curate(
    study: StudyArgument,
    list_: Annotated[bool, typer.Option("--list", help="the proposed repairs in groups: the default")] = False,
    accept: Annotated[str | None, typer.Option(metavar="GROUP", help="all that wait in it are right")] = None,
    refuse: Annotated[str | None, typer.Option(metavar="GROUP", help="the values were right as they came")] = None,
    reopen: Annotated[str | None, typer.Option(metavar="GROUP", help="what was decided waits again")] = None,
    why: Annotated[str, typer.Option(metavar="WORDS", help="the reason, kept with the decision")] = "",
    record: Annotated[str | None, typer.Option(metavar="ID", help="this record or rating of the group alone")] = None,
    scanner: Annotated[str | None, typer.Option(metavar="NAME", help="one scanner alone, as the list has it")] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="who decides; the Unix account if not given")] = None,
    as_json: Json = False,
) -> None:
    """List the repairs that flags propose, or decide on a group of them; no record is ever changed."""
    asked = {"accepted": accept, "refused": refuse, "reopened": reopen}
    given = [(verdict, group) for verdict, group in asked.items() if group is not None]
    if len(given) > 1 or (given and list_):
        raise UsageError("one of --list, --accept, --refuse and --reopen is expected at a time")
    if not given:
        finish(pipeline.records_proposals(study), as_json)
        return
    [(verdict, group)] = given
    finish(pipeline.records_decide(study, verdict, group, why=why, by=by, item=record, scanner=scanner), as_json)


@records.command()
def page(study: StudyArgument, port: Port = None) -> None:
    """Serve a page: counts, flags, proposed repairs to decide on, the audit log. Its first line is the address."""
    end_with_sigterm()
    pipeline.records_page(study, port=port, on_ready=print_address)


@records.command()
def snapshot(
    study: StudyArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="a folder that is new or empty")],
    curated: Annotated[
        bool, typer.Option("--curated", help="also tables with accepted repairs in place, t1w_curated and so on")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write all tables of one moment as Parquet, with a manifest of hashes."""
    finish(pipeline.records_snapshot(study, out, with_curated=curated), as_json)


@records.command()
def diff(
    before: Annotated[Path, typer.Argument(metavar="A", help="the older snapshot")],
    after: Annotated[Path, typer.Argument(metavar="B", help="the newer one")],
    as_json: Json = False,
) -> None:
    """Say what was added, superseded and changed from one snapshot to another; exit 1 when rows were altered."""
    finish(pipeline.records_diff(before, after), as_json)


@records.command()
def query(
    study: StudyArgument,
    question: Annotated[
        str, typer.Argument(metavar="SELECT", help='e.g. "SELECT software, count(*) FROM t1w GROUP BY 1"')
    ],
    snapshot: Annotated[
        Path | None, typer.Option(help="ask this snapshot instead of the tables as they are now")
    ] = None,
    as_json: Json = False,
) -> None:
    """Answer a SELECT over the tables t1w, t2w, bold, rating, flag, decision, image_file, raw_record, audit.

    Those with accepted repairs in place are t1w_curated, t2w_curated, bold_curated and rating_curated.
    """
    finish(pipeline.records_query(study, question, snapshot=snapshot), as_json)
