"""What a rater can note: the kinds of criteria, and which values each of them takes.

Pure. `protocol` puts criteria together; `protocol_file` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qcbench.errors import LabelError

Value = bool | int | float | str | list[str]

#: yes or no; one of some grades; a number on a scale; any of some flags; words.
KINDS = ("yes_no", "grade", "level", "flags", "text")
#: These need an answer unless the protocol says otherwise.
REQUIRED_KINDS = ("yes_no", "grade", "level")
#: A number counts as on the scale when it is this near to a step of it, in steps.
_ON_STEP = 1e-6


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One answer to a criterion: the value stored, the key that gives it, the words beside it.

    `exemplar` is a picture that shows it, a path relative to the folder of the protocol's file.
    """

    value: Value
    key: str
    label: str
    exemplar: str | None = None


@dataclass(frozen=True, kw_only=True)
class Band:
    """A part of a level's scale with a name: values below `below`, or all that are left when it is None."""

    label: str
    below: float | None = None


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One thing a rater notes.

    With `ends_label` a yes ends the label: nothing else is noted. `only_when` names another
    criterion and the values of it for which this one is asked at all. A level lies between
    `minimum` and `maximum` on steps of `step`, its choices are values with a key of their own,
    `keys` are those that lower and raise it by a step, and `bands` are names for parts of the
    scale, derived and never stored. A text has at most `longest` characters.
    """

    name: str
    kind: str
    label: str
    help: str = ""
    choices: tuple[Choice, ...] = ()
    ends_label: bool = False
    required: bool = True
    only_when: tuple[str, tuple[Value, ...]] | None = None
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    keys: tuple[str, ...] = ()
    bands: tuple[Band, ...] = ()
    longest: int | None = None

    @property
    def values(self) -> tuple[Value, ...]:
        """The values of the choices."""
        return tuple(choice.value for choice in self.choices)

    def is_asked(self, answers: Mapping[str, object]) -> bool:
        """Return whether the criterion is asked, given the answers to the others."""
        if self.only_when is None:
            return True
        name, values = self.only_when
        return any(is_same(value, answers.get(name)) for value in values)

    def check(self, value: object) -> Value | None:
        """Return the value as it is stored, None for one that may stay unset.

        Raises LabelError saying what is wanted: there is no default, True is not 1 and 1.0 is no
        grade. Flags come back in the protocol's order, a level on its step.
        """
        if value is None or value == [] or (isinstance(value, str) and not value.strip()):
            if self.required:
                raise LabelError(f"{self.name} is not set; it must be {self._wanted()}")
            return [] if self.kind == "flags" else None
        found = {"level": self._level, "flags": self._flags, "text": self._text}.get(self.kind, self._choice)(value)
        if found is None:
            raise LabelError(f"{self.name} must be {self._wanted()}, got {value!r}")
        return found

    def band(self, value: float | None) -> str | None:
        """Return the name of the part of the scale that a level lies in; None without bands or value.

        >>> bands = (Band(label="exclude", below=1.5), Band(label="keep"))
        >>> Criterion(name="rating", kind="level", label="Rating", bands=bands).band(1.5)
        'keep'
        """
        if value is None:
            return None
        return next((band.label for band in self.bands if band.below is None or value < band.below), None)

    def _wanted(self) -> str:
        if self.kind == "level":
            return f"a number from {self.minimum:g} to {self.maximum:g} in steps of {self.step:g}"
        if self.kind == "flags":
            return f"a list of {', '.join(map(str, self.values))}, each at most once"
        if self.kind == "text":
            return f"a text of at most {self.longest} characters"
        return f"one of {', '.join(str(choice) for choice in self.values)}"

    def _choice(self, value: object) -> Value | None:
        return next((choice for choice in self.values if is_same(choice, value)), None)

    def _level(self, value: object) -> float | None:
        # The comparison also turns away NaN and integers that no float can hold.
        if type(value) not in (int, float) or not self.minimum <= value <= self.maximum:
            return None
        steps = (value - self.minimum) / self.step
        if abs(steps - round(steps)) > _ON_STEP:
            return None
        # 1.0 + 3 * 0.05 is 1.1500000000000001; what is stored reads as it was shown.
        return round(self.minimum + round(steps) * self.step, 10)

    def _flags(self, value: object) -> list[str] | None:
        if not isinstance(value, list) or len(value) > len(self.values):
            return None
        known = [each for each in value if isinstance(each, str) and each in self.values]
        if len(known) < len(value) or len(set(known)) < len(known):
            return None
        return [each for each in self.values if each in known]

    def _text(self, value: object) -> str | None:
        if not isinstance(value, str) or len(value) > self.longest:
            return None
        # A lone surrogate is legal in JSON but is no character.
        return value.encode("utf-8", "replace").decode().strip()


def is_same(choice: object, value: object) -> bool:
    """Return whether two values are the same and of one type."""
    return type(value) is type(choice) and value == choice
