"""Where an unfinished training stands, after each epoch: what a killed one goes on from, bit for bit.

A checkpoint is two files of one folder: epoch-0007.safetensors with every tensor (weights, best weights, optimiser),
then epoch-0007.json with all the rest and the hash of the first. The JSON is written last, so that its presence says
that the checkpoint is whole, and the one before is kept until then. No pickle is written or read.

Random states are not stored, for none lives longer than an epoch: each is seeded by the training's seed, the epoch and
the process (`samplers.seed_epoch`).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from qcbench import durable
from qcbench.errors import UsageError

#: The latest, and the one before in case the disk lost a part of the latest.
_KEPT = 2
_TENSOR = "__tensor__"
_PAIRS = "__pairs__"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What was known after an epoch: plain values and tensors in dictionaries and lists."""

    epoch: int
    content: Mapping[str, object]


def save(folder: Path, epoch: int, content: Mapping[str, object]) -> None:
    """Write the checkpoint of an epoch durably, then remove those before the last two."""
    tensors: dict[str, Tensor] = {}
    plain = _without_tensors(content, "", tensors)
    stored = safetensors.torch.save(tensors)
    document = {"epoch": epoch, "tensors_sha256": hashlib.sha256(stored).hexdigest(), "content": plain}
    durable.write_bytes(folder / f"epoch-{epoch:04d}.safetensors", stored)
    durable.write_text(folder / f"epoch-{epoch:04d}.json", json.dumps(document) + "\n")
    kept = {path.stem for path in _documents(folder)[:_KEPT]}
    for path in folder.iterdir():
        # Without a JSON beside them are only leftovers of a process that was killed while it wrote.
        if path.stem not in kept:
            path.unlink(missing_ok=True)


def newest(folder: Path) -> Checkpoint | None:
    """Return the latest checkpoint that is whole, or None. A damaged one is passed over."""
    for path in _documents(folder):
        found = _read(path)
        if found is not None:
            return found
    return None


def newest_curves(folder: Path) -> list[dict]:
    """Return the rows of the epochs so far, without reading a tensor."""
    for path in _documents(folder):
        try:
            content = dict(json.loads(path.read_text())["content"][_PAIRS])
            return _with_tensors(content["curves"], {})
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return []


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes from fitting into a folder; it is made. Raises UsageError when one does.

    The claim is the kernel's: it ends with the process, however that ends.
    """
    durable.make_folder(folder)
    with (folder / ".claim").open("w") as claim:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another process is fitting into {folder}. Wait until it is done, stop it, or fit other folds."
            ) from error
        yield


def remove(folder: Path) -> None:
    """Remove all checkpoints of a folder, and it."""
    if folder.is_dir():
        shutil.rmtree(folder)
        durable.flush_folder(folder.parent)


def _documents(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.json"), reverse=True)


def _read(path: Path) -> Checkpoint | None:
    try:
        document = json.loads(path.read_text())
        stored = path.with_suffix(".safetensors").read_bytes()
        if hashlib.sha256(stored).hexdigest() != document["tensors_sha256"]:
            return None
        content = _with_tensors(document["content"], safetensors.torch.load(stored))
        return Checkpoint(epoch=document["epoch"], content=content)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


def _without_tensors(value: object, name: str, tensors: dict[str, Tensor]) -> object:
    """Return a copy for JSON; each tensor goes into `tensors` and leaves its name. Keys may be numbers."""
    if isinstance(value, Tensor):
        # Of channels-last weights the values in their usual order: the file knows no other.
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        return {_PAIRS: [[key, _without_tensors(part, f"{name}/{key}", tensors)] for key, part in value.items()]}
    if isinstance(value, list | tuple):
        return [_without_tensors(part, f"{name}/{number}", tensors) for number, part in enumerate(value)]
    return value


def _with_tensors(value: object, tensors: Mapping[str, Tensor]) -> object:
    if isinstance(value, list):
        return [_with_tensors(part, tensors) for part in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    return {key: _with_tensors(part, tensors) for key, part in value[_PAIRS]}
