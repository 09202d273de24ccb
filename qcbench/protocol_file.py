"""What a protocol file must say: every rule that its entries keep, and the line of the one that breaks it.

Pure. `read` returns plain values, checked; `protocol` makes the Protocol of them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from qcbench import toml_lines
from qcbench.criteria_file import CriteriaReader, Keys
from qcbench.errors import ProtocolError
from qcbench.toml_lines import Table

#: What a rater does besides choosing; the first two must have a key, the others have these by default.
ACTIONS = {"commit": None, "back": None, "defer": ("KeyF",), "goto": ("KeyJ",), "help": ("KeyH",)}
#: The languages that the pages speak; the first one where the file names none.
LANGUAGES = ("en", "fr")
#: Why a label is changed, where the file gives no reasons: one digit key each.
REASONS = {
    "en": ("wrong key", "looked again", "seen others like it", "rule made clear"),
    "fr": ("erreur de touche", "image revue", "autres cas vus", "règle précisée"),
}
#: A reason is picked by a digit key from 1, and stands on a button.
_MOST_REASONS, _LONGEST_REASON = 9, 60


def read(path: Path) -> dict:
    """Return the checked entries of a protocol file, and `sha256`: that of its bytes and its pictures'.

    Raises ProtocolError naming the file, the line, what was expected and what came.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ProtocolError(f"{path} cannot be read: {error.strerror}. Make it readable for this account.") from error
    return _Reader(toml_lines.read(path, content)).read(content)


class _Reader:
    """Reads one file; knows the criteria and the keys that were met so far."""

    def __init__(self, top: Table) -> None:
        self._top = top
        self._keys = Keys()
        self._criteria: dict[str, dict] = {}

    def read(self, content: bytes) -> dict:
        found: dict = {name: self._top.text(name) for name in ("name", "version", "title")}
        found["language"] = self._language()
        found["reasons"] = self._reasons(REASONS[found["language"]])
        criteria = CriteriaReader(self._keys)
        self._criteria = criteria.found
        for entry in self._top.tables("criteria", called="criterion"):
            criteria.read(entry)
        keys = self._top.table("keys")
        for action, usual in ACTIONS.items():
            found[f"{action}_keys"] = self._action(keys, action, usual)
        examples = self._action(keys, "exemplars", ())
        found["exemplar_keys"] = examples if keys.has("exemplars") else None
        keys.finish()
        found["tier_criteria"] = found["tier_rules"] = ()
        if self._top.has("tier"):
            tier = self._top.table("tier")
            found["tier_criteria"] = self._tier_criteria(tier)
            found["tier_rules"] = self._tier_rules(tier, found["tier_criteria"])
            tier.finish()
        self._top.finish()
        pictures = [choice["exemplar"] for each in self._criteria.values() for choice in each["choices"]]
        found["sha256"] = _sha256(content, self._top.path.parent, pictures)
        return {**found, "criteria": tuple(self._criteria.values())}

    def _language(self) -> str:
        language = self._top.text("language", default=LANGUAGES[0])
        if language not in LANGUAGES:
            raise self._top.wrong(
                f"language must be one of {', '.join(LANGUAGES)}, which the pages speak; got {language!r}", "language"
            )
        return language

    def _reasons(self, usual: tuple[str, ...]) -> tuple[str, ...]:
        reasons = self._top.texts("reasons", default=usual)
        if not 1 <= len(reasons) <= _MOST_REASONS:
            raise self._top.wrong(
                f"reasons must be 1 to {_MOST_REASONS} texts, one for each digit key; got {len(reasons)}", "reasons"
            )
        for number, reason in enumerate(reasons):
            if not reason.strip() or len(reason) > _LONGEST_REASON:
                raise self._top.wrong(
                    f"a reason must be a text of 1 to {_LONGEST_REASON} characters, got {reason!r}", "reasons", number
                )
            if reason in reasons[:number]:
                raise self._top.wrong(f"reasons has {reason!r} twice; once is enough", "reasons", number)
        return reasons

    def _action(self, keys: Table, action: str, usual: tuple[str, ...] | None) -> tuple[str, ...]:
        codes = keys.texts(action) if usual is None else keys.texts(action, default=usual)
        if usual is None and not codes:
            raise keys.wrong(f'{action} must name at least one key, e.g. "Space"; got an empty list', action)
        for number, code in enumerate(codes):
            self._keys.claim(code, repr(action), keys, action, number)
        return codes

    def _tier_criteria(self, tier: Table) -> tuple[str, ...]:
        names = tier.texts("criteria")
        if not names:
            raise tier.wrong("criteria of [tier] must name at least one criterion, got an empty list", "criteria")
        grades = [name for name, criterion in self._criteria.items() if criterion["kind"] == "grade"]
        for number, name in enumerate(names):
            if name not in grades:
                kind = "no grade" if name in self._criteria else "no criterion"
                known = ", ".join(grades) or "none"
                raise tier.wrong(f"[tier] speaks of {name!r}, which is {kind}; grades are: {known}", "criteria", number)
            if name in names[:number]:
                raise tier.wrong(f"[tier] names {name!r} twice; once is enough", "criteria", number)
        return names

    def _tier_rules(self, tier: Table, names: tuple[str, ...]) -> tuple[dict, ...]:
        highest = max(choice["value"] for name in names for choice in self._criteria[name]["choices"])
        rules: list[dict] = []
        for entry in tier.tables("rules", called="rule"):
            bound = entry.number("when_any_at_least")
            before = rules[-1]["when_any_at_least"] if rules else highest + 1
            rules.append({"tier": entry.number("tier"), "when_any_at_least": bound, "wording": entry.text("wording")})
            entry.finish()
            if bound > highest:
                raise entry.wrong(f"no grade of [tier] reaches {bound}; the highest is {highest}", "when_any_at_least")
            if bound >= before:
                raise entry.wrong(
                    f"rules of [tier] must go from the highest grade down; {bound} comes after {before}",
                    "when_any_at_least",
                )
        if bound != 0:
            raise entry.wrong(
                f"the last rule of [tier] must have when_any_at_least = 0, so that one always holds; got {bound}",
                "when_any_at_least",
            )
        return tuple(rules)


def _sha256(content: bytes, folder: Path, pictures: list[str | None]) -> str:
    whole = hashlib.sha256(content)
    for picture in dict.fromkeys(filter(None, pictures)):
        whole.update(hashlib.sha256((folder / picture).read_bytes()).digest())
    return whole.hexdigest()
