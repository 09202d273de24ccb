"""From a folder of NIfTI files or a BIDS dataset to the catalogue and the study's raw BIDS dataset.

The source is only read. Each file becomes one row of the table `images`, a damaged one too; what can be
read is copied into ``bids/`` under its BIDS name, with the part of its sidecar that names nobody.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from qcbench import durable, images, parallel, store
from qcbench.errors import ImageError, UsageError
from qcbench.iqm_keys import MODALITIES
from qcbench.prepare import arrivals, bids, headers
from qcbench.study import Study
from qcbench.summary import Summary

#: Folders of a BIDS dataset that hold no raw image.
_NOT_RAW = ("derivatives", "sourcedata", "code", "stimuli")
#: From so many new files on, starting processes pays.
_MANY_FILES = 32
#: What a row says that nobody has described.
_NOTHING_KNOWN = headers.columns({}, {})


def ingest(
    study: Study,
    source: str | Path,
    *,
    min_slices: int = 40,
    min_age: float = 18,
    modalities: Sequence[str] = ("T1w",),
    show_progress: bool = True,
) -> Summary:
    """Catalogue the images of `source` (a folder, a BIDS dataset or one file) and copy them into bids/.

    T1w images with fewer than `min_slices` slices, images of people known to be younger than `min_age`, or
    with the voxels of an image already there, get an `excluded_reason`; damaged files an `error`.
    Running again adds what is new and tries damaged files again if they have changed. Raises UsageError when
    there is no NIfTI file, and for a modality that is none of T1w, T2w, bold.
    """
    began = time.monotonic()
    study, source = Study.of(study), Path(source).absolute()
    files, others = _files_of(source, _known(modalities))
    known = {row["source_path"]: row for row in store.rows(study, "images")}
    todo = [path for path in files if not _is_settled(path, known.get(_as_text(path)))]
    people = bids.read_participants(source) if source.is_dir() else {}
    rows = _named(todo, source, known, people)
    bids.write_description(study.bids, name=f"raw images of the study {study.folder.name}", derivative=False)
    worker = partial(ingest_image, bids_folder=study.bids, min_slices=min_slices, min_age=min_age)
    # What a row must have when its worker dies before it can say anything.
    bare = {row["image_id"]: {**_NOTHING_KNOWN, **_catalogued(row)} for row in rows}
    new = []
    workers = (os.cpu_count() or 1) if len(rows) >= _MANY_FILES else 1
    with (
        arrivals.compared(study),
        parallel.local_executor(workers) as executor,
        parallel.progress("ingest", len(rows), show=show_progress) as advance,
        store.collect(study, "images") as table,
    ):
        for row in parallel.map_rows(worker, rows, executor):
            new.append({**bare[row["image_id"]], **row})
            table.append(new[-1])
            advance()
    catalogue = store.rows(study, "images")
    bids.write_participants(study.bids, (row for row in catalogue if row["bids_path"]))
    left_out = _left_out(others, modalities)
    return _summary(new, catalogue, unchanged=len(files) - len(todo), left_out=left_out, began=began)


def ingest_image(row: dict, *, bids_folder: Path, min_slices: int, min_age: float) -> dict:
    """Return the catalogue row of one file, after copying it into the raw BIDS dataset.

    `row` has image_id, participant_id, session_id, source_path, the BIDS `folder` and the `participant`
    as participants.tsv describes them. What is wrong with the file is in ``error``; what its sidecar
    says is in the row all the same.
    """
    path, folder, participant = Path(row["source_path"]), bids_folder / row["folder"], row["participant"]
    row = _catalogued(row)
    target = folder / (row["image_id"] + path.name[len(bids.stem(path)) :].lower())
    try:
        sidecar = bids.read_sidecar(path)
    except UsageError as error:
        # Age and simulation would be unknown: nobody may take the image for a real adult's by mistake.
        return {**_NOTHING_KNOWN, **row, "error": f"BAD_SIDECAR: {error}"}
    row |= headers.columns(sidecar, participant)
    try:
        row |= _voxel_columns(path, row["modality"])
    except ImageError as error:
        return {**row, "error": str(error), "file_md5": _md5_if_readable(path)}
    # Of other modalities thirty thick slices are usual.
    few = too_few_slices(row, min_slices) if row["modality"] == "T1w" else None
    row["excluded_reason"] = few or too_young(row, min_age)
    durable.write_bytes(target, path.read_bytes())
    durable.write_text(target.with_name(f"{row['image_id']}.json"), bids.to_json(headers.kept(sidecar)))
    return {**row, "bids_path": f"bids/{target.relative_to(bids_folder).as_posix()}"}


def slice_axis(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], header_axis: int | None) -> int:
    """Return the axis along which slices were taken: the header's, else that of the thickest voxels.

    With voxels of one size, or two axes of the largest, it is the axis with the fewest voxels.

    >>> slice_axis((256, 256, 30), (1.0, 1.0, 5.0), None), slice_axis((160, 256, 256), (1.0, 1.0, 1.0), None)
    (2, 0)
    """
    if header_axis is not None:
        return header_axis
    thickest = [axis for axis in range(3) if spacing_mm[axis] > 0.99 * max(spacing_mm)]
    return thickest[0] if len(thickest) == 1 else min(range(3), key=lambda axis: (shape[axis], axis))


def _known(modalities: Sequence[str]) -> Sequence[str]:
    if not modalities or set(modalities) - set(MODALITIES):
        raise UsageError(f"modalities are some of {', '.join(MODALITIES)}, got {', '.join(modalities) or 'none'}")
    return modalities


def _files_of(source: Path, modalities: Sequence[str]) -> tuple[list[Path], Counter]:
    """Return the files of these modalities, sorted, and how many of each other kind there are."""
    if source.is_dir():
        found = sorted(path for path in _nifti_below(source) if not _is_hidden(path.relative_to(source)))
        if (source / "dataset_description.json").is_file():
            found = [path for path in found if path.relative_to(source).parts[0] not in _NOT_RAW]
    else:
        found = [source] if source.exists() and source.name.lower().endswith((".nii", ".nii.gz")) else []
    if not found:
        raise UsageError(
            f"{source} has no NIfTI file (*.nii, *.nii.gz). Give a folder of NIfTI files, a BIDS dataset or one file; "
            "for DICOM, give also the list of what to keep, made by: qcbench attributes."
        )
    kinds = {path: bids.parse(bids.stem(path)).suffix for path in found}
    others = Counter(kind for kind in kinds.values() if kind not in modalities)
    return [path for path in found if kinds[path] in modalities], others


def _as_text(path: Path) -> str:
    """Return a path as text that a table can hold; bytes that are no UTF-8 are spelt out, so that the file is named."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _md5_if_readable(path: Path) -> str | None:
    try:
        return images.file_md5(path) if path.is_file() else None
    except OSError:
        return None


def _nifti_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.name.lower().endswith((".nii", ".nii.gz")) and not path.is_dir())


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def _is_settled(path: Path, row: dict | None) -> bool:
    """Return whether the file needs no look: it was catalogued, and if damaged it is still the same."""
    if row is None:
        return False
    if row["error"] is None:
        return True
    return (
        not row["error"].startswith("BAD_SIDECAR")
        and row["file_md5"] is not None
        and row["file_md5"] == _md5_if_readable(path)
    )


def _named(files: list[Path], source: Path, known: dict[str, dict], people: dict[str, dict]) -> list[dict]:
    """Return one row a file with its names; the same files get the same names in any order of calls."""
    taken = {row["image_id"].lower() for row in known.values()}
    rows = []
    for path in files:
        if _as_text(path) in known:
            name = bids.parse(known[_as_text(path)]["image_id"])
        else:
            place = _as_text(path.relative_to(source)) if path != source else path.name
            name = bids.distinct(bids.parse(bids.stem(path)), place, taken)
            taken.add(str(name).lower())
        session = name.entities.get("ses")
        rows.append(
            {
                "image_id": str(name),
                "participant_id": f"sub-{name.entities['sub']}",
                "session_id": f"ses-{session}" if session else None,
                "source_path": _as_text(path),
                "modality": name.suffix,
                "folder": name.folder,
                "participant": people.get(f"sub-{name.entities['sub']}", {}),
            }
        )
    return rows


def _voxel_columns(path: Path, modality: str) -> dict:
    images.check_gzip(path)
    volume = _loaded(path, modality)
    spacing, shape = volume.spacing_mm, volume.data.shape[:3]
    return {
        "file_md5": images.file_md5(path),
        "voxels_sha256": images.voxels_sha256(volume),
        "n_slices": shape[slice_axis(shape, spacing, volume.slice_axis)],
        **{f"spacing_{axis}_mm": round(size, 4) for axis, size in zip("xyz", spacing, strict=True)},
        "n_not_finite": volume.n_not_finite,
    }


def _loaded(path: Path, modality: str) -> images.Volume | images.Series:
    """Return a volume, or the series that a bold image is."""
    try:
        return images.load_volume(path)
    except ImageError as error:
        if modality != "bold" or error.code != "NOT_3D":
            raise
    return images.load_series(path)


def too_few_slices(row: dict, min_slices: int) -> str | None:
    """Return the reason that excludes an image with too few slices; None when they are enough or not counted."""
    if row["n_slices"] is None:
        return None
    few = row["n_slices"] < min_slices
    return f"{row['n_slices']} slices, fewer than {min_slices}" if few else None


def too_young(row: dict, min_age: float) -> str | None:
    """Return the reason that excludes a person known to be too young; None when they are old enough or unknown."""
    age = row["age_years"]
    return f"{age:g} years old, under {min_age:g}" if age is not None and age < min_age else None


def _catalogued(row: dict) -> dict:
    return {key: value for key, value in row.items() if key not in ("folder", "participant")}


def _left_out(others: Counter, modalities: Sequence[str]) -> list[str]:
    if not others:
        return []
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
    return [f"left out, being no {' or '.join(modalities)} by their names: {kinds}"]


def _summary(new: list[dict], catalogue: list[dict], *, unchanged: int, left_out: list[str], began: float) -> Summary:
    failed = {row["image_id"]: row["error"] for row in new if row["error"]}
    excluded = sum(row["excluded_reason"] is not None for row in catalogue)
    notes = list(left_out)
    earlier = sum(bool(row["error"]) for row in catalogue) - len(failed)
    if earlier:
        notes.append(f"{earlier} damaged files from earlier runs have not changed")
    return Summary(
        stage="ingest",
        done=len(new) - len(failed),
        unchanged=unchanged,
        failed=failed,
        facts={
            "images": len(catalogue),
            "participants": len({row["participant_id"] for row in catalogue}),
            "excluded": excluded,
            "simulated": sum(row["simulated"] for row in catalogue),
        },
        notes=notes,
        seconds=time.monotonic() - began,
    )
