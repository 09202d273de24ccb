"""Which row of a cache is whose: a JSON file beside the volumes, shared by builders that run at once.

A row is handed out once, to one image for good, and is in the index on the disk before a voxel is written into it.
Each change reads the index that is there under its lock, so that no builder takes back what another one wrote. Readers
need no lock: the file is replaced whole.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from qcbench import durable


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The row of an image, the state of the file that it was written from (None: it is not whole), and its hash."""

    row: int
    file: str | None = None
    hash: str | None = None


@dataclass(frozen=True, kw_only=True)
class CacheIndex:
    """The index of one cache file."""

    path: Path

    def read(self) -> dict[str, Entry]:
        """Return image_id -> entry. A damaged index is as good as none: all is written again."""
        try:
            document = json.loads(self.path.read_text())
            return {image_id: Entry(**entry) for image_id, entry in document.items()}
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return {}

    def hand_out(self, states: Mapping[str, str | None], *, n_rows: int, damaged: Collection[str] = ()) -> dict:
        """Return image_id -> the row to write, of those images that are not there as their file is now.

        `states` are the files' (`file_state`), `n_rows` how many rows the cache file has. These images count as absent
        until `note` is told that they were written.
        """
        with durable.locked(self.path):
            index = self.read()
            # Not only behind the rows of the index: whoever maps the rows of one that was lost goes on reading them.
            following = max([n_rows, *(entry.row + 1 for entry in index.values())])
            missing = {}
            for image_id, state in sorted(states.items()):
                entry = index.get(image_id)
                if entry is None:
                    entry, following = Entry(row=following), following + 1
                is_whole = None not in (entry.file, entry.hash) and entry.row < n_rows and image_id not in damaged
                if not is_whole or entry.file != state:
                    missing[image_id] = entry.row
                    index[image_id] = Entry(row=entry.row, hash=entry.hash)
            if missing:
                self._write(index)
        return missing

    def note(self, written: Mapping[str, Entry]) -> None:
        """Say which rows are whole now.

        Of a row that another builder wrote from another state of the file meanwhile nobody knows which one is there:
        it counts as absent, and the next builder writes it again.
        """
        if not written:
            return
        with durable.locked(self.path):
            index = self.read()
            for image_id, entry in written.items():
                there = index.get(image_id)
                if there is None or there.row != entry.row:
                    continue  # the index was lost meanwhile, and the row is nobody's
                is_contested = there.file is not None and there.hash != entry.hash
                index[image_id] = Entry(row=entry.row) if is_contested else entry
            self._write(index)

    def _write(self, index: Mapping[str, Entry]) -> None:
        # vars, not asdict: that copies deeply, which takes seconds with 40,000 images.
        document = {image_id: vars(entry) for image_id, entry in index.items()}
        durable.write_text(self.path, json.dumps(document, indent=0, sort_keys=True))


def file_state(path: Path) -> str | None:
    """Return size and modification time: what tells that a file was written again. None where there is none."""
    if not path.is_file():
        return None
    found = path.stat()
    return f"{found.st_size}-{found.st_mtime_ns}"
