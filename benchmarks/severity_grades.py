"""Does severity rise with strength, and is a grade that is asked for the grade that is seen?

    python -m benchmarks.severity_grades STUDY TABLE_IMAGE_ID...

STUDY holds preprocessed good scans; TABLE_IMAGE_IDs are those that the table of strengths was made from.
They are left out of the second table. Prints two tables; nothing is written.
"""

from __future__ import annotations

import sys
from unittest import mock

import numpy as np

from qcbench import store
from qcbench.imaging import simulate
from qcbench.imaging.simulate import copies
from qcbench.prepare import pool
from qcbench.study import Study

STRENGTHS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
SEEDS = 1
DRAWS = 5


def main(study: Study, table_ids: list[str]) -> None:
    """Print both tables."""
    catalogue = {row["image_id"]: row for row in store.rows(study, "images") if row["bids_path"]}
    aligned = [row for row in store.rows(study, "preprocessed") if row["image_id"] in catalogue]
    people = {row["image_id"]: pool.source_head(study, catalogue[row["image_id"]], row) for row in aligned}
    sights = {name: simulate.Sight(head) for name, head in people.items()}
    print(f"measured severity at strengths {STRENGTHS}, median of {len(people)} heads and {SEEDS} seeds")
    for characteristic, family in simulate.ARTEFACTS.items():
        for name in family if characteristic != "gadolinium" else ():
            rows = np.array(
                [
                    [
                        simulate.with_strengths(head, {name: s}, seed=seed, sight=sights[who]).severity[characteristic]
                        for s in STRENGTHS
                    ]
                    for who, head in people.items()
                    for seed in range(SEEDS)
                ]
            )
            rising = (np.diff(rows, axis=1) > -1e-6).all(axis=1)
            print(
                f"  {name:18s} {' '.join(f'{value:.3f}' for value in np.median(rows, axis=0))}"
                f"   rises in {rising.sum()} of {len(rows)}",
                flush=True,
            )
    unseen = {name: head for name, head in people.items() if name not in table_ids}
    print(f"grade asked and seen, {len(unseen)} heads that the table was not made from, {DRAWS} draws each")
    for characteristic in ("motion", "contrast", "noise"):
        for grade in (0, 1, 2):
            found = {True: 0, False: 0}
            tries = []
            for who, head in unseen.items():
                for seed in range(DRAWS):
                    asked = {characteristic: grade, "seed": 7000 + seed, "sight": sights[who]}
                    copy = simulate.draw(head, **asked)
                    found[True] += copy.grades[characteristic] == grade
                    tries.append(copy.n_tries)
                    if grade:
                        with mock.patch.object(copies, "_MOST_TRIES", 1):
                            found[False] += simulate.draw(head, **asked).grades[characteristic] == grade
            n = len(unseen) * DRAWS
            first = f", by the first guess of each artefact {100 * found[False] / n:.0f}%" if grade else ""
            print(f"  {characteristic} {grade}: {100 * found[True] / n:.0f}% of {n}{first}", flush=True)


if __name__ == "__main__":
    main(Study(sys.argv[1]), sys.argv[2:])
