"""Measure how severe each artefact is at each strength, and write the table that strengths are guessed from.

    python -m benchmarks.severity_table STUDY IMAGE_ID... [--only ARTEFACT...]

STUDY holds preprocessed good scans; the table in the package was made from the first four heads of
ds000011 and four seeds. Rewrites qcbench/imaging/simulate/curves.toml; nothing else depends on chance.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from qcbench import store
from qcbench.imaging import simulate
from qcbench.imaging.simulate import grades
from qcbench.prepare import pool
from qcbench.study import Study

STRENGTHS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0)
SEEDS = (101, 102, 103, 104)
TABLE = Path(grades.__file__).with_name("curves.toml")


def main(study: Study, image_ids: list[str], only: list[str]) -> None:
    """Write the table; prints each artefact's row as it is made."""
    images = {row["image_id"]: row for row in store.rows(study, "images")}
    aligned = {row["image_id"]: row for row in store.rows(study, "preprocessed")}
    heads = [pool.source_head(study, images[name], aligned[name]) for name in image_ids]
    sights = [simulate.Sight(head) for head in heads]
    lines = []
    for characteristic, family in simulate.ARTEFACTS.items():
        if characteristic == "gadolinium":
            continue
        for name in family:
            if only and name not in only:
                lines.append(f"{name} = [{', '.join(f'{value:.4f}' for value in grades.curves()[name])}]")
                continue
            rows = [
                [
                    simulate.with_strengths(head, {name: s}, seed=seed, sight=sight).severity[characteristic]
                    for s in STRENGTHS
                ]
                for head, sight in zip(heads, sights, strict=True)
                for seed in SEEDS
            ]
            median = np.median(rows, axis=0)
            lines.append(f"{name} = [{', '.join(f'{value:.4f}' for value in median)}]")
            print(lines[-1], flush=True)
    TABLE.write_text(
        "# Median measured severity of each artefact at each strength: where the search for a strength begins.\n"
        f"# Made by `python -m benchmarks.severity_table` from {len(heads)} heads ({', '.join(image_ids)})\n"
        f"# and {len(SEEDS)} seeds each; a copy is graded by its own measurement, never by this table.\n"
        f"strengths = [{', '.join(map(str, STRENGTHS))}]\n\n[severity]\n" + "\n".join(lines) + "\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    given = sys.argv[2:]
    until = given.index("--only") if "--only" in given else len(given)
    main(Study(sys.argv[1]), given[:until], given[until + 1 :])
