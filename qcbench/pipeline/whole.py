"""What concerns a study as a whole."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from qcbench import store
from qcbench.errors import StudyError
from qcbench.findings import Checkup, ask
from qcbench.pipeline.extras import StudyLike, extra
from qcbench.study import Study
from qcbench.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

from qcbench.pipeline.intake import ingest, preprocess
from qcbench.pipeline.labelling import agreement, consensus
from qcbench.pipeline.modelling import evaluate, predict, report, split, train


def init(folder: str | Path, *, raters: Sequence[str], protocol: str = "t1w-warehouse") -> Study:
    """Make a study folder and return the study."""
    return Study.create(folder, raters=raters, protocol=protocol)


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
    if find_spec("ants"):  # last, for it takes the longest; not where images are only labelled
        from qcbench.imaging import self_test
        from qcbench.prepare import pace

        findings += ask("preprocessing", self_test.finding)
        findings += ask("images per hour", lambda: pace.examine(Study.of(study) if study is not None else None))
    return Checkup(findings=findings, seconds=time.monotonic() - began)


def table(study: StudyLike, name: str) -> pd.DataFrame:
    """Return a table of the study as a pandas DataFrame, e.g. ``images`` or ``labels``."""
    with extra("learn"):
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
    with extra("prepare"):
        from qcbench.prepare import demonstration
    return demonstration.build_warehouse(
        Study.of(study).folder / "warehouse",
        images=Path(images) if images else None,
        participants=participants,
        workers=os.cpu_count() or 1,
        show_progress=show_progress,
    )


def demo_dicom(folder: str | Path, *, patients: int = 4, show_progress: bool = True) -> Summary:
    """Write a small DICOM archive of invented patients, to try the intake on."""
    with extra("prepare"):
        from qcbench.prepare import demo_archive
    return demo_archive.build_archive(folder, patients=patients, show_progress=show_progress)


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
