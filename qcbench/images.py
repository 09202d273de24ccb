"""The only reader and writer of voxels and pictures; what is not a usable image is refused.

Every refusal is an ImageError with a stable code, decided before the voxels are allocated where
the header allows it: NOT_A_FILE, EMPTY, BAD_GZIP, NOT_NIFTI, NOT_3D, NOT_4D, TOO_LARGE, BAD_DTYPE,
BAD_AFFINE, TRUNCATED, ALL_NAN, CONSTANT. nibabel and numpy are imported only when voxels are
read, so that a labelling kernel can send PNG files without them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qcbench import durable
from qcbench.errors import ImageError

if TYPE_CHECKING:
    import numpy as np

#: A head at 0.5 mm has 0.13 thousand million voxels; more than this is a damaged header.
_MOST_VOXELS = 2**29
#: Clinical scans lie between 0.2 and 12 mm; 44 mm was seen in public records and is an error.
_SPACING_LIMITS_MM = (0.05, 20.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Grid:
    """Voxels (float32), the affine to RAS+ millimetres, and how many voxels were not finite.

    `slice_axis` is the array axis along which the scanner took slices, where the header says so.
    """

    data: np.ndarray
    affine: np.ndarray
    n_not_finite: int = 0
    slice_axis: int | None = None

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along each array axis."""
        import numpy as np

        return tuple(float(size) for size in np.linalg.norm(self.affine[:3, :3], axis=0))


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume(_Grid):
    """A 3D image: voxels along x, y and z."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Series(_Grid):
    """Volumes of one grid in the order in which they were taken: voxels along x, y, z and time.

    `repetition_time_s` is the time between two of them, None where the header does not say.
    """

    repetition_time_s: float | None = None


def load_volume(path: str | Path) -> Volume:
    """Return the voxels of a NIfTI file as float32, scaled, with NaN and infinity set to 0.

    Trailing axes of length one are dropped. Raises ImageError; the message names the file.
    """
    path = Path(path)
    image = _open(path)
    shape = _checked_shape(image, path)
    affine = _checked_affine(image, path)
    data, n_not_finite = _voxels(image, shape, path)
    return Volume(data=data, affine=affine, n_not_finite=n_not_finite, slice_axis=_slice_axis(image))


def load_series(path: str | Path) -> Series:
    """Return the voxels of a NIfTI file with several volumes, as `load_volume` does those of one.

    Raises ImageError; a single volume is NOT_4D, and more voxels than one image may have are TOO_LARGE.
    """
    path = Path(path)
    image = _open(path)
    shape = _checked_shape(image, path, n_axes=4)
    affine = _checked_affine(image, path)
    data, n_not_finite = _voxels(image, shape, path)
    return Series(
        data=data,
        affine=affine,
        n_not_finite=n_not_finite,
        slice_axis=_slice_axis(image),
        repetition_time_s=_repetition_time_s(image.header),
    )


def check_gzip(path: str | Path) -> None:
    """Read a .gz file to its end, where its checksum is; other files pass.

    `load_volume` stops at the last voxel and so never sees the checksum. Raises ImageError, also
    when far more comes out than an image can have: such a file is made to fill a memory.
    """
    path = Path(path)
    if not path.name.endswith(".gz"):
        return
    most = 16 * _MOST_VOXELS
    try:
        with gzip.open(path) as file:
            while content := file.read(2**22):
                most -= len(content)
                if most < 0:
                    raise ImageError("TOO_LARGE", f"{path.name} unpacks to more than any image has")
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ImageError("BAD_GZIP", f"{path.name} is damaged: {error}") from error
    except EOFError as error:
        raise ImageError("TRUNCATED", f"{path.name} ends early: {error}") from error


def save_volume(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    """Write a NIfTI file (gzip when it ends in .gz) durably. Same voxels, same bytes."""
    import nibabel as nib

    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code="mni" if "space-MNI" in Path(path).name else "scanner")
    image.set_qform(affine, code=0)
    image.header.set_xyzt_units("mm")
    content = image.to_bytes()
    if str(path).endswith(".gz"):
        from isal import igzip

        # A quarter of the time of zlib's fastest level, for the same size; no time stamp.
        content = igzip.compress(content, 1, mtime=0)
    durable.write_bytes(Path(path), content)


def save_png(path: Path, grey: np.ndarray) -> str:
    """Write an 8-bit grey picture (rows, columns) as PNG durably; return the file's sha256."""
    if grey.dtype != "uint8" or grey.ndim != 2:
        raise ImageError("BAD_DTYPE", f"{path.name}: a picture is 2D uint8, got {grey.ndim}D {grey.dtype}")
    content = png_bytes(grey)
    durable.write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def png_bytes(grey: np.ndarray, *, mark: str = "") -> bytes:
    """Return an 8-bit grey picture as PNG; `mark` is written into its upper left corner."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(grey)
    if mark:
        ImageDraw.Draw(picture).text((6, 3), mark, fill=190, font=ImageFont.load_default(18))
    buffer = io.BytesIO()
    # Run lengths alone: of scans that is as small as the most thorough search (2 % more), in a tenth of its time.
    picture.save(buffer, format="PNG", compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def read_png(path: Path) -> bytes:
    """Return the bytes of a PNG file; raises ImageError when it is missing or no PNG."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ImageError("NOT_A_FILE", f"the picture {Path(path).name} cannot be read: {error.strerror}") from error
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ImageError("NOT_PNG", f"{Path(path).name} is no PNG file")
    return content


def read_grey(path: Path) -> np.ndarray:
    """Return a PNG or JPEG picture as uint8 (rows, columns). Raises ImageError when it is none."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L"))
    except OSError as error:
        raise ImageError("NOT_A_PICTURE", f"{Path(path).name} cannot be read as a picture: {error}") from error


def file_md5(path: Path) -> str:
    """Return the md5 of a file as stored: MRIQC's identifier of an image."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def voxels_sha256(volume: Volume | Series) -> str:
    """Return a hash of the voxels and the affine: re-compressing the file does not change it."""
    import numpy as np

    digest = hashlib.sha256(np.ascontiguousarray(volume.affine, dtype="<f8").tobytes())
    digest.update(str(volume.data.shape).encode())
    # In the order of a NIfTI file, x first: that is how nibabel's voxels lie in memory, and nothing is copied.
    for plane in volume.data.T:
        digest.update(np.ascontiguousarray(plane, dtype="<f4"))
    return digest.hexdigest()


def _open(path: Path):
    import nibabel as nib
    import numpy as np
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    if not path.is_file():
        raise ImageError("NOT_A_FILE", f"{path} is missing or no regular file")
    if path.stat().st_size == 0:
        raise ImageError("EMPTY", f"{path.name} has no bytes")
    if path.name.endswith(".gz"):
        with path.open("rb") as file:
            if file.read(2) != b"\x1f\x8b":
                raise ImageError("BAD_GZIP", f"{path.name} is named .gz but is no gzip file")
    try:
        with np.errstate(invalid="ignore"):  # an affine that is no number is refused below, in words
            return nib.load(path)
    except (ImageFileError, HeaderDataError, EOFError, zlib.error, OSError, OverflowError, ValueError) as error:
        raise ImageError("NOT_NIFTI", f"{path.name} has no readable NIfTI header: {error}") from error


def _voxels(image, shape: tuple[int, ...], path: Path) -> tuple[np.ndarray, int]:
    """Return the voxels as float32, those that are not finite as 0, and how many those were."""
    import numpy as np

    try:
        # A damaged slope makes infinite voxels; they are counted below, and need no warning.
        with np.errstate(over="ignore", invalid="ignore"):
            data = np.asarray(image.dataobj, dtype=np.float32).reshape(shape)
    except gzip.BadGzipFile as error:
        raise ImageError("BAD_GZIP", f"{path.name} is damaged: {error}") from error
    except (EOFError, OSError, OverflowError, zlib.error, ValueError) as error:
        raise ImageError("TRUNCATED", f"{path.name} ends early or is damaged: {error}") from error
    finite = np.isfinite(data)
    n_not_finite = int(data.size - np.count_nonzero(finite))
    if n_not_finite == data.size:
        raise ImageError("ALL_NAN", f"{path.name} has no finite voxel")
    if n_not_finite:
        data = np.where(finite, data, np.float32(0))
    if data.min() == data.max():
        raise ImageError("CONSTANT", f"{path.name} has the same value in every voxel")
    return data, n_not_finite


def _checked_shape(image, path: Path, *, n_axes: int = 3) -> tuple[int, ...]:
    shape = tuple(int(size) for size in image.shape)
    dtype = image.get_data_dtype()
    if dtype.fields is not None or dtype.kind not in "iuf":
        raise ImageError(
            "BAD_DTYPE", f"{path.name} holds {dtype}, not one real number a voxel; is it a colour picture?"
        )
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != n_axes or min(shape) < 2:
        expected = "one 3D volume is" if n_axes == 3 else "a series of 3D volumes is"
        raise ImageError(
            f"NOT_{n_axes}D", f"{path.name} has shape {' x '.join(map(str, image.shape))}; {expected} expected"
        )
    if math.prod(shape) > _MOST_VOXELS:
        raise ImageError(
            "TOO_LARGE", f"{path.name} claims {math.prod(shape):,} voxels; at most {_MOST_VOXELS:,} are read"
        )
    return shape


def _repetition_time_s(header) -> float | None:
    zooms = header.get_zooms()
    # Only NIfTI headers have a unit of time; where they leave it open, seconds are meant, as BIDS has it.
    unit = getattr(header, "get_xyzt_units", lambda: ("", ""))()[1]
    seconds = float(zooms[3]) * {"msec": 1e-3, "usec": 1e-6}.get(unit, 1.0) if len(zooms) > 3 else 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _slice_axis(image) -> int | None:
    # Only NIfTI and Analyze headers know; MGH and others have no such field.
    known = getattr(image.header, "get_dim_info", lambda: (None, None, None))()
    return None if known[2] is None else int(known[2])


def _checked_affine(image, path: Path) -> np.ndarray:
    import numpy as np

    affine = np.asarray(image.affine, dtype=float)
    if not np.isfinite(affine).all():
        raise ImageError("BAD_AFFINE", f"{path.name}: the affine has values that are not finite")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    low, high = _SPACING_LIMITS_MM
    if spacing.min() < low or spacing.max() > high:
        raise ImageError(
            "BAD_AFFINE", f"{path.name}: voxels of {', '.join(f'{size:.3g}' for size in spacing)} mm are not plausible"
        )
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 0.1:
        raise ImageError("BAD_AFFINE", f"{path.name}: the axes of the affine are (nearly) parallel")
    return affine
