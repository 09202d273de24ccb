"""From a consensus to predictions and the report."""

from __future__ import annotations

from typing import Annotated

import typer

from qcbench import pipeline
from qcbench.cli.arguments import (
    Architecture,
    Device,
    Epochs,
    FirstOrFolds,
    Folds,
    Json,
    Spacing,
    StudyArgument,
    Task,
    TrainingPreset,
    finish,
)
from qcbench.errors import UsageError

app = typer.Typer()


@app.command()
def split(
    study: StudyArgument,
    test_share: Annotated[float, typer.Option(help="share of the images in the test set")] = 0.1,
    folds: Annotated[int, typer.Option(help="of the cross-validation")] = 5,
    seed: Annotated[int, typer.Option(help="of the draw")] = 0,
    redraw: Annotated[bool, typer.Option("--redraw", help="draw all anew, also who has a place")] = False,
    as_json: Json = False,
) -> None:
    """Divide the participants into a test set and folds."""
    finish(pipeline.split(study, test_share=test_share, folds=folds, seed=seed, redraw=redraw), as_json)


@app.command()
def train(
    study: StudyArgument,
    task: Task = "all",
    architecture: Architecture = "conv5_fc3",
    preset: TrainingPreset = "paper-2022",
    folds: Folds = "all",
    spacing: Spacing = 1,
    epochs: Epochs = None,
    learning_rate: Annotated[float | None, typer.Option(help="default that of the preset")] = None,
    pretrain: Annotated[str | None, typer.Option(help="simulated: begin with simulated copies")] = None,
    voxels: Annotated[str, typer.Option(help="of the cache: uint8 or uint16")] = "uint8",
    seed: Annotated[int, typer.Option(help="of weights and order")] = 0,
    device: Device = "auto",
    devices: Annotated[int, typer.Option(help="processes on each node that share each batch")] = 1,
    nodes: Annotated[int, typer.Option(help="of a cluster; more than 1 needs srun")] = 1,
    deterministic: Annotated[bool, typer.Option("--deterministic", help="the same bits each time; slower")] = False,
    workers: Annotated[int, typer.Option(help="processes that read volumes")] = 0,
    as_json: Json = False,
) -> None:
    """Fit one network a task and fold; with multitask3d one a fold for all tasks."""
    summary = pipeline.train(
        study,
        task=task,
        architecture=architecture,
        preset=preset,
        folds=_folds(folds),
        spacing=spacing,
        epochs=epochs,
        learning_rate=learning_rate,
        pretrain=pretrain,
        voxels=voxels,
        seed=seed,
        device=device,
        devices=devices,
        nodes=nodes,
        deterministic=deterministic,
        workers=workers,
    )
    finish(summary, as_json)


@app.command("learning-curve")
def learning_curve(
    study: StudyArgument,
    task: Task = "all",
    sizes: Annotated[str, typer.Option(help="images, e.g. 500,1000; default: all, half... five sizes")] = "",
    architecture: Architecture = "conv5_fc3",
    preset: TrainingPreset = "paper-2022",
    folds: Folds = "all",
    spacing: Spacing = 1,
    epochs: Epochs = None,
    seed: Annotated[int, typer.Option(help="of the subsets, weights and order")] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Fit on nested subsets of the labels, to see what more of them would bring."""
    summary = pipeline.learning_curve(
        study,
        task=task,
        sizes=_numbers(sizes, "--sizes") if sizes else None,
        architecture=architecture,
        preset=preset,
        folds=_folds(folds),
        spacing=spacing,
        epochs=epochs,
        seed=seed,
        device=device,
    )
    finish(summary, as_json)


@app.command("leave-one-out")
def leave_one_out(
    study: StudyArgument,
    by: Annotated[str, typer.Option(help="hospital, manufacturer or model_name")] = "hospital",
    task: Task = "all",
    architecture: Architecture = "conv5_fc3",
    preset: TrainingPreset = "paper-2022",
    folds: FirstOrFolds = "first",
    spacing: Spacing = 1,
    epochs: Epochs = None,
    seed: Annotated[int, typer.Option(help="of weights and order")] = 0,
    device: Device = "auto",
    least_images: Annotated[int, typer.Option(help="labelled images that a hospital must have")] = 20,
    as_json: Json = False,
) -> None:
    """Fit without each hospital in turn and try it there."""
    summary = pipeline.leave_one_out(
        study,
        by=by,
        task=task,
        architecture=architecture,
        preset=preset,
        folds=_folds(folds),
        spacing=spacing,
        epochs=epochs,
        seed=seed,
        device=device,
        least_images=least_images,
    )
    finish(summary, as_json)


@app.command()
def predict(
    study: StudyArgument,
    task: Task = "all",
    architecture: Architecture = "conv5_fc3",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Run the trained networks over every image; the baseline with --architecture forest_25."""
    finish(pipeline.predict(study, task=task, architecture=architecture, device=device), as_json)


@app.command()
def evaluate(study: StudyArgument, as_json: Json = False) -> None:
    """Compare predictions and raters with the consensus on the test set."""
    finish(pipeline.evaluate(study), as_json)


@app.command()
def report(
    study: StudyArgument,
    compare: Annotated[str | None, typer.Option(help="paper: the published numbers beside the study's")] = None,
    safe: Annotated[bool, typer.Option("--safe", help="aggregates alone, small cells hidden: may leave")] = False,
    threshold: Annotated[int, typer.Option(help="with --safe: counts under it are hidden")] = 10,
    as_json: Json = False,
) -> None:
    """Write tables and figures as one HTML page."""
    finish(pipeline.report(study, compare=compare, safe=safe, threshold=threshold), as_json)


def _folds(text: str) -> str | list[int]:
    return text if text in ("all", "first") else _numbers(text, "--folds")


def _numbers(text: str, option: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} must be numbers such as 0,1 (--folds also all); got {text!r}") from None
