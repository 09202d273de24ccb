"""One worker over many rows, on any `concurrent.futures` executor, surviving bad rows.

A worker is a module-level function that takes a row and returns a row; volumes never cross
processes, only paths. Whatever a worker raises becomes an ``error`` in its row: this is the only
place of qcbench that catches every exception.
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager

from qcbench.errors import DiskError, QcbenchError, WorkerError

Row = Mapping[str, object]
Worker = Callable[[Row], Row]
#: Rows in flight a worker, so that none waits for the next one.
_ROWS_A_WORKER = 4
#: Of executors that do not tell how many workers they have: those of clusters, which come and go.
_UNTOLD_WORKERS = 64


class SerialExecutor(Executor):
    """Runs each call at once, in the calling thread: tracebacks and debuggers work."""

    def submit(self, function, /, *args, **kwargs) -> Future:
        """Run the call and return a finished future."""
        future: Future = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def local_executor(workers: int, *, threads: bool = False) -> Executor:
    """Return an executor for this machine.

    Processes start afresh and are never forked from one that already runs native threads.
    `threads` suits workers that only supervise a subprocess of their own.
    """
    if workers <= 1:
        return SerialExecutor()
    if threads:
        return ThreadPoolExecutor(workers)
    # Not forkserver: this process can have one server only, and `imaging.isolate` has loaded modules into it.
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


@contextmanager
def pool(executor: Executor | None, workers: int, n_rows: int, *, threads: bool = False) -> Iterator[Executor]:
    """Yield the executor that was given, or one of this machine, no larger than there are rows, and end that one.

    Rows that no worker has begun when the block is left are dropped.
    """
    if executor is not None:
        yield executor
        return
    own = local_executor(min(workers, max(1, n_rows)), threads=threads)
    try:
        yield own
    finally:
        own.shutdown(cancel_futures=True)


def map_rows(worker: Worker, rows: Iterable[Row], executor: Executor, *, key: str = "image_id") -> Iterator[dict]:
    """Yield one row for each given row, as they finish: the key, then what the worker returned.

    A row whose worker raised has its reason in ``error``. When a process dies and takes the pool
    with it, the rows that were in flight are run again one by one in processes of their own, so
    that only the row that kills its process is lost. Raises WorkerError when all workers are gone for good, and
    DiskError when a worker could not write what it made: so would all that come after it.
    """
    waiting = iter(rows)
    in_flight: dict[Future, Row] = {}
    killed: list[Row] = []
    # One at a time in this thread, so that rows come as they are done; elsewhere enough to keep workers busy.
    workers = getattr(executor, "_max_workers", None) or _UNTOLD_WORKERS
    width = 1 if isinstance(executor, SerialExecutor) else _ROWS_A_WORKER * workers
    while True:
        for row in itertools.islice(waiting, 0 if killed else width - len(in_flight)):
            try:
                in_flight[executor.submit(worker, row)] = row
            except BrokenExecutor:
                killed.append(row)
                break
        if not in_flight:
            break
        for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
            row = in_flight.pop(future)
            if future.cancelled():  # what a cluster does with its rows when it ends
                raise WorkerError("the workers are gone; what they did is kept. Run the same again for the rest.")
            if isinstance(future.exception(), BrokenExecutor):
                killed.append(row)
            else:
                yield _outcome(future, row, key)
    for row in killed:
        with local_executor(2) as alone:
            yield _outcome(alone.submit(worker, row), row, key)
    if killed:  # the pool is gone; the rows that never reached it get a new one
        with local_executor(workers) as fresh:
            yield from map_rows(worker, waiting, fresh, key=key)


def _outcome(future: Future, row: Row, key: str) -> dict:
    try:
        return {key: row[key], "error": None, **future.result()}
    except DiskError:
        raise
    except QcbenchError as error:
        return {key: row[key], "error": str(error)}
    except BrokenExecutor:
        return {key: row[key], "error": "the worker process died (killed, out of memory, or a crash in native code)"}
    except Exception as error:
        if full := DiskError.of(error):
            raise full from error
        return {key: row[key], "error": f"{type(error).__name__}: {error}"}


@contextmanager
def progress(description: str, total: int, *, show: bool = True) -> Iterator[Callable[[], None]]:
    """Show a progress bar with rate and time left on standard error or in a notebook.

    Yields a function to be called once an item.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not show) as bar:
        task = bar.add_task(description, total=total, rate="")

        def advance() -> None:
            bar.advance(task)
            speed = bar.tasks[0].speed
            bar.update(task, rate=f"{60 * speed:.1f}/min" if speed else "")

        yield advance
