"""Preprocessed volumes as one memory-mapped array of bytes, and as a torch Dataset.

Reading 6.3 MB of uint8 takes a quarter of the time of float32, and training waits for the disk,
not for the processor. One raw file per spacing holds volume after volume; a JSON index says which
row is whose, and the hash of its bytes. A row belongs to its image for good, so that builders that run at once agree.
uint16 keeps the 12 bits of a scanner, in twice the room.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qcbench import durable, images, parallel, store
from qcbench.errors import ImageError, UsageError
from qcbench.imaging import crop
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
    """The cached volumes of one spacing: where they lie, their shape, their type, and the row of each image."""

    path: Path
    spacing: int
    rows: Mapping[str, int]
    voxels: str = "uint8"

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
    which reads the cache once. A build that was stopped goes on. Each worker holds one volume (about 150 MB).
    """
    started = time.monotonic()
    shape = coarse_shape(spacing)
    _refuse_other_voxels(voxels)
    wanted = None if image_ids is None else set(image_ids)
    volumes = [
        row
        for row in store.require(study, "preprocessed", "preprocess")
        if row["volume_path"] and (serves(row, spacing) if wanted is None else row["image_id"] in wanted)
    ]
    path, index = _cache_path(study, spacing, voxels), _read_index(study, spacing, voxels)
    damaged = _damaged(path, index, [row["image_id"] for row in volumes], spacing, voxels) if check else set()
    missing = _missing(study, volumes, path, spacing, voxels, index, damaged)
    failed = {}
    worker = functools.partial(cache_volume, path=path, spacing=spacing, voxels=voxels)
    with (
        parallel.local_executor(workers) as executor,
        parallel.progress(f"volumes at {spacing} mm", len(missing), show=show_progress and bool(missing)) as advance,
    ):
        flushed_at = time.monotonic()
        try:
            for row in parallel.map_rows(worker, missing, executor):
                if row["error"]:
                    failed[row["image_id"]] = row["error"]
                else:
                    index[row["image_id"]] |= {"file": row["file"], "hash": row["hash"]}
                advance()
                if time.monotonic() - flushed_at > _FLUSH_EVERY_S:
                    _write_index(study, spacing, voxels, index)
                    flushed_at = time.monotonic()
        finally:
            if missing:
                _write_index(study, spacing, voxels, index)
    return Summary(
        stage="cache",
        done=len(missing) - len(failed),
        unchanged=len(volumes) - len(missing),
        failed=failed,
        facts={"spacing_mm": spacing, "shape": " x ".join(map(str, shape)), "damaged": len(damaged)},
        seconds=time.monotonic() - started,
    )


def open_cache(study: Study, *, spacing: int = 1, voxels: str = "uint8") -> VolumeCache:
    """Return the cache as it is on the disk; rows beyond the end of its file do not count."""
    _refuse_other_voxels(voxels)
    path = _cache_path(study, spacing, voxels)
    n_rows = _rows_on_disk(path, spacing, voxels)
    rows = {
        image_id: entry["row"]
        for image_id, entry in _read_index(study, spacing, voxels).items()
        if entry["file"] is not None and entry["row"] < n_rows
    }
    return VolumeCache(path=path, spacing=spacing, rows=rows, voxels=voxels)


def cache_volume(row: Mapping, *, path: Path, spacing: int, voxels: str = "uint8") -> dict:
    """Write one volume into its row of the cache file (worker). Returns the state of its source file and a hash.

    Takes volumes of 1 mm on the grid of 169 x 208 x 179 voxels in RAS+, and simulated copies that
    were made for this spacing. Raises ImageError for any other and for a damaged one.
    """
    source = Path(row["path"])
    state = _file_state(source)
    volume = images.load_volume(source)
    if volume.data.shape == coarse_shape(spacing) != FULL_SHAPE:
        coarse = crop.from_coarse_int16(volume.data)
    else:
        _refuse_other_grid(volume, source, spacing)
        coarse = crop.block_average(crop.min_max(volume.data), spacing)
    content = np.rint(VOXELS[voxels] * coarse).astype(voxels).tobytes()
    # Not written through the map: a full disk would then be a fatal signal instead of an error.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o640)
    try:
        offset, view = row["row"] * _row_bytes(spacing, voxels), memoryview(content)
        while view:
            n_written = os.pwrite(descriptor, view, offset)
            offset, view = offset + n_written, view[n_written:]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return {"file": state, "hash": _hash(content)}


def serves(row: Mapping, spacing: int) -> bool:
    """Return whether a row of `preprocessed` may be cached at a spacing: copies for training were stored for one."""
    stored = re.search(r"_res-(\d)x", row["volume_path"])
    return stored is None or int(stored[1]) in (1, spacing)


def _damaged(path: Path, index: Mapping, image_ids: Iterable[str], spacing: int, voxels: str) -> set[str]:
    """Return the images whose bytes are not those that were written."""
    n_bytes, n_rows = _row_bytes(spacing, voxels), _rows_on_disk(path, spacing, voxels)
    damaged = set()
    known = [name for name in image_ids if name in index and index[name]["file"] and index[name]["row"] < n_rows]
    if not known:
        return damaged
    with path.open("rb") as file:
        for image_id in sorted(known, key=lambda name: index[name]["row"]):
            file.seek(index[image_id]["row"] * n_bytes)
            if _hash(file.read(n_bytes)) != index[image_id].get("hash"):
                damaged.add(image_id)
    return damaged


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _refuse_other_voxels(voxels: str) -> None:
    if voxels not in VOXELS:
        raise UsageError(f"voxels are cached as {' or '.join(VOXELS)}, got {voxels!r}")


def _missing(
    study: Study,
    volumes: Sequence[Mapping],
    path: Path,
    spacing: int,
    voxels: str,
    index: dict,
    damaged: set[str],
) -> list[dict]:
    """Return what must be written, with its row; images that are new get one in `index`."""
    durable.make_folder(path.parent)
    n_rows = _rows_on_disk(path, spacing, voxels)
    following = max((entry["row"] for entry in index.values()), default=-1) + 1
    missing = []
    for volume in sorted(volumes, key=lambda volume: volume["image_id"]):
        entry = index.get(volume["image_id"])
        if entry is None:
            entry = index[volume["image_id"]] = {"row": following, "file": None}
            following += 1
        source = study.absolute(volume["volume_path"])
        is_whole = entry["file"] is not None and entry["row"] < n_rows and volume["image_id"] not in damaged
        if not is_whole or entry["file"] != _file_state(source):
            entry["file"] = None
            missing.append({"image_id": volume["image_id"], "path": str(source), "row": entry["row"]})
    return missing


def _refuse_other_grid(volume: images.Volume, source: Path, spacing: int) -> None:
    if volume.data.shape != FULL_SHAPE or not np.allclose(volume.affine[:3, :3], np.eye(3), atol=1e-3):
        shape = " x ".join(map(str, volume.data.shape))
        raise ImageError(
            "BAD_GRID",
            f"{source.name} has {shape} voxels and axes {np.round(volume.affine[:3, :3], 3).tolist()}; "
            f"169 x 208 x 179 voxels of 1 mm in RAS+ (or a copy made for {spacing} mm) are expected. "
            "Preprocess the image again, or simulate for this spacing.",
        )


def _file_state(path: Path) -> str | None:
    """Return size and modification time: what tells that a file was written again."""
    if not path.is_file():
        return None
    found = path.stat()
    return f"{found.st_size}-{found.st_mtime_ns}"


def _cache_path(study: Study, spacing: int, voxels: str) -> Path:
    return study.cache / f"volumes-{spacing}mm.{'u8' if voxels == 'uint8' else 'u16'}"


def _index_path(study: Study, spacing: int, voxels: str) -> Path:
    return study.cache / f"volumes-{spacing}mm{'' if voxels == 'uint8' else '-u16'}.json"


def _row_bytes(spacing: int, voxels: str) -> int:
    return int(np.prod(coarse_shape(spacing))) * np.dtype(voxels).itemsize


def _rows_on_disk(path: Path, spacing: int, voxels: str) -> int:
    return path.stat().st_size // _row_bytes(spacing, voxels) if path.is_file() else 0


def _read_index(study: Study, spacing: int, voxels: str) -> dict[str, dict]:
    """Return image_id -> row, file state and hash. A damaged index is as good as none: all is written again."""
    try:
        return json.loads(_index_path(study, spacing, voxels).read_text())
    except (FileNotFoundError, ValueError):
        return {}


def _write_index(study: Study, spacing: int, voxels: str, index: Mapping[str, dict]) -> None:
    durable.write_text(_index_path(study, spacing, voxels), json.dumps(index, indent=0, sort_keys=True))
