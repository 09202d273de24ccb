"""What a protocol file must say: every rule that its entries keep, and the line of the one that breaks it.

Pure. `read` returns plain values, checked; `protocol` makes the Protocol of them.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath

from qcbench import schema, toml_lines
from qcbench.errors import ProtocolError
from qcbench.toml_lines import Table

KINDS = ("yes_no", "grade")
#: These keys belong to the page: through the walk, through the buttons, out of a dialog.
PAGE_KEYS = ("ArrowLeft", "ArrowRight", "Tab", "Escape")
#: What a rater does besides choosing; the first two must have a key, the others have these by default.
ACTIONS = {"commit": None, "back": None, "defer": ("KeyF",), "goto": ("KeyJ",), "help": ("KeyH",)}
#: A picture beside the grades is made for the screen; a larger one would fill the page's memory.
PICTURE_LIMIT_BYTES = 4 * 2**20

_PICTURES = {b"\x89PNG\r\n\x1a\n": (".png",), b"\xff\xd8\xff": (".jpg", ".jpeg")}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
# The values of KeyboardEvent.code that a keyboard has, save F1 to F12, which belong to the browser.
_KEY_CODE = re.compile(
    r"Key[A-Z]|Digit[0-9]|Numpad([0-9]|Add|Subtract|Multiply|Divide|Decimal|Enter)|Space|Enter|Backspace|Delete|Insert"
    r"|Home|End|PageUp|PageDown|Arrow(Up|Down|Left|Right)|Tab|Escape|Minus|Equal|BracketLeft|BracketRight|Semicolon"
    r"|Quote|Backquote|Backslash|IntlBackslash|Comma|Period|Slash"
)


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
        self._criteria: dict[str, dict] = {}
        self._owners: dict[str, str] = {}

    def read(self, content: bytes) -> dict:
        found: dict = {name: self._top.text(name) for name in ("name", "version", "title")}
        for entry in self._top.tables("criteria", called="criterion"):
            criterion = self._criterion(entry)
            self._criteria[criterion["name"]] = criterion
        keys = self._top.table("keys")
        for action, usual in ACTIONS.items():
            found[f"{action}_keys"] = self._action(keys, action, usual)
        keys.finish()
        tier = self._top.table("tier")
        found["tier_criteria"] = self._tier_criteria(tier)
        found["tier_rules"] = self._tier_rules(tier, found["tier_criteria"])
        tier.finish()
        self._top.finish()
        pictures = [choice["exemplar"] for each in self._criteria.values() for choice in each["choices"]]
        found["sha256"] = _sha256(content, self._top.path.parent, pictures)
        return {**found, "criteria": tuple(self._criteria.values())}

    def _criterion(self, entry: Table) -> dict:
        name, kind = entry.text("name"), entry.text("kind")
        if not _NAME.fullmatch(name):
            raise entry.wrong(f"name must be lower-case letters, digits and underscores, got {name!r}", "name")
        if name in self._criteria:
            raise entry.wrong(f"the criterion {name!r} is there twice; each needs a name of its own", "name")
        if kind not in KINDS:
            raise entry.wrong(f"kind must be one of {', '.join(KINDS)}, got {kind!r}", "kind")
        criterion = {
            "name": name,
            "kind": kind,
            "label": entry.text("label"),
            "help": entry.text("help", default=""),
            "ends_label": entry.flag("ends_label", default=False),
            "choices": tuple(self._choice(each, kind) for each in entry.tables("choices", called="choice")),
        }
        entry.finish()
        _refuse_values(entry, criterion)
        _refuse_misfit(entry, criterion)
        return criterion

    def _choice(self, entry: Table, kind: str) -> dict:
        choice = {
            "value": entry.flag("value") if kind == "yes_no" else entry.number("value"),
            "key": entry.text("key"),
            "label": entry.text("label"),
            "exemplar": _picture(entry),
        }
        entry.finish()
        self._claim(choice["key"], entry.called, entry, "key")
        return choice

    def _action(self, keys: Table, action: str, usual: tuple[str, ...] | None) -> tuple[str, ...]:
        codes = keys.texts(action) if usual is None else keys.texts(action, default=usual)
        if usual is None and not codes:
            raise keys.wrong(f'{action} must name at least one key, e.g. "Space"; got an empty list', action)
        for number, code in enumerate(codes):
            self._claim(code, repr(action), keys, action, number)
        return codes

    def _claim(self, code: str, owner: str, table: Table, *entry: str | int) -> None:
        """Note that a key is taken; refuse one that is no key, belongs to the page, or was taken before."""
        if code in PAGE_KEYS:
            raise table.wrong(f"the key {code} is the page's own; choose another for {owner}", *entry)
        if not _KEY_CODE.fullmatch(code):
            raise table.wrong(f"the key of {owner} must be a KeyboardEvent.code, got {code!r}{_meant(code)}", *entry)
        if code in self._owners:
            raise table.wrong(
                f"the key {code} is given twice, to {self._owners[code]} and to {owner}; give {entry[0]!r} another",
                *entry,
            )
        self._owners[code] = f"{owner} (line {table.line(*entry)})"

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


def _refuse_values(entry: Table, criterion: dict) -> None:
    """Refuse choices from which no whole answer can be made."""
    values = [choice["value"] for choice in criterion["choices"]]
    name, shown = criterion["name"], ", ".join(str(value).lower() for value in values)
    for number, value in enumerate(values):
        if value in values[:number]:
            raise entry.wrong(f"{name!r} has two choices of the value {str(value).lower()}", "choices", number, "value")
    if criterion["kind"] == "grade":
        if criterion["ends_label"]:
            raise entry.wrong(f"ends_label is for yes_no; {name!r} is a grade", "ends_label")
        for number, value in enumerate(values):
            if not 0 <= value < len(values):
                raise entry.wrong(
                    f"the grades of {name!r} must be 0, 1, 2 and so on without a gap, got {shown}",
                    *("choices", number, "value"),
                )
        if len(values) < 2:
            raise entry.wrong(f"{name!r} must have at least two grades, got {shown}", "choices")
        return
    for needed in (True,) if criterion["ends_label"] else (True, False):
        if needed not in values:
            raise entry.wrong(f"{name!r} lacks the choice with value = {str(needed).lower()}, got {shown}", "choices")


def _refuse_misfit(entry: Table, criterion: dict) -> None:
    """Refuse a criterion that has a column in the tables and does not fit into it."""
    name = criterion["name"]
    column = next((each for each in schema.LABEL_EVENTS.columns if each.name == name), None)
    if name not in schema.CHARACTERISTICS or column is None:
        return
    kind = "yes_no" if column.dtype == "bool" else "grade"
    if criterion["kind"] != kind:
        raise entry.wrong(f"{name!r} is a column of kind {kind} in the tables; choose another name for yours", "kind")
    for number, choice in enumerate(criterion["choices"]):
        if column.choices and choice["value"] not in column.choices:
            raise entry.wrong(
                f"{name!r} is a column of grades up to {max(column.choices)} in the tables, got {choice['value']}; "
                "choose another name for yours",
                *("choices", number, "value"),
            )


def _picture(entry: Table) -> str | None:
    """Return the path of the choice's exemplar, a PNG or JPEG file in the protocol's folder."""
    value = entry.text("exemplar", default="")
    if not entry.has("exemplar"):
        return None
    folder = entry.path.parent
    parts = PurePosixPath(value)
    if "\\" in value or parts.is_absolute() or ".." in parts.parts:
        raise entry.wrong(f"exemplar must be a path below the protocol's folder, got {value!r}", "exemplar")
    file = folder / value
    if not file.is_file():
        raise entry.wrong(f"exemplar must be a file that exists; there is no {file}", "exemplar")
    if not file.resolve().is_relative_to(folder.resolve()):
        raise entry.wrong(f"exemplar must lie below {folder}, but {value!r} is a link to {file.resolve()}", "exemplar")
    try:
        size = file.stat().st_size
        with file.open("rb") as content:
            start = content.read(8)
    except OSError as error:
        raise entry.wrong(f"exemplar cannot be read: {error}", "exemplar") from error
    suffixes = next((ends for begin, ends in _PICTURES.items() if start.startswith(begin)), ())
    if file.suffix.lower() not in suffixes:
        raise entry.wrong(f"exemplar must be a PNG (.png) or JPEG (.jpg) file; {file} is none", "exemplar")
    if size > PICTURE_LIMIT_BYTES:
        raise entry.wrong(
            f"exemplar must be at most 4 MB, {file} has {size / 2**20:.1f} MB; make it smaller", "exemplar"
        )
    return value


def _meant(code: str) -> str:
    """Return the key that was probably meant, as words to put behind a complaint."""
    if re.fullmatch("[A-Za-z]", code):
        return f'; the key {code.upper()} is "Key{code.upper()}"'
    if re.fullmatch("[0-9]", code):
        return f'; the key {code} is "Digit{code}"'
    return ', which is no key; e.g. "KeyQ", "Digit1", "Space"'


def _sha256(content: bytes, folder: Path, pictures: list[str | None]) -> str:
    whole = hashlib.sha256(content)
    for picture in dict.fromkeys(filter(None, pictures)):
        whole.update(hashlib.sha256((folder / picture).read_bytes()).digest())
    return whole.hexdigest()
