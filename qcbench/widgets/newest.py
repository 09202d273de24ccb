"""Work in a thread for somebody who keeps changing their mind: the newest wish counts."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Newest:
    """Does one job at a time in a thread: the newest. A job that was not begun makes room for the next."""

    def __init__(self, work: Callable[[object], None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._waiting: object | None = None
        self._is_busy = False
        #: The job that was put last, done or not.
        self.job: object | None = None

    def put(self, job: object) -> None:
        """Have a job done as soon as the one at hand is; one that waits is forgotten."""
        with self._lock:
            self.job = self._waiting = job
            if self._is_busy:
                return
            self._is_busy = True
        # The thread ends with its work, and never keeps a kernel from ending.
        threading.Thread(target=self._run, name="qcbench-newest", daemon=True).start()

    def is_newest(self, job: object) -> bool:
        """Return whether no other job was put after this one."""
        return self.job is job

    def _run(self) -> None:
        while True:
            with self._lock:
                job, self._waiting = self._waiting, None
                if job is None:
                    self._is_busy = False
                    return
            self._work(job)
