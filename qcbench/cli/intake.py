"""From a warehouse to screenshots: attributes, ingest, preprocess, simulate, sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qcbench import pipeline
from qcbench.cli.arguments import Json, StudyArgument, finish
from qcbench.errors import UsageError

app = typer.Typer()


@app.command()
def attributes(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="a DICOM folder, or an export as ZIP or tar")],
    out: Annotated[Path, typer.Argument(metavar="OUT.csv", help="the list; one that is there keeps its marks")],
    workers: Annotated[int | None, typer.Option(min=1, help="processes; default one a core")] = None,
    as_json: Json = False,
) -> None:
    """List the descriptions in a DICOM archive, for a radiologist to mark those to keep."""
    finish(pipeline.attributes(source, out, workers=workers), as_json)


@app.command()
def ingest(
    study: StudyArgument,
    source: Annotated[
        Path, typer.Argument(help="NIfTI folder, BIDS dataset; DICOM folder or export with --keep, --key")
    ],
    keep: Annotated[Path | None, typer.Option(help="DICOM: the list that a radiologist marked")] = None,
    key: Annotated[
        Path | None, typer.Option(help="DICOM: makes the pseudonyms; made when missing, keep a backup")
    ] = None,
    rule: Annotated[str, typer.Option(help="all of a series' descriptions must be kept, or any")] = "all",
    participants: Annotated[Path | None, typer.Option(help="table of age, sex, diagnosis, hospital")] = None,
    min_slices: Annotated[int, typer.Option(help="images with fewer are excluded")] = 40,
    min_age: Annotated[float, typer.Option(help="years; younger participants are excluded where age is known")] = 18,
    modality: Annotated[str, typer.Option(help="of NIfTI: T1w, T2w, bold, with commas between")] = "T1w",
    workers: Annotated[int | None, typer.Option(min=1, help="series at a time; default one a core")] = None,
    as_json: Json = False,
) -> None:
    """Catalogue images and copy them into the study's BIDS dataset, without who they are of."""
    summary = pipeline.ingest(
        study,
        source,
        keep=keep,
        key=key,
        rule=rule,
        participants=participants,
        min_slices=min_slices,
        min_age=min_age,
        modalities=modality.split(","),
        workers=workers,
    )
    finish(summary, as_json)


@app.command()
def where(
    study: StudyArgument,
    source: Annotated[Path, typer.Argument(help="the DICOM folder or export it was ingested from")],
    image_id: Annotated[str, typer.Argument(metavar="IMAGE_ID")],
    keep: Annotated[Path, typer.Option(help="the marked list")],
    key: Annotated[Path, typer.Option(help="the key of the pseudonyms")],
) -> None:
    """Name the DICOM files that an image was made from, for those who hold the key."""
    for file in pipeline.where(study, source, image_id, keep=keep, key=key):
        print(file)


@app.command("check-identity")
def check_identity(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="a study, a folder, a file or an archive")],
    known: Annotated[Path | None, typer.Option(help="CSV of patients: names, ids, UIDs, days of birth")] = None,
    as_json: Json = False,
) -> None:
    """Tell where something of a person may be left, never what it is; exit status 1 if anywhere."""
    finish(pipeline.check_identity(path, known=known, show_progress=not as_json), as_json)


@app.command()
def preprocess(
    study: StudyArgument,
    preset: Annotated[str, typer.Option(help="how: fast, paper-2022, paper-2022-min-max or clinica-2026")] = "fast",
    workers: Annotated[
        int | None, typer.Option(min=1, help="images at a time; default one a core, 16 on SLURM")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="try images again that failed before")] = False,
    dask: Annotated[str | None, typer.Option(help="spread over the Dask cluster at tcp://host:port")] = None,
    slurm: Annotated[bool, typer.Option("--slurm", help="spread over jobs that SLURM starts")] = False,
    slurm_options: Annotated[str | None, typer.Option(help="options of sbatch; default those of study.toml")] = None,
    as_json: Json = False,
) -> None:
    """Align images to the template and draw their three central slices."""
    if slurm_options is not None and not slurm:
        raise UsageError("--slurm-options go with --slurm; without it the images are worked on here")
    spread = slurm_options if slurm and slurm_options is not None else slurm
    finish(pipeline.preprocess(study, preset=preset, workers=workers, retry=retry, dask=dask, slurm=spread), as_json)


@app.command()
def simulate(
    study: StudyArgument,
    source: Annotated[str, typer.Option("--from", help="scans to copy: tier1, tier2, tier3 or all")] = "tier1",
    n: Annotated[int, typer.Option(help="copies")] = 500,
    seed: Annotated[int, typer.Option(help="of the draw")] = 0,
    spacing: Annotated[int, typer.Option(help="mm of the stored volumes: 1, or 2 or 4 for training only")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; default one a core")] = None,
    as_json: Json = False,
) -> None:
    """Make degraded copies of known severity from good scans, marked simulated."""
    finish(pipeline.simulate(study, source=source, n=n, seed=seed, spacing=spacing, workers=workers), as_json)


@app.command()
def sample(
    study: StudyArgument,
    n: Annotated[int, typer.Option(help="images, those drawn before included")],
    seed: Annotated[int, typer.Option(help="of the draw")] = 0,
    stratify: Annotated[str | None, typer.Option(help="a column of the catalogue whose values get their share")] = None,
    purpose: Annotated[
        str, typer.Option(help="label; or volume: labelled once more from the whole volume, to compare")
    ] = "label",
    as_json: Json = False,
) -> None:
    """Draw which images will be labelled, by participant; without it every image is."""
    finish(pipeline.sample(study, n=n, seed=seed, stratify=stratify, purpose=purpose), as_json)
