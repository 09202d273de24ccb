"""Every exception that qcbench raises on purpose.

    QcbenchError
    ├── UsageError              the call cannot be carried out as asked (exit status 2)
    │   ├── StudyError          no study there, or its study.toml is wrong
    │   ├── ProtocolError       a protocol file is wrong: file, line and reason are named
    │   └── MissingExtraError   an optional dependency is not installed
    ├── TableError              a table is damaged, or its columns are not those of its schema
    ├── ImageError              an image cannot be used; `.code` is stable, e.g. "TRUNCATED"
    ├── LabelError              a label breaks the protocol
    ├── ReviewError             a joint review cannot go on like that, e.g. one's own proposal is signed
    ├── LeakError               one participant would be in two sets
    ├── TrainingError           a network cannot be fitted, e.g. a class is empty
    ├── WeightsError            saved weights are damaged, or not safetensors
    ├── DiskError               what was made cannot be written: full, over quota, or read-only
    └── WorkerError             a subprocess crashed, hung, or outgrew its memory

A message says what was expected, what came and what to do next, and names the file.
"""

from __future__ import annotations

import errno

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class QcbenchError(Exception):
    """The base: catch this to catch whatever qcbench raises on purpose."""


class UsageError(QcbenchError):
    """The call cannot be carried out as asked; nothing was changed."""


class StudyError(UsageError):
    """There is no study at that path, or its study.toml is wrong."""


class ProtocolError(UsageError):
    """A protocol file is wrong; the message names the file, the line and the entry."""


class MissingExtraError(UsageError):
    """An optional dependency is not installed; the message has the install command."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(
            f"this needs {module!r}, which is not installed. Install it with: pip install 'qcbench[{extra}]'"
        )


class TableError(QcbenchError):
    """A table is damaged, or its columns are not those of its schema."""


class ImageError(QcbenchError):
    """An image cannot be used. `code` is one stable word, e.g. ``TRUNCATED``.

    >>> str(ImageError("NOT_3D", "scan.nii.gz has 4 dimensions"))
    'NOT_3D: scan.nii.gz has 4 dimensions'
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class LabelError(QcbenchError):
    """A label breaks the protocol: a grade is missing, unknown or out of range."""


class ReviewError(QcbenchError):
    """A joint review cannot go on like that; the text is for the reviewer."""


class LeakError(QcbenchError):
    """One participant would be in two sets, so a result would be too good to be true."""


class TrainingError(QcbenchError):
    """A network cannot be fitted, for instance because a class has no image."""


class WeightsError(QcbenchError):
    """Saved weights are damaged, do not fit the network, or are not safetensors."""


class DiskError(QcbenchError):
    """What was made cannot be written; no image is to blame, and a batch ends with it."""

    @classmethod
    def of(cls, error: BaseException) -> DiskError | None:
        """Return the error that an OSError is when it tells of a disk without room or leave to write; None for others.

        >>> DiskError.of(FileNotFoundError(2, "gone")) is None
        True
        """
        if not isinstance(error, OSError) or error.errno not in _NO_ROOM:
            return None
        where = f"{error.filename}: " if error.filename else ""
        return cls(
            f"{where}{error.strerror}; make room, or make it writable, and run the same again: what is done is kept"
        )


class WorkerError(QcbenchError):
    """A subprocess crashed, ran past its time, or outgrew its memory."""
