"""One stack of DICOM files becomes one NIfTI file by dcm2niix, in a process with a limit of time, memory and disk.

dcm2niix ends with status 0 also when slices are missing: it then writes the image with a wrong geometry and a second
one, ``_Eq_1``, with slices that it made up. Either is refused here. Nothing that it prints is passed on, since paths
and values of headers stand in it.
"""

from __future__ import annotations

import json
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from qcbench.errors import ImageError, MissingExtraError

#: What dcm2niix adds to a name, and why such an image is not taken.
_REFUSED = {
    "_Eq": ("INCOMPLETE", "its slices are not equidistant, so that some are missing"),
    "_Tilt": ("TILTED", "its slices are sheared against each other"),
}
#: Added to the second image of a file of frames, say its phase; the magnitude is without them.
_NO_MAGNITUDE = ("_ph", "_real", "_imaginary", "_ROI")
_TIMEOUT_S = 300
_MEMORY_KB, _FILE_BLOCKS = 12 * 2**20, 2**23
#: Byte ranges of texts in the header of NIfTI-1: db_name, descrip, aux_file, intent_name. dcm2niix writes the time of
#: the scan and the comments of the staff into them.
_TEXTS = ((14, 32), (148, 228), (228, 252), (328, 344))
_HEADER_BYTES = 348
_VOXELS_AT = 352


@dataclass(frozen=True, kw_only=True)
class Converted:
    """An image as dcm2niix made it: a NIfTI file without free text, and the JSON that was beside it."""

    path: Path
    sidecar: dict


def convert(folder: Path, out: Path, *, timeout_s: float | None = None) -> Converted:
    """Return the image of the DICOM files in `folder`; `out` is an empty folder that is written into.

    Raises ImageError: NOT_CONVERTED, INCOMPLETE, TILTED, SEVERAL, TIMEOUT.
    """
    status = _run(folder, out, _TIMEOUT_S if timeout_s is None else timeout_s)
    made = sorted(path for path in out.iterdir() if path.suffix == ".nii")
    for path in made:
        for mark, (code, reason) in _REFUSED.items():
            if mark in path.stem:
                raise ImageError(code, reason)
    if status != 0 or not made:
        raise ImageError("NOT_CONVERTED", f"dcm2niix made no image of its files (exit status {status})")
    magnitudes = [path for path in made if not any(mark in path.stem for mark in _NO_MAGNITUDE)]
    if len(magnitudes) != 1:
        raise ImageError("SEVERAL", f"dcm2niix made {len(made)} images of it, and one is expected")
    _clear_texts(magnitudes[0])
    return Converted(path=magnitudes[0], sidecar=_sidecar(magnitudes[0].with_suffix(".json")))


def _run(folder: Path, out: Path, timeout_s: float) -> int:
    # Limits are set by a shell: `preexec_fn` is not safe in a process with threads.
    limits = f'ulimit -v {_MEMORY_KB} -f {_FILE_BLOCKS} 2>/dev/null; exec "$@"'
    options = ["-f", "image", "-z", "n", "-b", "y", "-ba", "y", "-w", "0", "-v", "0", "-o", str(out), str(folder)]
    try:
        return subprocess.run(
            ["/bin/sh", "-c", limits, "sh", binary(), *options],
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            # Pipes: waiting for their end wakes at once, waiting for a process with a limit looks every 50 ms.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        raise ImageError("TIMEOUT", f"dcm2niix was stopped after {timeout_s:.0f} s") from None


def binary() -> str:
    """Return where dcm2niix lies; raise MissingExtraError when it is not installed."""
    try:
        import dcm2niix
    except ModuleNotFoundError as error:
        raise MissingExtraError("dcm2niix", "prepare") from error
    return dcm2niix.bin


def _clear_texts(path: Path) -> None:
    """Empty the texts in the header of a NIfTI-1 file and take its extensions out; no voxel is touched."""
    with path.open("r+b") as file:
        header = bytearray(file.read(_VOXELS_AT))
        if len(header) < _VOXELS_AT or header[344:348] != b"n+1\0":
            raise ImageError("NOT_CONVERTED", "dcm2niix made no NIfTI-1 file of it")
        for start, end in _TEXTS:
            header[start:end] = bytes(end - start)
        (voxels_at,) = struct.unpack("<f", header[108:112])
        if voxels_at != _VOXELS_AT:  # extensions lie in between
            file.seek(int(voxels_at))
            voxels = file.read()
            file.seek(_VOXELS_AT)
            file.write(voxels)
            file.truncate()
        header[108:112] = struct.pack("<f", _VOXELS_AT)
        header[_HEADER_BYTES:] = bytes(_VOXELS_AT - _HEADER_BYTES)
        file.seek(0)
        file.write(header)


def _sidecar(path: Path) -> dict:
    try:
        content = json.loads(path.read_bytes().decode("utf-8", "replace"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
