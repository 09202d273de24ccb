"""Who is who, told to those who hold the key alone: pseudonyms by keyed hash, dates moved by a constant a patient.

A hash without a key is guessed in minutes, since hospitals number their patients; the key is what must not be lost,
and must not be with the data. Nothing is kept of whom a pseudonym stands for: the key finds it again.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from qcbench import durable
from qcbench.errors import UsageError
from qcbench.prepare import words

_KEY_BYTES = 32
#: 60 bits: among ten million patients two share a pseudonym with a chance of 1 in 20,000.
_PERSON_LETTERS = 12
#: 40 bits, within one person; 8 letters can be read out on the telephone.
_PLACE_LETTERS = 8
#: BIDS: dates that were moved lie in 1925 or before, so that nobody takes them for real ones.
_LAST_MOVED_YEAR = 1925
_FEWEST_YEARS, _SPREAD_DAYS = 150, 3653
#: Shorter words of a name are also words of a description ("LE", "DE", "IV").
_SHORTEST_NAME = 3
#: From so many letters on a part of a name is looked for inside words too, and an id anywhere.
_LONG_NAME = _SHORTEST_ID = 4
_MASK = "***"
_WORDS = re.compile(r"[^\W_]*\*\*\*[^\W_]*|[^\W_]+")
_LONG_NUMBER = re.compile(r"\d{6}|\*\*\*")
_DATES = re.compile(r"\b\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b")


@dataclass(frozen=True, kw_only=True, repr=False)
class Key:
    """The secret by which pseudonyms are made."""

    secret: bytes

    def participant(self, patient_id: str, issuer: str | None = None) -> str:
        """Return the pseudonym of a patient, ``sub-`` and twelve letters and digits.

        Case, spaces around it and the form of accents make no other patient; the issuer of the id does.
        """
        return f"sub-{self.mark('patient', _normal(patient_id), _normal(issuer or ''), letters=_PERSON_LETTERS)}"

    def session(self, study_uid: str) -> str:
        """Return the pseudonym of an examination, ``ses-`` and eight letters and digits."""
        return f"ses-{self.mark('study', study_uid, letters=_PLACE_LETTERS)}"

    def mark(self, *parts: str, letters: int = _PLACE_LETTERS) -> str:
        """Return small letters and digits that stand for `parts`, the first of which says what they are."""
        digest = hmac.digest(self.secret, "\0".join(parts).encode("utf-8", "surrogatepass"), "sha256")
        return base64.b32encode(digest[: -(-letters * 5 // 8)]).decode("ascii").lower()[:letters]

    def moved(self, day: date, participant: str) -> date:
        """Return the day moved into the past, by the same number of days for all days of a participant.

        A day that was moved already comes back as it is.
        """
        if day.year <= _LAST_MOVED_YEAR:
            return day
        digest = hmac.digest(self.secret, f"days\0{participant}".encode(), "sha256")
        days = round(_FEWEST_YEARS * 365.25) + int.from_bytes(digest[:8], "big") % _SPREAD_DAYS
        return day - timedelta(days=days) if day.toordinal() > days else date(1, 1, 1)

    @property
    def check(self) -> str:
        """A word that two keys do not share and from which neither can be found."""
        return self.mark("check", letters=16)


def load(path: str | Path, *, outside: tuple[Path, ...], expected: str | None = None) -> Key:
    """Return the key in a file; make the file, readable by its owner alone, when there is none.

    Raises UsageError when it lies inside one of the folders `outside`, is readable by others or is no key, when its
    `check` is not the one `expected`, and when one is expected and the file is missing.
    """
    path = Path(path).absolute()
    for folder in outside:
        if path.resolve().is_relative_to(folder.resolve()):
            raise UsageError(
                f"the key {path} would lie inside {folder}; keep it apart from data, readable by you alone"
            )
    if not os.path.lexists(path):
        if expected is not None:
            raise UsageError(
                f"{path} is missing, and the pseudonyms of this study were made with a key. Restore it from a backup: "
                "with another key every patient would become a second person."
            )
        durable.make_folder(path.parent, mode=0o700)
        durable.write_text(path, f"{secrets.token_hex(_KEY_BYTES)}\n", mode=0o600)
    key = Key(secret=_secret(path))
    if expected is not None and key.check != expected:
        raise UsageError(
            f"{path} is not the key that made the pseudonyms of this study; every patient would become a second "
            "person. Give the key of the first ingest."
        )
    return key


def without_names(text: str | None, names: Iterable[str | None], ids: Iterable[str | None]) -> str | None:
    """Return a description in which what may be of the patient's names, ids or dates is replaced by ``***``.

    Words are compared without accents, case and digits; a longer part of a name also inside a word, an id also with
    other punctuation. A harmless word too many is masked rather than a name too few.

    >>> without_names("T1 3D Mme DÜPONT", ["DUPONT1^ANNE"], ["0007"])
    'T1 3D Mme ***'
    >>> without_names("T1 IPP8001234567 du 02.03.1950, CHU", [None], ["8001-234567"])
    'T1 *** du ***, CHU'
    """
    if not text:
        return text
    text = _DATES.sub(_MASK, text)
    for number in filter(None, map(_compact, ids)):
        if len(number) >= _SHORTEST_ID:
            text = re.sub(r"[\W_]*".join(map(re.escape, number)), _MASK, text, flags=re.IGNORECASE)
    parts = {part for name in names if name for part in re.findall(r"[^\W\d_]+", words.folded(name))}
    together = [re.findall(r"[^\W\d_]+", words.folded(name)) for name in names if name]
    return _WORDS.sub(
        lambda match: _MASK if _names(words.folded(match[0]), parts) else match[0], _pairs(text, together)
    )


def _names(word: str, parts: Collection[str]) -> bool:
    """Return whether a word is a part of a name, has a longer one in it, is a long number, or was masked in part."""
    bare = re.sub(r"\d", "", word)
    is_part = len(bare) >= _SHORTEST_NAME and bare in parts
    return is_part or any(len(part) >= _LONG_NAME and part in word for part in parts) or bool(_LONG_NUMBER.search(word))


def _pairs(text: str, names: Iterable[Sequence[str]]) -> str:
    """Return the text without short names that stand beside each other, as Li and Wu do."""
    for name in names:
        if len(name) > 1:
            for order in (name, name[::-1]):
                text = re.sub(
                    rf"(?<![^\W_]){r'[^0-9A-Za-z]*'.join(map(re.escape, order))}(?![^\W_])",
                    _MASK,
                    text,
                    flags=re.IGNORECASE,
                )
    return text


def _compact(number: str | None) -> str:
    return "".join(re.findall(r"[^\W_]", number or ""))


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _secret(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"the key {path} cannot be opened ({error.strerror}); give a file, not a link") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        content = file.read(1024) if stat.S_ISREG(status.st_mode) else b""
    if status.st_mode & 0o077:
        raise UsageError(f"others can read the key {path}; run: chmod 600 '{path}'")
    if not re.fullmatch(rb"\s*[0-9a-f]{64,128}\s*", content):
        raise UsageError(
            f"{path} is no key: 64 hexadecimal digits are expected. Give another file, or a name that is free and "
            "gets a new key."
        )
    return bytes.fromhex(content.decode("ascii").strip())
