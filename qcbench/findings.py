"""What `doctor` reports: the answer to each question in words, and what to do where it is no good one."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

from qcbench.errors import QcbenchError

#: A warning is for somebody to know; a problem means that work here fails, or is lost.
STATES = ("ok", "warning", "problem")
_WIDTH = 110


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer to one question: `found` says what is so, `next_step` what to do unless it is ok."""

    name: str
    state: str
    found: str
    next_step: str = ""


def ok(name: str, found: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(name=name, state="ok", found=found)


def warning(name: str, found: str, next_step: str) -> Finding:
    """Return a finding that somebody has to know."""
    return Finding(name=name, state="warning", found=found, next_step=next_step)


def problem(name: str, found: str, next_step: str) -> Finding:
    """Return a finding that keeps work from being done, or from being kept."""
    return Finding(name=name, state="problem", found=found, next_step=next_step)


def ask(name: str, probe: Callable[[], Finding | Iterable[Finding]]) -> list[Finding]:
    """Return what a probe finds; when it raises, that is the finding, and the next one is asked.

    >>> ask("disk", lambda: 1 / 0)[0].found
    'could not be found out: ZeroDivisionError: division by zero'
    """
    try:
        answer = probe()
        return [answer] if isinstance(answer, Finding) else list(answer)
    except QcbenchError as error:
        return [problem(name, str(error), "Do what it says, then run the doctor again.")]
    except Exception as error:
        found = f"could not be found out: {type(error).__name__}: {error}"
        return [problem(name, found, "Show this line to whoever looks after this machine.")]


@dataclass(kw_only=True)
class Checkup:
    """All findings of one run of the doctor; the same object is printed, shown in a notebook, or made JSON."""

    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_status(self) -> int:
        """0 when nothing is wrong, 1 when there is a problem; a warning is none."""
        return 1 if self.count("problem") else 0

    def count(self, state: str) -> int:
        """Return how many findings are of that state."""
        return sum(finding.state == state for finding in self.findings)

    def to_json(self) -> dict:
        """Return the findings as plain JSON values."""
        return {
            "stage": "doctor",
            **{state: self.count(state) for state in STATES},
            "findings": [asdict(finding) for finding in self.findings],
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{state} {self.count(state)}" for state in STATES)
        name_width = max((len(finding.name) for finding in self.findings), default=0)
        lines = [f"doctor: {counts}, {self.seconds:.1f} s"]
        for finding in self.findings:
            state = finding.state if finding.state == "ok" else finding.state.upper()
            head = f"  {state:7}  {finding.name:{name_width}}  "
            lines += _wrapped(finding.found, head, " " * len(head))
            if finding.next_step:
                indent = " " * (len(head) + 6)
                lines += _wrapped(finding.next_step, indent[:-6] + "next: ", indent)
        return "\n".join(lines)

    __repr__ = __str__


def _wrapped(text: str, first: str, others: str) -> list[str]:
    # Paths are not cut, so that they can be copied.
    shape = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=others, **shape)
