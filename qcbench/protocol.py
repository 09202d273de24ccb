"""The labelling protocol: criteria, keys, wording and the tier rule, read from TOML.

Pure: no table, no image, no widget. Shipped are ``t1w-warehouse`` (Bottani et al. 2022, section
2.4), the same in French as ``t1w-warehouse-fr``, and ``mriqc`` (the rating widget of MRIQC's reports);
a study may name another file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import InitVar, asdict, dataclass, replace
from pathlib import Path

from qcbench import protocol_file
from qcbench.criteria import Band, Choice, Criterion, Value, is_same
from qcbench.errors import LabelError, ProtocolError

_SHIPPED = Path(__file__).parent / "protocols"


@dataclass(frozen=True, kw_only=True)
class TierRule:
    """``tier`` holds when any of the tier's criteria is at least ``when_any_at_least``."""

    tier: int
    when_any_at_least: int
    wording: str


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What raters note and how the tier follows from it; a protocol may have no tier.

    `language` is what the pages speak; name and version say what is noted, in whatever language.
    `reasons` are offered when a label is changed. Keys are values of KeyboardEvent.code; where
    `exemplar_keys` is None the page finds a free one. `sha256` is that of the file's bytes; where there
    are exemplars, of their pictures too. `folder` is where they lie, and no field: it is nobody's business.
    """

    name: str
    version: str
    title: str
    sha256: str
    criteria: tuple[Criterion, ...]
    tier_criteria: tuple[str, ...]
    tier_rules: tuple[TierRule, ...]
    commit_keys: tuple[str, ...]
    back_keys: tuple[str, ...]
    defer_keys: tuple[str, ...] = protocol_file.ACTIONS["defer"]
    goto_keys: tuple[str, ...] = protocol_file.ACTIONS["goto"]
    help_keys: tuple[str, ...] = protocol_file.ACTIONS["help"]
    exemplar_keys: tuple[str, ...] | None = None
    language: str = protocol_file.LANGUAGES[0]
    reasons: tuple[str, ...] = protocol_file.REASONS["en"]
    folder: InitVar[Path | None] = None

    def __post_init__(self, folder: Path | None) -> None:
        object.__setattr__(self, "_folder", folder)

    @property
    def exemplars(self) -> tuple[str, ...]:
        """The exemplar pictures, each once: paths relative to the folder of the protocol's file."""
        choices = [choice for criterion in self.criteria for choice in criterion.choices]
        return tuple(dict.fromkeys(choice.exemplar for choice in choices if choice.exemplar))

    def read_exemplar(self, criterion: str, value: Value) -> bytes | None:
        """Return the PNG or JPEG file that shows a choice; None where there is none or no such choice.

        Raises ProtocolError when the picture is gone since the protocol was loaded.
        """
        choices = [choice for each in self.criteria if each.name == criterion for choice in each.choices]
        picture = next((choice.exemplar for choice in choices if is_same(choice.value, value)), None)
        if picture is None or self._folder is None:
            return None
        try:
            return (self._folder / picture).read_bytes()
        except OSError as error:
            raise ProtocolError(f"{self._folder / picture} cannot be read: {error.strerror}. Put it back.") from error

    def with_exemplars(self, folder: Path) -> Protocol:
        """Return the protocol with the pictures of a folder in the place of its own; they are part of its hash.

        A picture is named by `exemplar_name`. Raises ProtocolError for a picture that shows nothing of this protocol.
        """
        own = {path.stem: path for path in sorted(folder.glob("*")) if path.suffix.lower() in (".png", ".jpg")}
        if not own:
            return self
        hashed = hashlib.sha256(self.sha256.encode())
        criteria = []
        for criterion in self.criteria:
            choices = []
            for choice in criterion.choices:
                path = own.pop(exemplar_name(criterion.name, choice.value), None)
                choices.append(choice if path is None else replace(choice, exemplar=str(path.absolute())))
                if path is not None:
                    hashed.update(f"{path.name}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
            criteria.append(replace(criterion, choices=tuple(choices)))
        if own:
            raise ProtocolError(
                f"{next(iter(own.values()))} shows nothing of the protocol {self.name}: a picture is named after a "
                "criterion and a value, e.g. motion-2.png. Rename it, or take it away."
            )
        return replace(self, criteria=tuple(criteria), sha256=hashed.hexdigest(), folder=self._folder)

    def for_display(self) -> dict:
        """Return the protocol as JSON values for a page; of exemplars only whether there is one."""
        shown = asdict(self)
        for criterion in shown["criteria"]:
            for choice in criterion["choices"]:
                choice["has_exemplar"] = choice.pop("exemplar") is not None
        return shown

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
        if not grades or any(grade is None for grade in grades):
            return None
        worst = max(grades)
        return next(rule for rule in self.tier_rules if worst >= rule.when_any_at_least)

    def check(self, answers: Mapping[str, Value | None], *, may_lack: Collection[str] = ()) -> dict[str, Value | None]:
        """Return a whole label: every criterion as a key, null where it is not noted.

        A straight reject needs and keeps no grade. Raises LabelError when a criterion is
        unknown, unset or out of range, or was answered though it is not asked: there is no
        default grade. What `may_lack` names may be unset though it is required.

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
                label[criterion.name] = bool(criterion.check(value)) if value else False
                if label[criterion.name]:
                    return label
        for criterion in self.criteria:
            value = answers.get(criterion.name)
            if not criterion.ends_label and not (value is None and criterion.name in may_lack):
                label[criterion.name] = _answer(criterion, value, label)
        return label

    def bands(self, answers: Mapping[str, Value | None]) -> dict[str, str]:
        """Return the named part of the scale that each answered level lies in.

        >>> load("mriqc").bands({"rating": 3.1})
        {'rating': 'acceptable'}
        """
        found = {
            criterion.name: criterion.band(answers.get(criterion.name))
            for criterion in self.criteria
            if criterion.bands
        }
        return {name: label for name, label in found.items() if label is not None}


def exemplar_name(criterion: str, value: Value) -> str:
    """Return the file name, without its ending, of a study's own exemplar of a choice.

    >>> exemplar_name("motion", 2), exemplar_name("gadolinium", True), exemplar_name("artifacts", "inu")
    ('motion-2', 'gadolinium-true', 'artifacts-inu')
    """
    return f"{criterion}-{value if isinstance(value, str) else json.dumps(value)}"


def load(source: str | Path) -> Protocol:
    """Return the shipped protocol of that name, or the one in that TOML file.

    Raises ProtocolError naming the file, the line and the entry that is wrong.
    """
    path = Path(source)
    if path.suffix != ".toml":
        path = _SHIPPED / f"{source}.toml"
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in _SHIPPED.glob("*.toml")))
        raise ProtocolError(f"{source}: no such protocol. Shipped are {shipped}; or give a .toml file.")
    entries = protocol_file.read(path)
    criteria = (
        Criterion(
            **{
                **entry,
                "choices": tuple(Choice(**choice) for choice in entry["choices"]),
                "bands": tuple(Band(**band) for band in entry["bands"]),
            }
        )
        for entry in entries.pop("criteria")
    )
    rules = tuple(TierRule(**rule) for rule in entries.pop("tier_rules"))
    return Protocol(**entries, criteria=tuple(criteria), tier_rules=rules, folder=path.parent.absolute())


def _answer(criterion: Criterion, value: object, others: Mapping[str, Value | None]) -> Value | None:
    """Return the answer as it is stored; one that is not asked for, given the others, must be none."""
    if criterion.is_asked(others):
        return criterion.check(value)
    if value is not None:
        raise LabelError(f"{criterion.name} is asked only for some answers to {criterion.only_when[0]}")
    return None
