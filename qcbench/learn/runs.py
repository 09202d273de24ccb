"""Training runs on the disk: what was fitted, and to what.

A run is a folder runs/<run-id> with config.json; each fitted fold has a folder fold-<k> whose
fold.json is written last, so that its presence says that the fold is whole. skipped.json gives
the reason for each fold that the data do not allow to fit, fitted_to.json each image that the run is fitted to:
by it `of_these_splits` tells whether the run may be evaluated, and `outdated` what has changed since.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from qcbench import durable, jobs, store
from qcbench.learn.datasets import open_cache
from qcbench.learn.objectives import Label, labels_of
from qcbench.learn.tasks import covered_tasks
from qcbench.learn.weights import read_json, save_weights
from qcbench.study import Study

Row = Mapping[str, object]
#: What two runs have in common when one can take the place of the other.
_ASKED = ("task", "architecture", "preset", "options", "spacing", "voxels", "seed")
_FOLD = re.compile(r"fold-(0|[1-9]\d*)")


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
        # A file manager's copy, fold-0-Copy1, is no fold.
        found = [_FOLD.fullmatch(path.parent.name) for path in self.folder.glob("fold-*/fold.json")]
        return sorted(int(name[1]) for name in found if name)

    def folds_done(self) -> set[int]:
        """Return the folds that are whole or impossible: all of a forest, which is fitted whenever it predicts."""
        if not (self.folder / "architecture.json").exists():
            return set(self.config["folds"])
        return {*self.fitted_folds(), *self.skipped()}

    def fitted_to(self) -> dict[str, dict] | None:
        """Return ``images`` (image_id -> participant_id, fold, label, volume) and ``copies`` (participant -> fold).

        None for a run that does not say so.
        """
        path = self.folder / "fitted_to.json"
        return read_json(path) if path.exists() else None

    def skipped(self) -> dict[int, str]:
        """Return fold -> why it could not be fitted."""
        path = self.folder / "skipped.json"
        return {int(fold): reason for fold, reason in read_json(path).items()} if path.exists() else {}

    def save_fitted_to(self, images: Row, copies: Row | None = None) -> None:
        """Write fitted_to.json; see `fitted_to`."""
        document = {"images": images, "copies": copies or {}}
        durable.write_text(self.folder / "fitted_to.json", json.dumps(document, indent=0, sort_keys=True) + "\n")

    def save_config(self) -> None:
        """Write config.json."""
        durable.write_text(self.folder / "config.json", json.dumps(self.config, indent=1, sort_keys=True) + "\n")

    def save_skipped(self, skipped: Mapping[int, str]) -> None:
        """Write skipped.json, if anything is to be said."""
        if skipped:
            document = {str(fold): reason for fold, reason in sorted(skipped.items())}
            durable.write_text(self.folder / "skipped.json", json.dumps(document, indent=1) + "\n")

    def save_curves(self, fold: int, name: str, curves: Sequence[Row]) -> None:
        """Write one row per epoch as CSV, and beside it the job that they are of, so that it can be watched."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, fieldnames=list(curves[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(curves)
        durable.write_text(self.fold_folder(fold) / name, buffer.getvalue())
        whose = self.fold_folder(fold) / "job.txt"
        if job_id := jobs.of_this_process():
            durable.write_text(whose, job_id)
        else:
            whose.unlink(missing_ok=True)

    def save_fold(self, fold: int, state: dict[str, Tensor], facts: Row) -> None:
        """Write a fold's weights, then fold.json with the facts: from then on the fold is whole."""
        folder = self.fold_folder(fold)
        document = {"fold": fold, **facts, "weights_sha256": save_weights(folder, state)}
        durable.write_text(folder / "fold.json", json.dumps(document, indent=1) + "\n")


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
    """Return the runs that the present splits allow to evaluate, and the ids of the others.

    Nobody whose images a run was fitted to may be in the test set now, or in another fold. Labels that were added since
    make no run false: they make it one of fewer images (`outdated`).
    """
    splits = store.rows(study, "splits")
    place_of = {row["image_id"]: (row["set"], row["fold"]) for row in splits}
    place_of_person = {row["participant_id"]: (row["set"], row["fold"]) for row in splits}
    present = sha256_of(splits)
    runs = list(runs)
    current = []
    for run in runs:
        fitted_to = run.fitted_to()
        if fitted_to is None:
            is_current = run.config.get("splits_sha256") == present
        else:
            is_current = _is_in_place(fitted_to, place_of, place_of_person)
        if is_current:
            current.append(run)
    return current, [run.run_id for run in runs if run not in current]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """How many of the images of a run's tasks are not as they were when it was fitted. Its text is for a note."""

    relabelled: int = 0
    unlabelled: int = 0
    added: int = 0
    made_anew: int = 0
    without_volume: int = 0
    unknown: int = 0

    def __len__(self) -> int:
        return sum(vars(self).values())

    def __str__(self) -> str:
        words = {
            "relabelled": "labelled otherwise",
            "unlabelled": "labelled no more",
            "added": "labelled since",
            "made_anew": "preprocessed anew",
            "without_volume": "without a volume now",
            "unknown": "in a consensus that was another one",
        }
        return ", ".join(f"{n} {words[name]}" for name, n in vars(self).items() if n)


def outdated(study: Study, runs: Iterable[Run]) -> dict[str, Changes]:
    """Return run_id -> what has changed, of the runs that were fitted to other labels or volumes than today's.

    Volumes are those of the cache as it is.
    """
    consensus = store.rows(study, "consensus")
    fold_of = {row["image_id"]: row["fold"] for row in store.rows(study, "splits") if row["set"] == "cv"}
    hashes: dict[tuple, Mapping[str, str]] = {}
    found = {}
    for run in runs:
        of_cache = run.spacing, run.config.get("voxels", "uint8")
        if of_cache not in hashes:
            hashes[of_cache] = open_cache(study, spacing=of_cache[0], voxels=of_cache[1]).hashes
        fitted_to = run.fitted_to()
        if fitted_to is None:
            is_same = run.config.get("consensus_sha256") == sha256_of(consensus)
            changes = Changes(unknown=0 if is_same else len(consensus))
        else:
            labels = labels_of([row for row in consensus if row["image_id"] in fold_of], run.task)
            changes = _changes(fitted_to["images"], labels, hashes[of_cache])
        if changes:
            found[run.run_id] = changes
    return found


def closest(study: Study, runs: Iterable[Run]) -> tuple[list[Run], list[str]]:
    """Return the runs whose place no other one has taken, and the ids of the others.

    Each round of labelling leaves a run behind. The one whose data differ least from today's takes the place of those
    that were asked for alike, once it has all their folds.
    """
    runs = list(runs)
    changes = outdated(study, runs)
    alike: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        asked = [run.config.get(name) for name in _ASKED]
        alike[sha256_of([*asked, bool(run.config.get("pretraining"))])].append(run)
    passed_over = {
        run.run_id
        for group in alike.values()
        for run in group
        for other in group
        if len(changes.get(other.run_id, ())) < len(changes.get(run.run_id, ()))
        and other.folds_done() >= run.folds_done()
    }
    return [run for run in runs if run.run_id not in passed_over], sorted(passed_over)


def plain_label(label: Label) -> int | list[float | None]:
    """Return a label for JSON, where what was not noted is null.

    >>> plain_label(1), plain_label([1.0, math.nan])
    (1, [1.0, None])
    """
    if isinstance(label, int):
        return label
    return [None if math.isnan(value) else value for value in label]


def _is_in_place(fitted_to: Row, place_of: Mapping[str, tuple], place_of_person: Mapping[str, tuple]) -> bool:
    for image_id, then in fitted_to["images"].items():
        place = "cv", then["fold"]
        # Who has no place now has left the study; their images test nothing.
        if place_of.get(image_id, place) != place or place_of_person.get(then["participant_id"], place) != place:
            return False
    return all(place_of_person.get(who, ("cv", None)) == ("cv", fold) for who, fold in fitted_to["copies"].items())


def _changes(images: Mapping[str, Row], labels: Mapping[str, Label], hashes: Mapping[str, str]) -> Changes:
    kept = {image_id: then for image_id, then in images.items() if image_id in labels}
    return Changes(
        relabelled=sum(then["label"] != plain_label(labels[image_id]) for image_id, then in kept.items()),
        unlabelled=len(images) - len(kept),
        added=sum(image_id not in images and image_id in hashes for image_id in labels),
        made_anew=sum(hashes.get(image_id, then["volume"]) != then["volume"] for image_id, then in kept.items()),
        without_volume=sum(image_id not in hashes for image_id in kept),
    )
