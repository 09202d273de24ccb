"""What a network may be fitted to before it sees real labels: simulated copies, whose grades are known.

A copy keeps the participant of its source, so it goes where that participant goes: copies of the test set are used
for nothing, and those of a fold's validation images only to choose an epoch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from qcbench import schema, store
from qcbench.errors import StudyError, UsageError
from qcbench.learn import runs
from qcbench.learn.tasks import class_weights, missing_class, task_labels
from qcbench.study import Study

#: What training may begin with.
SOURCES = ("simulated",)


@dataclass(frozen=True, kw_only=True)
class Copies:
    """The simulated copies of one task: label, participant and volume's hash of each, and each participant's fold.

    The participants of the test set are not among them; one whose fold is None was never labelled.
    """

    task: str
    labels: Mapping[str, int]
    participant_of: Mapping[str, str]
    fold_of: Mapping[str, int | None]
    hashes: Mapping[str, str]

    def parts(self, fold: int) -> tuple[dict[str, int], dict[str, int]]:
        """Return the labels to fit on and those to choose an epoch by."""
        fit, validation = {}, {}
        for image_id, label in self.labels.items():
            is_held_out = self.fold_of[self.participant_of[image_id]] == fold
            (validation if is_held_out else fit)[image_id] = label
        return fit, validation

    def why_not(self, fold: int) -> str | None:
        """Return why the fold cannot begin with copies, or None when it can."""
        for labels, words in zip(self.parts(fold), ("to fit on", "to choose an epoch by"), strict=True):
            name = missing_class(labels.values(), self.task)
            if name:
                return f"no simulated image {name!r} {words}; simulate more of them"
        return None

    def class_weights(self, fold: int) -> tuple[float, float]:
        """Return the weights of both classes among the copies that the fold is fitted on."""
        return class_weights(self.parts(fold)[0].values())

    def facts(self) -> dict[str, object]:
        """Return what the run's config says of them."""
        return {
            "source": "simulated",
            "images": {str(label): sum(found == label for found in self.labels.values()) for label in (0, 1)},
            "participants": len({self.participant_of[image_id] for image_id in self.labels}),
            "inputs_sha256": runs.sha256_of(
                [self.task, self.labels, self.participant_of, self.fold_of, self.hashes],
            ),
        }


def copies(study: Study, task: str, hashes: Mapping[str, str]) -> Copies:
    """Return the copies of a task that may be fitted to; `hashes` are those of all volumes (`VolumeCache.hashes`).

    Raises StudyError when there is none.
    """
    people = _People(study)
    catalogue = [row for row in people.copies() if row["image_id"] in hashes]
    labels = task_labels([_grades(study, row) for row in catalogue], task)
    if not labels:
        raise StudyError(
            f"{study.folder} has no simulated copy for task {task} outside the test set. "
            f"Run first: qcbench simulate {study.folder}"
        )
    participant_of = {row["image_id"]: people.owner(row) for row in catalogue if row["image_id"] in labels}
    return Copies(
        task=task,
        labels=labels,
        participant_of=participant_of,
        fold_of={who: people.place(who)[1] for who in participant_of.values()},
        hashes={image_id: hashes[image_id] for image_id in labels},
    )


def copy_ids(study: Study) -> set[str]:
    """Return the copies that any task may be fitted to."""
    return {row["image_id"] for row in _People(study).copies()}


class _People:
    """Whose copies they are, and where those people are in the splits, by the catalogue as it is today.

    A participant may have been given another name since the copy was made, or since the split.
    """

    def __init__(self, study: Study) -> None:
        self._images = store.rows(study, "images")
        self._owner_of = {row["image_id"]: row["participant_id"] for row in self._images}
        self._places: dict[str, tuple[str, int | None]] = {}
        for row in store.require(study, "splits", "split"):
            for who in {row["participant_id"], self._owner_of.get(row["image_id"], row["participant_id"])}:
                self._places[who] = (row["set"], row["fold"])

    def owner(self, copy: Mapping[str, object]) -> str:
        """Return the participant of a copy: that of its source, where the catalogue still has it."""
        return self._owner_of.get(copy["derived_from"], copy["participant_id"])

    def place(self, who: str) -> tuple[str, int | None]:
        """Return set and fold of a participant; one who was never labelled may be fitted to in every fold."""
        return self._places.get(who, ("cv", None))

    def copies(self) -> list[dict]:
        """Return the rows of `images` that are copies of someone who is not in the test set, under any name."""
        return [
            row
            for row in self._images
            if schema.is_copy(row) and {self.place(row["participant_id"])[0], self.place(self.owner(row))[0]} == {"cv"}
        ]


def refuse_other_source(pretrain: str | None) -> None:
    """Raise UsageError for what training cannot begin with."""
    if pretrain is not None and pretrain not in SOURCES:
        raise UsageError(f"training can begin with {' or '.join(SOURCES)}, got {pretrain!r}")


def _grades(study: Study, row: Mapping[str, object]) -> dict[str, object]:
    """Return a copy's grades in the columns of the consensus."""
    planted = json.loads(row["simulation"])["planted"]
    is_reject = bool(planted["straight_reject"])
    return {
        "image_id": row["image_id"],
        "straight_reject": is_reject,
        "gadolinium": planted["gadolinium"],
        "tier": None if is_reject else study.protocol.tier(planted),
    }
