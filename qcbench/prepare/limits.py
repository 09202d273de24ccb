"""What one image may cost with each preset: the memory that a worker needs, and when its process is stopped."""

from __future__ import annotations

from dataclasses import dataclass

#: What a worker on another machine takes beside its image: itself, and the server of its processes (0.75 GB measured).
WORKER_GB = 1.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`need_gb` is what a head takes at its peak and workers are counted by; past the others its process is stopped.

    `most_gb` is of the address space, which is larger than what is resident.
    """

    need_gb: float
    most_gb: float
    timeout_s: float


#: A head takes five CPU-seconds and 0.8 GB; the limits are for files that are no heads.
_CHEAP = Limits(need_gb=1.0, most_gb=10.0, timeout_s=600.0)
#: N4 over the whole grid at 1 mm with control points 600 mm apart takes 6.05 GB and five minutes of a free core.
_PAPER = Limits(need_gb=7.0, most_gb=16.0, timeout_s=5400.0)
_BY_PRESET = {
    "paper-2022": _PAPER,
    "paper-2022-min-max": _PAPER,
    # With control points 200 mm apart it is 1.3 GB and two minutes.
    "clinica-2026": Limits(need_gb=2.0, most_gb=12.0, timeout_s=3600.0),
}


def of(preset: str) -> Limits:
    """Return the limits of a preset; those that have none of their own are cheap."""
    return _BY_PRESET.get(preset, _CHEAP)
