"""A TOML file as tables whose entries know their line, so that a mistake can be pointed at.

Pure. What the entries mean is `protocol_file`'s business; here their names and types are checked,
and an entry that nobody asked for is refused, because a misspelt one must not be ignored. tomllib
gives lines for mistakes of syntax only, so those of the entries are found in the text.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from qcbench.errors import ProtocolError

Place = tuple[str | int, ...]

_WORDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table of entries",
}
_REQUIRED: Any = object()

_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t\r]+|\#[^\n]*)
  | (?P<newline>\n)
  | (?P<text>\"\"\"(?:\\.|[^\\])*?\"{3,5}|'''.*?'{3,5}|"(?:\\.|[^"\\])*"|'[^']*')
  | (?P<mark>[\[\]{}=,.])
  | (?P<word>[^\s\[\]{}=,."'\#]+)
    """,
    re.VERBOSE | re.DOTALL,
)


class Table:
    """One table of the file: hands out its entries, checked, and says where a wrong one stands."""

    def __init__(
        self, path: Path, entries: dict, lines: dict[Place, int], *, place: Place = (), called: str = ""
    ) -> None:
        self.path = path
        self._entries, self._lines, self._place = entries, lines, place
        self.called = called or "the file"
        self._known: list[str] = []

    def has(self, name: str) -> bool:
        """Return whether the entry is there."""
        return name in self._entries

    def text(self, name: str, *, default: str = _REQUIRED) -> str:
        """Return a text, which is not blank unless the entry may be left out."""
        value = self._take(name, str, default)
        if default is _REQUIRED and not value.strip():
            raise self.wrong(f"{name} must be a text that is not blank, got {value!r}", name)
        return value

    def number(self, name: str, *, default: int = _REQUIRED) -> int:
        """Return a whole number."""
        return self._take(name, int, default)

    def real(self, name: str) -> float:
        """Return a number, whole or not."""
        if type(self._entries.get(name)) is int:
            return float(self._take(name, int, _REQUIRED))
        return self._take(name, float, _REQUIRED)

    def values(self, name: str) -> tuple:
        """Return a list of whatever it holds, at least one."""
        values = self._take(name, list, _REQUIRED)
        if not values:
            raise self.wrong(f"{name} must have at least one entry, got an empty list", name)
        return tuple(values)

    def flag(self, name: str, *, default: bool = _REQUIRED) -> bool:
        """Return true or false."""
        return self._take(name, bool, default)

    def texts(self, name: str, *, default: tuple[str, ...] = _REQUIRED) -> tuple[str, ...]:
        """Return a list of texts."""
        values = self._take(name, list, default)
        for number, value in enumerate(values):
            if type(value) is not str:
                raise self.wrong(f"{name} must be a list of texts, got {value!r}", name, number)
        return tuple(values)

    def table(self, name: str) -> Table:
        """Return a table of this table."""
        return self._below(self._take(name, dict, _REQUIRED), name, called=f"[{name}]")

    def tables(self, name: str, *, called: str) -> list[Table]:
        """Return a list of tables that holds at least one; `called` is what one is called in a message."""
        values = self._take(name, list, _REQUIRED)
        if not values:
            raise self.wrong(f"{name} must have at least one entry, got an empty list", name)
        owner = f" of {self.called}" if self._place else ""
        found = []
        for number, value in enumerate(values):
            if type(value) is not dict:
                raise self.wrong(f"{name} must be a list of tables of entries, got {value!r}", name, number)
            found.append(self._below(value, name, number, called=f"{called} {number + 1}{owner}"))
        return found

    def finish(self) -> None:
        """Refuse entries that nobody asked for."""
        for name in self._entries:
            if name not in self._known:
                raise self.wrong(f"{name!r} is no entry of {self.called}; it may have {', '.join(self._known)}", name)

    def wrong(self, message: str, *entry: str | int) -> ProtocolError:
        """Return the error that points at an entry of this table, or at the table itself."""
        return ProtocolError(f"{self.path}, line {self.line(*entry)}: {message}")

    def line(self, *entry: str | int) -> int:
        """Return the line of an entry, or of the table it would be in."""
        place = (*self._place, *entry)
        while place not in self._lines:
            place = place[:-1]
        return self._lines[place]

    def _take(self, name: str, kind: type, default: Any) -> Any:
        self._known.append(name)
        if name not in self._entries:
            if default is _REQUIRED:
                raise self.wrong(f"{self.called} lacks {name!r}, which must be {_WORDS[kind]}")
            return default
        value = self._entries[name]
        if type(value) is not kind:  # true is no whole number here
            shown = "true" if value is True else "false" if value is False else repr(value)
            raise self.wrong(f"{name} of {self.called} must be {_WORDS[kind]}, got {shown}", name)
        return value

    def _below(self, entries: dict, *entry: str | int, called: str) -> Table:
        return Table(self.path, entries, self._lines, place=(*self._place, *entry), called=called)


def read(path: Path, content: bytes) -> Table:
    """Return the file's top table. Raises ProtocolError with the line when it is no TOML."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ProtocolError(f"{path}, line {line}: not a TOML file: it must be UTF-8 text; {error.reason}") from error
    try:
        entries = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = found.group(1) if found else text.count("\n") + 1
        raise ProtocolError(f"{path}, line {line}: not a TOML file: {error}") from error
    return Table(path, entries, lines_of(text))


def lines_of(text: str) -> dict[Place, int]:
    """Return the line of each entry of a TOML text that tomllib accepts.

    >>> lines_of('a = 1\\n[[b]]\\nc = [\\n  { d = 2 },\\n]')[("b", 0, "c", 0, "d")]
    4
    """
    return _Finder(text).lines


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


class _Finder:
    """Walks through a text that is known to be TOML and notes where each entry begins."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {(): 1}
        self._tokens: list[_Token] = []
        line = 1
        for found in _TOKEN.finditer(text):
            if found.lastgroup != "blank":
                self._tokens.append(_Token(found.lastgroup, found.group(), line))
            line += found.group().count("\n")
        self._tokens += [_Token("newline", "\n", line)]
        self._at = 0
        self._lengths: dict[Place, int] = {}
        table: Place = ()
        while self._at < len(self._tokens):
            if self._token.kind == "newline":
                self._at += 1
            elif self._token.text == "[" and self._token.kind == "mark":
                table = self._header()
            else:
                self._entry(table)

    @property
    def _token(self) -> _Token:
        return self._tokens[self._at]

    def _next_is(self, *marks: str) -> bool:
        return self._token.kind in ("mark", "newline") and self._token.text in marks

    def _header(self) -> Place:
        line = self._token.line
        while self._next_is("["):
            self._at += 1
        names = self._key("]")
        is_one_of_many = self._tokens[self._at + 1].text == "]"
        self._at += 2 if is_one_of_many else 1
        place: Place = ()
        for number, name in enumerate(names):
            place = (*place, name)
            if is_one_of_many and number == len(names) - 1:
                self._lengths[place] = self._lengths.get(place, 0) + 1
            self.lines.setdefault(place, line)
            if place in self._lengths:
                place = (*place, self._lengths[place] - 1)
        self.lines.setdefault(place, line)
        return place

    def _key(self, end: str) -> list[str]:
        names = []
        while not self._next_is(end):
            if self._token.kind != "mark":
                quoted = self._token.kind == "text"
                names.append(tomllib.loads(f"k = {self._token.text}")["k"] if quoted else self._token.text)
            self._at += 1
        return names

    def _entry(self, table: Place) -> None:
        line = self._token.line
        place = table
        for name in self._key("="):
            place = (*place, name)
            self.lines.setdefault(place, line)
        self._at += 1
        self._value(place)

    def _value(self, place: Place) -> None:
        self.lines.setdefault(place, self._token.line)
        if self._next_is("["):
            self._inside("]", lambda number: self._value((*place, number)))
        elif self._next_is("{"):
            self._inside("}", lambda number: self._entry(place))
        else:
            while not self._next_is("\n", ",", "]", "}"):
                self._at += 1

    def _inside(self, end: str, read_one: Callable[[int], None]) -> None:
        self._at += 1
        number = 0
        while not self._next_is(end):
            if self._next_is("\n", ","):
                self._at += 1
            else:
                read_one(number)
                number += 1
        self._at += 1
