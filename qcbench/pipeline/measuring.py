"""From images to image quality metrics."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qcbench.pipeline.extras import StudyLike, extra
from qcbench.study import Study
from qcbench.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

    from qcbench.iqm.files import FileMetrics


def iqm(
    study: StudyLike,
    *,
    profile: str = "qcbench",
    workers: int | None = None,
    retry: bool = False,
    show_progress: bool = True,
) -> Summary:
    """Measure the image quality metrics of each T1w, T2w and bold image: table `iqms`, and a page for each."""
    with extra("iqm"):
        from qcbench.iqm import stage
    return stage.iqm(
        Study.of(study),
        profile=profile,
        workers=workers or os.cpu_count() or 1,
        retry=retry,
        show_progress=show_progress,
    )


def iqm_of_files(
    paths: Sequence[str | Path],
    *,
    profile: str = "qcbench",
    modality: str | None = None,
    motion_file: str | Path | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
    show_progress: bool = True,
) -> FileMetrics:
    """Measure NIfTI files that belong to no study; `out` is a folder for a page, a mosaic and JSON of each."""
    with extra("iqm"):
        from qcbench.iqm import files
    return files.iqm_of_files(
        paths,
        profile=profile,
        modality=modality,
        motion_file=motion_file,
        out=out,
        workers=workers or os.cpu_count() or 1,
        show_progress=show_progress,
    )


def iqm_distributions(
    study: StudyLike,
    metric: str,
    *,
    by: str | None = "hospital",
    modality: str | None = None,
    profile: str | None = None,
) -> pd.DataFrame:
    """Return how a metric lies in each hospital (or `by` manufacturer, model_name, field_strength_t): a row a group."""
    with extra("iqm"):
        from qcbench.iqm import distributions
    return distributions.by_group(distributions.read(Study.of(study), modality, profile), metric, by)


def iqm_outliers(
    study: StudyLike,
    *,
    metrics: Iterable[str] | None = None,
    by: str | None = "hospital",
    modality: str | None = None,
    profile: str | None = None,
) -> pd.DataFrame:
    """Return the values far from their own group's or from all images', worst first: a row an image and metric."""
    with extra("iqm"):
        from qcbench.iqm import distributions
    return distributions.outliers(distributions.read(Study.of(study), modality, profile), metrics, by)
