"""From a consensus to predictions and the report."""

from __future__ import annotations

from collections.abc import Sequence

from qcbench.jobs import Job
from qcbench.pipeline.extras import StudyLike, extra
from qcbench.study import Study
from qcbench.summary import Summary


def split(study: StudyLike, *, test_share: float = 0.1, folds: int = 5, seed: int = 0, redraw: bool = False) -> Summary:
    """Divide the participants into a test set and folds: table `splits`.

    Who has a place keeps it when labels are added; with `redraw` all are drawn anew.
    """
    with extra("learn"):
        from qcbench.learn import splits
    return splits.split(Study.of(study), test_share=test_share, folds=folds, seed=seed, redraw=redraw)


def train(
    study: StudyLike,
    *,
    task: str = "all",
    architecture: str = "conv5_fc3",
    preset: str = "paper-2022",
    folds: str | Sequence[int] = "all",
    spacing: int = 1,
    epochs: int | None = None,
    learning_rate: float | None = None,
    pretrain: str | None = None,
    voxels: str = "uint8",
    seed: int = 0,
    device: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    deterministic: bool = False,
    workers: int = 0,
    where: str | None = None,
    slurm: str = "",
    show_progress: bool = True,
) -> Summary | Job:
    """Fit one network a task and fold: folder ``runs/``. `spacing` is 1, 2 or 4 mm.

    ``preset`` is paper-2022, better or quick; ``pretrain="simulated"`` begins with simulated copies; `devices` on each
    of `nodes` share each batch; `workers` processes read volumes; `deterministic` gives the same bits each time.
    ``architecture="multitask3d"`` fits one network a fold for all tasks (task ``all`` or ``multitask``).
    With `where` ``local`` or ``slurm`` it returns a Job at once; `slurm` holds options of sbatch. See `JobMonitor`.
    """
    asked = {"task": task, "architecture": architecture, "preset": preset, "folds": folds, "spacing": spacing}
    asked |= {"epochs": epochs, "learning_rate": learning_rate, "pretrain": pretrain, "voxels": voxels, "seed": seed}
    asked |= {"device": device, "devices": devices, "nodes": nodes, "deterministic": deterministic, "workers": workers}
    if where:
        return Job.start(study, "train", asked, where=where, slurm=slurm)
    with extra("learn"):
        from qcbench.learn import train as room
    return room.train(Study.of(study), show_progress=show_progress, **asked)


def learning_curve(
    study: StudyLike,
    *,
    task: str = "all",
    sizes: Sequence[int] | None = None,
    architecture: str = "conv5_fc3",
    preset: str = "paper-2022",
    folds: str | int | Sequence[int] = "all",
    spacing: int = 1,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    where: str | None = None,
    slurm: str = "",
    show_progress: bool = True,
) -> Summary | Job:
    """Fit on nested subsets of the labels, the test set the same: table `learning_curve`.

    With `where` ``local`` or ``slurm`` it returns a Job at once.
    """
    asked = {"task": task, "architecture": architecture, "preset": preset, "folds": folds, "spacing": spacing}
    asked |= {"epochs": epochs, "seed": seed, "device": device}
    if where:
        return Job.start(study, "learning-curve", {**asked, "sizes": sizes}, where=where, slurm=slurm)
    with extra("learn"):
        from qcbench.learn import learning_curve as room
    return room.learning_curve(Study.of(study), sizes=sizes, show_progress=show_progress, **asked)


def leave_one_out(
    study: StudyLike,
    *,
    by: str = "hospital",
    task: str = "all",
    architecture: str = "conv5_fc3",
    preset: str = "paper-2022",
    folds: str | int | Sequence[int] = "first",
    spacing: int = 1,
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    least_images: int = 20,
    where: str | None = None,
    slurm: str = "",
    show_progress: bool = True,
) -> Summary | Job:
    """Fit without each hospital (manufacturer, model_name) and try it there; `evaluate` makes the metrics of it.

    With `where` ``local`` or ``slurm`` it returns a Job at once.
    """
    asked = {"by": by, "task": task, "architecture": architecture, "preset": preset, "folds": folds}
    asked |= {"spacing": spacing, "epochs": epochs, "seed": seed, "device": device, "least_images": least_images}
    if where:
        return Job.start(study, "leave-one-out", asked, where=where, slurm=slurm)
    with extra("learn"):
        from qcbench.learn import left_out
    return left_out.leave_one_out(Study.of(study), show_progress=show_progress, **asked)


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
    """Run the trained networks over every image: table `predictions`; the baseline with ``forest_25``.

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
