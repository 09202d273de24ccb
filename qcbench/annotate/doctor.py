"""Whether labels can be made and kept in a study: its raters, its disk, its labels, who sees whose, the clock.

Nothing of the study is changed, and of labels no more is told than how many there are, for the
doctor may be asked by a rater.
"""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from qcbench import store
from qcbench.annotate import blindness, disk
from qcbench.findings import Finding, ask, ok, problem, warning
from qcbench.study import Study

_YEARS = range(2025, 2100)
_SKEW_S, _STEP_S = 5.0, 0.5


def examine(folder: Path) -> list[Finding]:
    """Return what is found about the labelling side of the study in that folder."""
    opened: list[Study] = []
    saved_at: list[datetime] = []
    wall_s, monotonic_s = time.time(), time.monotonic()

    def read_clocks() -> list[Finding]:
        step_s = (time.time() - wall_s) - (time.monotonic() - monotonic_s)
        skew_s = disk.clock_skew_s(_place(folder))
        return clock(datetime.now(UTC), newest=max(saved_at, default=None), step_s=step_s, skew_s=skew_s)

    def mount() -> disk.Mount:
        return disk.mount_of(_place(folder).resolve(), Path("/proc/mounts").read_text(errors="surrogateescape"))

    findings = ask("study", lambda: _study(folder, opened))
    findings += ask("filesystem", lambda: disk.filesystem(mount()))
    findings += ask("free space", lambda: disk.free_space(shutil.disk_usage(_place(folder)).free))
    findings += ask("flush", lambda: disk.writing(_place(folder)))
    if opened:
        findings += ask("labels", lambda: _labels(opened[0], saved_at))
    findings += ask("blindness", lambda: blindness.judge(blindness.doors(folder / "labels"), uid=os.geteuid()))
    findings += ask("clock", read_clocks)
    return findings


def clock(now: datetime, *, newest: datetime | None, step_s: float, skew_s: float) -> list[Finding]:
    """Return whether the times of labels can be trusted.

    `newest` is when the last label was saved, `step_s` how far the clock was set while we looked,
    `skew_s` how far the clock that stamps files is ahead of this machine's.
    """
    shown = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if now.year not in _YEARS:
        return [problem("clock", f"says {shown}", "Set the clock of this machine: labels are stamped with it.")]
    found = []
    if newest and (newest - now).total_seconds() > _SKEW_S:
        ahead_s = (newest - now).total_seconds()
        found.append(f"says {shown}, but there is a label that was saved {_duration(ahead_s)} later")
    if abs(step_s) > _STEP_S:
        found.append(f"was set by {step_s:+.1f} s in the seconds that the doctor looked at it")
    if abs(skew_s) > _SKEW_S:
        apart = "ahead of" if skew_s > 0 else "behind"
        found.append(f"is not that of the disk, which is {_duration(abs(skew_s))} {apart} this machine")
    todo = "Have this machine and the file server take their time from one source (NTP). No label is lost by it."
    return [warning("clock", words, todo) for words in found] or [ok("clock", f"{shown}, the same as the disk's")]


def _study(folder: Path, opened: list[Study]) -> Finding:
    study = Study(folder)
    opened.append(study)
    protocol = study.protocol
    raters = ", ".join(study.raters)
    pictures = f", {len(protocol.exemplars)} exemplar pictures" if protocol.exemplars else ""
    return ok(
        "study",
        f"raters {raters}; protocol {protocol.name}, version {protocol.version} (sha256 {protocol.sha256[:12]}), "
        f"{len(protocol.criteria)} criteria{pictures}",
    )


def _labels(study: Study, saved_at: list[datetime]) -> list[Finding]:
    """Read every segment that this account may read; the times of labels go to `saved_at`."""
    counts, damaged, versions = [], [], set()
    for rater in study.all_raters:
        folder = study.label_folder(rater)
        if folder.exists() and not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
            counts.append(f"{rater} closed to this account")
            continue
        events, faults = store.read_log(folder, "label_events")
        counts.append(f"{rater} {len(events)}")
        damaged += faults
        saved_at += [event["saved_at"] for event in events]
        versions |= {event["protocol_sha256"] for event in events}
    found = f"events: {', '.join(counts)}"
    if damaged:
        more = f"; and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        return [
            problem(
                "labels",
                f"{found}. {len(damaged)} cannot be trusted: {'; '.join(damaged[:3])}{more}",
                "Restore them from a backup. Until then the labeller of that rater does not open.",
            )
        ]
    findings = [ok("labels", f"{found}; every segment can be read")]
    if len(versions) > 1:
        findings.append(
            warning(
                "labels",
                f"they were made under {len(versions)} different protocol files",
                "Grades of different protocols may mean different things: compare `protocol_sha256` of the events.",
            )
        )
    strangers = sorted({door.rater for door in blindness.doors(study.folder / "labels")} - set(study.all_raters))
    if strangers:
        words = f"there are labels of {', '.join(strangers)}, whom study.toml does not name; they count for nothing"
        findings.append(warning("labels", words, "Name them in study.toml, or move their folders out of labels/."))
    return findings


def _place(folder: Path) -> Path:
    """Return where labels of this account go, as far as it can be seen: its own folder, labels/, the study."""
    labels = folder / "labels"
    own = [door.rater for door in blindness.doors(labels) if door.owner == os.geteuid()]
    for place in (*(labels / f"rater={rater}" for rater in own[:1]), labels):
        if place.is_dir() and os.access(place, os.W_OK | os.X_OK, effective_ids=True):
            return place
    return folder


def _duration(seconds: float) -> str:
    for unit, size_s in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f} {unit}"
    return f"{seconds:.0f} s"
