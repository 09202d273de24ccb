"""Images a second and memory of fitting Conv5_FC3 and the lean network at 2 mm, beside the loop a user would write.

Each runs in its own process. The peers: plain PyTorch that reads .nii.gz with nibabel each epoch, and the same that
reads float32 .pt tensors, as ClinicaDL stores them. Same network, batch, optimiser and validation; float32 throughout.
ClinicaDL also evaluates its training set after each epoch: that is a row of its own. The machine is shared, so seconds
are those of the processor; each way has one thread, for threads that wait for each other count as busy.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: Enough that starting up and the first steps, which choose how to compute, weigh little, as they do in real fittings.
N_FIT, N_VALIDATION, EPOCHS, BATCH = 96, 16, 2, 4
SHAPE = (85, 104, 90)


def measure():
    """Yield rows of the table of benchmarks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_volumes(folder)
        for architecture in ("conv5_fc3", "lean3d"):
            yield from _beside_peers(architecture, folder)


def _beside_peers(architecture: str, folder: Path):
    found = {way: _in_a_process(way, architecture, folder) for way in ("ours", "nifti", "tensors", "clinicadl")}
    what = f"fit {architecture} at 2 mm"
    peers = {
        "nifti": "plain PyTorch, .nii.gz read each epoch",
        "tensors": "plain PyTorch, float32 .pt read each epoch",
        "clinicadl": "the same, training set evaluated each epoch",
    }
    ours = found["ours"]
    for way, peer in peers.items():
        for figure in ("images a processor second", "peak GB", "% of the time spent waiting for data"):
            yield what, figure, ours[figure], found[way][figure], peer


def _write_volumes(folder: Path) -> None:
    """Write noisy heads as what each way reads: int16 .nii.gz, float32 .pt, and our cache of bytes."""
    import nibabel
    import numpy as np
    import torch

    from qcbench.imaging import crop

    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    inside = x**2 + y**2 + z**2 < 0.8
    with (folder / "volumes.u8").open("wb") as cache:
        for number in range(N_FIT + N_VALIDATION):
            head = inside * (0.4 + 0.2 * (number % 2)) + rng.normal(0, 0.05, SHAPE)
            scaled = crop.min_max(head.astype(np.float32))
            coarse = np.rint(scaled * crop.COARSE_WHITE).astype(np.int16)
            nibabel.save(nibabel.Nifti1Image(coarse, np.diag([2, 2, 2, 1])), folder / f"{number}.nii.gz")
            torch.save(torch.from_numpy(scaled)[None], folder / f"{number}.pt")
            cache.write(np.rint(255 * scaled).astype(np.uint8).tobytes())


def _in_a_process(way: str, architecture: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.training", way, architecture, str(folder)]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread)
    return json.loads(done.stdout.splitlines()[-1])


def _ours(architecture: str, folder: Path) -> None:
    from qcbench.learn.datasets import VolumeCache
    from qcbench.learn.fit import Machine
    from qcbench.learn.fitting import Fitting
    from qcbench.learn.options import TrainOptions

    names = [f"{number:03d}" for number in range(N_FIT + N_VALIDATION)]
    cache = VolumeCache(path=folder / "volumes.u8", spacing=2, rows={name: number for number, name in enumerate(names)})
    Fitting(
        architecture=architecture,
        cache=cache,
        fit={name: int(name) % 2 for name in names[:N_FIT]},
        validation={name: int(name) % 2 for name in names[N_FIT:]},
        class_weights=(1.0, 1.0),
        options=TrainOptions(batch_size=BATCH, epochs=EPOCHS, patience=0, channels_last=True),
        seed=0,
        machine=Machine(device="cpu"),
        checkpoint_folder=folder / f"unfinished-{architecture}",
    ).run()


def _plain(architecture: str, folder: Path, way: str) -> None:
    import nibabel
    import numpy as np
    import torch
    from torch.utils.data import DataLoader, Dataset

    from qcbench.learn import networks

    class Volumes(Dataset):
        def __init__(self, numbers):
            self.numbers = numbers

        def __len__(self):
            return len(self.numbers)

        def __getitem__(self, index):
            number = self.numbers[index]
            if way != "nifti":
                return torch.load(folder / f"{number}.pt", weights_only=True), number % 2
            voxels = nibabel.load(folder / f"{number}.nii.gz").get_fdata(dtype=np.float32)
            return torch.from_numpy((voxels - voxels.min()) / (voxels.max() - voxels.min()))[None], number % 2

    network = networks.build(architecture, SHAPE)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4, weight_decay=1e-4)
    loss_of = torch.nn.CrossEntropyLoss()
    fit = DataLoader(Volumes(range(N_FIT)), batch_size=BATCH, shuffle=True)
    validation = DataLoader(Volumes(range(N_FIT, N_FIT + N_VALIDATION)), batch_size=BATCH)
    for _ in range(EPOCHS):
        network.train()
        for volumes, labels in fit:
            optimiser.zero_grad()
            loss_of(network(volumes), labels).backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            for loader in (validation, fit) if way == "clinicadl" else (validation,):
                for volumes, labels in loader:
                    loss_of(network(volumes), labels).item()


def _main(way: str, architecture: str, folder: Path) -> None:
    """Fit in one way; print what it cost as the last line."""
    import torch
    from torch.utils.data import dataloader

    import qcbench.learn.fitting  # noqa: F401 (loading it is not what is timed)

    torch.set_num_threads(1)
    waited_s, original = 0.0, dataloader._BaseDataLoaderIter.__next__

    def timed(self):
        nonlocal waited_s
        began = time.process_time()
        try:
            return original(self)
        finally:
            waited_s += time.process_time() - began

    dataloader._BaseDataLoaderIter.__next__ = timed
    began = time.process_time()
    _ours(architecture, folder) if way == "ours" else _plain(architecture, folder, way)
    cpu_s = time.process_time() - began
    row = {
        "images a processor second": N_FIT * EPOCHS / cpu_s,
        "peak GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "% of the time spent waiting for data": 100 * waited_s / cpu_s,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    if len(sys.argv) == 4:
        _main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    else:
        for row in measure():
            print(*row, sep="\t", flush=True)
