"""What a stage reports when it ends: how many, how long, what failed and why."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Summary:
    """The outcome of one stage; the same object is printed, shown in a notebook, or made JSON.

    `done` counts what this call made, `unchanged` what was there already, `failed` gives the
    reason for each image that could not be used, `facts` are the stage's own numbers and `notes`
    sentences for the reader.
    """

    stage: str
    done: int = 0
    unchanged: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_status(self) -> int:
        """0 when everything went through, 1 when some images failed."""
        return 1 if self.failed else 0

    def to_json(self) -> dict:
        """Return the summary as plain JSON values."""
        return {
            "stage": self.stage,
            "done": self.done,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "facts": self.facts,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        counts = f"{self.done} done, {self.unchanged} unchanged, {len(self.failed)} failed"
        head = f"{self.stage}: {counts}, {self.seconds:.1f} s"
        facts = [f"  {name.replace('_', ' ')}: {value}" for name, value in self.facts.items()]
        failures = [f"  FAILED {image_id}: {reason}" for image_id, reason in sorted(self.failed.items())]
        return "\n".join([head, *facts, *(f"  {note}" for note in self.notes), *failures])

    __repr__ = __str__
