"""From a consensus to predictions and the report."""

from __future__ import annotations

from typing import Annotated

import typer

from qcbench import pipeline
from qcbench.cli.arguments import Architecture, Device, Json, Spacing, StudyArgument, Task, finish
from qcbench.errors import UsageError

app = typer.Typer()


@app.command()
def split(
    study: StudyArgument,
    test_share: Annotated[float, typer.Option(help="share of the images in the test set")] = 0.1,
    folds: Annotated[int, typer.Option(help="of the cross-validation")] = 5,
    seed: Annotated[int, typer.Option(help="of the draw")] = 0,
    as_json: Json = False,
) -> None:
    """Divide the participants into a test set and folds."""
    finish(pipeline.split(study, test_share=test_share, folds=folds, seed=seed), as_json)


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
    finish(summary, as_json)


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
