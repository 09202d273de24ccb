"""The labelling protocol: criteria, grades, keys, wording and the tier rule, read from TOML.

Pure: no table, no image, no widget. The shipped protocol is ``t1w-warehouse`` (Bottani et al.
2022, section 2.4); a study may name another file.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qcbench.errors import LabelError, ProtocolError

KINDS = ("yes_no", "grade")
_SHIPPED = Path(__file__).parent / "protocols"

Value = bool | int


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One answer to a criterion: the value stored, the key that gives it, the words beside it."""

    value: Value
    key: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One thing a rater notes. With ``ends_label`` a yes ends the label: nothing else is noted."""

    name: str
    kind: str
    label: str
    help: str
    choices: tuple[Choice, ...]
    ends_label: bool = False

    @property
    def values(self) -> tuple[Value, ...]:
        """The values a rater may choose."""
        return tuple(choice.value for choice in self.choices)


@dataclass(frozen=True, kw_only=True)
class TierRule:
    """``tier`` holds when any of the tier's criteria is at least ``when_any_at_least``."""

    tier: int
    when_any_at_least: int
    wording: str


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What raters note and how the tier follows from it; `sha256` is that of the file's bytes."""

    name: str
    version: str
    title: str
    sha256: str
    criteria: tuple[Criterion, ...]
    tier_criteria: tuple[str, ...]
    tier_rules: tuple[TierRule, ...]
    commit_keys: tuple[str, ...]
    back_keys: tuple[str, ...]

    def tier(self, answers: Mapping[str, Value | None]) -> int | None:
        """Return the tier, or None while a grade is unset or when the label ends early.

        >>> load("t1w-warehouse").tier({"motion": 0, "contrast": 1, "noise": 0})
        2
        """
        rule = self.tier_rule(answers)
        return rule.tier if rule else None

    def tier_rule(self, answers: Mapping[str, Value | None]) -> TierRule | None:
        """Return the rule that fires, so that a rater sees why the tier is what it is."""
        if any(answers.get(criterion.name) for criterion in self.criteria if criterion.ends_label):
            return None
        grades = [answers.get(name) for name in self.tier_criteria]
        if any(grade is None for grade in grades):
            return None
        worst = max(grades)
        return next(rule for rule in self.tier_rules if worst >= rule.when_any_at_least)

    def check(self, answers: Mapping[str, Value | None]) -> dict[str, Value | None]:
        """Return a whole label: every criterion as a key, null where it is not noted.

        A straight reject needs and keeps no grade. Raises LabelError when a criterion is
        unknown, unset or out of range: there is no default grade.

        >>> load("t1w-warehouse").check({"straight_reject": True})["motion"] is None
        True
        """
        known = {criterion.name: criterion for criterion in self.criteria}
        for name in answers:
            if name not in known:
                raise LabelError(f"{name!r} is no criterion of {self.name}; it has {', '.join(known)}")
        label: dict[str, Value | None] = dict.fromkeys(known)
        for criterion in self.criteria:
            if criterion.ends_label:
                value = answers.get(criterion.name)
                label[criterion.name] = bool(_checked(criterion, value)) if value else False
                if label[criterion.name]:
                    return label
        for criterion in self.criteria:
            if not criterion.ends_label:
                label[criterion.name] = _checked(criterion, answers.get(criterion.name))
        return label


def load(source: str | Path) -> Protocol:
    """Return the shipped protocol of that name, or the one in that TOML file.

    Raises ProtocolError naming the file and the entry that is wrong.
    """
    path = Path(source)
    if path.suffix != ".toml":
        path = _SHIPPED / f"{source}.toml"
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in _SHIPPED.glob("*.toml")))
        raise ProtocolError(f"{source}: no such protocol. Shipped are {shipped}; or give a .toml file.")
    content = path.read_bytes()
    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{path}: not a TOML file: {error}") from error
    return _Reader(path).protocol(document, hashlib.sha256(content).hexdigest())


def _checked(criterion: Criterion, value: object) -> Value:
    """Return the value if it is one of the choices; True is not 1 and 1.0 is not 1."""
    wanted = ", ".join(str(choice) for choice in criterion.values)
    if value is None:
        raise LabelError(f"{criterion.name} is not set; it must be one of {wanted}")
    for choice in criterion.values:
        if type(value) is type(choice) and value == choice:
            return choice
    raise LabelError(f"{criterion.name} must be one of {wanted}, got {value!r}")


class _Reader:
    """Turns a parsed TOML document into a Protocol, naming what is wrong and where."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def protocol(self, document: dict, sha256: str) -> Protocol:
        criteria = tuple(
            self._criterion(entry, f"criteria[{number}]")
            for number, entry in enumerate(self._take(document, "criteria", list, "the top"))
        )
        keys = self._take(document, "keys", dict, "the top")
        tier = self._take(document, "tier", dict, "the top")
        protocol = Protocol(
            name=self._take(document, "name", str, "the top"),
            version=self._take(document, "version", str, "the top"),
            title=self._take(document, "title", str, "the top"),
            sha256=sha256,
            criteria=criteria,
            tier_criteria=tuple(self._take(tier, "criteria", list, "[tier]")),
            tier_rules=tuple(
                self._tier_rule(entry, f"tier.rules[{number}]")
                for number, entry in enumerate(self._take(tier, "rules", list, "[tier]"))
            ),
            commit_keys=tuple(self._take(keys, "commit", list, "[keys]")),
            back_keys=tuple(self._take(keys, "back", list, "[keys]")),
        )
        self._refuse_clashes(protocol)
        return protocol

    def _criterion(self, entry: dict, where: str) -> Criterion:
        kind = self._take(entry, "kind", str, where)
        if kind not in KINDS:
            raise self._wrong(f"{where}.kind must be one of {', '.join(KINDS)}, got {kind!r}")
        wanted = bool if kind == "yes_no" else int
        choices = tuple(
            Choice(
                value=self._take(choice, "value", wanted, f"{where}.choices[{number}]"),
                key=self._take(choice, "key", str, f"{where}.choices[{number}]"),
                label=self._take(choice, "label", str, f"{where}.choices[{number}]"),
            )
            for number, choice in enumerate(self._take(entry, "choices", list, where))
        )
        return Criterion(
            name=self._take(entry, "name", str, where),
            kind=kind,
            label=self._take(entry, "label", str, where),
            help=entry.get("help", ""),
            choices=choices,
            ends_label=entry.get("ends_label", False),
        )

    def _tier_rule(self, entry: dict, where: str) -> TierRule:
        return TierRule(
            tier=self._take(entry, "tier", int, where),
            when_any_at_least=self._take(entry, "when_any_at_least", int, where),
            wording=self._take(entry, "wording", str, where),
        )

    def _refuse_clashes(self, protocol: Protocol) -> None:
        keys = [choice.key for criterion in protocol.criteria for choice in criterion.choices]
        keys += [*protocol.commit_keys, *protocol.back_keys]
        for key in keys:
            if keys.count(key) > 1:
                raise self._wrong(f"the key {key} is given twice; each needs its own")
        names = [criterion.name for criterion in protocol.criteria]
        for name in protocol.tier_criteria:
            if name not in names:
                raise self._wrong(f"[tier] speaks of {name!r}, which is no criterion")
        bounds = [rule.when_any_at_least for rule in protocol.tier_rules]
        if bounds != sorted(bounds, reverse=True) or not bounds or bounds[-1] > 0:
            raise self._wrong("tier.rules must go from the highest grade down to 0, so that one always holds")

    def _take(self, entry: dict, name: str, kind: type, where: str):
        if not isinstance(entry, dict):
            raise self._wrong(f"{where} must be a table of entries, got {entry!r}")
        if name not in entry:
            raise self._wrong(f"{where} lacks {name!r}")
        value = entry[name]
        if type(value) is not kind:
            raise self._wrong(f"{where}.{name} must be {kind.__name__}, got {value!r}")
        return value

    def _wrong(self, message: str) -> ProtocolError:
        return ProtocolError(f"{self._path}: {message}")
