"""Long work launched from a cell: it starts at once, is watched, and goes on when the kernel is gone.

A job is a folder jobs/<id>/ of the study: job.json says what was asked for, state.json how it goes (written anew every
few seconds: the heartbeat), log.txt what it prints. A watcher process of its own runs the verb of the command line and
writes them; on a cluster SLURM starts that watcher. It holds the lock of its folder for as long as it lives, whatever
else gets its number when it is gone. Nothing here is imported by the work itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from qcbench import durable
from qcbench.errors import StudyError, UsageError
from qcbench.study import Study

STATES = ("waiting", "running", "done", "failed", "stopped", "lost")
#: Where a job runs: on this machine, or where SLURM sends it.
PLACES = ("local", "slurm")
#: Verbs that take long and go on where they stopped.
VERBS = ("preprocess", "simulate", "train", "learning-curve", "leave-one-out", "predict", "ingest")
_HEARTBEAT_S = 2.0
#: Without a sign of life for so long, and no process to be seen, a job is lost.
_LOST_AFTER_S = 30.0
#: A watcher of this machine that has not begun after so long never will.
_BEGUN_AFTER_S = 120.0
_STOP_S = 20.0
_LAST_WORDS_TRIES = 30
_TAIL_BYTES = 20_000
_WATCHED = "watcher"
#: Tells the work, and what it starts on other nodes, whose it is.
_JOB_VARIABLE = "QCBENCH_JOB"
#: Leaves the watcher to the machine: it is no child of the kernel, and so neither ends with it nor has to be reaped.
_LEAVE = "import os, sys\nif os.fork() == 0:\n    os.setsid()\n    os.execv(sys.argv[1], sys.argv[1:])\n"


class Job:
    """One piece of long work, found again by its folder. `state` is one of STATES."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "job.json").is_file():
            raise StudyError(f"{folder} is no job; qc.jobs(study) lists those of a study")
        self.asked: dict = json.loads((self.folder / "job.json").read_text(encoding="utf-8"))

    @classmethod
    def start(
        cls,
        study: Study | str | Path,
        verb: str,
        options: dict[str, object],
        *,
        arguments: Sequence[str] = (),
        where: str = "local",
        slurm: str = "",
    ) -> Job:
        """Start a verb of the command line and return at once.

        `options` are those of the verb, e.g. {"task": "tier3", "spacing": 2}; `arguments` stand before them. On SLURM,
        `slurm` holds options of sbatch, e.g. "--gres=gpu:1 --time=12:00:00 --mem=16G"; where `options` name several
        `nodes` or `devices`, sbatch is asked for that many, and the work starts its processes there with srun.
        Raises UsageError for a verb that is no long work, for an unknown place, and where there is no sbatch.
        """
        if verb not in VERBS:
            raise UsageError(f"a job is one of {', '.join(VERBS)}, got {verb!r}")
        if where not in PLACES:
            raise UsageError(f"a job runs {' or '.join(PLACES)}, got {where!r}")
        if where == "slurm" and shutil.which("sbatch") is None:
            raise UsageError(
                "there is no sbatch on this machine's path; start it with where='local', or on the cluster"
            )
        study = Study.of(study)
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{verb}-{secrets.token_hex(2)}"
        folder = study.folder / "jobs" / name
        folder.mkdir(parents=True)
        asked = {
            "verb": verb,
            "arguments": [verb, str(study.folder), *arguments, *_as_arguments(options)],
            "where": where,
            "started_by": os.environ.get("JUPYTERHUB_USER") or os.environ.get("USER", ""),
            "asked_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        durable.write_text(folder / "state.json", json.dumps({"state": "waiting"}))
        durable.write_text(folder / "job.json", json.dumps(asked, indent=1) + "\n")
        watcher = [sys.executable, "-m", "qcbench.jobs", str(folder)]
        if where == "local":
            with (folder / "watcher.txt").open("wb") as output:
                launch = [sys.executable, "-S", "-c", _LEAVE, *watcher]
                subprocess.run(launch, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, check=True)
        else:
            _submit(folder, watcher, [*_layout(options), *shlex.split(slurm)])
        return cls(folder)

    @property
    def job_id(self) -> str:
        """The name of the job's folder."""
        return self.folder.name

    def status(self) -> dict:
        """Return what is known now: `state`, `exit_status`, `heartbeat_at`, `host`, and `summary` once it is done."""
        try:
            known = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {"state": "waiting"}
        if self._is_lost(known):
            known["state"] = "lost"
        return known

    @property
    def state(self) -> str:
        """How it goes: one of STATES."""
        return self.status()["state"]

    def log(self) -> str:
        """Return the end of what the work printed."""
        try:
            with (self.folder / "log.txt").open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - _TAIL_BYTES))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def stop(self) -> None:
        """Ask the job to stop; what it has done stays, and the same verb goes on from there.

        A job that waits for its turn in SLURM's queue is taken out of it.
        """
        durable.write_text(self.folder / "stop", "asked\n")
        if self.asked["where"] == "slurm" and self.state == "waiting" and shutil.which("scancel"):
            done = subprocess.run(["scancel", f"--name={_slurm_name(self.folder)}"], capture_output=True, check=False)
            if done.returncode == 0:
                durable.write_text(self.folder / "state.json", json.dumps({"state": "stopped"}))

    def wait(self, timeout_s: float | None = None) -> str:
        """Return the state once it is over, or as it is after `timeout_s`."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while self.state in ("waiting", "running") and (until is None or time.monotonic() < until):
            time.sleep(0.2)
        return self.state

    def __repr__(self) -> str:
        return f"Job({self.job_id!r}, {self.state})"

    def _is_lost(self, known: dict) -> bool:
        """Return whether nobody will ever write the state that `known` leaves open."""
        if known["state"] not in ("waiting", "running"):
            return False
        try:
            silent_s = time.time() - (self.folder / "state.json").stat().st_mtime
        except OSError:
            return False
        if known["state"] == "waiting":
            return self.asked["where"] == "local" and silent_s > _BEGUN_AFTER_S and not self._is_watched()
        if known.get("host") != socket.gethostname():
            return silent_s >= _LOST_AFTER_S
        return silent_s > 3 * _HEARTBEAT_S and not self._is_watched()

    def _is_watched(self) -> bool:
        try:
            with durable.locked(self.folder / _WATCHED, timeout_s=0):
                return False
        except StudyError:
            return True


def of_this_process() -> str | None:
    """Return the id of the job that this process works for; None where it is nobody's."""
    return os.environ.get(_JOB_VARIABLE)


def jobs(study: Study | str | Path) -> list[Job]:
    """Return the jobs of a study, the latest first; also those that another kernel started."""
    folders = sorted((Study.of(study).folder / "jobs").glob("*/job.json"), reverse=True)
    return [Job(path.parent) for path in folders]


def watch(folder: Path) -> int:
    """Run a job's verb to its end and write how it goes; what the watcher process does. Return its exit status."""
    with durable.locked(folder / _WATCHED):
        return _watch(Job(folder))


def _watch(job: Job) -> int:
    folder = job.folder
    command = [sys.executable, "-c", "from qcbench.cli import main; main()", *job.asked["arguments"], "--json"]
    # A Jupyter server that a script left in the background ignores interrupts, and so would all that comes of it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with (folder / "log.txt").open("wb") as log, (folder / "summary.json").open("wb") as summary:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=summary,
            stderr=log,
            cwd=folder,
            start_new_session=True,
            env={**os.environ, _JOB_VARIABLE: job.job_id},
        )
        known = {
            "state": "running",
            "host": socket.gethostname(),
            "watcher_pid": os.getpid(),
            "pid": process.pid,
            "began_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        signal.signal(signal.SIGTERM, lambda *_: job.stop())  # how SLURM ends a job, before it kills it
        asked_at = None
        while process.poll() is None:
            # A full disk or a server that is away for a while must not end the watch: the work goes on.
            with contextlib.suppress(OSError):
                _write_state(folder, known)
            if asked_at is None and (folder / "stop").exists():
                asked_at = time.monotonic()
                os.killpg(process.pid, signal.SIGINT)
            elif asked_at is not None and time.monotonic() - asked_at > _STOP_S:
                os.killpg(process.pid, signal.SIGKILL)
            _sleep_until_over(process, _HEARTBEAT_S)
    known |= {"exit_status": process.returncode, "state": _ended(process.returncode, asked_at)}
    known["summary"] = _read_summary(folder / "summary.json")
    _write_last_state(folder, known)
    return process.returncode


def _ended(status: int, asked_at: float | None) -> str:
    if asked_at is not None and status != 0:
        return "stopped"
    # 1: done, but some images failed; the summary names them.
    return "done" if status in (0, 1) else "failed"


def _write_state(folder: Path, known: dict) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    durable.write_text(folder / "state.json", json.dumps({**known, "heartbeat_at": now}))


def _write_last_state(folder: Path, known: dict) -> None:
    """Write how it ended, again and again for a minute where it cannot be written."""
    for _ in range(_LAST_WORDS_TRIES):
        with contextlib.suppress(OSError):
            return _write_state(folder, known)
        time.sleep(_HEARTBEAT_S)
    return _write_state(folder, known)


def _sleep_until_over(process: subprocess.Popen, seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _read_summary(path: Path) -> dict | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _as_arguments(options: dict[str, object]) -> list[str]:
    """Return options as the command line takes them.

    >>> _as_arguments({"task": "tier3", "spacing": 2, "folds": [0, 1], "retry": True, "epochs": None})
    ['--task', 'tier3', '--spacing', '2', '--folds', '0,1', '--retry']
    """
    arguments = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        arguments.append(f"--{name.replace('_', '-')}")
        if value is not True:
            arguments.append(
                ",".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
            )
    return arguments


def _layout(options: dict[str, object]) -> list[str]:
    """Return what sbatch must know of work on several nodes or devices.

    >>> _layout({"task": "sr", "nodes": 2, "devices": 4}), _layout({"task": "sr", "nodes": 1})
    (['--nodes=2', '--ntasks-per-node=4'], [])
    """
    nodes, devices = (options.get(name) or 1 for name in ("nodes", "devices"))
    return [f"--nodes={nodes}", f"--ntasks-per-node={devices}"] if nodes > 1 or devices > 1 else []


def _slurm_name(folder: Path) -> str:
    return f"qcbench-{folder.name}"


def _submit(folder: Path, watcher: list[str], options: list[str]) -> None:
    """Hand the watcher to SLURM; its words are kept, and its refusal is an error."""
    command = [
        "sbatch",
        f"--job-name={_slurm_name(folder)}",
        f"--output={folder / 'watcher.txt'}",
        "--signal=B:TERM@60",
        *options,
        f"--wrap=exec {shlex.join(watcher)}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    durable.write_text(folder / "sbatch.txt", done.stdout + done.stderr)
    if done.returncode != 0:
        durable.write_text(folder / "state.json", json.dumps({"state": "failed", "exit_status": done.returncode}))
        raise UsageError(f"sbatch refused the job: {done.stderr.strip() or done.stdout.strip()}")


if __name__ == "__main__":
    sys.exit(watch(Path(sys.argv[1])))
