"""What a network may be fitted to before it sees real labels: simulated copies, whose grades are known.

A copy keeps the participant of its source, so it goes where that participant goes: copies of the test set are used
for nothing, and those of a fold's validation images only to choose an epoch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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
    """The simulated copies of one task: label and participant of each, and the fold of each participant.

    The participants of the test set are not among them; one whose fold is None was never labelled.
    """

    task: str
    labels: Mapping[str, int]
    participant_of: Mapping[str, str]
    fold_of: Mapping[str, int | None]

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
            "inputs_sha256": runs.sha256_of([self.task, dict(self.labels), dict(self.participant_of)]),
        }


def copies(study: Study, task: str, usable: Iterable[str]) -> Copies:
    """Return the copies of a task that may be fitted to; `usable` are the images with a volume.

    Raises StudyError when there is none.
    """
    usable = set(usable)
    places = {row["participant_id"]: (row["set"], row["fold"]) for row in store.require(study, "splits", "split")}
    catalogue = [
        row for row in store.rows(study, "images") if row["image_id"] in usable and may_be_fitted_to(row, places)
    ]
    labels = task_labels([_grades(study, row) for row in catalogue], task)
    if not labels:
        raise StudyError(
            f"{study.folder} has no simulated copy for task {task} outside the test set. "
            f"Run first: qcbench simulate {study.folder}"
        )
    participant_of = {row["image_id"]: row["participant_id"] for row in catalogue if row["image_id"] in labels}
    fold_of = {who: places.get(who, ("cv", None))[1] for who in participant_of.values()}
    return Copies(task=task, labels=labels, participant_of=participant_of, fold_of=fold_of)


def copy_ids(study: Study) -> set[str]:
    """Return the copies that any task may be fitted to."""
    places = {row["participant_id"]: (row["set"], row["fold"]) for row in store.require(study, "splits", "split")}
    return {row["image_id"] for row in store.rows(study, "images") if may_be_fitted_to(row, places)}


def may_be_fitted_to(row: Mapping[str, object], places: Mapping[str, tuple[str, int | None]]) -> bool:
    """Return whether a row of `images` is a copy of someone who is not in the test set."""
    return schema.is_copy(row) and places.get(row["participant_id"], ("cv", None))[0] == "cv"


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
