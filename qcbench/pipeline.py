"""The table of contents: one short function a stage, in the data's order.

Each is a verb of the command line and a function of ``qcbench``; each takes a study (or its
folder), does only what is missing, and returns a Summary. The rooms are imported inside, so that
a verb loads only what it needs, and a missing extra is named with its install command.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qcbench import store
from qcbench.errors import MissingExtraError, StudyError, UsageError
from qcbench.findings import Checkup
from qcbench.study import Study
from qcbench.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

    from qcbench.prepare.identity_findings import Checked

StudyLike = Study | str | Path


@contextmanager
def _extra(name: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "qcbench").startswith("qcbench"):
            raise
        raise MissingExtraError(error.name, name) from error


def init(folder: str | Path, *, raters: Sequence[str], protocol: str = "t1w-warehouse") -> Study:
    """Make a study folder and return the study."""
    return Study.create(folder, raters=raters, protocol=protocol)


def attributes(
    source: str | Path, out: str | Path, *, workers: int | None = None, show_progress: bool = True
) -> Summary:
    """List the descriptions in a DICOM folder or export as CSV, for a radiologist to mark those to keep."""
    with _extra("prepare"):
        from qcbench.prepare import attributes as room
    return room.attributes(Path(source), Path(out), workers=workers, show_progress=show_progress)


def ingest(
    study: StudyLike,
    source: str | Path,
    *,
    keep: str | Path | None = None,
    key: str | Path | None = None,
    rule: str = "all",
    participants: str | Path | None = None,
    min_slices: int = 40,
    min_age: float = 18,
    workers: int | None = None,
    show_progress: bool = True,
) -> Summary:
    """Catalogue images and copy them into the study: table `images`, folder ``bids/``.

    `source` is a folder of NIfTI files or a BIDS dataset; with the marked list `keep` and the `key` that makes
    pseudonyms it is a DICOM folder or export.
    """
    taken = {"min_slices": min_slices, "min_age": min_age, "show_progress": show_progress}
    with _extra("prepare"):
        from qcbench.prepare import intake, warehouse
    if keep is None and key is None and participants is None:
        return warehouse.ingest(Study.of(study), Path(source), **taken)
    if keep is None or key is None:
        raise UsageError("DICOM needs the marked list and the key: --keep LIST.csv --key FILE")
    return intake.ingest(
        Study.of(study), source, keep=keep, key=key, rule=rule, participants=participants, workers=workers, **taken
    )


def where(study: StudyLike, source: str | Path, image_id: str, *, keep: str | Path, key: str | Path) -> list[Path]:
    """Return the DICOM files that an image was made from, for those who hold the key."""
    with _extra("prepare"):
        from qcbench.prepare import intake
    return intake.where(Study.of(study), source, image_id, keep=keep, key=key)


def check_identity(
    target: str | Path, *, known: str | Path | None = None, workers: int | None = None, show_progress: bool = True
) -> Checked:
    """Return where something of a person may be left in a study, a folder, a file or an archive; never what it is."""
    with _extra("prepare"):
        from qcbench.prepare import identity
    return identity.check_identity(target, known=known, workers=workers, show_progress=show_progress)


def preprocess(
    study: StudyLike,
    *,
    preset: str = "fast",
    workers: int | None = None,
    retry: bool = False,
    show_progress: bool = True,
) -> Summary:
    """Align each image to the template and draw its three central slices: table `preprocessed`.

    `workers` images are processed at a time (default: one a core). Images that failed before are
    tried again with `retry`.
    """
    with _extra("prepare"):
        from qcbench.prepare import t1linear
    return t1linear.preprocess(
        Study.of(study),
        preset=preset,
        workers=workers or os.cpu_count() or 1,
        retry=retry,
        show_progress=show_progress,
    )


def simulate(
    study: StudyLike,
    *,
    source: str = "tier1",
    n: int = 500,
    seed: int = 0,
    spacing: int = 1,
    workers: int | None = None,
    show_progress: bool = True,
) -> Summary:
    """Make degraded copies of known severity, marked simulated: rows of `images` and `preprocessed`.

    `source` is tier1, tier2, tier3 (of the consensus) or all; `spacing` (1, 2 or 4 mm) is that of
    the stored volumes. Copies are made in the alignment of their source.
    """
    with _extra("prepare"):
        from qcbench.prepare import pool
    return pool.make_pool(
        Study.of(study),
        source=source,
        n=n,
        seed=seed,
        spacing=spacing,
        workers=workers or os.cpu_count() or 1,
        show_progress=show_progress,
    )


def sample(study: StudyLike, *, n: int, seed: int = 0, stratify: str | None = None, purpose: str = "label") -> Summary:
    """Draw the images that will be labelled, by participant: table `sample`.

    With the purpose ``volume``, those of them that are labelled once more from the whole volume: `volume_sample`.
    """
    from qcbench.annotate import sampling

    return sampling.draw(Study.of(study), n, seed=seed, stratify=stratify, purpose=purpose)


def label(
    study: StudyLike, *, rater: str, port: int | None = None, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve the labeller for one rater through voila on loopback until it is interrupted.

    `on_ready` is called with the address once the page can be opened.
    """
    with _extra("label"):
        from qcbench.widgets import serve
    serve.serve(Study.of(study), rater=rater, port=port, on_ready=on_ready)


def serve(
    study: StudyLike,
    *,
    proxy_secret: str | Path,
    port: int | None = None,
    socket: str | Path | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve all raters of a study behind an authenticating proxy until it is interrupted."""
    with _extra("label"):
        from qcbench.widgets import proxied
    proxied.serve_all(Study.of(study), secret_file=proxy_secret, port=port, socket_path=socket, on_ready=on_ready)


def write_config(study: StudyLike, folder: str | Path, *, behind: str) -> list[Path]:
    """Write the ready configuration of a proxy (nginx, caddy) or of jupyterhub, and the proxy's secret."""
    with _extra("label"):
        from qcbench.widgets import deploy
    return deploy.write(Study.of(study), folder, behind=behind)


def preview(
    protocol: str,
    *,
    pictures: str | Path | None = None,
    port: int | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the labeller with a protocol on sample pictures until it is interrupted; nothing that is noted is kept."""
    with _extra("label"):
        from qcbench.annotate import preview as room
        from qcbench.widgets import serve
    with room.study(protocol, Path(pictures) if pictures else None) as study:
        serve.serve(study, rater=room.RATER, port=port, on_ready=on_ready)


def exemplar(study: StudyLike, image_id: str, *, criterion: str, value: str) -> Summary:
    """Make the picture of an image the exemplar of a choice of the protocol: folder ``exemplars/``."""
    from qcbench.annotate import exemplars

    return exemplars.put(Study.of(study), image_id, criterion=criterion, value=value)


def doctor(study: StudyLike | None = None) -> Checkup:
    """Find out whether labels can be made and kept here; without a study, whether the pages can be served.

    Nothing of the study is changed. The findings are shown when they are printed.
    """
    from qcbench.annotate import doctor as keeping
    from qcbench.widgets import doctor as serving

    began = time.monotonic()
    findings = []
    if study is not None:
        folder = study.folder if isinstance(study, Study) else Path(study).absolute()
        if not (folder / "study.toml").is_file():
            Study(folder)  # says what to do
        findings += keeping.examine(folder)
    findings += serving.examine()
    return Checkup(findings=findings, seconds=time.monotonic() - began)


def review(
    study: StudyLike, *, reviewer: str, port: int | None = None, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve the joint review to one reviewer through voila on loopback until it is interrupted."""
    with _extra("label"):
        from qcbench.widgets import serve
    serve.serve(Study.of(study), rater=reviewer, port=port, notebook="03_review.ipynb", on_ready=on_ready)


def coordinate(study: StudyLike, *, port: int | None = None, on_ready: Callable[[str], None] | None = None) -> None:
    """Serve the coordinator's page through voila on loopback until it is interrupted."""
    with _extra("label"):
        from qcbench.widgets import serve
    serve.serve(Study.of(study), port=port, notebook="08_coordinate.ipynb", on_ready=on_ready)


def import_labels(
    study: StudyLike, file: str | Path, *, rater: str | None = None, columns: Mapping[str, str] | None = None
) -> Summary:
    """Read labels from CSV, TSV or a file of the Quality_Control_Interface.

    `columns` says for our columns what the file calls them.
    """
    from qcbench.annotate import exchange

    return exchange.import_labels(Study.of(study), Path(file), rater=rater, columns=columns)


def export_labels(study: StudyLike, folder: str | Path, *, form: str = "csv") -> Summary:
    """Write labels and consensus for other programs: ``csv`` or ``bids``."""
    from qcbench.annotate import export

    return export.export_labels(Study.of(study), Path(folder), form=form)


def agreement(study: StudyLike) -> Summary:
    """Compute how far the raters agree: table `agreement`."""
    with _extra("report"):
        from qcbench.annotate import agreement as room
    return room.agreement(Study.of(study))


def consensus(study: StudyLike) -> Summary:
    """Combine the raters' labels: tables `consensus` and ``reviews/open.parquet``."""
    from qcbench.annotate import consensus as room

    return room.consensus(Study.of(study))


def split(study: StudyLike, *, test_share: float = 0.1, folds: int = 5, seed: int = 0) -> Summary:
    """Divide the participants into a test set and folds: table `splits`."""
    with _extra("learn"):
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
    show_progress: bool = True,
) -> Summary:
    """Fit one network a task and fold: folder ``runs/``. `spacing` is 1, 2 or 4 mm."""
    with _extra("learn"):
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
    show_progress: bool = True,
) -> Summary:
    """Run the trained networks and the baseline over every image: table `predictions`."""
    with _extra("learn"):
        from qcbench.learn import infer
    return infer.predict(
        Study.of(study), task=task, architecture=architecture, device=device, show_progress=show_progress
    )


def evaluate(study: StudyLike, *, show_progress: bool = True) -> Summary:
    """Compare predictions and raters with the consensus on the test set: table `metrics`."""
    with _extra("learn"):
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
    with _extra("report"):
        from qcbench.report import html
        from qcbench.report import safe as room
    if safe:
        return room.report_that_may_leave(Study.of(study), compare=compare, threshold=threshold)
    return html.report(Study.of(study), compare=compare, show_progress=show_progress)


def table(study: StudyLike, name: str) -> pd.DataFrame:
    """Return a table of the study as a pandas DataFrame, e.g. ``images`` or ``labels``."""
    with _extra("learn"):
        import pandas  # noqa: F401
    return store.frame(Study.of(study), name)


def demo_study(folder: str | Path) -> Study:
    """Make the demo's study, or open it: alice and bob label, sim-1 and sim-2 make the consensus."""
    if not (Path(folder) / "study.toml").exists():
        return Study.create(folder, raters=["alice", "bob"], consensus_raters=["sim-1", "sim-2"])
    study = Study(folder)
    if study.consensus_raters != ("sim-1", "sim-2"):
        raise StudyError(f"{folder} is a study of its own, not a demo; nothing was changed. Choose another folder.")
    return study


def demo_warehouse(
    study: StudyLike, *, images: str | Path | None = None, participants: int = 12, show_progress: bool = True
) -> Summary:
    """Build a small warehouse of simulated images in the study's folder ``warehouse/``.

    It holds synthetic heads, or the real T1w files in `images` and degraded copies of them.
    """
    with _extra("prepare"):
        from qcbench.prepare import demonstration
    return demonstration.build_warehouse(
        Study.of(study).folder / "warehouse",
        images=Path(images) if images else None,
        participants=participants,
        workers=os.cpu_count() or 1,
        show_progress=show_progress,
    )


def label_simulated(study: StudyLike) -> Summary:
    """Label every screenshot as the simulated raters sim-1 and sim-2, who sometimes disagree."""
    from qcbench.annotate import simulated

    return simulated.label_all(Study.of(study))


def demo(
    folder: str | Path,
    *,
    images: str | Path | None = None,
    on_stage: Callable[[str, Summary], None] = lambda name, summary: None,
    show_progress: bool = True,
) -> list[Summary]:
    """Build a small warehouse and run every stage on it; return one Summary a stage.

    Images are synthetic heads, or the real T1w files in `images` with degraded copies of them.
    The raters sim-1 and sim-2 are simulated and label everything; alice and bob have labelled
    nothing, and their labels stay out of the demo's consensus. A demo that was interrupted goes
    on where it stopped. `on_stage` hears of each stage as it ends.
    """
    study = demo_study(folder)
    bar = {"show_progress": show_progress}
    stages: list[tuple[str, Callable[[], Summary]]] = [
        ("warehouse", lambda: demo_warehouse(study, images=images, **bar)),
        ("ingest", lambda: ingest(study, study.folder / "warehouse", **bar)),
        ("preprocess", lambda: preprocess(study, **bar)),
        ("label (simulated)", lambda: label_simulated(study)),
        ("agreement", lambda: agreement(study)),
        ("consensus", lambda: consensus(study)),
        ("split", lambda: split(study, test_share=0.2)),
        ("train", lambda: train(study, preset="quick", spacing=4, **bar)),
        ("predict", lambda: predict(study, **bar)),
        ("baseline, no network", lambda: predict(study, architecture="forest_25", **bar)),
        ("evaluate", lambda: evaluate(study, **bar)),
        ("report", lambda: report(study, **bar)),
    ]
    summaries = []
    for name, stage in stages:
        summary = stage()
        on_stage(name, summary)
        summaries.append(summary)
    return summaries


def planted_faults(study: StudyLike) -> set[str]:
    """Return the images of a demo that are damaged on purpose, so that their failure is no news."""

    return {
        row["image_id"]
        for row in store.rows(Study.of(study), "images")
        if row["simulation"] and json.loads(row["simulation"]).get("planted_fault")
    }
