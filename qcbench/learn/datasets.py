"""Preprocessed volumes as one memory-mapped array of bytes, and as a torch Dataset.

Reading 6.3 MB of uint8 takes a quarter of the time of float32, and training waits for the disk,
not for the processor. One raw file per spacing holds volume after volume; `cache_index` says which
row is whose, and the hash of its bytes. uint16 keeps the 12 bits of a scanner, in twice the room.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qcbench import durable, images, parallel, store
from qcbench.errors import ImageError, UsageError
from qcbench.imaging import crop
from qcbench.learn.cache_index import CacheIndex, Entry, file_state
from qcbench.learn.networks import FULL_SHAPE
from qcbench.study import Study
from qcbench.summary import Summary

#: Voxel sizes in mm that volumes are cached at.
SPACINGS = (1, 2, 4)
#: How a cache may hold voxels: the name of the type -> what 1.0 becomes.
VOXELS = {"uint8": 255, "uint16": 65535}
_FLUSH_EVERY_S = 15.0


@dataclass(frozen=True, kw_only=True)
class VolumeCache:
    """The cached volumes of one spacing: where they lie, their type, and the row of each image and its hash.

    The hash is of the bytes: with it a run and a prediction say which voxels they rest on.
    """

    path: Path
    spacing: int
    rows: Mapping[str, int]
    voxels: str = "uint8"
    hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of each volume."""
        return coarse_shape(self.spacing)

    def __contains__(self, image_id: object) -> bool:
        return image_id in self.rows

    def __len__(self) -> int:
        return len(self.rows)

    def volume(self, image_id: str) -> np.ndarray:
        """Return one volume (x, y, z): 0 is the darkest voxel of the image, 255 (or 65535) the brightest.

        The file is mapped anew at each call (microseconds), so that a cache can be sent to the
        processes of a DataLoader without its content.
        """
        offset = self.rows[image_id] * _row_bytes(self.spacing, self.voxels)
        return np.array(np.memmap(self.path, self.voxels, mode="r", offset=offset, shape=self.shape))

    def volumes(self, image_ids: Sequence[str]) -> Tensor:
        """Return volumes as one tensor of the cache's type (images, 1, x, y, z)."""
        return torch.from_numpy(np.stack([self.volume(image_id) for image_id in image_ids])[:, None])


class VolumeDataset(torch.utils.data.Dataset):
    """Volumes with their labels, in the order of their ids: (voxels of the cache (1, x, y, z), label).

    A label is 0 or 1, or what the outputs should say (float32, not a number where nothing was noted).
    """

    def __init__(self, cache: VolumeCache, labels: Mapping[str, int | Sequence[float]]) -> None:
        self.image_ids = sorted(labels)
        self._cache, self._labels = cache, labels

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image_id = self.image_ids[index]
        return torch.from_numpy(self._cache.volume(image_id)[None]), torch.as_tensor(self._labels[image_id])


def to_unit(volumes: Tensor) -> Tensor:
    """Return voxels of a cache as float32 in [0, 1]; done on the device, so that only bytes travel to it.

    What is float32 already is returned as it is.
    """
    if volumes.dtype == torch.float32:
        return volumes
    return volumes.to(torch.float32) / VOXELS[str(volumes.dtype).removeprefix("torch.")]


def coarse_shape(spacing: int) -> tuple[int, int, int]:
    """Return the voxels of a volume at that spacing in mm.

    >>> coarse_shape(1), coarse_shape(2), coarse_shape(4)
    ((169, 208, 179), (85, 104, 90), (43, 52, 45))
    """
    if spacing not in SPACINGS:
        raise UsageError(f"spacing must be one of {', '.join(map(str, SPACINGS))} mm, got {spacing!r}")
    return tuple(-(-size // spacing) for size in FULL_SHAPE)


def build_cache(
    study: Study,
    *,
    spacing: int = 1,
    voxels: str = "uint8",
    image_ids: Iterable[str] | None = None,
    check: bool = False,
    workers: int = 0,
    show_progress: bool = True,
) -> Summary:
    """Write the volumes that the cache lacks; return how many, and which cannot be used and why.

    Takes all preprocessed images that are stored at 1 mm or at this spacing, or only `image_ids`.
    A volume whose file changed is written again; with `check` so is one whose bytes are not those that were written,
    which reads the cache once. A build that was stopped goes on, and several may run at once. Each worker holds one
    volume (about 150 MB). Raises OSError when the disk takes no more, instead of going on with what it took.
    """
    started = time.monotonic()
    shape = coarse_shape(spacing)
    _refuse_other_voxels(voxels)
    wanted = None if image_ids is None else set(image_ids)
    sources = {
        row["image_id"]: study.absolute(row["volume_path"])
        for row in store.require(study, "preprocessed", "preprocess")
        if row["volume_path"] and (serves(row, spacing) if wanted is None else row["image_id"] in wanted)
    }
    path, index = _cache_path(study, spacing, voxels), _index(study, spacing, voxels)
    durable.make_folder(path.parent)
    damaged = _damaged(path, index.read(), sources, spacing, voxels) if check else set()
    states = {image_id: file_state(source) for image_id, source in sources.items()}
    missing = index.hand_out(states, n_rows=_rows_on_disk(path, spacing, voxels), damaged=damaged)
    rows = [{"image_id": image_id, "path": str(sources[image_id]), "row": row} for image_id, row in missing.items()]
    worker = functools.partial(cache_volume, path=path, spacing=spacing, voxels=voxels)
    with (
        parallel.local_executor(workers) as executor,
        parallel.progress(f"volumes at {spacing} mm", len(rows), show=show_progress and bool(rows)) as advance,
    ):
        failed = _noted(index, parallel.map_rows(worker, rows, executor), missing, path, advance)
    return Summary(
        stage="cache",
        done=len(missing) - len(failed),
        unchanged=len(sources) - len(missing),
        failed=failed,
        facts={"spacing_mm": spacing, "shape": " x ".join(map(str, shape)), "damaged": len(damaged)},
        seconds=time.monotonic() - started,
    )


def open_cache(study: Study, *, spacing: int = 1, voxels: str = "uint8") -> VolumeCache:
    """Return the cache as it is on the disk.

    Rows beyond the end of its file do not count, nor those of images that have no volume any more: what was cached
    before their preprocessing failed.
    """
    _refuse_other_voxels(voxels)
    path = _cache_path(study, spacing, voxels)
    n_rows = _rows_on_disk(path, spacing, voxels)
    table = store.read(study, "preprocessed")
    preprocessed = set(table["image_id"].filter(table["volume_path"].is_valid()).to_pylist())
    entries = {
        image_id: entry
        for image_id, entry in _index(study, spacing, voxels).read().items()
        if image_id in preprocessed and None not in (entry.file, entry.hash) and entry.row < n_rows
    }
    return VolumeCache(
        path=path,
        spacing=spacing,
        rows={image_id: entry.row for image_id, entry in entries.items()},
        voxels=voxels,
        hashes={image_id: entry.hash for image_id, entry in entries.items()},
    )


def without_volume(study: Study, image_ids: Iterable[str], cache: VolumeCache) -> dict[str, str]:
    """Return image_id -> why there is no volume of it, of those images that the cache does not hold."""
    absent = set(image_ids) - set(cache.rows)
    reasons = {row["image_id"]: row["error"] for row in store.rows(study, "preprocessed") if not row["volume_path"]}
    return {
        image_id: f"has no volume: {reasons.get(image_id) or 'it was not preprocessed'}" for image_id in sorted(absent)
    }


def made_anew(study: Study, cache: VolumeCache) -> set[str]:
    """Return the images whose bytes have been others since the cache was opened."""
    entries = _index(study, cache.spacing, cache.voxels).read()
    return {
        image_id
        for image_id, hash_ in cache.hashes.items()
        if image_id in entries and entries[image_id].hash not in (None, hash_)
    }


def cache_volume(row: Mapping, *, path: Path, spacing: int, voxels: str = "uint8") -> dict:
    """Write one volume into its row of the cache file (worker). Returns the state of its source file and a hash.

    Takes volumes of 1 mm on the grid of 169 x 208 x 179 voxels in RAS+, and simulated copies that
    were made for this spacing. Raises ImageError for any other and for a damaged one. That the disk takes nothing is no
    fault of the image: then ``refused`` has number and words of the error.
    """
    source = Path(row["path"])
    state = file_state(source)
    volume = images.load_volume(source)
    if volume.data.shape == coarse_shape(spacing) != FULL_SHAPE:
        coarse = crop.from_coarse_int16(volume.data)
    else:
        _refuse_other_grid(volume, source, spacing)
        coarse = crop.block_average(crop.min_max(volume.data), spacing)
    content = np.rint(VOXELS[voxels] * coarse).astype(voxels).tobytes()
    try:
        _write_row(path, row["row"] * _row_bytes(spacing, voxels), content)
    except OSError as error:
        return {"refused": (error.errno, error.strerror)}
    return {"file": state, "hash": _hash(content)}


def serves(row: Mapping, spacing: int) -> bool:
    """Return whether a row of `preprocessed` may be cached at a spacing: copies for training were stored for one."""
    stored = re.search(r"_res-(\d)x", row["volume_path"])
    return stored is None or int(stored[1]) in (1, spacing)


def _noted(
    index: CacheIndex, found: Iterable[Mapping], row_of: Mapping[str, int], path: Path, advance: Callable[[], None]
) -> dict[str, str]:
    """Put what was written into the index, now and then and at the end; return which images failed and why."""
    failed: dict[str, str] = {}
    written: dict[str, Entry] = {}
    flushed_at = time.monotonic()
    try:
        for row in found:
            image_id = row["image_id"]
            if row["error"]:
                failed[image_id] = row["error"]
            elif "refused" in row:
                number, words = row["refused"]
                raise OSError(number, f"{words}; make room or ask for it, then run this again: it goes on", str(path))
            else:
                written[image_id] = Entry(row=row_of[image_id], file=row["file"], hash=row["hash"])
            advance()
            if time.monotonic() - flushed_at > _FLUSH_EVERY_S:
                index.note(written)
                written, flushed_at = {}, time.monotonic()
    finally:
        index.note(written)
    return failed


def _write_row(path: Path, offset: int, content: bytes) -> None:
    # Not written through the map: a full disk would then be a fatal signal instead of an error.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o640)
    try:
        view = memoryview(content)
        while view:
            n_written = os.pwrite(descriptor, view, offset)
            offset, view = offset + n_written, view[n_written:]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(path: Path, index: Mapping[str, Entry], image_ids: Iterable[str], spacing: int, voxels: str) -> set[str]:
    """Return the images whose bytes are not those that were written."""
    n_bytes, n_rows = _row_bytes(spacing, voxels), _rows_on_disk(path, spacing, voxels)
    known = [name for name in image_ids if name in index and index[name].file and index[name].row < n_rows]
    if not known:
        return set()
    damaged = set()
    with path.open("rb") as file:
        for image_id in sorted(known, key=lambda name: index[name].row):
            file.seek(index[image_id].row * n_bytes)
            if _hash(file.read(n_bytes)) != index[image_id].hash:
                damaged.add(image_id)
    return damaged


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _refuse_other_voxels(voxels: str) -> None:
    if voxels not in VOXELS:
        raise UsageError(f"voxels are cached as {' or '.join(VOXELS)}, got {voxels!r}")


def _refuse_other_grid(volume: images.Volume, source: Path, spacing: int) -> None:
    if volume.data.shape != FULL_SHAPE or not np.allclose(volume.affine[:3, :3], np.eye(3), atol=1e-3):
        shape = " x ".join(map(str, volume.data.shape))
        raise ImageError(
            "BAD_GRID",
            f"{source.name} has {shape} voxels and axes {np.round(volume.affine[:3, :3], 3).tolist()}; "
            f"169 x 208 x 179 voxels of 1 mm in RAS+ (or a copy made for {spacing} mm) are expected. "
            "Preprocess the image again, or simulate for this spacing.",
        )


def _cache_path(study: Study, spacing: int, voxels: str) -> Path:
    return study.cache / f"volumes-{spacing}mm.{'u8' if voxels == 'uint8' else 'u16'}"


def _index(study: Study, spacing: int, voxels: str) -> CacheIndex:
    suffix = "" if voxels == "uint8" else "-u16"
    return CacheIndex(path=study.cache / f"volumes-{spacing}mm{suffix}.json")


def _row_bytes(spacing: int, voxels: str) -> int:
    return int(np.prod(coarse_shape(spacing))) * np.dtype(voxels).itemsize


def _rows_on_disk(path: Path, spacing: int, voxels: str) -> int:
    return path.stat().st_size // _row_bytes(spacing, voxels) if path.is_file() else 0
