"""Training runs on the disk: what was fitted, on what, and whether it still belongs to the splits.

A run is a folder runs/<run-id> with config.json; each fitted fold has a folder fold-<k> whose
fold.json is written last, so that its presence says that the fold is whole. skipped.json gives
the reason for each fold that the data do not allow to fit.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from qcbench import durable, store
from qcbench.learn.objectives import Label, labels_of
from qcbench.learn.tasks import covered_tasks, missing_class, task_labels
from qcbench.learn.weights import read_json, save_weights
from qcbench.study import Study

Row = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run: its folder and its config.json."""

    folder: Path
    config: Mapping[str, object]

    @property
    def run_id(self) -> str:
        """The name of the folder."""
        return self.folder.name

    @property
    def task(self) -> str:
        """What the run was fitted for: a task, or ``multitask``."""
        return self.config["task"]

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that the run answers."""
        return covered_tasks(self.task)

    @property
    def architecture(self) -> str:
        """Name of the network, or ``forest_25``."""
        return self.config["architecture"]

    @property
    def spacing(self) -> int:
        """Voxel size in mm that the run was fitted at."""
        return self.config["spacing"]

    def fold_folder(self, fold: int) -> Path:
        """Where the fold's weights and curves lie."""
        return self.folder / f"fold-{fold}"

    def fitted_folds(self) -> list[int]:
        """Return the folds that are whole."""
        found = self.folder.glob("fold-*/fold.json")
        return sorted(int(path.parent.name.removeprefix("fold-")) for path in found)

    def skipped(self) -> dict[int, str]:
        """Return fold -> why it could not be fitted."""
        path = self.folder / "skipped.json"
        return {int(fold): reason for fold, reason in read_json(path).items()} if path.exists() else {}

    def save_config(self) -> None:
        """Write config.json."""
        durable.write_text(self.folder / "config.json", json.dumps(self.config, indent=1, sort_keys=True) + "\n")

    def save_skipped(self, skipped: Mapping[int, str]) -> None:
        """Write skipped.json, if anything is to be said."""
        if skipped:
            document = {str(fold): reason for fold, reason in sorted(skipped.items())}
            durable.write_text(self.folder / "skipped.json", json.dumps(document, indent=1) + "\n")

    def save_curves(self, fold: int, name: str, curves: Sequence[Row]) -> None:
        """Write one row per epoch as CSV, so that a job can be watched."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, fieldnames=list(curves[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(curves)
        durable.write_text(self.fold_folder(fold) / name, buffer.getvalue())

    def save_fold(self, fold: int, state: dict[str, Tensor], facts: Row) -> None:
        """Write a fold's weights, then fold.json with the facts: from then on the fold is whole."""
        folder = self.fold_folder(fold)
        document = {"fold": fold, **facts, "weights_sha256": save_weights(folder, state)}
        durable.write_text(folder / "fold.json", json.dumps(document, indent=1) + "\n")


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """The labelled images of one run that can be trained on, and the fold of each.

    `labels_by_task` are 0 or 1 in each task that the run answers; `labels` are what its network is fitted to, which is
    the same where there is one task.
    """

    task: str
    labels: Mapping[str, Label]
    labels_by_task: Mapping[str, Mapping[str, int]]
    fold_of: Mapping[str, int]
    rows: Sequence[Row]
    preprocessing: Mapping[str, object]

    @property
    def folds(self) -> list[int]:
        """The folds of the split."""
        return sorted({row["fold"] for row in self.rows} - {None})

    def parts(self, fold: int) -> tuple[dict[str, Label], dict[str, Label]]:
        """Return the labels to fit on and those to validate on."""
        return self._parted(self.labels, fold)

    def why_not(self, fold: int) -> str | None:
        """Return why the fold cannot be fitted, or None when it can.

        A network for all tasks needs what those for one task need: of an answer that it never saw it knows nothing.
        """
        for task, labels in self.labels_by_task.items():
            for part, words in zip(self._parted(labels, fold), ("to fit on", "to validate on"), strict=True):
                name = missing_class(part.values(), task)
                if name:
                    return f"no image {name!r} {words}"
        return None

    def counts(self) -> dict[str, int]:
        """Return how many images have each label; with several tasks the names begin with the task."""
        found = {}
        for task, labels in self.labels_by_task.items():
            begin = f"{task} " if len(self.labels_by_task) > 1 else ""
            found |= {f"{begin}{label}": n for label, n in sorted(Counter(labels.values()).items())}
        return found

    def _parted(self, labels: Mapping[str, Label], fold: int) -> tuple[dict[str, Label], dict[str, Label]]:
        fit = {image_id: label for image_id, label in labels.items() if self.fold_of[image_id] != fold}
        return fit, {image_id: label for image_id, label in labels.items() if image_id not in fit}


def task_data(study: Study, task: str, usable: Iterable[str]) -> TaskData:
    """Return the cross-validation images of a task, or of all with ``multitask``; `usable` are those with a volume."""
    consensus = store.require(study, "consensus", "consensus")
    splits = store.require(study, "splits", "split")
    usable = set(usable)
    fold_of = {row["image_id"]: row["fold"] for row in splits if row["set"] == "cv"}
    rows = sorted(
        (row for row in consensus if row["image_id"] in usable & set(fold_of)), key=lambda row: row["image_id"]
    )
    preprocessed = [row for row in store.rows(study, "preprocessed") if row["image_id"] in usable]
    return TaskData(
        task=task,
        labels=labels_of(rows, task),
        labels_by_task={name: task_labels(rows, name) for name in covered_tasks(task)},
        fold_of=fold_of,
        rows=splits,
        preprocessing={
            name: sorted({row[name] for row in preprocessed if row[name] is not None})
            for name in ("preprocessing_preset", "template", "template_sha256")
        },
    )


def identity(study: Study, data: TaskData) -> dict[str, str]:
    """Return the hashes that say which data a run was fitted on.

    ``inputs_sha256`` covers what the weights depend on; the other two are the tables whole.
    """
    folds = {image_id: (label, data.fold_of[image_id]) for image_id, label in data.labels.items()}
    return {
        "inputs_sha256": sha256_of([data.task, folds, data.preprocessing]),
        "consensus_sha256": sha256_of(store.rows(study, "consensus")),
        "splits_sha256": splits_sha256(study),
    }


def splits_sha256(study: Study) -> str:
    """Return the hash of the table `splits`."""
    return sha256_of(store.rows(study, "splits"))


def sha256_of(document: object) -> str:
    """Return the sha256 of a document of plain values, whatever the order of its keys.

    >>> sha256_of({"a": 1, "b": 2}) == sha256_of({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()


def find(study: Study, *, task: str = "all", architecture: str | None = None) -> list[Run]:
    """Return the runs of the study, by name. Raises WeightsError when a config.json is damaged."""
    runs = [Run(folder=path.parent, config=read_json(path)) for path in sorted(study.runs.glob("*/config.json"))]
    return [run for run in runs if task in ("all", run.task) and architecture in (None, run.architecture)]


def of_these_splits(study: Study, runs: Iterable[Run]) -> tuple[list[Run], list[str]]:
    """Return the runs that were fitted on the present splits, and the ids of the others.

    A run of earlier splits may have been fitted on what is the test set now.
    """
    present = splits_sha256(study)
    runs = list(runs)
    current = [run for run in runs if run.config["splits_sha256"] == present]
    return current, [run.run_id for run in runs if run not in current]
