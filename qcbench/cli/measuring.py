"""From images to image quality metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qcbench import pipeline
from qcbench.cli.arguments import Json, finish
from qcbench.errors import UsageError

app = typer.Typer()


@app.command()
def iqm(
    paths: Annotated[list[Path], typer.Argument(metavar="STUDY | FILE...", help="a study folder, or NIfTI files")],
    profile: Annotated[str, typer.Option(help="qcbench, or mriqc-24 for MRIQC's own definitions")] = "qcbench",
    modality: Annotated[str | None, typer.Option(help="of files: T1w, T2w or bold; default: what names say")] = None,
    motion: Annotated[
        Path | None, typer.Option(help="of one bold file: motion by fMRIPrep (.tsv), FSL (.par) or AFNI (.1D)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="of files: folder for a page, a mosaic and JSON of each")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="images at a time; default one a core")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="of a study: try again what failed")] = False,
    as_json: Json = False,
) -> None:
    """Measure image quality metrics of a study, or of files; --json prints those of files as MRIQC writes them."""
    if len(paths) == 1 and paths[0].is_dir():
        if modality or motion or out:
            raise UsageError("--modality, --motion and --out are for files; a study knows its images and its folder")
        finish(pipeline.iqm(paths[0], profile=profile, workers=workers, retry=retry), as_json)
    if retry:
        raise UsageError("--retry is for a study; files are measured anew each time")
    measured = pipeline.iqm_of_files(
        paths, profile=profile, modality=modality, motion_file=motion, out=out, workers=workers
    )
    finish(measured, as_json)
