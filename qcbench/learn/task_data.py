"""The labelled images of a task, their folds and their volumes: what a run is fitted to, and the hash that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qcbench import store
from qcbench.learn.objectives import Label, labels_of
from qcbench.learn.runs import plain_label, sha256_of
from qcbench.learn.splits import refuse_leak
from qcbench.learn.tasks import covered_tasks, missing_class, task_labels
from qcbench.study import Study

Row = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """The labelled images of one run that can be trained on, and fold, participant and volume's hash of each.

    `labels_by_task` are 0 or 1 in each task that the run answers; `labels` are what its network is fitted to, which is
    the same where there is one task.
    """

    task: str
    labels: Mapping[str, Label]
    labels_by_task: Mapping[str, Mapping[str, int]]
    fold_of: Mapping[str, int]
    participant_of: Mapping[str, str]
    hashes: Mapping[str, str]
    folds: Sequence[int]
    preprocessing: Mapping[str, object]

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

    def fitted_to(self) -> dict[str, dict]:
        """Return image_id -> participant, fold, label and hash of the volume, as `Run.save_fitted_to` keeps them."""
        return {
            image_id: {
                "participant_id": self.participant_of[image_id],
                "fold": self.fold_of[image_id],
                "label": plain_label(label),
                "volume": self.hashes[image_id],
            }
            for image_id, label in self.labels.items()
        }

    def _parted(self, labels: Mapping[str, Label], fold: int) -> tuple[dict[str, Label], dict[str, Label]]:
        fit = {image_id: label for image_id, label in labels.items() if self.fold_of[image_id] != fold}
        return fit, {image_id: label for image_id, label in labels.items() if image_id not in fit}


def task_data(study: Study, task: str, hashes: Mapping[str, str]) -> TaskData:
    """Return the cross-validation images of a task, or of all with ``multitask``, that have a volume.

    `hashes` are those of all volumes (`VolumeCache.hashes`).
    """
    consensus = store.require(study, "consensus", "consensus")
    splits = store.require(study, "splits", "split")
    cv = {row["image_id"]: row for row in splits if row["set"] == "cv"}
    rows = sorted(
        (row for row in consensus if row["image_id"] in cv and row["image_id"] in hashes),
        key=lambda row: row["image_id"],
    )
    labels = labels_of(rows, task)
    # Of these images alone: what others of the warehouse were made with changes nothing here.
    preprocessed = [row for row in store.rows(study, "preprocessed") if row["image_id"] in labels]
    return TaskData(
        task=task,
        labels=labels,
        labels_by_task={name: task_labels(rows, name) for name in covered_tasks(task)},
        fold_of={image_id: row["fold"] for image_id, row in cv.items()},
        participant_of={image_id: row["participant_id"] for image_id, row in cv.items()},
        hashes={image_id: hashes[image_id] for image_id in labels},
        folds=sorted({row["fold"] for row in cv.values()}),
        preprocessing={
            name: sorted({row[name] for row in preprocessed if row[name] is not None})
            for name in ("preprocessing_preset", "template", "template_sha256")
        },
    )


def identity(study: Study, data: TaskData) -> dict[str, str]:
    """Return the hashes that say which data a run was fitted on.

    ``inputs_sha256`` covers what the weights depend on: labels, folds and the bytes of the volumes. The other two are
    the tables whole.
    """
    fitted_to = {image_id: (label, data.fold_of[image_id]) for image_id, label in data.labels.items()}
    return {
        "inputs_sha256": sha256_of([data.task, fitted_to, data.hashes, data.preprocessing]),
        "consensus_sha256": sha256_of(store.rows(study, "consensus")),
        "splits_sha256": sha256_of(store.rows(study, "splits")),
    }


def sound_splits(study: Study) -> list[dict]:
    """Return the table `splits`.

    Raises LeakError where a participant is in two sets or folds, by the table or by the catalogue as it is today: two
    names may have become one since the split.
    """
    splits = store.require(study, "splits", "split")
    refuse_leak(splits)
    owner_of = owners(study)
    refuse_leak({**row, "participant_id": owner_of.get(row["image_id"], row["participant_id"])} for row in splits)
    return splits


def owners(study: Study) -> dict[str, str]:
    """Return image_id -> participant, as the catalogue says today."""
    images = store.read(study, "images")
    return dict(zip(images["image_id"].to_pylist(), images["participant_id"].to_pylist(), strict=True))
