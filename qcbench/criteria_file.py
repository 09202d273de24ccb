"""What a protocol file must say of its criteria, and of the keys: each its own.

Pure. `protocol_file` reads the rest of the file.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from qcbench import schema
from qcbench.criteria import KINDS, REQUIRED_KINDS
from qcbench.toml_lines import Table

#: These keys belong to the page: through the walk, through the buttons, out of a dialog.
PAGE_KEYS = ("ArrowLeft", "ArrowRight", "Tab", "Escape")
#: A picture beside the grades is made for the screen; a larger one would fill the page's memory.
PICTURE_LIMIT_BYTES = 4 * 2**20
#: The longest text that a rater may write.
TEXT_LIMIT = 2000

_PICTURES = {b"\x89PNG\r\n\x1a\n": (".png",), b"\xff\xd8\xff": (".jpg", ".jpeg")}
_NAME = re.compile(r"[a-z][a-z0-9_]*")
# The values of KeyboardEvent.code that a keyboard has, save F1 to F12, which belong to the browser.
_KEY_CODE = re.compile(
    r"Key[A-Z]|Digit[0-9]|Numpad([0-9]|Add|Subtract|Multiply|Divide|Decimal|Enter)|Space|Enter|Backspace|Delete|Insert"
    r"|Home|End|PageUp|PageDown|Arrow(Up|Down|Left|Right)|Tab|Escape|Minus|Equal|BracketLeft|BracketRight|Semicolon"
    r"|Quote|Backquote|Backslash|IntlBackslash|Comma|Period|Slash"
)


class Keys:
    """The keys that were given so far, and to what."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def claim(self, code: str, owner: str, table: Table, *entry: str | int) -> None:
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


class CriteriaReader:
    """Reads the criteria one after the other; `found` holds those that were read, by name."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self.found: dict[str, dict] = {}

    def read(self, entry: Table) -> dict:
        """Return one criterion as plain values, checked, and remember it."""
        name, kind = entry.text("name"), entry.text("kind")
        if not _NAME.fullmatch(name):
            raise entry.wrong(f"name must be lower-case letters, digits and underscores, got {name!r}", "name")
        if name in self.found:
            raise entry.wrong(f"the criterion {name!r} is there twice; each needs a name of its own", "name")
        if kind not in KINDS:
            raise entry.wrong(f"kind must be one of {', '.join(KINDS)}, got {kind!r}", "kind")
        criterion = {
            "name": name,
            "kind": kind,
            "label": entry.text("label"),
            "help": entry.text("help", default=""),
            "ends_label": entry.flag("ends_label", default=False),
            "required": entry.flag("required", default=kind in REQUIRED_KINDS),
            "only_when": self._only_when(entry),
            "choices": (),
            "bands": (),
        }
        if kind == "level":
            criterion |= self._scale(entry)
        if kind == "text":
            criterion["longest"] = entry.number("longest", default=TEXT_LIMIT)
        elif kind != "level" or entry.has("choices"):
            choices = entry.tables("choices", called="choice")
            criterion["choices"] = tuple(self._choice(each, kind) for each in choices)
        entry.finish()
        _refuse_values(entry, criterion)
        _refuse_misfit(entry, criterion)
        self.found[name] = criterion
        return criterion

    def _choice(self, entry: Table, kind: str) -> dict:
        take = {"yes_no": entry.flag, "grade": entry.number, "level": entry.real, "flags": entry.text}[kind]
        choice = {
            "value": take("value"),
            "key": entry.text("key"),
            "label": entry.text("label"),
            "exemplar": _picture(entry),
        }
        entry.finish()
        self._keys.claim(choice["key"], entry.called, entry, "key")
        return choice

    def _only_when(self, entry: Table) -> tuple[str, tuple] | None:
        """Return the criterion further up, and those of its values, for which this one is asked."""
        if not entry.has("only_when"):
            return None
        condition = entry.table("only_when")
        name = condition.text("criterion")
        asked = self.found.get(name)
        if asked is None or asked["kind"] not in ("yes_no", "grade") or asked["ends_label"]:
            known = [each["name"] for each in self.found.values() if each["kind"] in ("yes_no", "grade")]
            raise condition.wrong(
                f"only_when must name a yes_no or grade criterion that stands above, got {name!r}; "
                f"above are: {', '.join(known) or 'none'} (what ends the label needs no condition)",
                "criterion",
            )
        possible = [choice["value"] for choice in asked["choices"]]
        values = condition.values("values")
        for number, value in enumerate(values):
            if not any(type(value) is type(each) and value == each for each in possible):
                shown = ", ".join(str(each).lower() for each in possible)
                raise condition.wrong(f"{name!r} is one of {shown}, got {value!r}", "values", number)
        condition.finish()
        return name, values

    def _scale(self, entry: Table) -> dict:
        """Return a level's ends, step, keys and bands."""
        low, high, step = (entry.real(name) for name in ("minimum", "maximum", "step"))
        if not low < high:
            raise entry.wrong(f"maximum must be more than the minimum {low:g}, got {high:g}", "maximum")
        steps = (high - low) / step if step > 0 else 0.5
        if abs(steps - round(steps)) > 1e-6:
            raise entry.wrong(f"step must go into {low:g} to {high:g} without a remainder, got {step:g}", "step")
        keys = entry.texts("keys", default=())
        if len(keys) not in (0, 2):
            raise entry.wrong(f"keys of a level are two, to lower and to raise it; got {len(keys)}", "keys")
        for number, code in enumerate(keys):
            self._keys.claim(code, entry.called, entry, "keys", number)
        return {"minimum": low, "maximum": high, "step": step, "keys": keys, "bands": _bands(entry)}


def _bands(entry: Table) -> tuple[dict, ...]:
    """Return the named parts of a level's scale: upwards, and the last takes whatever is left."""
    bands: list[dict] = []
    for band in entry.tables("bands", called="band") if entry.has("bands") else ():
        if bands and bands[-1]["below"] is None:
            raise band.wrong("only the last of the bands may leave out 'below'")
        below = band.real("below") if band.has("below") else None
        if bands and below is not None and below <= bands[-1]["below"]:
            raise band.wrong(f"bands must go upwards; {below:g} comes after {bands[-1]['below']:g}", "below")
        bands.append({"label": band.text("label"), "below": below})
        band.finish()
    if bands and bands[-1]["below"] is not None:
        raise band.wrong("the last of the bands must leave out 'below', so that one always holds", "below")
    return tuple(bands)


def _refuse_values(entry: Table, criterion: dict) -> None:
    """Refuse choices from which no whole answer can be made."""
    name, kind = criterion["name"], criterion["kind"]
    values = [choice["value"] for choice in criterion["choices"]]
    if criterion["ends_label"] and kind != "yes_no":
        raise entry.wrong(f"ends_label is for yes_no; {name!r} is of kind {kind}", "ends_label")
    for number, value in enumerate(values):
        if value in values[:number]:
            raise entry.wrong(f"{name!r} has two choices of the value {str(value).lower()}", "choices", number, "value")
    if kind == "grade":
        _refuse_gaps(entry, name, values)
    if kind == "level":
        _refuse_off_scale(entry, criterion, values)
    if kind == "yes_no":
        for needed in (True,) if criterion["ends_label"] else (True, False):
            if needed not in values:
                shown = ", ".join(str(value).lower() for value in values)
                raise entry.wrong(
                    f"{name!r} lacks the choice with value = {str(needed).lower()}, got {shown}", "choices"
                )


def _refuse_off_scale(entry: Table, criterion: dict, values: list[float]) -> None:
    low, high = criterion["minimum"], criterion["maximum"]
    for number, value in enumerate(values):
        if not low <= value <= high:
            place = ("choices", number, "value")
            raise entry.wrong(f"{criterion['name']!r} goes from {low:g} to {high:g}, got {value:g}", *place)
        steps = (value - low) / criterion["step"]
        if abs(steps - round(steps)) > 1e-6:
            raise entry.wrong(
                f"{criterion['name']!r} goes in steps of {criterion['step']:g} from {low:g}, got {value:g}",
                *("choices", number, "value"),
            )


def _refuse_gaps(entry: Table, name: str, grades: list[int]) -> None:
    shown = ", ".join(map(str, grades))
    for number, grade in enumerate(grades):
        if not 0 <= grade < len(grades):
            raise entry.wrong(
                f"the grades of {name!r} must be 0, 1, 2 and so on without a gap, got {shown}",
                *("choices", number, "value"),
            )
    if len(grades) < 2:
        raise entry.wrong(f"{name!r} must have at least two grades, got {shown}", "choices")


def _refuse_misfit(entry: Table, criterion: dict) -> None:
    """Refuse a criterion that has a column in the tables and does not fit into it."""
    name = criterion["name"]
    if name in schema.LABELS.column_names and name not in schema.CHARACTERISTICS:
        raise entry.wrong(f"{name!r} is a column of the tables already; choose another name for yours", "name")
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
