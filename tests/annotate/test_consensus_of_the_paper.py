"""Two raters like those of Bottani et al. 2022 over 5,500 images: from event files to the published margins.

The joint grades are not published, only their margins (Table S1); the raters are made so that the
margins of their consensus are the published ones and their kappas are near the published ones.
"""

import random
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from qcbench import store
from qcbench.annotate import agreement, consensus
from qcbench.annotate.events import label_event

#: Tier and gadolinium: how many images, and how many of them have contrast, motion and noise 0, 1 and 2.
TABLE_S1 = {
    (1, True): (358, (358, 0, 0), (358, 0, 0), (358, 0, 0)),
    (1, False): (515, (515, 0, 0), (515, 0, 0), (515, 0, 0)),
    (2, True): (812, (342, 470, 0), (409, 403, 0), (431, 381, 0)),
    (2, False): (721, (237, 484, 0), (441, 280, 0), (445, 276, 0)),
    (3, True): (1246, (40, 56, 1150), (451, 425, 370), (683, 549, 14)),
    (3, False): (393, (27, 43, 323), (147, 86, 160), (271, 120, 2)),
}
N_REJECTED = 1455
#: Published kappas, and the share of images on which the lower rater saw less, which gives about them.
KAPPAS = {"straight_reject": 0.88, "gadolinium": 0.89, "contrast": 0.79, "motion": 0.68, "noise": 0.70}
SEES_LESS = {"gadolinium": 0.089, "contrast": 0.235, "motion": 0.40, "noise": 0.335}
N_DISAGREEMENTS = 254  # on straight reject; half of them end as a reject
NAMES = ("contrast", "motion", "noise")


def grades_of_the_consensus(rng):
    """Return images whose margins are those of the table; each has its tier's highest grade somewhere."""
    images = []
    for (tier, gadolinium), (n, *margins) in TABLE_S1.items():
        columns = {}
        for name, counts in zip(NAMES, margins, strict=True):
            values = [grade for grade, count in enumerate(counts) for _ in range(count)]
            # Contrast has its highest grades at the end and motion at the beginning, so that no image is without.
            values.sort(reverse=name == "motion")
            if name == "noise":
                rng.shuffle(values)
            columns[name] = values
        for number in range(n):
            image = {name: columns[name][number] for name in NAMES}
            assert max(image.values()) == tier - 1
            images.append({"gadolinium": gadolinium, **image})
    rng.shuffle(images)
    return images


def as_seen_by_two(grades, rng):
    """One rater sees what the consensus says, or more than one of them; now and then the other sees less."""
    both = ({}, {})
    for name, value in grades.items():
        less = value
        if value and rng.random() < SEES_LESS[name]:
            less = False if name == "gadolinium" else rng.choice(range(value))
        pair = [value, less]
        rng.shuffle(pair)
        for rater, seen in zip(both, pair, strict=True):
            rater[name] = seen
    return both


@pytest.fixture
def labelled(study):
    rng = random.Random(0)
    reject = {"straight_reject": True}
    pairs, verdicts = [], {}
    for number, grades in enumerate(grades_of_the_consensus(rng)):
        if number < N_DISAGREEMENTS // 2:
            pair = [grades, reject]  # one rater's grades stand after the review
            rng.shuffle(pair)
            verdicts[f"image-{len(pairs):05d}"] = {"straight_reject": False, **dict.fromkeys(grades)}
        else:
            pair = as_seen_by_two(grades, rng)
        pairs.append(pair)
    for number in range(N_REJECTED):
        pair = [reject, reject]
        if number < N_DISAGREEMENTS // 2:
            pair = [reject, {"gadolinium": False, "motion": 2, "contrast": 2, "noise": 1}]
            rng.shuffle(pair)
            verdicts[f"image-{len(pairs):05d}"] = reject
        pairs.append(pair)
    for place, rater in enumerate(("alice", "bob")):
        events = [
            label_event(
                study.protocol,
                study.protocol.check(pair[place]),
                rater=rater,
                source="simulated",
                session="s",
                sequence=number,
                event_id=f"{rater}-{number}",
                image_id=f"image-{number:05d}",
            )
            for number, pair in enumerate(pairs)
        ]
        store.SegmentLog(study.label_folder(rater) / "s", "label_events").extend(events)
    return study, verdicts


def settle(study, verdicts):
    """Have alice propose each verdict and bob sign it."""
    for reviewer, role in (("alice", "proposes"), ("bob", "countersigns")):
        events = [
            {
                "event_id": f"{role}-{image_id}",
                "image_id": image_id,
                "reviewer": reviewer,
                "role": role,
                **dict.fromkeys(("gadolinium", "motion", "contrast", "noise", "comment", "proposal_id")),
                **verdict,
                "label_event_ids": [f"{rater}-{int(image_id[6:])}" for rater in ("alice", "bob")],
                "saved_at": datetime.now(UTC),
            }
            for image_id, verdict in verdicts.items()
        ]
        store.SegmentLog(study.review_folder(reviewer) / "s", "review_events").extend(events)


def test_from_the_events_of_two_raters_to_the_margins_and_kappas_of_the_paper(labelled):
    study, verdicts = labelled
    before = consensus.consensus(study)
    assert before.facts["waiting_for_joint_review"] == N_DISAGREEMENTS == len(verdicts)
    settle(study, verdicts)
    started = time.monotonic()
    after = consensus.consensus(study)
    assert time.monotonic() - started < 60  # the promise is ten seconds, on a machine that does nothing else
    assert after.facts["waiting_for_joint_review"] == 0
    rows = store.rows(study, "consensus")
    assert sum(row["straight_reject"] for row in rows) == N_REJECTED
    for (tier, gadolinium), (n, *margins) in TABLE_S1.items():
        group = [row for row in rows if (row["tier"], row["gadolinium"]) == (tier, gadolinium)]
        assert len(group) == n
        for name, counts in zip(NAMES, margins, strict=True):
            found = Counter(row[name] for row in group)
            assert tuple(found[grade] for grade in (0, 1, 2)) == counts, (tier, gadolinium, name)
    agreement.agreement(study)
    for name, published in KAPPAS.items():
        statistic = "kappa_linear" if name in NAMES else "kappa"
        [row] = [
            row
            for row in store.rows(study, "agreement")
            if (row["characteristic"], row["statistic"], row["raters"]) == (name, statistic, "alice,bob")
        ]
        assert row["low"] - 0.01 <= published <= row["high"] + 0.01, (name, row["value"], published)
