"""What a check for residual identity says: where something of a person may be left, never what it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

NAME, ID, DATE, EMAIL, PHONE = "name", "id", "date", "e-mail", "phone"
ADDRESS, INSTITUTION, UID, AGE = "address", "institution or staff", "UID", "age over 89"
FREE_TEXT, PRIVATE, BURNT_IN = "free text", "private element", "burnt-in text"
#: What could not be looked into may hide anything: it is a finding, too.
UNREADABLE = "unreadable"
KINDS = (NAME, ID, DATE, EMAIL, PHONE, ADDRESS, INSTITUTION, UID, AGE, FREE_TEXT, PRIVATE, BURNT_IN, UNREADABLE)
#: Certain: a known patient, or a place that names one. Likely: it has the form. Possible: a person has to look.
CERTAIN, LIKELY, POSSIBLE = "certain", "likely", "possible"
CERTAINTIES = (CERTAIN, LIKELY, POSSIBLE)

_SHOWN_FILES = 3
#: Items, rows and lines: places that differ by these alone are printed as one.
_NUMBER = re.compile(r"(\[|row |line |frame |cell |slice |entry |output )\d+")
#: A raw archive has a hundred findings a file: beyond so many they are counted and no longer kept.
_MOST_KEPT = 100_000


def surest(*found: Mapping[str, str]) -> dict[str, str]:
    """Return kinds with how certain each is, the surest of several answers.

    >>> surest({"name": "certain"}, {"name": "possible", "date": "likely"})
    {'name': 'certain', 'date': 'likely'}
    """
    best: dict[str, str] = {}
    for answer in found:
        for kind, certainty in answer.items():
            best[kind] = min(certainty, best.get(kind, certainty), key=CERTAINTIES.index)
    return best


class Trace(NamedTuple):
    """Something of a person at one place of a file."""

    place: str
    kind: str
    certainty: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A trace and its file, relative to what was checked; the value itself is nowhere.

    A part of the path that is a trace itself is told as ``#3``: the third entry of its folder in byte order.
    """

    file: str
    place: str
    kind: str
    certainty: str


@dataclass(kw_only=True)
class Checked:
    """The outcome of `check-identity`; the same object is printed, shown in a notebook, or made JSON."""

    n_files: int = 0
    n_findings: int = 0
    findings: list[Finding] = field(default_factory=list)
    kinds: Counter = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_status(self) -> int:
        """0 when nothing was found, 1 otherwise."""
        return 1 if self.n_findings else 0

    def add(self, found: Iterable[Finding]) -> None:
        """Count findings, and keep them as long as there is room."""
        for finding in found:
            self.n_findings += 1
            self.kinds[finding.kind] += 1
            if len(self.findings) < _MOST_KEPT:
                self.findings.append(finding)

    def to_json(self) -> dict:
        """Return the findings as plain JSON values."""
        return {
            "stage": "check-identity",
            "files": self.n_files,
            "count": self.n_findings,
            "kinds": dict(self.kinds.most_common()),
            "findings": [asdict(finding) for finding in self.findings],
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        lines = [f"check-identity: {self.n_findings} findings in {self.n_files} files, {self.seconds:.1f} s"]
        alike: dict[tuple[str, str, str], list[str]] = {}
        for finding in self.findings:
            place = _NUMBER.sub(lambda match: match[1] + "*", finding.place)
            alike.setdefault((finding.certainty, finding.kind, place), []).append(finding.file)
        order = {name: number for number, name in enumerate((*CERTAINTIES, *KINDS))}
        for key in sorted(alike, key=lambda key: (order[key[0]], order[key[1]], key[2])):
            certainty, kind, place = key
            files = list(dict.fromkeys(alike[key]))
            more = f" and {len(files) - _SHOWN_FILES} more" if len(files) > _SHOWN_FILES else ""
            lines.append(f"  {certainty:8}  {kind:20}  {place}: {', '.join(files[:_SHOWN_FILES])}{more}")
        if self.n_findings > len(self.findings):
            lines.append(f"  only the first {len(self.findings):,} findings are listed")
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)

    __repr__ = __str__
