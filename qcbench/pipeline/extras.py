"""What every stage takes for a study, and what it says when a part of qcbench is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qcbench.errors import MissingExtraError
from qcbench.study import Study

StudyLike = Study | str | Path


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Raise MissingExtraError, with the command that installs it, where an import of a room fails for a package."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "qcbench").startswith("qcbench"):
            raise
        raise MissingExtraError(error.name, name) from error
