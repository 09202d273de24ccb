"""From a consensus to predictions and the report."""

from __future__ import annotations

from collections.abc import Sequence

from qcbench.jobs import Job
from qcbench.pipeline.extras import StudyLike, extra
from qcbench.study import Study
from qcbench.summary import Summary


def split(study: StudyLike, *, test_share: float = 0.1, folds: int = 5, seed: int = 0) -> Summary:
    """Divide the participants into a test set and folds: table `splits`."""
    with extra("learn"):
        from qcbench.learn import splits
    return splits.split(Study.of(study), test_share=test_share, folds=folds, seed=seed)


def train(
    study: StudyLike,
    *,
    task: str = "all",
    architecture: str = "conv5_fc3",
    preset: str = "paper-2022",
    folds: str | Sequence[int] = "all",
    spacing: int = 1,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    where: str | None = None,
    slurm: str = "",
    show_progress: bool = True,
) -> Summary | Job:
    """Fit one network a task and fold: folder ``runs/``. `spacing` is 1, 2 or 4 mm.

    With `where` ``local`` or ``slurm`` it returns a Job at once; `slurm` holds options of sbatch. See `JobMonitor`.
    """
    if where:
        asked = {"task": task, "architecture": architecture, "preset": preset, "folds": folds, "spacing": spacing}
        more = {"epochs": epochs, "seed": seed, "device": device}
        return Job.start(study, "train", {**asked, **more}, where=where, slurm=slurm)
    with extra("learn"):
        from qcbench.learn import train as room
    return room.train(
        Study.of(study),
        task=task,
        architecture=architecture,
        preset=preset,
        folds=folds,
        spacing=spacing,
        epochs=epochs,
        seed=seed,
        device=device,
        show_progress=show_progress,
    )


def predict(
    study: StudyLike,
    *,
    task: str = "all",
    architecture: str = "conv5_fc3",
    device: str = "auto",
    where: str | None = None,
    slurm: str = "",
    show_progress: bool = True,
) -> Summary | Job:
    """Run the trained networks and the baseline over every image: table `predictions`.

    With `where` ``local`` or ``slurm`` it returns a Job at once.
    """
    if where:
        asked = {"task": task, "architecture": architecture, "device": device}
        return Job.start(study, "predict", asked, where=where, slurm=slurm)
    with extra("learn"):
        from qcbench.learn import infer
    return infer.predict(
        Study.of(study), task=task, architecture=architecture, device=device, show_progress=show_progress
    )


def evaluate(study: StudyLike, *, show_progress: bool = True) -> Summary:
    """Compare predictions and raters with the consensus on the test set: table `metrics`."""
    with extra("learn"):
        from qcbench.learn import evaluate as room
    return room.evaluate(Study.of(study), show_progress=show_progress)


def report(
    study: StudyLike,
    *,
    compare: str | None = None,
    safe: bool = False,
    threshold: int = 10,
    show_progress: bool = True,
) -> Summary:
    """Write tables and figures as one HTML page: ``reports/report.html``; beside the paper's where asked.

    With `safe`, ``reports/safe/`` instead, which may leave the hospital: cells under `threshold` are hidden.
    """
    with extra("report"):
        from qcbench.report import html
        from qcbench.report import safe as room
    if safe:
        return room.report_that_may_leave(Study.of(study), compare=compare, threshold=threshold)
    return html.report(Study.of(study), compare=compare, show_progress=show_progress)
