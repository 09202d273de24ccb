"""What this machine has to give: cores and memory, also where a container or SLURM gives less than the whole."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Return how many cores this process may use: SLURM gives a job some of a machine's, not all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory_gb(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> float | None:
    """Return how much memory (GiB) may still be taken; None where the system does not say.

    It is what the machine has, or less where a cgroup limits it.
    """
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text())
    except OSError:
        return None
    if found is None:
        return None
    free_gb = int(found.group(1)) / 2**20
    for limit, used, statistics in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        if (cgroup / limit).is_file() and (cgroup / used).is_file():
            most = (cgroup / limit).read_text().strip()
            if most != "max":
                taken = int((cgroup / used).read_text()) - _given_back_on_demand(cgroup / statistics)
                free_gb = min(free_gb, (int(most) - taken) / 2**30)
    return max(free_gb, 0.0)


def _given_back_on_demand(statistics: Path) -> int:
    """Return the bytes of a cgroup that hold files read and no longer in use: counted as used, free for all."""
    try:
        found = re.search(r"^(?:total_)?inactive_file (\d+)$", statistics.read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found.group(1)) if found else 0


def workers_that_fit(wanted: int, *, each_gb: float, available_gb: float | None) -> tuple[int, str]:
    """Return how many of the workers that are wanted the memory allows, at least one, and why if these are fewer.

    >>> workers_that_fit(8, each_gb=7.0, available_gb=30.0)
    (4, '4 images at a time instead of 8: each takes up to 7 GB, and 30 GB are free')
    >>> workers_that_fit(2, each_gb=1.0, available_gb=30.0)
    (2, '')
    """
    if available_gb is None or wanted * each_gb <= available_gb:
        return wanted, ""
    fitting = max(1, int(available_gb // each_gb))
    told = f"each takes up to {each_gb:g} GB, and {available_gb:.3g} GB are free"
    if fitting < wanted:
        return fitting, f"{fitting} image{'s' * (fitting > 1)} at a time instead of {wanted}: {told}"
    return fitting, f"even one image at a time may not fit: {told}"
