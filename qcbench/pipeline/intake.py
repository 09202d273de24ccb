"""From a warehouse to screenshots."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qcbench import machine
from qcbench.errors import UsageError
from qcbench.jobs import Job
from qcbench.pipeline.extras import StudyLike, extra
from qcbench.study import Study
from qcbench.summary import Summary

if TYPE_CHECKING:
    from qcbench.prepare.identity_findings import Checked

#: Where images are spread over SLURM and nobody says over how many jobs.
_SLURM_JOBS = 16


def attributes(
    source: str | Path, out: str | Path, *, workers: int | None = None, show_progress: bool = True
) -> Summary:
    """List the descriptions in a DICOM folder or export as CSV, for a radiologist to mark those to keep."""
    with extra("prepare"):
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
    modalities: Sequence[str] = ("T1w",),
    workers: int | None = None,
    show_progress: bool = True,
) -> Summary:
    """Catalogue images and copy them into the study: table `images`, folder ``bids/``.

    `source` is a folder of NIfTI files or a BIDS dataset, of which the `modalities` (T1w, T2w, bold) are taken; with
    the marked list `keep` and the `key` that makes pseudonyms it is a DICOM folder or export, and T1w alone.
    """
    taken = {"min_slices": min_slices, "min_age": min_age, "show_progress": show_progress}
    with extra("prepare"):
        from qcbench.prepare import intake, warehouse
    if keep is None and key is None and participants is None:
        return warehouse.ingest(Study.of(study), Path(source), modalities=modalities, **taken)
    if keep is None or key is None:
        raise UsageError("DICOM needs the marked list and the key: --keep LIST.csv --key FILE")
    return intake.ingest(
        Study.of(study), source, keep=keep, key=key, rule=rule, participants=participants, workers=workers, **taken
    )


def where(study: StudyLike, source: str | Path, image_id: str, *, keep: str | Path, key: str | Path) -> list[Path]:
    """Return the DICOM files that an image was made from, for those who hold the key."""
    with extra("prepare"):
        from qcbench.prepare import intake
    return intake.where(Study.of(study), source, image_id, keep=keep, key=key)


def check_identity(
    target: str | Path, *, known: str | Path | None = None, workers: int | None = None, show_progress: bool = True
) -> Checked:
    """Return where something of a person may be left in a study, a folder, a file or an archive; never what it is."""
    with extra("prepare"):
        from qcbench.prepare import identity
    return identity.check_identity(target, known=known, workers=workers, show_progress=show_progress)


def preprocess(
    study: StudyLike,
    *,
    preset: str = "fast",
    workers: int | None = None,
    retry: bool = False,
    dask: str | None = None,
    slurm: bool | str = False,
    where: str | None = None,
    show_progress: bool = True,
) -> Summary | Job:
    """Align each T1w image to the template and draw its three central slices: table `preprocessed`.

    T2w and bold images are only drawn. `workers` images are processed at a time (default: one a core), here, or
    spread over other machines: with `dask` over the workers of the scheduler at that address, with `slurm` (True,
    or options of sbatch; default those of study.toml) over so many small jobs (default 16). Images that failed before
    are tried again with `retry`. With `where` ``local`` or ``slurm`` it returns a Job at once: the whole verb runs
    there, and with ``where="slurm"`` `slurm` are that one job's options.
    """
    is_spread = where != "slurm" and slurm is not False
    if where:
        asked = {"preset": preset, "workers": workers, "retry": retry, "dask": dask}
        if is_spread:
            asked |= {"slurm": True, "slurm_options": slurm if isinstance(slurm, str) else None}
        return Job.start(study, "preprocess", asked, where=where, slurm=slurm if isinstance(slurm, str) else "")
    with extra("prepare"):
        from qcbench.prepare import t1linear
    study = Study.of(study)
    options = slurm if isinstance(slurm, str) else study.slurm
    return t1linear.preprocess(
        study,
        preset=preset,
        workers=workers or (_SLURM_JOBS if is_spread else machine.usable_cores()),
        dask=dask,
        slurm=options if is_spread else None,
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
    with extra("prepare"):
        from qcbench.prepare import pool
    return pool.make_pool(
        Study.of(study),
        source=source,
        n=n,
        seed=seed,
        spacing=spacing,
        workers=workers or machine.usable_cores(),
        show_progress=show_progress,
    )


def sample(study: StudyLike, *, n: int, seed: int = 0, stratify: str | None = None, purpose: str = "label") -> Summary:
    """Draw the images that will be labelled, by participant: table `sample`.

    With the purpose ``volume``, those of them that are labelled once more from the whole volume: `volume_sample`.
    """
    from qcbench.annotate import sampling

    return sampling.draw(Study.of(study), n, seed=seed, stratify=stratify, purpose=purpose)
