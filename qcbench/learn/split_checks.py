"""What there is to say of splits: their sizes, whether the test set is like the rest, what moved. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from qcbench.learn.tasks import CLASSES

Row = Mapping[str, object]
#: Set and fold of a participant.
Place = tuple[str, int | None]


def facts(new: Sequence[Row], cases: Sequence[Row], kept: Mapping[str, Place]) -> dict[str, object]:
    """Return the sizes of the sets, who stayed, and by how much the shares of the test set differ from the rest's."""
    test = {row["image_id"] for row in new if row["set"] == "test"}
    participants = {row["participant_id"] for row in new}
    stayed = {row["participant_id"] for row in new if kept.get(row["participant_id"]) == (row["set"], row["fold"])}
    found = {
        "participants": len(participants),
        "kept_where_they_were": len(stayed),
        "test_participants": len({row["participant_id"] for row in new if row["set"] == "test"}),
        "test_images": len(test),
        "cv_images": len(new) - len(test),
        "folds": len({row["fold"] for row in new} - {None}),
    }
    for name in ("class", "manufacturer", "model_name"):
        if len({case[name] for case in cases}) > 1:
            found[f"largest_difference_of_{name}_percent"] = round(100 * _largest_difference(cases, test, name), 1)
    return found


def _largest_difference(cases: Sequence[Row], test: set[str], name: str) -> float:
    """Return the largest difference between a value's share in the test set and in the rest, 0 to 1."""
    inside = Counter(case[name] for case in cases if case["image_id"] in test)
    outside = Counter(case[name] for case in cases if case["image_id"] not in test)
    return max(abs(inside[v] / inside.total() - outside[v] / outside.total()) for v in {*inside, *outside})


def _absent_from_test(cases: Sequence[Row], test: set[str], name: str) -> list[str]:
    """Return a sentence per value of which the test set should hold an image by its size, and holds none."""
    counts = Counter(case.get(name) for case in cases)
    tested = {case.get(name) for case in cases if case["image_id"] in test}
    share = len(test) / max(1, len(cases))
    return [
        f"no image of {name.replace('_', ' ')} {value!r} ({count} in all) is in the test set: nothing is known of it"
        for value, count in sorted(counts.items(), key=str)
        if value is not None and value not in tested and count * share >= 1
    ]


def notes(
    new: Sequence[Row], cases: Sequence[Row], old: Mapping[str, Row], *, folds: int, test_images: int
) -> list[str]:
    """Return in sentences what the splits lack of what was asked for, and what moved since those of before."""
    test = {row["image_id"] for row in new if row["set"] == "test"}
    said = [note for name in ("manufacturer", "model_name") for note in _absent_from_test(cases, test, name)]
    if len(test) > 1.5 * test_images + 5 or len(test) < test_images / 1.5 - 5:
        said.append(f"the test set has {len(test)} images, {test_images} were asked for; redraw to come closer")
    n_folds = len({row["fold"] for row in new} - {None})
    if n_folds < folds:
        said.append(f"{n_folds} folds instead of {folds}: no more participants are left beside the test set")
    counts = Counter(case["class"] for case in cases)
    said += [f"the class {name!r} has no image" for name in CLASSES[:-1] if not counts[name]]
    if counts["ungraded"]:
        said.append(f"{counts['ungraded']} images are neither straight reject nor graded: only task sr uses them")
    moved = sum(old[row["image_id"]]["set"] != row["set"] for row in new if row["image_id"] in old)
    before, same_test = len({row["fold"] for row in old.values()} - {None}), not moved
    if old and before != n_folds and same_test:
        said.append(f"{n_folds} folds instead of the {before} before, drawn anew; the test set stays: train again")
    if moved:
        said.append(f"{moved} images changed between test and cross-validation: train again before evaluating")
    return said
