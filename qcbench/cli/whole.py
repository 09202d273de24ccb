"""What concerns a study as a whole: making one, trying everything on an invented one, finding out what works."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from qcbench import pipeline
from qcbench.cli.arguments import Json, StudyArgument, finish
from qcbench.summary import Summary

app = typer.Typer()


@app.command()
def init(
    study: StudyArgument,
    raters: Annotated[str, typer.Option(help="their names, e.g. alice,bob")],
    protocol: Annotated[
        str, typer.Option(help="t1w-warehouse, t1w-warehouse-fr, mriqc, or a TOML file")
    ] = "t1w-warehouse",
) -> None:
    """Make a study folder."""
    made = pipeline.init(study, raters=raters.split(","), protocol=protocol)
    print(f"{made.folder} is ready for {', '.join(made.raters)}. Next: qcbench ingest {study} SOURCE")


@app.command()
def demo(
    study: StudyArgument,
    images: Annotated[Path | None, typer.Option(help="a folder of real T1w NIfTI files to start from")] = None,
    as_json: Json = False,
) -> None:
    """Build a small warehouse, run every stage on it and write the report.

    Raters sim-1 and sim-2 are simulated; alice and bob are for you to try.
    """
    named: list[tuple[str, Summary]] = []

    def on_stage(name: str, summary: Summary) -> None:
        named.append((name, summary))
        print(f"{name}: {summary.done} done, {summary.unchanged} unchanged, {summary.seconds:.1f} s", file=sys.stderr)

    pipeline.demo(study, images=images, on_stage=on_stage)
    planted = pipeline.planted_faults(study)
    unexpected = {image: why for _, summary in named for image, why in summary.failed.items() if image not in planted}
    if as_json:
        print(json.dumps({"stages": [summary.to_json() for _, summary in named], "unexpected": unexpected}, indent=2))
    else:
        _print_stages(named, planted, study)
    sys.exit(1 if unexpected else 0)


def _print_stages(named: list[tuple[str, Summary]], planted: set[str], study: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Simulated images, simulated raters: the numbers say nothing about real scans")
    for column in ("stage", "done", "unchanged", "failed", "seconds"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for name, summary in named:
        counts = (summary.done, summary.unchanged, len(summary.failed))
        table.add_row(name, *map(str, counts), f"{summary.seconds:.1f}")
    table.add_row("in all", "", "", "", f"{sum(summary.seconds for _, summary in named):.1f}")
    Console().print(table)
    for _, summary in named:
        for image, reason in sorted(summary.failed.items()):
            print(f"FAILED {'(planted) ' if image in planted else ''}{image}: {reason}")
    print(f"The report:   {study / 'reports' / 'report.html'}")
    print(f"The labeller: qcbench label {study} --rater alice")


@app.command()
def doctor(
    study: Annotated[Path | None, typer.Argument(metavar="[STUDY]", help="the study folder")] = None,
    as_json: Json = False,
) -> None:
    """Say what works here and what to do about the rest; exit status 1 when there is a problem."""
    finish(pipeline.doctor(study), as_json)
