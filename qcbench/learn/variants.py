"""The same study under other splits: to leave a hospital out, or to fit on fewer images.

A variant lies in variants/<name>/ of the study. It has splits, runs and predictions of its own and takes everything
else, the cached volumes included, from the study: whoever trains or predicts on a study can do so on a variant.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from qcbench import store
from qcbench.learn.splits import refuse_leak
from qcbench.study import Study

_OWN_TABLES = ("splits", "predictions", "metrics")


class Variant(Study):
    """A study whose splits, runs, predictions and metrics are those of variants/<name>/."""

    def __init__(self, study: Study, name: str) -> None:
        super().__init__(study.folder)
        self.name = name

    def __repr__(self) -> str:
        return f"Variant({str(self.folder)!r}, {self.name!r})"

    @property
    def own_folder(self) -> Path:
        """Where the tables and runs of the variant lie."""
        return self.folder / "variants" / self.name

    @property
    def runs(self) -> Path:
        """One folder a training run of this variant."""
        return self.own_folder / "runs"

    def table_path(self, name: str) -> Path:
        """Where the table of that name lies: the variant's own, or the study's."""
        return self.own_folder / f"{name}.parquet" if name in _OWN_TABLES else super().table_path(name)


def prepare(study: Study, name: str, splits: Iterable[Mapping[str, object]]) -> Variant:
    """Return the variant of that name with these splits; what was fitted on the same ones stays.

    Raises LeakError when a participant is in two sets.
    """
    variant = Variant(study, name)
    rows = sorted(({**row} for row in splits), key=lambda row: row["image_id"])
    refuse_leak(rows)
    if store.rows(variant, "splits") != rows:
        store.write(variant, "splits", rows)
    return variant


def find(study: Study, prefix: str) -> list[Variant]:
    """Return the variants whose name begins so, by name."""
    folders = sorted((study.folder / "variants").glob(f"{prefix}*/splits.parquet"))
    return [Variant(study, path.parent.name) for path in folders]


def as_name(text: str) -> str:
    """Return a text as part of a folder's name; two texts never have one name.

    >>> as_name("Hôpital A (simulated)")
    'h-pital-a-simulated-8e2ea7'
    """
    return f"{re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
