"""A rating judged: from MRIQC's report widget, from its downloads, or in our own form, it becomes one row."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

import orjson

from qcbench.records.checks import Flag, as_text
from qcbench.records.identity import without_email
from qcbench.records.payloads import (
    ARTIFACTS,
    CLASSES,
    OTHER_WORDS,
    UNSPECIFIED,
    RatingV1,
    RatingV2,
    RefusedError,
    validated,
)

#: Names that older versions of the widget gave to two artifacts.
_RENAMED = {"ghosts-other": "ghost-other", "postprocessing": "processing"}
#: Where MRIQC's scale parts: below the number, or at most the last.
_BORDERS = (1.5, 2.5)
_ACCEPTABLE_UP_TO = 3.5


@dataclass(slots=True)
class Rated:
    """A rating that can be stored: its row, its flags."""

    row: dict
    flags: list[Flag] = field(default_factory=list)


def class_of(score: float) -> str:
    """Return the class that a score lies in.

    >>> [class_of(score) for score in (1.45, 1.5, 2.5, 3.5, 3.55)]
    ['exclude', 'poor', 'acceptable', 'acceptable', 'excellent']
    """
    below = sum(score >= border for border in _BORDERS)
    return CLASSES[3 if score > _ACCEPTABLE_UP_TO else below]


def check_v1(payload: object, *, rater: str) -> Rated:
    """Return a rating that MRIQC's widget posted. Raises RefusedError.

    The widget of MRIQC since 23.1 names no image: such ratings are unlinked, and each of them is a row of its own,
    since two of them can be alike and still be of two images.
    """
    given = validated(RatingV1, payload)
    if given.rater_id and without_email(given.rater_id) != given.rater_id:
        # All would be one rater without it.
        raise RefusedError({"rater_id": "an e-mail address is not kept; send another name for this rater"})
    named, told = _artifacts(given)
    file_md5 = None if given.md5sum in (UNSPECIFIED, "") else given.md5sum.lower()
    confidence = float(given.confidence) if given.confidence is not None else None
    rated = _rated(
        given.rating,
        rater=given.rater_id or rater,
        artifacts=named,
        confidence=confidence,
        seconds=given.time_sec,
        comment=told,
        file_md5=file_md5,
        image_name=given.subject or given.name or None,
        supersedes=None,
    )
    return _sealed(rated, key=None if file_md5 else secrets.token_hex(16))


def check_v2(payload: object, *, rater: str) -> Rated:
    """Return a rating in our own form. Raises RefusedError. The same payload twice is one rating."""
    given = validated(RatingV2, payload)
    if given.md5sum is None and not given.unlinked:
        raise RefusedError({"md5sum": "give the MD5 of the image file, or say so: unlinked true"})
    rated = _rated(
        given.rating,
        rater=given.rater or rater,
        artifacts=sorted(set(given.artifacts)),
        confidence=given.confidence,
        seconds=given.seconds,
        comment=given.comment,
        file_md5=given.md5sum and given.md5sum.lower(),
        image_name=given.image_name,
        supersedes=given.supersedes,
    )
    return _sealed(rated, key=given.key)


def said_again(rated: Rated, *, after: str) -> Rated:
    """Return a rating as one of its own: what was said before the rating `after` was said, and is said again."""
    row = {name: value for name, value in rated.row.items() if name not in ("payload", "rating_id")}
    return _sealed(Rated(row=row, flags=rated.flags), key=after)


def say_the_same(*payloads: str) -> bool:
    """Return whether payloads of ratings differ in their key at most."""
    said = [orjson.loads(payload) | {"key": None} for payload in payloads]
    return all(each == said[0] for each in said)


def _artifacts(given: RatingV1) -> tuple[list[str], str | None]:
    """Return the artifacts and the comment: the widget posts the first, as JSON, in the place of the second."""
    names, told = list(given.artifacts or ()), given.comments or given.comment
    if told and told.startswith("["):
        try:
            found = orjson.loads(told)
        except orjson.JSONDecodeError:
            found = None
        if isinstance(found, list) and len(found) <= 32 and all(isinstance(each, str) for each in found):
            names, told = names + found, None
    return sorted({_RENAMED.get(name, name) for name in names}), told or None


def _rated(given: object, *, artifacts: list[str], **row: object) -> Rated:
    flags = []
    score = float(given) if not isinstance(given, str) or given[0].isdigit() else None
    word = class_of(score) if score is not None else given
    if word in OTHER_WORDS:
        flags.append(Flag("not-a-class", "rating", given, OTHER_WORDS[given]))
        word = None
    if unknown := [name for name in artifacts if name not in ARTIFACTS]:
        flags.append(Flag("unknown-artifact", "artifacts", as_text(", ".join(unknown)[:256])))
    if row["file_md5"] is None:
        flags.append(Flag("unlinked", "md5sum"))
    known = [name for name in ARTIFACTS if name in artifacts]
    row |= {
        "given": given if isinstance(given, str) else f"{given:.15g}",
        "score": score,
        "class": word,
        "artifacts": orjson.dumps(known).decode(),
        "n_flags": len(flags),
    }
    for name in ("comment", "rater", "image_name"):
        row[name] = without_email(as_text(row[name])) if row[name] else None
    return Rated(row=row, flags=flags)


def _sealed(rated: Rated, *, key: str | None) -> Rated:
    """Add the payload and the id; `key` tells apart what is otherwise the same."""
    text = orjson.dumps({**rated.row, "key": key}, option=orjson.OPT_SORT_KEYS)
    rated.row["payload"] = text.decode()
    rated.row["rating_id"] = hashlib.sha256(text).hexdigest()[:24]
    return rated
