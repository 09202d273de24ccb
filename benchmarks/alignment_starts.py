"""Does the alignment hold wherever a head lies? 200 random places of the eight real heads, and what came of them.

Each try moves the header of a head: rotated by up to 30 degrees about any axis, shifted by up to 40 mm, scaled by 0.8
to 1.2, and in every second one its axes are confused (one of the 24 turns by right angles). Found means within 2 mm
of where the unmoved head was aligned, on average in the brain. A failure must be known by a low score.

    QCBENCH_REAL_DATA=DIR python -m benchmarks.alignment_starts OUT.csv [TRIES]

can be stopped and started again: tries that are in OUT.csv are not made twice.
"""

import csv
import os
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from qcbench.imaging import geometry, register, starts
from qcbench.prepare import one_image, presets

FOUND_MM = 2.0


def motion(seed, is_turned):
    """Return the (4, 4) motion of one try."""
    rng = np.random.default_rng([seed, 0x57A7])
    axis = rng.standard_normal(3)
    matrix = starts.turns()[rng.integers(1, 24) if is_turned else 0].copy()
    turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * rng.uniform(0, 30), degrees=True).as_matrix()
    matrix[:3, :3] = matrix[:3, :3] @ turn * rng.uniform(0.8, 1.2)
    matrix[:3, 3] = rng.uniform(-40, 40, 3)
    return matrix


def heads():
    """Return the real heads of $QCBENCH_REAL_DATA."""
    return sorted(Path(os.environ["QCBENCH_REAL_DATA"]).glob("t1w/*_T1w.nii.gz"))


@cache
def corrected(path):
    """Return voxels and affine of a head without its bias field, which no motion changes."""
    data, affine, _, _ = one_image.corrected(path, presets.by_name("fast"))
    return data, affine


def aligned(path, moved):
    """Return the alignment of a head whose header was moved, as the preset ``fast`` makes it, and it moved back."""
    data, affine = corrected(path)
    # Moved about the middle of the field of view, as a person lies elsewhere in the same scanner.
    middle = np.eye(4)
    middle[:3, 3] = (affine @ [*((np.array(data.shape) - 1) / 2), 1])[:3]
    whole = middle @ moved @ np.linalg.inv(middle)
    found = register.register(*geometry.to_ras(data, whole @ affine), presets.by_name("fast").register)
    return found, np.linalg.inv(whole) @ found.template_to_scanner


@cache
def unmoved(path):
    """Return where a head is aligned as it lies."""
    return aligned(path, np.eye(4))[1]


def run(table, n_tries):
    """Make the tries that the table lacks; return all rows."""
    files = heads()
    done = {int(row["try"]) for row in _rows(table)}
    for number in sorted(set(range(n_tries)) - done):
        path, is_turned = files[number % len(files)], number // len(files) % 2 == 1
        known = unmoved(path)
        began = time.process_time()
        found, back = aligned(path, motion(number, is_turned))
        _append(
            table,
            {
                "try": number,
                "head": path.name,
                "turned": int(is_turned),
                "displacement_mm": round(register.displacement_mm(back, known), 3),
                "alignment": round(found.score.alignment, 3),
                "n_starts": found.n_starts,
                "cpu_seconds": round(time.process_time() - began, 2),
            },
        )
    return _rows(table)


def summary(rows):
    """Return the figures of the table in words."""
    displacement = np.array([float(row["displacement_mm"]) for row in rows])
    score = np.array([float(row["alignment"]) for row in rows])
    failed = displacement > FOUND_MM
    worst = f"{score[failed].max():.2f}" if failed.any() else "none"
    return (
        f"{len(rows)} tries: {100 * (1 - failed.mean()):.1f} % within {FOUND_MM:g} mm, median "
        f"{np.median(displacement):.2f} mm; highest score of a failure {worst}; lowest score of a success "
        f"{score[~failed].min() if (~failed).any() else float('nan'):.2f}; CPU seconds "
        f"{np.mean([float(row['cpu_seconds']) for row in rows]):.1f} a head"
    )


def _append(table, row):
    is_new = not table.exists()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def _rows(table):
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    print(summary(run(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200)))
