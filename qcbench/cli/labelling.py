"""From screenshots to a consensus: the served pages, files of other programs, agreement, consensus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qcbench import pipeline
from qcbench.cli.arguments import Json, Port, StudyArgument, end_with_sigterm, finish, print_address
from qcbench.errors import UsageError

app = typer.Typer()


@app.command()
def label(
    study: StudyArgument,
    rater: Annotated[str, typer.Option(help="who labels")],
    port: Port = None,
) -> None:
    """Serve the labeller on this machine; the first line is its address. Ctrl-C ends it."""
    end_with_sigterm()
    pipeline.label(study, rater=rater, port=port, on_ready=print_address)


@app.command()
def serve(
    study: StudyArgument,
    proxy_secret: Annotated[
        Path | None, typer.Option(help="file, mode 0600, of the secret shared with the proxy")
    ] = None,
    socket: Annotated[Path | None, typer.Option(help="unix socket to listen on, in place of a port")] = None,
    port: Port = None,
    write_config: Annotated[Path | None, typer.Option(help="write ready configurations into this folder")] = None,
    behind: Annotated[str, typer.Option(help="for --write-config: nginx, caddy or jupyterhub")] = "nginx",
) -> None:
    """Serve all raters of a study behind a proxy that logs them in, or write its configuration."""
    if write_config:
        for path in pipeline.write_config(study, write_config, behind=behind):
            print(path)
        return
    if proxy_secret is None:
        raise UsageError("say --proxy-secret FILE, or --write-config FOLDER to make one with its configuration")
    end_with_sigterm()
    pipeline.serve(study, proxy_secret=proxy_secret, port=port, socket=socket, on_ready=print_address)


@app.command()
def preview(
    protocol: Annotated[str, typer.Argument(metavar="PROTOCOL", help="a shipped protocol or a TOML file")],
    pictures: Annotated[
        Path | None, typer.Option(help="a folder of PNG or JPEG files; default: simulated ones")
    ] = None,
    port: Port = None,
) -> None:
    """Try a protocol on sample pictures; nothing is kept. The first line is the address."""
    end_with_sigterm()
    pipeline.preview(protocol, pictures=pictures, port=port, on_ready=print_address)


@app.command()
def exemplar(
    study: StudyArgument,
    image_id: Annotated[str, typer.Argument(metavar="IMAGE_ID", help="whose picture")],
    criterion: Annotated[str, typer.Option(help="e.g. motion")],
    value: Annotated[str, typer.Option(help="as in the protocol, e.g. 2 or true")],
    as_json: Json = False,
) -> None:
    """Show raters a picture of this study as the example of a grade, in the place of the shipped one."""
    finish(pipeline.exemplar(study, image_id, criterion=criterion, value=value), as_json)


@app.command()
def review(
    study: StudyArgument,
    reviewer: Annotated[str, typer.Option(help="who reviews; the other reviewer has a page of their own")],
    port: Port = None,
) -> None:
    """Serve the joint review of disagreements on straight reject; the first line is its address."""
    end_with_sigterm()
    pipeline.review(study, reviewer=reviewer, port=port, on_ready=print_address)


@app.command()
def coordinate(
    study: StudyArgument,
    port: Port = None,
) -> None:
    """Serve the coordinator's page: progress, agreement, what waits. Not for raters, who work blind."""
    end_with_sigterm()
    pipeline.coordinate(study, port=port, on_ready=print_address)


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
    finish(pipeline.import_labels(study, file, rater=rater, columns=columns), as_json)


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
    finish(pipeline.export_labels(study, folder, form=form), as_json)


@app.command()
def agreement(study: StudyArgument, as_json: Json = False) -> None:
    """Compute how far the raters agree."""
    finish(pipeline.agreement(study), as_json)


@app.command()
def consensus(study: StudyArgument, as_json: Json = False) -> None:
    """Combine the raters' labels; disagreements on straight reject wait for a joint review."""
    finish(pipeline.consensus(study), as_json)
