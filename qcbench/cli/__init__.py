"""Arguments in, pipeline called, summary out: the only rooms that print and exit.

What was asked for goes to standard output, everything else to standard error. Exit status: 0
done, 1 some images failed (they are listed), 2 bad use.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import qcbench
from qcbench.cli import intake, labelling, measuring, modelling, records, whole
from qcbench.errors import QcbenchError

app = typer.Typer(
    help="Quality control of brain MRI inside a hospital data warehouse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for room in (whole, intake, labelling, modelling, measuring, records):
    app.add_typer(room.app)


def main() -> None:
    """Run the command line; no traceback for an error that qcbench raises on purpose."""
    try:
        app()
    except (QcbenchError, OSError) as error:
        print(f"qcbench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("qcbench: interrupted; run the same command again to go on", file=sys.stderr)
        sys.exit(130)


def _version(wanted: bool) -> None:
    if wanted:
        print(qcbench.__version__)
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print it")] = False,
) -> None:
    """Quality control of brain MRI inside a hospital data warehouse."""
