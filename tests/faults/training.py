"""A small training in processes of its own, each killed at a chosen moment.

`python -m tests.faults.training FOLDER NAME:MOMENT...` runs one process after another; those of one name go on where
the one before was killed. The modules are loaded once and each process is a fork, so that a campaign takes seconds.
A moment is a number of steps, ``writing`` for the middle of a checkpoint's file, or ``never``; ``cut`` starts no
process but shortens the latest file by a byte. Prints a row of JSON for each.
"""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from qcbench import durable
from qcbench.learn import checkpoints
from qcbench.learn.classifier import Classifier
from qcbench.learn.datasets import VolumeCache, coarse_shape
from qcbench.learn.fit import Machine
from qcbench.learn.fitting import Fitting
from qcbench.learn.options import TrainOptions
from qcbench.learn.weights import save_weights

N_FIT, N_VALIDATION, EPOCHS = 8, 4, 4
STEPS_AN_EPOCH = N_FIT // 2
OPTIONS = TrainOptions(
    learning_rate=1e-3,
    batch_size=2,
    epochs=EPOCHS,
    patience=0,
    channels_last=True,
    optimiser="adamw",
    schedule="cosine",
    warm_up_epochs=1.0,
    clip_norm=1.0,
    augment=True,
)


def fitting(folder):
    """A fitting to noise whose brightness tells the class; its cache is made when it is missing."""
    path, rows = folder.parent / "volumes.u8", {f"image-{n:02d}": n for n in range(N_FIT + N_VALIDATION)}
    if not path.exists():
        rng = np.random.default_rng(0)
        volumes = [rng.integers(0, 60 + 120 * (n % 2), coarse_shape(4), dtype=np.uint8) for n in rows.values()]
        path.write_bytes(b"".join(volume.tobytes() for volume in volumes))
    labels = {image_id: row % 2 for image_id, row in rows.items()}
    return Fitting(
        architecture="conv5_fc3",
        cache=VolumeCache(path=path, spacing=4, rows=rows),
        fit=dict(list(labels.items())[:N_FIT]),
        validation=dict(list(labels.items())[N_FIT:]),
        class_weights=(1.0, 1.0),
        options=OPTIONS,
        seed=5,
        machine=Machine(device="cpu", deterministic=True),
        checkpoint_folder=folder / "unfinished",
    )


def train(folder, moment):
    """Train to the end or to the moment; write the weights, the curves and what was noted of the way."""
    if moment == "writing":
        durable.write_bytes = _killed_in_the_middle
    elif moment != "never":
        _kill_at_step(int(moment))
    fitted = fitting(folder).run()
    save_weights(folder, fitted.state)
    (folder / "facts.json").write_text(json.dumps({"curves": fitted.curves, **fitted.facts}))


def _kill_at_step(step):
    steps, original = iter(range(step + 1)), Classifier.training_step

    def training_step(self, batch, number):
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, batch, number)

    Classifier.training_step = training_step


def _killed_in_the_middle(path, content):
    """As `durable.write_bytes`, until half of the bytes are in the temporary file."""
    path.parent.mkdir(exist_ok=True)
    path.with_name(f".{path.name}.1-dead.tmp").write_bytes(content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)


def outcome_of(folder, moment):
    """The exit status of one process, the last epoch that is whole on the disk, and the files there."""
    status = None
    if moment == "cut":
        latest = max((folder / "unfinished").glob("*.safetensors"))
        latest.write_bytes(latest.read_bytes()[:-1])
    elif (pid := os.fork()) == 0:
        train(folder, moment)
        os._exit(0)
    else:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    kept = checkpoints.newest(folder / "unfinished")
    files = sorted(path.name for path in (folder / "unfinished").glob("*"))
    return {"moment": moment, "status": status, "last_epoch": kept.epoch if kept else None, "files": files}


def main(folder, orders):
    for name, moment in (order.split(":") for order in orders):
        (folder / name).mkdir(exist_ok=True)
        sys.stdout.write(json.dumps({"name": name, **outcome_of(folder / name, moment)}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
