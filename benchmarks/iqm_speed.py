"""CPU seconds of the metrics that qcbench and MRIQC share, on the same arrays in the same run.

    python -m benchmarks.iqm_speed [ENVIRONMENT]

One real head and one random series; the environment is that of `benchmarks.iqm_against_mriqc`. MRIQC's time is that of
its functions alone, without reading and starting; ours is that of all metrics, the smoothness that MRIQC leaves to AFNI
included.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import iqm_against_mriqc as against
from benchmarks.iqm_cases import anatomical_cases, functional_cases, read


def measure(environment: Path = against.ENVIRONMENT):
    """Yield one row for the anatomical metrics and one for the functional ones."""
    python = against.make_environment(environment)
    for modality, write in (("T1w", anatomical_cases), ("bold", functional_cases)):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "cases"
            write(folder, most=1)
            against.run_peer(python, "benchmarks.iqm_against_mriqc", "--peer", str(folder))
            (case,) = folder.iterdir()
            theirs = json.loads((case / "peer.json").read_text())["cpu_seconds"]
            slowest = max(theirs, key=theirs.get)
            mine = _cpu_seconds(case)
            yield (
                f"{modality} metrics of {case.name}",
                "CPU seconds",
                mine,
                sum(theirs.values()),
                f"MRIQC 24.0.2; {theirs[slowest]:.1f} s of it {slowest}",
            )


def _cpu_seconds(case: Path) -> float:
    taken = []
    for _ in range(3):
        arrays = read(case)
        started = time.process_time()
        against.ours(case, arrays)
        taken.append(time.process_time() - started)
    return sorted(taken)[1]


if __name__ == "__main__":
    for row in measure(Path(sys.argv[1]) if len(sys.argv) > 1 else against.ENVIRONMENT):
        what, figure, ours, theirs, peer = row
        print(f"{what}, {figure}: qcbench {ours:.2f}, {peer}: {theirs:.2f}, ratio {ours / theirs:.3f}")
