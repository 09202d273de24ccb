"""Native code in a subprocess with a limit of time and memory.

A segmentation fault in ITK would take the notebook kernel with it; here it becomes a WorkerError
that says what happened. The subprocess is forked from a clean server that has imported the
modules already, so that one call costs milliseconds, not an import.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from qcbench.errors import DiskError, QcbenchError, WorkerError

_CONTEXT = multiprocessing.get_context("forkserver")
#: How a process ended can be read once. Starting another reads it for all that have ended, so threads take turns.
_READING = threading.Lock()


def preload(*modules: str) -> None:
    """Name the modules that the server imports once; call it before the first `call`."""
    _CONTEXT.set_forkserver_preload(["__main__", *modules])


def call(
    function: Callable[..., Any], /, *args: Any, timeout_s: float = 900, memory_gb: float = 12, **kwargs: Any
) -> Any:
    """Return what `function(*args, **kwargs)` returns, computed in a process of its own.

    `function` is module-level; arguments and result can be pickled. A QcbenchError raised inside
    is raised here as itself; a crash, a hang past `timeout_s` and an allocation past `memory_gb`
    raise WorkerError.
    """
    # A Dask worker is daemonic, which by itself may have no children; ours end with their call, or with us.
    multiprocessing.current_process().daemon = False
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_run, args=(sender, memory_gb, function, args, kwargs))
    with _READING:
        process.start()
    sender.close()
    try:
        if not receiver.poll(timeout_s):
            raise WorkerError(f"{function.__name__} took longer than {timeout_s:.0f} s and was stopped")
        try:
            outcome, value = receiver.recv()
        except EOFError:
            _has_ended(process)
            raise WorkerError(_death(function.__name__, process.exitcode, memory_gb)) from None
    finally:
        if not _has_ended(process, 1):
            process.kill()
            _has_ended(process)
        receiver.close()
    if outcome == "raised":
        raise value
    return value


def _has_ended(process: multiprocessing.process.BaseProcess, timeout_s: float | None = None) -> bool:
    """Return whether a process has ended, waiting for it; then its exit status is known."""
    if not wait([process.sentinel], timeout_s):
        return False
    with _READING:
        process.join()
    return True


def _run(sender: Connection, memory_gb: float, function: Callable, args: tuple, kwargs: dict) -> None:
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = int(memory_gb * 2**30)
    # A machine that allows less is not asked for more: only who may do everything can raise its limit.
    limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        sender.send(("returned", function(*args, **kwargs)))
    except MemoryError:
        sender.send(("raised", WorkerError(f"{function.__name__} needed more than {memory_gb:g} GB of memory")))
    except QcbenchError as error:
        sender.send(("raised", error if _survives_pickle(error) else WorkerError(str(error))))
    except Exception as error:
        told = DiskError.of(error) or WorkerError(f"{type(error).__name__}: {error}")
        sender.send(("raised", told))


def _end_with_the_caller() -> None:
    """Wait for the process that called to end, and end this one with it.

    Otherwise the work of a run that was killed goes on beside the run that takes its place.
    """
    multiprocessing.parent_process().join()
    os.kill(os.getpid(), signal.SIGKILL)


def _survives_pickle(error: QcbenchError) -> bool:
    """Return whether the other side can rebuild the error: it cannot when __init__ takes other arguments."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own object, made a line above
    except Exception:
        return False
    return True


def _death(name: str, exitcode: int | None, memory_gb: float) -> str:
    if exitcode is not None and exitcode < 0:
        cause = signal.Signals(-exitcode).name
        hint = (
            f" (perhaps out of memory: the limit is {memory_gb:g} GB)"
            if -exitcode in (signal.SIGKILL, signal.SIGABRT)
            else ""
        )
        return f"{name} crashed in native code with {cause}{hint}"
    return f"{name} ended without a result, exit status {exitcode}"
