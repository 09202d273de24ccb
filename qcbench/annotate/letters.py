"""Labels of the Quality_Control_Interface, the notebook of Bottani et al. 2021: one letter code an image.

Its files read ``number | image | code | label`` and hold no rater, no time and no protocol: ``r`` is
a straight reject, ``k`` gadolinium, ``a`` or ``aa`` motion 1 or 2, ``z`` contrast, ``d`` noise, in
any order. Known faults of the files are reported and not believed (`believed`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

_HEAD = ["0", "img_id", "code", "label"]
_GRADED = {"a": "motion", "z": "contrast", "d": "noise"}


@dataclass(frozen=True, kw_only=True)
class Noted:
    """One line of a file: which image, and its letters."""

    line: int
    image_id: str
    code: str


def is_letter_file(text: str) -> bool:
    """Return whether a text begins as such a file does."""
    return _cells(text.partition("\n")[0]) == _HEAD


def answers(code: str) -> dict[str, bool | int]:
    """Return the five answers of a code. Raises ValueError for letters that mean nothing together.

    >>> answers("zka")
    {'straight_reject': False, 'gadolinium': True, 'motion': 1, 'contrast': 1, 'noise': 0}
    >>> answers("r")
    {'straight_reject': True}
    """
    counts = Counter(code)
    unknown = sorted(set(counts) - {"r", "k", *_GRADED})
    if unknown:
        raise ValueError(f"the code {code!r} has letters that mean nothing: {' '.join(unknown)} (typed by mistake?)")
    if any(counts[letter] > 2 for letter in _GRADED) or counts["k"] > 1 or counts["r"] > 1:
        raise ValueError(f"the code {code!r} repeats a letter too often")
    if counts["r"]:
        if len(counts) > 1:
            raise ValueError(f"the code {code!r} rejects the image and grades it")
        return {"straight_reject": True}
    grades = {name: counts[letter] for letter, name in _GRADED.items()}
    return {"straight_reject": False, "gadolinium": counts["k"] == 1, **grades}


def believed(text: str) -> tuple[list[Noted], dict[str, str], int]:
    """Return the lines of a file to be believed, why others are not, and how many codes are empty.

    An empty code means that all is well, or that somebody hit the space bar once too often: it is
    believed where it is all there is of an image, and counted. Behind another line of the same
    image it is what the notebook writes by itself when it is started again.
    """
    kept: dict[str, list[Noted]] = {}
    doubted: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        cells = _cells(line)
        if not line.strip() or cells == _HEAD:
            continue
        if len(cells) < 3 or not cells[1]:
            doubted[f"line {number}"] = f"expected number | image | code | label, got {line[:80]!r}"
            continue
        noted = Noted(line=number, image_id=_image_id(cells[1]), code=cells[2])
        earlier = kept.setdefault(noted.image_id, [])
        if earlier and noted.code == "":
            doubted[f"line {number}"] = (
                f"{noted.image_id} was noted before (line {earlier[-1].line}); an empty code after that is what "
                "the notebook writes when it is started again"
            )
        elif earlier and noted.code == earlier[-1].code:
            doubted[f"line {number}"] = f"the same as line {earlier[-1].line}"
        else:
            earlier.append(noted)
    lines = sorted((noted for versions in kept.values() for noted in versions), key=lambda noted: noted.line)
    return lines, doubted, sum(noted.code == "" for noted in lines)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")]


def _image_id(name: str) -> str:
    """Return the BIDS stem in a picture's name; the notebook's own pictures carry the template's name too."""
    stem = PurePosixPath(name.replace("\\", "/")).name
    for ending in (".png", ".nii.gz", ".nii"):
        stem = stem.removesuffix(ending)
    first, found, _ = stem.partition("_T1w")
    return first + found
