"""What a report is made from: the tables of a study, read once, through the store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from qcbench import schema, store
from qcbench.study import Study

#: The tables that are read whole.
_TABLES = (
    "images",
    "preprocessed",
    "sample",
    "consensus",
    "agreement",
    "open_reviews",
    "splits",
    "metrics",
    "predictions",
    "learning_curve",
)
_PANDAS = {"string": "string", "int64": "Int64", "float64": "float64", "bool": "boolean"}


@dataclass(frozen=True, kw_only=True, eq=False)
class StudyTables:
    """The tables of one study as DataFrames with nullable dtypes; any of them may be empty.

    `run_configs` holds the text of each run's config.json by the run's name: how it was fitted.
    `architectures` holds one architecture.json by the name and input size of its network.
    `fingerprints` holds the sha256 of each table's file, of the labels that of all their segments.
    """

    images: pd.DataFrame
    preprocessed: pd.DataFrame
    labels: pd.DataFrame
    consensus: pd.DataFrame
    agreement: pd.DataFrame
    open_reviews: pd.DataFrame
    splits: pd.DataFrame
    metrics: pd.DataFrame
    predictions: pd.DataFrame
    sample: pd.DataFrame
    learning_curve: pd.DataFrame
    run_configs: dict[str, str] = field(default_factory=dict)
    architectures: dict[str, dict] = field(default_factory=dict)
    fingerprints: dict[str, str] = field(default_factory=dict)

    @property
    def simulated_images(self) -> pd.DataFrame:
        """The rows of the catalogue that a program degraded or made."""
        return self.images[self.images["simulated"].fillna(value=False)]

    @property
    def simulated_raters(self) -> list[str]:
        """Names of the raters that are programs, sorted."""
        return sorted(self.labels.loc[self.labels["source"] == "simulated", "rater"].unique())

    @property
    def is_simulated(self) -> bool:
        """Whether anything simulated can have reached a number of the report."""
        flags = (frame["simulated"] for frame in (self.consensus, self.metrics, self.learning_curve))
        return bool(
            len(self.simulated_images) or self.simulated_raters or any(flag.fillna(value=False).any() for flag in flags)
        )


def read_tables(study: Study) -> StudyTables:
    """Return the tables of a study; the labels are the current ones of every rater it knows.

    Raises TableError when a table or a segment of labels is damaged.
    """
    raters = dict.fromkeys((*study.raters, *study.consensus_raters))
    labels = to_frame(store.labels(study, raters), schema.LABELS)
    configs = {path.parent.name: _on_one_line(path) for path in sorted(study.runs.glob("*/config.json"))}
    return StudyTables(
        labels=labels,
        run_configs=configs,
        architectures=_architectures(study),
        fingerprints=_fingerprints(study),
        **{name: store.frame(study, name) for name in _TABLES},
    )


def _fingerprints(study: Study) -> dict[str, str]:
    paths = {name: [study.table_path(name)] for name in _TABLES}
    paths["labels"] = sorted((study.folder / "labels").rglob("seg-*.parquet"))
    found = {}
    for name, files in paths.items():
        present = [path for path in files if path.is_file()]
        if present:
            digest = hashlib.sha256()
            for path in present:
                digest.update(path.read_bytes())
            found[name] = digest.hexdigest()
    return found


def _architectures(study: Study) -> dict[str, dict]:
    """Return each fitted architecture once; a damaged file is left out, for its run is named in the provenance."""
    found = {}
    for path in sorted(study.runs.glob("*/architecture.json")):
        try:
            document = json.loads(path.read_text())
            found[f"{document['name']} {'x'.join(map(str, document['shape']))}"] = document
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def _on_one_line(path: Path) -> str:
    """Return a JSON file as one line; a damaged one says so instead, the report goes on."""
    try:
        return json.dumps(json.loads(path.read_text()), sort_keys=True)
    except (OSError, ValueError) as error:
        return f"{path.name} cannot be read: {error}"


def to_frame(rows: list[dict], table: schema.TableSchema) -> pd.DataFrame:
    """Return rows as a DataFrame with a table's columns, in order, with nullable dtypes.

    >>> frame = to_frame([{"image_id": "a", "motion": None}], schema.CONSENSUS)
    >>> str(frame["motion"].dtype), frame["motion"].isna().all().item()
    ('Int64', True)
    """
    dtypes = {column.name: _PANDAS[column.dtype] for column in table.columns if column.dtype in _PANDAS}
    return pd.DataFrame(rows, columns=list(table.column_names)).astype(dtypes)
