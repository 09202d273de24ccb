"""Workers on other machines: a Dask cluster that is there already, or one whose workers SLURM starts.

The machines share the disk of the study and have the same qcbench. Dask is imported here alone, and only when asked
for. Whoever reaches a Dask scheduler can run code as its owner, so the one that is started here talks TLS, with a
certificate that is made for the run and that only its workers can read.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path

import qcbench
from qcbench.errors import MissingExtraError, UsageError

_CONNECT_S = 30
#: What a job may take when the options of sbatch do not say.
_WALLTIME = "12:00:00"


@contextmanager
def dask_executor(address: str, *, folder: Path) -> Iterator[Executor]:
    """Yield an executor over the workers of the Dask scheduler at an address, e.g. ``tcp://node1:8786``.

    Raises UsageError when nothing answers there, when it has no worker, or when a worker does not see `folder` or
    has another qcbench; MissingExtraError without Dask.
    """
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(
            f"no Dask scheduler answers at {address!r} (expected e.g. tcp://host:8786): {error}"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_CONNECT_S)
        except TimeoutError as error:
            raise UsageError(
                f"the Dask cluster at {address} has no worker; start some with: dask worker {address}"
            ) from error
        _check_workers(client, folder)
        yield client.get_executor(pure=False)


@contextmanager
def slurm_executor(workers: int, *, memory_gb: float, folder: Path, options: str = "") -> Iterator[Executor]:
    """Yield an executor over workers that SLURM starts: up to that many jobs of one core and `memory_gb` each.

    `options` are those of sbatch, e.g. ``--partition=cpu --time=2:00:00``. The script of the jobs (worker.sh) and
    their logs go to `folder`, which all machines see. Jobs are taken while there is work and given back; one that
    SLURM ends is started anew. Raises UsageError where there is no sbatch, MissingExtraError without dask-jobqueue.
    """
    distributed = _distributed()
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise MissingExtraError("dask_jobqueue", "cluster") from error
    if shutil.which("sbatch") is None:
        raise UsageError("there is no sbatch on this machine's path; run it on the cluster, or without --slurm")
    folder.mkdir(parents=True, exist_ok=True)
    asked = _directives(options)
    with (
        tempfile.TemporaryDirectory(prefix="tls-", dir=folder) as private,  # 0700: for us and our jobs alone
        SLURMCluster(
            cores=1,
            processes=1,
            memory=f"{memory_gb:g} GiB",
            walltime=_WALLTIME,
            job_name="qcbench",
            job_extra_directives=asked,
            job_directives_skip=[flag for word in asked if (flag := _default_of(word))],
            log_directory=str(folder),
            security=_security(Path(private)),
            protocol="tls://",
            scheduler_options={"dashboard": False},
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        # What sbatch gets, for whoever asks why nothing starts.
        (folder / "worker.sh").write_text(cluster.job_script(), encoding="utf-8")
        cluster.adapt(minimum_jobs=1, maximum_jobs=workers)
        yield client.get_executor(pure=False)


def _security(folder: Path):
    """Return what lets in only those who can read the key of this run, which is written to `folder`."""
    made = _distributed().Security.temporary()
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    key.write_text(made.tls_scheduler_key, encoding="ascii")
    certificate.write_text(made.tls_ca_file, encoding="ascii")
    ends = {
        f"tls_{end}_{part}": str(path)
        for end in ("scheduler", "worker", "client")
        for part, path in (("key", key), ("cert", certificate))
    }
    return _distributed().Security(tls_ca_file=str(certificate), require_encryption=True, **ends)


def _directives(options: str) -> list[str]:
    """Return options of sbatch one by one, each with its value.

    >>> _directives("-p cpu --time 2:00:00 --mem=4G --exclusive")
    ['-p cpu', '--time=2:00:00', '--mem=4G', '--exclusive']
    """
    found: list[str] = []
    for word in shlex.split(options):
        if word.startswith("-"):
            found.append(word)
        elif found and not set(found[-1]) & set("= "):
            found[-1] += f"={word}" if found[-1].startswith("--") else f" {word}"
        else:
            raise UsageError(f"options of sbatch begin with -, got {word!r} in {options!r}")
    return found


def _default_of(option: str) -> str:
    """Return how the line of the job script begins that an option of sbatch stands in for; "" for any other.

    >>> _default_of("--time=2:00:00"), _default_of("-t 2:00:00"), _default_of("--qos=long")
    ('#SBATCH -t ', '#SBATCH -t ', '')
    """
    name = re.split("[= ]", option, maxsplit=1)[0]
    lines = {
        "--time": "-t ",
        "-t": "-t ",
        "--mem": "--mem=",
        "--cpus-per-task": "--cpus-per-task=",
        "-c": "--cpus-per-task=",
    }
    return f"#SBATCH {lines[name]}" if name in lines else ""


def _check_workers(client, folder: Path) -> None:
    """Refuse a cluster that would only fail image by image."""
    for worker, told in client.run(_told, str(folder), on_error="return").items():
        if isinstance(told, Exception):
            raise UsageError(
                f"the worker {worker} cannot run qcbench ({type(told).__name__}: {told}). "
                "Install the same qcbench in the environment of the workers."
            )
        if told != (True, qcbench.__version__):
            is_seen, version = told
            if not is_seen:
                raise UsageError(f"the worker {worker} does not see {folder}; put the study on a disk that all share")
            raise UsageError(f"the worker {worker} has qcbench {version}, expected {qcbench.__version__}; install that")


def _told(folder: str) -> tuple[bool, str]:
    """Return whether this machine sees a folder, and its version of qcbench."""
    return Path(folder).is_dir(), qcbench.__version__


def _distributed():
    try:
        import distributed
    except ImportError as error:
        raise MissingExtraError("distributed", "cluster") from error
    return distributed
