"""CPU seconds to move a head and to make a whole copy, beside TorchIO's transforms on the same voxels.

`python -m benchmarks.simulation STUDY` prints what a copy costs at 1, 2 and 4 mm, from the scans of a
preprocessed study; `make bench` compares one movement.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from qcbench import pipeline
from qcbench.imaging import heads, simulate

COPIES = 32


def _cpu_s(function, repeats=3):
    function()
    began = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - began) / repeats


def measure():
    """Yield rows of the table of benchmarks."""
    import torch
    import torchio as tio

    torch.set_num_threads(1)
    head = heads.synthetic_head(seed=0)
    image = tio.Subject(image=tio.ScalarImage(tensor=torch.from_numpy(head.data)[None], affine=head.affine))
    move = tio.RandomMotion(degrees=5, translation=5, num_transforms=3, image_interpolation="bspline")
    ours = _cpu_s(lambda: simulate.ARTEFACTS["motion"]["abrupt"][0](head, 0.5, np.random.default_rng(0)))
    theirs = _cpu_s(lambda: move(image))
    yield "a head that moves while it is scanned", "CPU s", ours, theirs, "TorchIO RandomMotion, 3 moves, B-spline"


def cost(study: str) -> None:
    """Print CPU seconds and memory a copy, and how long a pool of 500 takes on this machine."""
    for spacing in (1, 2, 4):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(study, Path(folder) / "study")
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
            summary = pipeline.simulate(
                Path(folder) / "study", source="all", n=COPIES, seed=77, spacing=spacing, workers=2, show_progress=False
            )
            wall_s, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(
            f"{spacing} mm: {cpu_s / COPIES:.2f} CPU-s a copy, {wall_s / COPIES:.2f} s with 2 workers, "
            f"{after.ru_maxrss / 2**20:.2f} GB a worker, {summary.done} done",
            flush=True,
        )


if __name__ == "__main__":
    cost(sys.argv[1])
