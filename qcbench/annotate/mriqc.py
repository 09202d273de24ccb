"""Ratings as MRIQC's report widget and Q'Kay write them: read, and written byte for byte like MRIQC's.

The widget downloads one JSON file a rating, its slider values as texts, and nothing in it says which
file was rated. So each file that is written here has a twin with typed values, the MD5 of the image,
and who rated it when.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from qcbench.errors import UsageError

#: MRIQC posts ratings without their confidence, and its older widgets did not ask for it.
MAY_LACK = ("confidence",)
#: Names that older versions of the widget gave to two artifacts.
_RENAMED = {"ghosts-other": "ghost-other", "postprocessing": "processing"}


def read(file: Path, rater: str | None) -> tuple[list[tuple[int, dict]], dict[str, str]]:
    """Return the ratings of a JSON file as lines under our column names, and why others are not.

    The file holds one rating (MRIQC's download) or a list of them (Q'Kay's database). `rater` is
    whose they are where a rating does not say. Raises UsageError when the file is no JSON of ratings.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read as JSON: {error}") from error
    ratings = content if isinstance(content, list) else [content]
    lines, failed = [], {}
    for number, rating in enumerate(ratings, start=1):
        try:
            lines.append((number, _line(rating, rater)))
        except ValueError as error:
            failed[f"line {number}"] = str(error)
    return lines, failed


def _line(rating: object, rater: str | None) -> dict:
    if not isinstance(rating, dict) or "rating" not in rating:
        raise ValueError("it is no rating of MRIQC or Q'Kay: there is no entry 'rating'")
    subject = rating.get("subject") or rating.get("name")
    if not subject:
        raise ValueError(
            "it names no image (MRIQC since 23.1 posts ratings without one); take the file that the widget downloads"
        )
    return {
        "rater": rating.get("rater_id") or rater,
        "image_id": _stem(str(subject)),
        "rating": _text(rating["rating"]),
        "artifacts": json.dumps([_RENAMED.get(name, name) for name in _artifacts(rating.get("artifacts"))]),
        "confidence": _text(rating.get("confidence")),
        "comment": _text(rating.get("comments") or rating.get("comment")),
        "seconds": _text(rating.get("time_sec")),
    }


def _artifacts(noted: object) -> list[str]:
    """Return the artifacts of a rating; Q'Kay's database has them as JSON within the JSON, or null."""
    try:
        names = json.loads(noted or "[]") if isinstance(noted, str) else noted or []
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"artifacts must be a list of names, got {noted!r}")
    return names


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _stem(name: str) -> str:
    for ending in (".nii.gz", ".nii", ".html", ".json"):
        name = name.removesuffix(ending)
    return name


def file_name(label: Mapping, dataset: str) -> str:
    """Return the name that MRIQC's widget gives the file, without its ending."""
    return f"{dataset}_{label['image_id']}"


def download(label: Mapping, answers: Mapping, dataset: str) -> str:
    """Return a rating byte for byte as the widget downloads it: keys in its order, slider values as texts.

    >>> download({"image_id": "sub-01_T1w", "seconds": 20.0, "comment": None}, {"rating": 3.0, "artifacts": ["inu"],
    ...          "confidence": 3.6}, "ds")[:71]
    '{"dataset":"ds","subject":"sub-01_T1w.nii.gz","rating":"3","artifacts":'
    """
    rating = {
        "dataset": dataset,
        "subject": f"{label['image_id']}.nii.gz",
        "rating": _script_number(answers["rating"]),
        "artifacts": list(answers["artifacts"] or []),
        "time_sec": None if label["seconds"] is None else _whole_if_whole(round(label["seconds"], 3)),
        "confidence": _script_number(answers["confidence"]),
        "comments": label["comment"] or "",
    }
    return json.dumps(rating, separators=(",", ":"), ensure_ascii=False)


def twin(label: Mapping, answers: Mapping, dataset: str, file_md5: str | None, band: str | None) -> str:
    """Return the same rating with numbers as numbers, the MD5 of the image file, and who rated it when."""
    rating = {
        "dataset": dataset,
        "image_id": label["image_id"],
        "md5sum": file_md5,
        "rater": label["rater"],
        "rating": answers["rating"],
        "class": band,
        "artifacts": list(answers["artifacts"] or []),
        "confidence": answers["confidence"],
        "comment": label["comment"],
        "seconds": label["seconds"],
        "saved_at": label["saved_at"].isoformat(timespec="milliseconds"),
        "screenshot_sha256": label["screenshot_sha256"],
        "protocol": label["protocol"],
        "protocol_version": label["protocol_version"],
        "protocol_sha256": label["protocol_sha256"],
        "qcbench": label["version"],
    }
    return json.dumps(rating, indent=2, ensure_ascii=False) + "\n"


def _script_number(value: float | None) -> str | None:
    """Return a number as JavaScript writes it: 3, not 3.0."""
    return None if value is None else str(_whole_if_whole(value))


def _whole_if_whole(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value
