"""What in a text has the form of a person's data: dates, numbers, addresses, names. Only kinds are returned."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from datetime import date

from qcbench.prepare.identity_findings import ADDRESS, DATE, EMAIL, ID, LIKELY, NAME, PHONE, POSSIBLE, UID
from qcbench.prepare.identity_words import GIVEN_NAMES, MONTHS, OTHER_WORDS, STAND_INS

#: A value of a header or a cell; a line of a log; sentences written for readers; a file's or a folder's name.
VALUE, LOG, PROSE, PATH = "value", "log", "prose", "path"

#: Under these roots UIDs are made up or registered by the standard; the others lead to a scanner and a moment.
_HARMLESS_ROOTS = (
    "1.2.840.10008.",  # DICOM's own
    "2.25.",  # made of a random number
    "1.2.826.0.1.3680043.8.498.",  # pydicom
    "1.2.276.0.7230010.3.",  # DCMTK
    "1.3.6.1.4.1.14519.5.2.1.",  # The Cancer Imaging Archive, after de-identification
    "1.3.6.1.4.1.9590.100.",  # MATLAB
)
_UID = re.compile(r"(?<![\w.])[0-2](?:\.(?:0|[1-9]\d*)){5,}(?![\w])")
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+\.[A-Za-z]{2,}")
_PHONE = re.compile(
    r"(?<![\w.])(?:(?:\+33|0033) ?(?:\(0\) ?)?[1-9]|0[1-9])(?:[ .-]?\d{2}){4}(?![\w]|[.]\d)"
    r"|(?<![\w.])\+\d{1,3}[ .-]?\(?\d{1,4}\)?(?:[ .-]\d{2,4}){2,4}(?!\w)|(?<!\w)\(\d{3}\) ?\d{3}[ .-]\d{4}(?!\w)"
)
#: The French social security number: sex, year, month, department, commune, order, and two digits that check.
_NIR = re.compile(
    r"(?<!\d)([1278])[ .-]?(\d{2})[ .-]?(\d{2})[ .-]?(\d{2}|2[AaBb])[ .-]?(\d{3})[ .-]?(\d{3})[ .-]?(\d{2})(?!\d)"
)
_ADDRESS = re.compile(
    r"\b\d{1,4}(?: ?(?:bis|ter))?,? (?:rue|avenue|av\.|boulevard|bd|place|chemin|all[ée]e|impasse|quai|route|cours)\s"
    r"|\b\d{5} [\w' -]{2,30} CEDEX\b|\b\d{1,5} (?:[A-Z]\w+ ){1,3}(?:Street|St\.|Road|Avenue|Lane|Drive)\b",
    re.IGNORECASE,
)
_LABELLED_ID = re.compile(
    r"\b(?:ipp|nip|nda|mrn|nir|iep|dossier|patient[ _]?id|accession|n[°o] ?(?:patient|dossier|s[ée]cu))"
    r"[ :=#°n_-]{1,4}[A-Z]{0,3}\d{4,}",
    re.IGNORECASE,
)
_BARE_ID = re.compile(r"[A-Za-z]{0,4}[-_ ]?\d{6,14}")
_DATES = re.compile(
    r"(?<![\d.])(?P<y>(?:19|20)\d{2})(?P<a>[-/_.]?)(?P<m>\d{2})(?P=a)(?P<d>\d{2})(?!\d)(?!\.\d)"
    r"|(?<![\d.])(?P<ydt>(?:19|20)\d{6})(?=\d{6}(?:\.\d+)?(?:[+-]\d{4})?(?!\d))"
    r"|(?<![\d.])(?P<d1>\d{1,2})(?P<b>[-/. ])(?P<m1>\d{1,2})(?P=b)(?P<y1>(?:19|20)\d{2})(?!\d)"
    r"|(?<!\d)(?P<d2>\d{2})(?P<m2>\d{2})(?P<y2>(?:19|20)\d{2})(?!\d)(?!\.\d)"
    r"|(?<![\d/])(?P<d3>\d{2})/(?P<m3>\d{2})/(?P<y3>\d{2})(?![\d/])"
    r"|(?<!\w)(?P<d4>\d{1,2})(?:er|st|nd|rd|th)?[ -](?P<w4>[A-Za-zéûôÉÛ]{3,9})\.?,?[ -](?P<y4>(?:19|20)\d{2})(?!\d)"
    r"|(?<!\w)(?P<w5>[A-Za-z]{3,9})\.? (?P<d5>\d{1,2})(?:st|nd|rd|th)?,? (?P<y5>(?:19|20)\d{2})(?!\d)"
)
_WORD = r"[^\W\d_](?:[^\W\d_]|['\u2019-](?=[^\W\d_]))+"
_CARET = re.compile(rf"({_WORD})(?: {_WORD})*\^({_WORD})")
_COMMA = re.compile(r"\b([A-ZÀ-Þ][A-ZÀ-Þ'\u2019-]{2,}), ?([A-ZÀ-Þ][\w'\u2019-]+)")
_TITLED = re.compile(
    rf"\b(?:Mme|Mlle|Mr|Mrs|Ms|Monsieur|Madame|Dr|Docteur|Pr|Prof|Professeur|[Nn]om|NOM|[Pp]r[ée]nom|[Pp]atiente?"
    rf"(?:[ _]?[Nn]ame)?|PATIENTE?|[Nn]ée?|Name)\b\.? ?[:=]? ?(?=[A-ZÀ-Þ])({_WORD})"
)
_WORDS = re.compile(_WORD)
_PARTS = re.compile(r"[A-ZÀ-Þ]+(?![a-zß-ÿ])|[A-ZÀ-Þ]?[a-zß-ÿ]+|\d+")
#: A moment with its time zone: a program's, as no header writes it.
_ZONED = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)? ?(?:UTC|Z|GMT|[+-]\d{2}:?\d{2})\b")
#: Pseudonyms made with a key: twelve letters and digits, among which a name may stand by chance.
_PSEUDONYM = re.compile(r"(?<![A-Za-z0-9])(?:sub-(?=[a-z]*\d)[a-z2-7]{12}|ses-(?=[a-z]*\d)[a-z2-7]{8})(?![A-Za-z0-9])")
#: The moment at which a line of a log was written.
_STAMP = re.compile(r"^\W{0,2}\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}|\[\d{2}/\w{3}/\d{4}:\d{2}:\d{2}:\d{2}")
_HEXADECIMAL = re.compile(
    r"\b[0-9a-f]{32,128}\b|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE
)
_LETTERS = str.maketrans({"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"})
_UTF16_LITTLE = re.compile(rb"(?:[\x20-\x7e\xa0-\xff]\x00){4,}")
_UTF16_BIG = re.compile(rb"(?:\x00[\x20-\x7e\xa0-\xff]){4,}")
_PRINTABLE = re.compile(rb"[\x20-\x7e\x80-\xff]{4,}")
_LATIN = "qcbench-latin1"
codecs.register_error(_LATIN, lambda error: (error.object[error.start : error.end].decode("latin-1"), error.end))


def kinds(text: str, manner: str = VALUE) -> dict[str, str]:
    """Return the kinds of personal data that a text seems to hold, with how likely each is.

    >>> kinds("MARTIN^Zoé vue le 12/03/1945, 06 12 34 56 78"), kinds("T1 MPRAGE SAG 2.5 mm"), kinds("Brain^Routine")
    ({'date': 'likely', 'phone': 'likely', 'name': 'likely'}, {}, {})
    """
    if len(text) >= 32:
        text = _HEXADECIMAL.sub("#", text)
    text = _PSEUDONYM.sub("#", text)
    if manner in (LOG, PROSE):
        text = _ZONED.sub("#", _STAMP.sub("#", text))
    found = {}
    if any(character.isdigit() for character in text):
        found |= _numbers(text, manner)
    if "@" in text and _EMAIL.search(text):
        found[EMAIL] = LIKELY
    if _names(text, manner):
        found[NAME] = LIKELY if manner != PATH else POSSIBLE
    return found


def is_stand_in(text: str) -> bool:
    """Return whether a value names nobody: empty, or what de-identified files have in a name's place.

    >>> is_stand_in("ANONYMOUS^"), is_stand_in("sub-01"), is_stand_in("DUPONT^M")
    (True, True, False)
    """
    bare = text.replace("^", " ").replace("\0", " ").strip().lower()
    return not bare or bare in STAND_INS or bool(re.fullmatch(r"sub-[a-z]{0,8}\d+", bare))


def fold(text: str) -> str:
    """Return a text without case and accents.

    >>> fold("HÉLÈNE Cœur")
    'helene coeur'
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(character for character in plain if not unicodedata.combining(character)).casefold()


def dates(text: str) -> Iterator[date]:
    """Yield the days of the years 1900 to 2099 that a text names, in the writings of French and English.

    >>> [str(day) for day in dates("born 19450312 or 12.03.1945 or 12 mars 1945; 20251399")]
    ['1945-03-12', '1945-03-12', '1945-03-12']
    """
    for match in _DATES.finditer(text):
        yield from _days(match.groupdict())


def is_traceable_uid(text: str) -> bool:
    """Return whether a text is a UID that leads to a scanner: a maker's root, or anybody's but those known as made up.

    >>> is_traceable_uid("1.3.12.2.1107.5.2.19.45231.2015031210"), is_traceable_uid("1.2.840.10008.1.2.1")
    (True, False)
    """
    return bool(_UID.fullmatch(text)) and len(text) >= 16 and not text.startswith(_HARMLESS_ROOTS)


def decoded(content: bytes) -> str:
    """Return bytes as text: UTF-16 with its mark, else UTF-8, and Latin-1 where they are no UTF-8."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", _LATIN)


def strings(content: bytes) -> Iterator[str]:
    """Yield the texts that stand in bytes of an unknown form, in UTF-8, Latin-1 or UTF-16."""
    for match in _PRINTABLE.finditer(content):
        yield decoded(match[0])
    if b"\0" in content:
        for runs, codec in ((_UTF16_LITTLE, "utf-16-le"), (_UTF16_BIG, "utf-16-be")):
            for match in runs.finditer(content):
                yield match[0].decode(codec)


def _numbers(text: str, manner: str) -> dict[str, str]:
    found = {}
    # Tables have millions of short texts: each form is looked for where it has digits enough.
    n_digits = sum(character.isdigit() for character in text)
    if n_digits >= 5 and any(True for _ in dates(text)):
        found[DATE] = LIKELY
    if text.count(".") >= 5 and any(is_traceable_uid(match[0]) for match in _UID.finditer(text)):
        found[UID] = LIKELY
    is_nir = n_digits >= 14 and any(_is_nir(*match.groups()) for match in _NIR.finditer(text))
    if is_nir or (n_digits >= 4 and _LABELLED_ID.search(text)):
        found[ID] = LIKELY
    elif n_digits >= 6 and (
        _has_long_number(text) if manner == PATH else manner == VALUE and _BARE_ID.fullmatch(text.strip())
    ):
        found[ID] = POSSIBLE
    if n_digits >= 7 and _PHONE.search(text):
        found[PHONE] = LIKELY
    if " " in text and _ADDRESS.search(text):
        found[ADDRESS] = LIKELY
    return found


def _is_nir(sex: str, year: str, month: str, department: str, commune: str, order: str, key: str) -> bool:
    # The two departments of Corsica count as 19 and 18.
    department = {"2a": "19", "2b": "18"}.get(department.lower(), department)
    number = int(sex + year + month + department + commune + order)
    return (1 <= int(month) <= 12 or int(month) >= 20) and int(key) == 97 - number % 97


def _has_long_number(name: str) -> bool:
    # A pseudonym is a number by design, and so may a session be; UIDs are looked at by their root.
    bare = re.sub(r"(?<![A-Za-z])(?:sub|ses)-[A-Za-z]*\d+", "#", _UID.sub("#", name))
    return any(len(number.lstrip("0")) >= 6 for number in re.findall(r"\d+", bare))


def _days(parts: dict[str, str | None]) -> Iterator[date]:
    if parts["ydt"]:
        triples = [(parts["ydt"][:4], parts["ydt"][4:6], parts["ydt"][6:])]
    elif parts["y"]:
        triples = [(parts["y"], parts["m"], parts["d"])]
    elif parts["y3"]:
        century = "20" if int(parts["y3"]) <= date.today().year % 100 else "19"
        triples = [(century + parts["y3"], parts["m3"], parts["d3"])]
    elif parts["w4"] or parts["w5"]:
        number = "4" if parts["w4"] else "5"
        month = MONTHS.get(fold(parts[f"w{number}"]))
        triples = [(parts[f"y{number}"], str(month), parts[f"d{number}"])] if month else []
    else:
        number = "1" if parts["y1"] else "2"
        year, month, day = (parts[f"{unit}{number}"] for unit in "ymd")
        triples = [(year, month, day), (year, day, month)]  # the second as Americans write it
    for year, month, day in triples:
        try:
            yield date(int(year), int(month), int(day))
        except ValueError:
            continue
        return


def _names(text: str, manner: str) -> bool:
    if manner == PATH:
        bare = re.sub(r"(?<![A-Za-z])(?:rater|reviewer)=[a-z0-9_-]+", "#", text)
        return any(fold(part) in GIVEN_NAMES and len(part) > 3 for part in _PARTS.findall(bare)) or "^" in bare
    for pattern in (_CARET, _COMMA):
        for match in pattern.finditer(text):
            if not any(_is_ordinary(word) for word in match.groups()):
                return True
    if any(not _is_ordinary(match[1]) for match in _TITLED.finditer(text)):
        return True
    return manner != PROSE and _has_given_name(text)


def _has_given_name(text: str) -> bool:
    words = _WORDS.findall(text)
    for place, word in enumerate(words):
        if fold(word) in GIVEN_NAMES and word[0].isupper():
            beside = words[max(place - 1, 0) : place] + words[place + 1 : place + 2]
            if any(other[0].isupper() and not _is_ordinary(other) for other in beside):
                return True
    return False


def _is_ordinary(word: str) -> bool:
    return fold(word) in OTHER_WORDS or fold(word) in STAND_INS
