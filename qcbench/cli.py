"""Arguments in, pipeline called, summary out: the only module that prints and exits.

What was asked for goes to standard output, everything else to standard error. Exit status: 0
done, 1 some images failed (they are listed), 2 bad use.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

import qcbench
from qcbench import pipeline
from qcbench.errors import QcbenchError, UsageError
from qcbench.findings import Checkup
from qcbench.summary import Summary

app = typer.Typer(
    help="Quality control of brain MRI inside a hospital data warehouse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StudyArgument = Annotated[Path, typer.Argument(metavar="STUDY", help="the study folder")]
Json = Annotated[bool, typer.Option("--json", help="print a machine-readable summary")]
Spacing = Annotated[int, typer.Option(help="voxel size in mm that networks see: 1, 2 or 4")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda")]
Task = Annotated[str, typer.Option(help="sr, gadolinium, tier3, tier2, or all")]
Architecture = Annotated[str, typer.Option(help="the network")]


def main() -> None:
    """Run the command line; no traceback for an error that qcbench raises on purpose."""
    try:
        app()
    except QcbenchError as error:
        print(f"qcbench: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f"qcbench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("qcbench: interrupted; run the same command again to go on", file=sys.stderr)
        sys.exit(130)


def _finish(summary: Summary | Checkup, as_json: bool) -> None:
    print(json.dumps(summary.to_json(), indent=2) if as_json else summary)
    sys.exit(summary.exit_status)


def _print_address(address: str) -> None:
    print(address, flush=True)
    print("Open this address in a browser. Ctrl-C ends the server.", file=sys.stderr)


def _end_with_sigterm() -> None:
    """A service manager ends us with SIGTERM: voila and its kernels must end with us."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _version(wanted: bool) -> None:
    if wanted:
        print(qcbench.__version__)
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print it")] = False,
) -> None:
    """Quality control of brain MRI inside a hospital data warehouse."""


@app.command()
def init(
    study: StudyArgument,
    raters: Annotated[str, typer.Option(help="their names, e.g. alice,bob")],
    protocol: Annotated[str, typer.Option(help="a shipped protocol or a TOML file")] = "t1w-warehouse",
) -> None:
    """Make a study folder."""
    made = pipeline.init(study, raters=raters.split(","), protocol=protocol)
    print(f"{made.folder} is ready for {', '.join(made.raters)}. Next: qcbench ingest {study} SOURCE")


@app.command()
def attributes(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="a DICOM folder, or an export as ZIP or tar")],
    out: Annotated[Path, typer.Argument(metavar="OUT.csv", help="the list; one that is there keeps its marks")],
    workers: Annotated[int | None, typer.Option(min=1, help="processes; default one a core")] = None,
    as_json: Json = False,
) -> None:
    """List the descriptions in a DICOM archive, for a radiologist to mark those to keep."""
    _finish(pipeline.attributes(source, out, workers=workers), as_json)


@app.command()
def ingest(
    study: StudyArgument,
    source: Annotated[Path, typer.Argument(help="a folder of NIfTI files or a BIDS dataset")],
    min_slices: Annotated[int, typer.Option(help="images with fewer are excluded")] = 40,
    min_age: Annotated[float, typer.Option(help="years; younger participants are excluded where age is known")] = 18,
    as_json: Json = False,
) -> None:
    """Catalogue image files and copy them into the study's BIDS dataset."""
    _finish(pipeline.ingest(study, source, min_slices=min_slices, min_age=min_age), as_json)


@app.command()
def preprocess(
    study: StudyArgument,
    preset: Annotated[str, typer.Option(help="how; there is: fast")] = "fast",
    workers: Annotated[int | None, typer.Option(help="images at a time; default one a core")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="try images again that failed before")] = False,
    as_json: Json = False,
) -> None:
    """Align images to the template and draw their three central slices."""
    _finish(pipeline.preprocess(study, preset=preset, workers=workers, retry=retry), as_json)


@app.command()
def simulate(
    study: StudyArgument,
    source: Annotated[str, typer.Option("--from", help="scans to copy: tier1, tier2, tier3 or all")] = "tier1",
    n: Annotated[int, typer.Option(help="copies")] = 500,
    seed: Annotated[int, typer.Option(help="of the draw")] = 0,
    spacing: Annotated[int, typer.Option(help="mm of the stored volumes: 1, or 2 or 4 for training only")] = 1,
    workers: Annotated[int | None, typer.Option(help="processes; default one a core")] = None,
    as_json: Json = False,
) -> None:
    """Make degraded copies of known severity from good scans, marked simulated."""
    _finish(pipeline.simulate(study, source=source, n=n, seed=seed, spacing=spacing, workers=workers), as_json)


@app.command()
def sample(
    study: StudyArgument,
    n: Annotated[int, typer.Option(help="images, those drawn before included")],
    seed: Annotated[int, typer.Option(help="of the draw")] = 0,
    stratify: Annotated[str | None, typer.Option(help="a column of the catalogue whose values get their share")] = None,
    as_json: Json = False,
) -> None:
    """Draw which images will be labelled, by participant; without it every image is."""
    _finish(pipeline.sample(study, n=n, seed=seed, stratify=stratify), as_json)


@app.command()
def label(
    study: StudyArgument,
    rater: Annotated[str, typer.Option(help="who labels")],
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="default: a free one")] = None,
) -> None:
    """Serve the labeller on this machine; the first line is its address. Ctrl-C ends it."""
    _end_with_sigterm()
    pipeline.label(study, rater=rater, port=port, on_ready=_print_address)


@app.command()
def review(
    study: StudyArgument,
    reviewer: Annotated[str, typer.Option(help="who reviews; the other reviewer has a page of their own")],
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="default: a free one")] = None,
) -> None:
    """Serve the joint review of disagreements on straight reject; the first line is its address."""
    _end_with_sigterm()
    pipeline.review(study, reviewer=reviewer, port=port, on_ready=_print_address)


@app.command()
def doctor(
    study: Annotated[Path | None, typer.Argument(metavar="[STUDY]", help="the study folder")] = None,
    as_json: Json = False,
) -> None:
    """Say what works here and what to do about the rest; exit status 1 when there is a problem."""
    _finish(pipeline.doctor(study), as_json)


@app.command()
def coordinate(
    study: StudyArgument,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="default: a free one")] = None,
) -> None:
    """Serve the coordinator's page: progress, agreement, what waits. Not for raters, who work blind."""
    _end_with_sigterm()
    pipeline.coordinate(study, port=port, on_ready=_print_address)


@app.command("import-labels")
def import_labels(
    study: StudyArgument,
    file: Annotated[Path, typer.Argument(help="CSV, TSV, JSON of MRIQC, or text of the Quality_Control_Interface")],
    rater: Annotated[str | None, typer.Option(help="whose labels, where the file does not say")] = None,
    column: Annotated[list[str] | None, typer.Option(help="OURS=THEIRS, e.g. image_id=scan; may be repeated")] = None,
    as_json: Json = False,
) -> None:
    """Read labels made elsewhere; an empty cell means not noted."""
    pairs = [text.partition("=") for text in column or ()]
    if any(not (ours and theirs) for ours, _, theirs in pairs):
        raise UsageError(f"--column must read OURS=THEIRS, e.g. image_id=scan; got {', '.join(column)}")
    columns = {ours: theirs for ours, _, theirs in pairs}
    _finish(pipeline.import_labels(study, file, rater=rater, columns=columns), as_json)


@app.command("export-labels")
def export_labels(
    study: StudyArgument,
    folder: Annotated[Path, typer.Argument(help="where the files go")],
    form: Annotated[
        str, typer.Option(help="csv; bids: phenotype tables with a data dictionary; mriqc: JSON as MRIQC writes it")
    ] = "csv",
    as_json: Json = False,
) -> None:
    """Write labels and consensus for other programs; a spreadsheet opens them safely."""
    _finish(pipeline.export_labels(study, folder, form=form), as_json)


@app.command()
def agreement(study: StudyArgument, as_json: Json = False) -> None:
    """Compute how far the raters agree."""
    _finish(pipeline.agreement(study), as_json)


@app.command()
def consensus(study: StudyArgument, as_json: Json = False) -> None:
    """Combine the raters' labels; disagreements on straight reject wait for a joint review."""
    _finish(pipeline.consensus(study), as_json)


@app.command()
def split(
    study: StudyArgument,
    test_share: Annotated[float, typer.Option(help="share of the images in the test set")] = 0.1,
    folds: Annotated[int, typer.Option(help="of the cross-validation")] = 5,
    seed: Annotated[int, typer.Option(help="of the draw")] = 0,
    as_json: Json = False,
) -> None:
    """Divide the participants into a test set and folds."""
    _finish(pipeline.split(study, test_share=test_share, folds=folds, seed=seed), as_json)


@app.command()
def train(
    study: StudyArgument,
    task: Task = "all",
    architecture: Architecture = "conv5_fc3",
    preset: Annotated[str, typer.Option(help="training preset")] = "paper-2022",
    folds: Annotated[str, typer.Option(help="all, or e.g. 0,1")] = "all",
    spacing: Spacing = 1,
    epochs: Annotated[int | None, typer.Option(help="at most; default that of the preset")] = None,
    seed: Annotated[int, typer.Option(help="of weights and order")] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Fit one network a task and fold."""
    summary = pipeline.train(
        study,
        task=task,
        architecture=architecture,
        preset=preset,
        folds=_folds(folds),
        spacing=spacing,
        epochs=epochs,
        seed=seed,
        device=device,
    )
    _finish(summary, as_json)


def _folds(text: str) -> str | list[int]:
    if text == "all":
        return text
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise UsageError(f"--folds must be all, or numbers such as 0,1; got {text!r}") from None


@app.command()
def predict(
    study: StudyArgument,
    task: Task = "all",
    architecture: Architecture = "conv5_fc3",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Run the trained networks and the baseline over every image."""
    _finish(pipeline.predict(study, task=task, architecture=architecture, device=device), as_json)


@app.command()
def evaluate(study: StudyArgument, as_json: Json = False) -> None:
    """Compare predictions and raters with the consensus on the test set."""
    _finish(pipeline.evaluate(study), as_json)


@app.command()
def report(study: StudyArgument, as_json: Json = False) -> None:
    """Write tables and figures as one HTML page."""
    _finish(pipeline.report(study), as_json)


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
