"""Screenshots for the contact sheets of a report: which ones, and read small."""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from PIL import Image

from qcbench import images
from qcbench.errors import ImageError, QcbenchError
from qcbench.study import Study

#: The longer side of a picture on a contact sheet: what 60 mm show at 200 dots an inch.
LONGEST_PX = 480


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """One picture of a contact sheet: grey levels (rows, columns) as uint8, or None and an error."""

    image_id: str
    caption: str
    grey: np.ndarray | None
    error: str = ""


def read_picture(study: Study, row: dict, *, caption: str = "", longest_px: int = LONGEST_PX) -> Picture:
    """Return the screenshot of a preprocessed row, shrunk to `longest_px` if it is larger.

    A screenshot that is missing or damaged gives a picture with an error, not an exception.
    """
    image_id = row["image_id"]
    caption = caption or image_id
    try:
        grey = _read_grey(study, row["screenshot_path"], longest_px)
    except QcbenchError as error:
        return Picture(image_id=image_id, caption=caption, grey=None, error=str(error))
    return Picture(image_id=image_id, caption=caption, grey=grey)


def _read_grey(study: Study, relative: str | None, longest_px: int) -> np.ndarray:
    if relative is None or pd.isna(relative):
        raise ImageError("NOT_A_FILE", "there is no screenshot of this image")
    path = study.absolute(relative)
    content = images.read_png(path)
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            grey = picture.convert("L")
    except (OSError, SyntaxError, ValueError, zlib.error, Image.DecompressionBombError) as error:
        raise ImageError("TRUNCATED", f"{path.name} is damaged: {error}") from error
    grey.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    return np.asarray(grey)


def to_jpeg(picture: Picture) -> bytes:
    """Return a picture that could be read as a small JPEG for a page. Same picture, same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(picture.grey).save(buffer, format="JPEG", quality=78, optimize=True)
    return buffer.getvalue()


def choose_examples(candidates: pd.DataFrame, *, n: int) -> pd.DataFrame:
    """Return at most `n` rows, of as many participants as possible, the same ones each time.

    The order is that of a hash of the image id: arbitrary, so that examples are not picked to
    look good, and stable when other images join.
    """
    order = candidates["image_id"].map(lambda name: hashlib.sha256(name.encode()).hexdigest())
    shuffled = candidates.assign(order=order).sort_values("order", ignore_index=True)
    nth_of_participant = shuffled.groupby("participant_id", dropna=False).cumcount()
    chosen = shuffled.assign(nth=nth_of_participant).sort_values(["nth", "order"], ignore_index=True).head(n)
    return chosen.drop(columns=["order", "nth"])
