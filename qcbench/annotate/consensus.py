"""From the labels of two or more raters to one consensus (Bottani et al. 2022, section 2.5).

Raters who agree on straight reject get the maximum of their grades, and the tier is recomputed
from these maxima, never taken from a rater. Raters who disagree on straight reject wait for a
joint review, which two different people decide. With more than two raters the rule is the same:
all must agree on straight reject, and the maximum is over all of them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from qcbench import schema, store
from qcbench.annotate import review
from qcbench.errors import ProtocolError
from qcbench.protocol import Protocol
from qcbench.study import Study
from qcbench.summary import Summary

_GRADES = ("gadolinium", *schema.GRADED)


def combine(labels: Sequence[dict], protocol: Protocol, verdict: dict | None = None) -> dict | None:
    """Return the consensus row of one image, or None while a joint review is wanted.

    `labels` are the current labels of that image, one a rater and at least two; `verdict` is the
    settled one of a joint review. A review that keeps the image takes the grades of whoever
    graded it, unless the reviewers set them anew.
    """
    verdicts = {label["straight_reject"] for label in labels}
    if len(verdicts) > 1 and verdict is None:
        return None
    by_review = len(verdicts) > 1
    straight_reject = verdict["straight_reject"] if by_review else verdicts.pop()
    grades: dict[str, bool | int | None] = dict.fromkeys(_GRADES)
    if not straight_reject:
        graded = [label for label in labels if not label["straight_reject"]]
        for name in _GRADES:
            anew = verdict[name] if by_review else None
            grades[name] = max(label[name] for label in graded) if anew is None else anew
    answers = {"straight_reject": straight_reject, **grades}
    return {
        "image_id": labels[0]["image_id"],
        **answers,
        "tier": protocol.tier(answers),
        "decided_by": "review" if by_review else "raters",
        "reviewers": verdict["reviewers"] if by_review else None,
        "label_event_ids": sorted(label["event_id"] for label in labels),
        "stale": False,
        "simulated": any(label["source"] == "simulated" for label in labels),
    }


def consensus(study: Study) -> Summary:
    """Write the tables `consensus` and `open_reviews`; images of one rater only are left out.

    The same labels give the same bytes. Raises TableError when a segment of labels is damaged.
    """
    started = time.monotonic()
    _refuse_other_criteria(study.protocol)
    by_image: dict[str, list[dict]] = {}
    for label in store.labels(study, study.consensus_raters):
        by_image.setdefault(label["image_id"], []).append(label)
    ids = {image_id: [label["event_id"] for label in labels] for image_id, labels in by_image.items()}
    reviews = review.settled(review.reviews(review.events_of(study), ids))
    decided, waiting, single = [], [], 0
    for image_id, labels in sorted(by_image.items()):
        if len(labels) < 2:
            single += 1
            continue
        row = combine(labels, study.protocol, reviews.get(image_id))
        if row is None:
            waiting += [{name: label[name] for name in schema.OPEN_REVIEWS.column_names} for label in labels]
        else:
            decided.append(row)
    store.write(study, "consensus", decided)
    store.write(study, "open_reviews", waiting)
    n_waiting = len({row["image_id"] for row in waiting})
    return Summary(
        stage="consensus",
        done=len(decided),
        facts={**_counts(decided), "waiting_for_joint_review": n_waiting, "labelled_by_one_rater_only": single},
        notes=[*_notes(study, by_image, n_waiting, single), *_other_versions(study)],
        seconds=time.monotonic() - started,
    )


def _refuse_other_criteria(protocol: Protocol) -> None:
    """The published rule speaks of the published criteria; what another protocol means by them is not known."""
    names = {criterion.name for criterion in protocol.criteria}
    if names != set(schema.CHARACTERISTICS):
        raise ProtocolError(
            f"the consensus is defined for {', '.join(schema.CHARACTERISTICS)}; "
            f"the protocol {protocol.name} has {', '.join(sorted(names))}"
        )


def _counts(decided: list[dict]) -> dict[str, object]:
    counts: dict[str, object] = {"straight_reject": sum(row["straight_reject"] for row in decided)}
    for tier in (1, 2, 3):
        counts[f"tier_{tier}"] = sum(row["tier"] == tier for row in decided)
    return counts


def _other_versions(study: Study) -> list[str]:
    events = [event for rater in study.consensus_raters for event in store.label_events(study, rater)]
    n = sum(not store.is_of_protocol(event, study.protocol) for event in events)
    words = f"version {study.protocol.version} of {study.protocol.name}"
    return [f"{n} labels were made under another protocol than {words} and are not read."] if n else []


def _notes(study: Study, by_image: dict, n_waiting: int, single: int) -> list[str]:
    notes = []
    if not by_image:
        notes.append(f"No label yet by {' or '.join(study.consensus_raters)}: label with qcbench label {study.folder}")
    if n_waiting:
        notes.append(f"{n_waiting} images wait for a joint review: the raters disagree on straight reject.")
    if single:
        notes.append(f"{single} images have the label of one rater only and wait for a second.")
    return notes
