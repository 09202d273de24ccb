"""Which images of a warehouse will be labelled: drawn by participant, with a seed, on the record."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from qcbench import store
from qcbench.annotate import queue
from qcbench.errors import UsageError
from qcbench.study import Study
from qcbench.summary import Summary

#: The table of a draw: what is labelled at all, and what is labelled once more from the whole volume.
TABLES = {"label": "sample", "volume": "volume_sample"}


def draw(study: Study, n: int, *, seed: int = 0, stratify: str | None = None, purpose: str = "label") -> Summary:
    """Draw `n` images for labelling into the table `sample`; from then on raters are asked for these.

    Whole participants are drawn in an order that follows from the seed, each that still fits. With
    `stratify`, a column of the catalogue, each of its values gets its share. A sample that exists
    is kept and added to, so that no rater's work is lost. With the purpose ``volume``, `n` images of those that are
    labelled come once more, with the whole volume open: table `volume_sample`. Raises UsageError when fewer images can
    be labelled than are asked for, or fewer are asked for than were drawn before.
    """
    started = time.monotonic()
    if purpose not in TABLES:
        raise UsageError(f"images are drawn for {' or '.join(TABLES)}, got {purpose!r}")
    candidates = queue.labellable(study, *filter(None, [stratify]))
    if purpose == "volume":
        candidates = _with_a_volume(study, candidates)
    earlier = store.rows(study, TABLES[purpose])
    drawn_before = {row["image_id"] for row in earlier}
    _refuse_impossible(n, len(candidates), len(earlier))
    left = [row for row in candidates if row["image_id"] not in drawn_before]
    strata: dict[object, list[dict]] = {}
    for row in left:
        strata.setdefault(row[stratify] if stratify else None, []).append(row)
    missing = n - len(earlier)
    chosen: list[dict] = []
    for value, quota in _quotas({value: len(rows) for value, rows in strata.items()}, missing).items():
        chosen += _whole_participants(strata[value], quota, seed)
    taken = {row["image_id"] for row in chosen}
    # What whole participants leave open is filled from whoever comes next.
    rest = [row for row in _in_drawn_order(left, seed) if row["image_id"] not in taken]
    chosen += rest[: missing - len(chosen)]
    now = datetime.now(UTC)
    store.upsert(
        study,
        TABLES[purpose],
        [
            {"image_id": row["image_id"], "participant_id": row["participant_id"], "seed": seed, "drawn_at": now}
            for row in chosen
        ],
    )
    facts: dict[str, object] = {"images": n, "of": len(candidates), "seed": seed}
    facts["participants"] = len({row["participant_id"] for row in [*earlier, *chosen]})
    if stratify:
        facts[stratify] = dict(sorted(Counter(str(row[stratify]) for row in chosen).items()))
    return Summary(
        stage="sample", done=len(chosen), unchanged=len(earlier), facts=facts, seconds=time.monotonic() - started
    )


def _with_a_volume(study: Study, candidates: list[dict]) -> list[dict]:
    """Return those that raters are asked for anyway and whose volume can be opened."""
    sampled = {row["image_id"] for row in store.rows(study, "sample")}
    return [row for row in candidates if row["volume_path"] and (not sampled or row["image_id"] in sampled)]


def _refuse_impossible(n: int, n_candidates: int, n_before: int) -> None:
    if n_candidates == 0:
        raise UsageError("no image can be labelled yet; run first: qcbench preprocess STUDY")
    if not 1 <= n <= n_candidates:
        raise UsageError(
            f"{n} images were asked for, and {n_candidates} can be labelled; ask for 1 to {n_candidates}, "
            "or preprocess more images first"
        )
    if n < n_before:
        raise UsageError(
            f"{n_before} images were drawn before, and a sample is only ever added to; ask for {n_before} or more"
        )


def _quotas(sizes: Mapping[object, int], total: int) -> dict[object, int]:
    """Share `total` out in proportion to the sizes; the largest remainders get what is left over."""
    whole = sum(sizes.values())
    exact = {value: total * size / whole for value, size in sizes.items()}
    quotas = {value: int(share) for value, share in exact.items()}
    by_remainder = sorted(exact, key=lambda value: (quotas[value] - exact[value], str(value)))
    for value in by_remainder[: total - sum(quotas.values())]:
        quotas[value] += 1
    return quotas


def _whole_participants(rows: list[dict], quota: int, seed: int) -> list[dict]:
    by_participant: dict[str, list[dict]] = {}
    for row in _in_drawn_order(rows, seed):
        by_participant.setdefault(row["participant_id"], []).append(row)
    chosen: list[dict] = []
    for images in by_participant.values():
        if len(chosen) + len(images) <= quota:
            chosen += images
    return chosen


def _in_drawn_order(rows: list[dict], seed: int) -> list[dict]:
    """Return the rows by participant, in an order that neither file names nor other participants change."""

    def place(row: dict) -> tuple:
        participant = row["participant_id"]
        return hashlib.sha256(f"{seed}\n{participant}".encode()).digest(), row["image_id"]

    return sorted(rows, key=place)
