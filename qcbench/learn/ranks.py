"""One fitting on several processes: they are started, watched, and ended together.

Each process is a fresh Python that reads the fitting from a file, so that a notebook cell, a script and the command
line start them alike and nothing is pickled. Where SLURM gave several nodes, its srun starts them. What was fitted
comes back as the last checkpoint.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from qcbench import durable
from qcbench.errors import TrainingError, UsageError
from qcbench.learn import checkpoints
from qcbench.learn.fit import FittedFold
from qcbench.learn.fitting import Fitting

_POLL_S = 0.2
#: Of linux/prctl.h.
_PR_SET_PDEATHSIG = 1
#: What a process that a signal reached gets to leave by itself.
_LEAVE_S = 10.0
_TAIL = 2000
#: What Python is to run in each process, before the path of the order.
_PROGRAM = ("-m", "qcbench.learn.ranks")


def fit_together(fitting: Fitting, on_epoch: Callable[[list[dict]], None] = lambda curves: None) -> FittedFold:
    """Return what the processes of `fitting.machine` fitted together.

    When one of them ends with an error all are ended. Raises TrainingError with its last words, and UsageError where
    several nodes are asked for and there is no srun.
    """
    folder = fitting.checkpoint_folder
    durable.make_folder(folder)
    order = folder.parent / f"{folder.name}.fitting.json"
    durable.write_text(order, json.dumps({**fitting.to_json(), "address": _free_address()}))
    log_path = order.with_suffix(".txt")
    with log_path.open("wb") as log:
        processes = [
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
            for command, environment in _commands(fitting, order)
        ]
        try:
            statuses = _watch(processes, folder, on_epoch)
        finally:
            _end(processes)
    if any(statuses):
        raise TrainingError(_last_words(log_path))
    found = checkpoints.newest(folder)
    if found is None:
        raise TrainingError(f"{folder} holds no whole checkpoint though the processes ended well; look at {log_path}")
    return FittedFold.of_checkpoint(found.content)


def main(order: Path) -> None:
    """Fit as one of several processes; what each of them runs."""
    _end_with_parent()
    document = json.loads(order.read_text())
    fitting = Fitting.of_json(document)
    rank, local_rank = _own_rank(fitting.machine.devices)
    host, port = document["address"]
    # What Lightning and torch read; those of SLURM are not theirs to interpret.
    os.environ |= {
        "MASTER_ADDR": host,
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(fitting.machine.processes),
        "RANK": str(rank),
        "NODE_RANK": str(rank // fitting.machine.devices),
        "LOCAL_RANK": str(local_rank),
    }
    fitting.run(rank=rank)


def _commands(fitting: Fitting, order: Path) -> list[tuple[list[str], dict[str, str]]]:
    """Return command and environment of what is to be started here: each process, or one srun for all."""
    machine = fitting.machine
    command = [sys.executable, *_PROGRAM, str(order)]
    if machine.nodes > 1:
        if shutil.which("srun") is None:
            raise UsageError(
                f"{machine.nodes} nodes were asked for, but there is no srun here. Start the training on the cluster: "
                'qc.train(..., nodes=2, where="slurm")'
            )
        layout = [f"--nodes={machine.nodes}", f"--ntasks-per-node={machine.devices}", "--kill-on-bad-exit=1"]
        return [(["srun", *layout, *command], dict(os.environ))]
    threads = max(1, (os.cpu_count() or 1) // machine.devices) if machine.accelerator == "cpu" else None
    shared = {"OMP_NUM_THREADS": str(threads)} if threads and "OMP_NUM_THREADS" not in os.environ else {}
    return [(command, {**os.environ, **shared, "QCBENCH_RANK": str(rank)}) for rank in range(machine.devices)]


def _own_rank(devices: int) -> tuple[int, int]:
    """Return the number of this process among all, and on its node."""
    rank = int(os.environ.get("QCBENCH_RANK") or os.environ["SLURM_PROCID"])
    return rank, int(os.environ.get("SLURM_LOCALID", rank % devices)) if "QCBENCH_RANK" not in os.environ else rank


def _end_with_parent() -> None:
    """Let the kernel end this process when the one that started it is killed: nobody would wait for it any more."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(processes: list[subprocess.Popen], folder: Path, on_epoch: Callable[[list[dict]], None]) -> list[int]:
    """Return the exit statuses, once all ended or one failed; tell of each epoch as its checkpoint appears."""
    told = 0
    while True:
        statuses = [process.poll() for process in processes]
        curves = checkpoints.newest_curves(folder)
        if len(curves) > told:
            told = len(curves)
            on_epoch(curves)
        if None not in statuses or any(statuses):
            return statuses
        time.sleep(_POLL_S)


def _end(processes: list[subprocess.Popen]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        alive = [process for process in processes if process.poll() is None]
        for process in alive:
            os.killpg(process.pid, sign)
        until = time.monotonic() + _LEAVE_S
        for process in alive:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue


def _last_words(log_path: Path) -> str:
    """Return what a process said of its error; the whole of it stays in the log."""
    text = log_path.read_text(errors="replace")
    named = [line for line in text.splitlines() if "qcbench.errors." in line]
    said = named[0].partition("Error: ")[2] if named else text[-_TAIL:].strip() or "nothing"
    return f"a process of the training ended: {said} (the rest is in {log_path})"


def _free_address() -> tuple[str, int]:
    """Return this host's name and a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    return ("127.0.0.1" if "SLURM_JOB_ID" not in os.environ else socket.gethostname()), port


if __name__ == "__main__":
    main(Path(sys.argv[1]))
