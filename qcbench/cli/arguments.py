"""Options that several verbs share, and how a verb ends."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Protocol

import typer


class Outcome(Protocol):
    """What a verb did: prints itself, and knows its exit status."""

    @property
    def exit_status(self) -> int:
        """0 done, 1 something failed or was found."""

    def to_json(self) -> dict:
        """Return it for other programs."""


StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="the study folder")]
Json = Annotated[bool, typer.Option("--json", help="print a machine-readable summary")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="default: a free one")]
Spacing = Annotated[int, typer.Option(help="voxel size in mm that networks see: 1, 2 or 4")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
Task = Annotated[str, typer.Option(help="sr, gadolinium, tier3, tier2, or all; multitask with multitask3d")]
Architecture = Annotated[
    str,
    typer.Option(help="conv5_fc3, inception3d, inception3d_adaptive, resnet3d, lean3d, multitask3d, or forest_25"),
]
TrainingPreset = Annotated[str, typer.Option(help="paper-2022, better or quick")]
Folds = Annotated[str, typer.Option(help="all, or e.g. 0,1")]
FirstOrFolds = Annotated[str, typer.Option(help="first: the first that is left; all, or e.g. 0,1")]
Epochs = Annotated[int | None, typer.Option(help="at most; default that of the preset")]


def finish(summary: Outcome, as_json: bool) -> None:
    """Print what a verb did and exit with its status."""
    print(json.dumps(summary.to_json(), indent=2) if as_json else summary)
    sys.exit(summary.exit_status)


def print_address(address: str) -> None:
    """Print where a page is served: the first line of standard output, which other programs read."""
    print(address, flush=True)
    print("Open this address in a browser. Ctrl-C ends the server.", file=sys.stderr)


def end_with_sigterm() -> None:
    """A service manager ends us with SIGTERM: voila and its kernels must end with us."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
