"""What the browser's label message may hold: types checked, texts and numbers bounded.

Pure. A measurement that makes no sense is dropped, for it is no reason to lose a label; anything
else that is wrong refuses the message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

COMMENT_LIMIT, REASON_LIMIT = 2000, 200
_A_DAY_S = 86_400.0
_MOST_PIXELS = 100_000.0
_DISPLAY = ("css_width", "css_height", "natural_width", "natural_height", "device_pixel_ratio", "idle_s")
#: Ways of seeing that were used: for how long each, and the window and zoom at the commit.
_DISPLAY += ("window_s", "zoom_s", "stretch_s", "loupe_s", "volume_s", "window_low", "window_high", "zoom")
_EVENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Refused(Exception):  # noqa: N818 - an answer to the browser, not an error of ours
    """A message cannot be acted on; the text says why, in words for the rater."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A label as the browser sent it. `replaces` is the event id of the label that it showed."""

    event_id: str
    key: str
    replaces: str | None
    answers: dict[str, Any]
    comment: str | None
    reason: str | None
    seconds: float | None
    display: dict[str, float]


def read_event_id(message: dict[str, Any]) -> str:
    """Return the event id that the browser minted for a label; it must look like a UUID."""
    event_id = message.get("event_id")
    if not isinstance(event_id, str) or not _EVENT_ID.fullmatch(event_id):
        raise Refused("a label needs an event id of its own")
    return event_id


def read_label(message: dict[str, Any]) -> Submission:
    """Return the label of a message; whether its answers fit the protocol is not asked here."""
    key, replaces, answers = message.get("key"), message.get("replaces"), message.get("answers")
    if not isinstance(key, str):
        raise Refused("a label carries the key of its image")
    if replaces is not None and not isinstance(replaces, str):
        raise Refused("`replaces` is the event id of the label that was on the screen")
    if not isinstance(answers, dict):
        raise Refused("a label carries its answers")
    return Submission(
        event_id=read_event_id(message),
        key=key,
        replaces=replaces,
        answers=answers,
        comment=read_text(message, "comment", COMMENT_LIMIT),
        reason=read_text(message, "reason", REASON_LIMIT),
        seconds=_number(message.get("seconds"), highest=_A_DAY_S),
        display=_display(message.get("display")),
    )


def read_text(message: dict[str, Any], name: str, limit: int) -> str | None:
    """Return a text of a message, stripped; None where there is none. Refuses one that is none or too long."""
    value = message.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > limit:
        raise Refused(f"the {name} is a text of at most {limit} characters")
    # A lone surrogate is legal in JSON but is no character.
    return value.encode("utf-8", "replace").decode().strip()


def _number(value: object, *, highest: float) -> float | None:
    # The comparison also turns away NaN and integers that no float can hold.
    if type(value) not in (int, float) or not 0 <= value <= highest:
        return None
    return float(value)


def _display(value: object) -> dict[str, float]:
    if not isinstance(value, dict):
        return {}
    sizes = {name: _number(value.get(name), highest=_MOST_PIXELS) for name in _DISPLAY}
    return {name: size for name, size in sizes.items() if size is not None}
