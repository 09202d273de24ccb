"""A list of known patients, looked for word by word: each text is read once, however many patients there are."""

from __future__ import annotations

import csv
import functools
import io
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from qcbench.errors import UsageError
from qcbench.prepare import identity_text as text_room
from qcbench.prepare.identity_findings import CERTAIN, DATE, ID, NAME, POSSIBLE, UID
from qcbench.prepare.identity_text import PROSE, fold
from qcbench.prepare.identity_words import OTHER_WORDS, STAND_INS

_WORDS = re.compile(r"[^\W_]+")
_DOTTED = re.compile(r"[0-2](?:\.\d+){4,}")
#: Numbers inside a word (sub-12345T1w), but no part of a decimal number.
_NUMBERS = re.compile(r"\d{5,}")
_DECIMAL = re.compile(r"(?<![\w.])\d+\.\d{5,}(?![\d.])")
_JOINED = re.compile(r"[^\W_]+(?:[-_./ ][^\W_]+){1,4}")
#: A hash is a long row of digits and letters in which any short number may stand by chance.
_LONGEST_WORD = 32
_FEWEST_DIGITS, _FEWEST_CHARACTERS = 5, 4
_FAMILY_TITLES = ("nom", "lastname", "familyname", "surname", "family", "nomdenaissance", "nomfamille")
_GIVEN_TITLES = ("prenom", "prenoms", "firstname", "givenname", "given")
#: How many words may stand between a family name and a given name.
_REACH = 3


class Known:
    """The names, numbers and days of birth of known patients.

    An id of fewer than 5 digits (4 characters with letters among them) is not looked for: it would be found by chance
    in any table of numbers.
    """

    def __init__(self, content: str) -> None:
        self._ids: set[str] = set()
        self._uids: set[str] = set()
        self._glued: set[str] = set()
        self._families: dict[str, set[str]] = defaultdict(set)
        self._days: set[date] = set()
        self.n_identities = 0
        separator = max(",;\t", key=content.partition("\n")[0].count)
        rows = list(csv.reader(io.StringIO(content, newline=""), delimiter=separator))
        for row in rows[1:]:
            self.n_identities += any(cell.strip() for cell in row)
            in_two_columns = self._add_names(rows[0], row)
            for column, cell in enumerate(row):
                if column not in in_two_columns:
                    self._add(cell.strip())

    def __bool__(self) -> bool:
        return bool(self._ids or self._uids or self._families or self._days)

    def kinds(self, text: str, manner: str) -> dict[str, str]:
        """Return which kinds of known data a text holds; a family name alone is possible, the others certain."""
        folded = _DECIMAL.sub("#", fold(text))
        words = _WORDS.findall(folded)
        found = self._names(words, manner)
        if any(character.isdigit() for character in folded):
            if not self._ids.isdisjoint(_id_forms(words, folded)):
                found[ID] = CERTAIN
            if not self._uids.isdisjoint(_DOTTED.findall(folded)):
                found[UID] = CERTAIN
            if any(day in self._days for day in text_room.dates(text)):
                found[DATE] = CERTAIN
        return found

    def _names(self, words: list[str], manner: str) -> dict[str, str]:
        if not self._glued.isdisjoint(words):
            return {NAME: CERTAIN}
        found = {}
        for place, word in enumerate(words):
            given = self._families.get(word)
            if given is None:
                continue
            beside = words[max(0, place - _REACH) : place] + words[place + 1 : place + 1 + _REACH]
            if not given.isdisjoint(beside):
                return {NAME: CERTAIN}
            # In sentences a family name may be any word (long, petit, white).
            if manner != PROSE and len(word) >= 4 and word not in OTHER_WORDS:
                found = {NAME: POSSIBLE}
        return found

    def _add_names(self, header: list[str], row: list[str]) -> set[int]:
        """Take a name that stands in two columns, as in "nom;prenom", and return these."""
        parts: dict[str, tuple[int, str]] = {}
        for column, (title, cell) in enumerate(zip(header, row, strict=False)):
            plain = re.sub(r"[^a-z]", "", fold(title))
            if plain in _FAMILY_TITLES:
                parts["family"] = column, cell
            elif plain in _GIVEN_TITLES:
                parts["given"] = column, cell
        if len(parts) < 2:
            return set()
        self._add_person(parts["family"][1], parts["given"][1])
        return {column for column, _ in parts.values()}

    def _add(self, cell: str) -> None:
        if not cell or fold(cell) in STAND_INS:
            return
        days = list(text_room.dates(cell)) if len(cell) <= 20 else []
        if days:
            self._days.update(days)
        elif _DOTTED.fullmatch(cell):
            self._uids.add(cell)
        elif any(character.isdigit() for character in cell):
            self._add_id(cell)
        else:
            family, _, given = cell.replace(",", "^", 1).partition("^")
            if not given:
                words = cell.split()
                family, given = (words[0], " ".join(words[1:])) if len(words) > 1 else (cell, "")
                self._add_person(words[-1], " ".join(words[:-1]))
            self._add_person(family, given)

    def _add_id(self, cell: str) -> None:
        bare = "".join(_WORDS.findall(fold(cell)))
        enough = _FEWEST_DIGITS if bare.isdigit() else _FEWEST_CHARACTERS
        if len(bare) >= enough:
            self._ids.update({bare, bare.lstrip("0")} - {""})

    def _add_person(self, family: str, given: str) -> None:
        for family_form, given_form in {(fold(family), fold(given)), tuple(map(_umlauts_spelt, (family, given)))}:
            names = _WORDS.findall(family_form)
            if not names:
                continue
            main = max(names, key=len)
            others = set(_WORDS.findall(given_form)) | (set(names) - {main})
            if len(main) < 2:
                continue
            self._families[main] |= {name for name in others if len(name) > 1}
            for name in _WORDS.findall(given_form):
                self._glued |= {main + name, name + main} if len(name) > 2 else set()
            if given_form and len(main) >= 5:  # as in a user's name
                self._glued |= {given_form[0] + main, main + given_form[0]}


def _umlauts_spelt(text: str) -> str:
    for letter, spelt in zip("äöüÄÖÜ", ("ae", "oe", "ue", "AE", "OE", "UE"), strict=True):
        text = text.replace(letter, spelt)
    return fold(text)


def _id_forms(words: list[str], folded: str) -> Iterator[str]:
    for word in words:
        if len(word) < _LONGEST_WORD:
            yield word
            yield word.lstrip("0")
    for match in _JOINED.finditer(folded):
        parts = _WORDS.findall(match[0])
        for first in range(len(parts)):
            for last in range(first + 2, len(parts) + 1):
                yield "".join(parts[first:last])
                yield "".join(parts[first:last]).lstrip("0")
    for word in words:
        if len(word) < _LONGEST_WORD and not word.isdigit():
            for number in _NUMBERS.findall(word):
                yield number
                yield number.lstrip("0")


@functools.lru_cache(maxsize=1)
def load(path: str | Path) -> Known:
    """Return the known patients of a CSV file: a header, then names, ids, UIDs and days of birth in any column.

    Raises UsageError when there is no such file, or nothing in it can be looked for.
    """
    path = Path(path)
    try:
        known = Known(text_room.decoded(path.read_bytes()))
    except (OSError, csv.Error, IndexError) as error:
        raise UsageError(
            f"{path} cannot be read as a CSV file of known patients ({type(error).__name__}). "
            "Give one with a line of column titles, then names, ids or days of birth."
        ) from None
    if not known:
        raise UsageError(f"{path} names nobody: after its first line, of titles, no name, id or day of birth was found")
    return known
