"""Who is in the test set and in which fold: by participant, never by image.

Repeat scans and simulated copies of one head look alike, so they stay together; a simulated
image keeps the participant of its source. The test set has the class proportions of the rest
(Bottani et al. 2022, section 2.6), then the rest is cut into folds. Who has a place keeps it when
labels are added: a test set that is drawn anew has been trained on.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from qcbench import store
from qcbench.errors import LeakError, UsageError
from qcbench.learn import split_checks
from qcbench.learn.split_checks import Place
from qcbench.learn.tasks import CLASSES, image_class
from qcbench.study import Study
from qcbench.summary import Summary

Row = Mapping[str, object]

#: So many test sets are drawn and compared; more change the proportions by less than an image.
_N_DRAWS = 400


def split(
    study: Study,
    *,
    test_share: float = 0.1,
    test_images: int | None = None,
    folds: int = 5,
    seed: int = 0,
    redraw: bool = False,
) -> Summary:
    """Write the table `splits` of all images with a consensus; return what was decided.

    The test set takes `test_share` of the images, or about `test_images` (500 of 5,500 in the
    paper), in whole participants. Participants who have a place keep it, new ones are placed. With
    another number of folds, or when there were too few people for those asked for and are no more, the
    folds alone are drawn anew; with `redraw` or another seed, all. Same consensus, same table before,
    same seed: same split. Raises StudyError without a consensus and UsageError with fewer than three
    participants, or a share or number of test images that leaves none to test or none to learn from.
    """
    started = time.monotonic()
    study = Study.of(study)
    consensus = store.require(study, "consensus", "consensus")
    catalogue = {row["image_id"]: row for row in store.rows(study, "images")}
    rows = [_case(row, catalogue[row["image_id"]]) for row in consensus if row["image_id"] in catalogue]
    failed = {
        row["image_id"]: "is in the consensus but not in the catalogue; ingest it again, or remove its labels"
        for row in consensus
        if row["image_id"] not in catalogue
    }
    n_test = _test_size(len(rows), test_share, test_images)
    old = {row["image_id"]: row for row in store.rows(study, "splits")}
    kept = {} if redraw else _kept_places(old.values(), rows, seed=seed)
    drawn = (
        grown_rows(rows, kept, test_images=n_test, folds=folds, seed=seed)
        if kept
        else split_rows(rows, test_images=n_test, folds=folds, seed=seed)
    )
    new = [{**row, "seed": seed} for row in drawn]
    same = [row for row in new if old.get(row["image_id"]) == row]
    if len(same) < len(new) or len(old) != len(new):
        store.write(study, "splits", new)
    return Summary(
        stage="split",
        done=len(new) - len(same),
        unchanged=len(same),
        failed=failed,
        facts=split_checks.facts(new, rows, kept),
        notes=split_checks.notes(new, rows, old, folds=folds, test_images=n_test),
        seconds=time.monotonic() - started,
    )


def split_rows(cases: Sequence[Row], *, test_images: int, folds: int = 5, seed: int = 0) -> list[dict]:
    """Return one row of the table `splits` per case. Pure.

    A case has image_id, participant_id, class (one of CLASSES) and gadolinium. With ten
    participants or more at least two are in the test set, otherwise at least one; with fewer
    participants left than `folds` there are as many folds as participants.
    """
    cases = sorted(cases, key=lambda case: case["image_id"])
    participants = sorted({case["participant_id"] for case in cases})
    if len(participants) < 3:
        raise UsageError(
            f"a split needs at least 3 participants (one to test, two to cross-validate), got {len(participants)}; "
            "label images of more people"
        )
    _refuse_few_folds(folds)
    test = _test_participants(cases, participants, test_images, seed)
    rest = [case for case in cases if case["participant_id"] not in test]
    fold_of = _folds(rest, min(folds, len(participants) - len(test)), seed)
    return _as_rows(cases, {who: ("cv", fold_of[who]) if who in fold_of else ("test", None) for who in participants})


def grown_rows(
    cases: Sequence[Row], places: Mapping[str, Place], *, test_images: int, folds: int = 5, seed: int = 0
) -> list[dict]:
    """Return one row of the table `splits` per case, of which some participants have a place already. Pure.

    `places` gives set and fold by participant. Of the new participants, as many as the test set lacks for
    `test_images` go there, drawn as in `split_rows`; the others one by one to the fold that has the fewest images of
    their classes. Where there are not as many folds as there should be, all but the test set are cut into folds anew.
    """
    _refuse_few_folds(folds)
    cases = sorted(cases, key=lambda case: case["image_id"])
    places = dict(places)
    new = sorted({case["participant_id"] for case in cases} - set(places))
    there = [case for case in cases if places.get(case["participant_id"]) == ("test", None)]
    arriving = [case for case in cases if case["participant_id"] in new]
    lacking = test_images - len(there)
    # A draw takes one participant at least: nobody is drawn for less than half of what one would bring.
    if new and lacking > len(arriving) / len(new) / 2:
        places.update(dict.fromkeys(_drawn(arriving, new, lacking, seed, least=1, most=len(new)), ("test", None)))
    present = sorted({fold for set_, fold in places.values() if set_ == "cv"})
    rest = [case for case in cases if places.get(case["participant_id"]) != ("test", None)]
    n_folds = min(folds, len({case["participant_id"] for case in rest}))
    if len(present) == n_folds:
        _place_in_folds(rest, places, present)
    else:
        places.update({who: ("cv", fold) for who, fold in _folds(rest, n_folds, seed).items()})
    return _as_rows(cases, places)


def _place_in_folds(cases: Sequence[Row], places: dict[str, Place], folds: Sequence[int]) -> None:
    """Give each participant without a place the fold that has the fewest images of their classes."""
    counts = {fold: Counter() for fold in folds}
    owned: dict[str, Counter] = {}
    for case in cases:
        _, fold = places.get(case["participant_id"], (None, None))
        mine = owned.setdefault(case["participant_id"], Counter()) if fold is None else counts[fold]
        mine.update([case["class"]])
    for who in sorted(owned, key=lambda who: (-owned[who].total(), who)):
        # Sum of products: what the fold has of the classes that come. Then the smaller fold, then the first.
        fold = min(
            folds, key=lambda f: (sum(counts[f][kind] * n for kind, n in owned[who].items()), counts[f].total(), f)
        )
        counts[fold].update(owned[who])
        places[who] = ("cv", fold)


def folds_left(rows: Iterable[Row], asked: str | int | Iterable[int]) -> list[int]:
    """Return which of the folds asked for (numbers, ``all`` or ``first``) are in rows of which some were taken out.

    >>> rows = [{"fold": 1}, {"fold": 3}, {"fold": None}]
    >>> folds_left(rows, "first"), folds_left(rows, [0, 3]), folds_left(rows, "all")
    ([1], [3], [1, 3])
    """
    left = sorted({row["fold"] for row in rows} - {None})
    if isinstance(asked, str):
        return left[:1] if asked == "first" else left
    wanted = {asked} if isinstance(asked, int) else set(asked)
    return [fold for fold in left if fold in wanted]


def refuse_leak(rows: Iterable[Row]) -> None:
    """Raise LeakError when a participant is in two sets or folds; the message names them all.

    >>> refuse_leak([{"participant_id": "sub-1", "set": "test", "fold": None},
    ...              {"participant_id": "sub-1", "set": "cv", "fold": 2}])
    Traceback (most recent call last):
        ...
    qcbench.errors.LeakError: 1 participant in more than one set or fold: sub-1 (cv fold 2, test). Run split again.
    """
    places: dict[str, set[str]] = {}
    for row in rows:
        place = row["set"] if row["fold"] is None else f"{row['set']} fold {row['fold']}"
        places.setdefault(row["participant_id"], set()).add(place)
    leaks = [f"{who} ({', '.join(sorted(where))})" for who, where in sorted(places.items()) if len(where) > 1]
    if leaks:
        people = "participant" if len(leaks) == 1 else "participants"
        raise LeakError(f"{len(leaks)} {people} in more than one set or fold: {'; '.join(leaks)}. Run split again.")


def _case(consensus_row: Row, image: Row) -> dict:
    return {
        "image_id": consensus_row["image_id"],
        "participant_id": image["participant_id"],
        "class": image_class(consensus_row),
        "gadolinium": bool(consensus_row["gadolinium"]),
        "manufacturer": image["manufacturer"],
        "model_name": image["model_name"],
    }


def _test_size(n_images: int, test_share: float, test_images: int | None) -> int:
    """Return how many test images are wanted. Raises UsageError where there would be nothing else, or none."""
    if test_images is None:
        if not 0 < test_share < 1:
            raise UsageError(f"the share of test images lies between 0 and 1, as 0.1 for a tenth; got {test_share:g}")
        return round(test_share * n_images)
    if not 0 < test_images < n_images:
        raise UsageError(
            f"from 1 to {n_images - 1} images can be the test set, for {n_images} have a consensus; got {test_images}"
        )
    return test_images


def _refuse_few_folds(folds: int) -> None:
    if folds < 2:
        raise UsageError(f"cross-validation needs at least 2 folds, got {folds}")


def _kept_places(old: Iterable[Row], cases: Iterable[Row], *, seed: int) -> dict[str, Place]:
    """Return the places of those participants who keep theirs; nobody when all are to be drawn anew."""
    old = list(old)
    refuse_leak(old)
    if {row["seed"] for row in old} != {seed}:
        return {}
    present = {case["participant_id"] for case in cases}
    places = {row["participant_id"]: (row["set"], row["fold"]) for row in old if row["participant_id"] in present}
    # Sets that those who left have emptied are of no use.
    n_cv = sum(set_ == "cv" for set_, _ in places.values())
    return places if n_cv >= 2 and len(places) > n_cv else {}


def _as_rows(cases: Sequence[Row], places: Mapping[str, Place]) -> list[dict]:
    rows = []
    for case in cases:
        set_, fold = places[case["participant_id"]]
        who = {"image_id": case["image_id"], "participant_id": case["participant_id"]}
        rows.append({**who, "set": set_, "fold": fold})
    refuse_leak(rows)
    return rows


def _test_participants(cases: Sequence[Row], participants: list[str], test_images: int, seed: int) -> set[str]:
    least = 2 if len(participants) >= 10 else 1
    return _drawn(cases, participants, test_images, seed, least=least, most=max(least, len(participants) - 2))


def _drawn(
    cases: Sequence[Row], participants: list[str], test_images: int, seed: int, *, least: int, most: int
) -> set[str]:
    """Return the seeded draw whose class proportions are closest to those of the rest."""
    counts = _counts(cases, participants)
    generator = np.random.default_rng(seed)
    best, best_distance = None, np.inf
    for _ in range(_N_DRAWS):
        order = generator.permutation(len(participants))
        n_images = np.cumsum(counts[order, : len(CLASSES)].sum(axis=1))
        n_drawn = int(np.clip(np.abs(n_images - test_images).argmin() + 1, least, most))
        drawn = order[:n_drawn]
        distance = _distance(counts[drawn].sum(axis=0), counts[order[n_drawn:]].sum(axis=0))
        distance += abs(n_images[n_drawn - 1] - test_images) / max(1, len(cases))
        if distance < best_distance:
            best, best_distance = drawn, distance
    return {participants[index] for index in best}


def _counts(cases: Sequence[Row], participants: list[str]) -> np.ndarray:
    """Return participants x (images of each class, images with gadolinium)."""
    position = {participant: index for index, participant in enumerate(participants)}
    counts = np.zeros((len(participants), len(CLASSES) + 1))
    for case in cases:
        counts[position[case["participant_id"]], CLASSES.index(case["class"])] += 1
        counts[position[case["participant_id"]], -1] += case["gadolinium"]
    return counts


def _distance(drawn: np.ndarray, rest: np.ndarray) -> float:
    shares = [counts / max(1, counts[: len(CLASSES)].sum()) for counts in (drawn, rest)]
    return float(np.abs(shares[0] - shares[1]).sum())


def _folds(cases: Sequence[Row], n_folds: int, seed: int) -> dict[str, int]:
    classes = [case["class"] for case in cases]
    groups = [case["participant_id"] for case in cases]
    blank = np.zeros(len(cases))
    kinds = Counter(classes)
    cuts = []
    if max(kinds.values()) >= n_folds:
        stratified = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            # A class rarer than the folds is told in the summary; training names each fold without it.
            warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
            cuts = [held_out for _, held_out in stratified.split(blank, classes, groups)]
    if not cuts or min(map(len, cuts)) == 0:  # stratifying may leave a fold empty when participants are few
        cuts = [held_out for _, held_out in GroupKFold(n_folds).split(blank, classes, groups)]
    return {groups[index]: fold for fold, held_out in enumerate(cuts) for index in held_out}
