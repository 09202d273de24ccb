"""The base of every widget here: plain ES modules, custom messages, limits, theme.

Only what may be seen by anybody and changed by nobody is a synced trait: a browser can overwrite
even a read-only one. Pictures travel as buffers of custom messages, because the values of traits
end up in saved notebooks.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import anywidget
import traitlets

_STATIC = Path(__file__).parent / "static"
_LOG = logging.getLogger(__name__)

#: The longest label message has a comment of 2,000 characters; this leaves room for others.
MESSAGE_LIMIT = 64_000
#: A person at full speed makes about four messages an image; resending makes a few a second.
MESSAGES_A_SECOND, BURST = 50.0, 200.0
#: A page that goes on sending nonsense shall not fill the disk with what is said about it.
REFUSALS_LOGGED = 100


def static_text(*names: str) -> str:
    """Return static files joined into one module or style sheet, in the given order.

    Text and no path, since anywidget watches a path and keeps each instance alive for it.
    """
    return "\n".join((_STATIC / name).read_text(encoding="utf-8") for name in names)


class MessageLimit:
    """Says which messages are let through: none too large, and not too many a second.

    What is turned away is not answered, so the page sends it again or says NOT SAVED.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._credit = BURST
        self._seen_at = clock()

    def allows(self, content: object, buffers: Iterable[object] = ()) -> bool:
        """Return whether a message may be acted on; browsers never send buffers here."""
        now = self._clock()
        self._credit = min(self._credit + (now - self._seen_at) * MESSAGES_A_SECOND, BURST)
        self._seen_at = now
        if self._credit < 1:
            return False
        self._credit -= 1
        return not buffers and len(json.dumps(content, default=str)) <= MESSAGE_LIMIT


class Transport(anywidget.AnyWidget):
    """A widget that talks to its page in custom messages; subclasses implement `receive`.

    `theme` is ``dark`` or ``light``. Under voila the widget fills the page and takes the keys.
    """

    theme = traitlets.Enum(["dark", "light"], default_value="dark").tag(sync=True)
    fills_page = traitlets.Bool(False).tag(sync=True)

    def __init__(self, **traits: object) -> None:
        served_by = os.environ.get("SERVER_SOFTWARE", "")
        super().__init__(**{"fills_page": served_by.startswith("voila"), **traits})
        self._limit = MessageLimit()
        self._turned_away = 0
        self._refused = 0
        self.on_msg(self._on_message)

    def receive(self, message: object) -> Iterable[tuple[dict, bytes | None]]:
        """Return the answers to one message: JSON content and, or None, a buffer."""
        raise NotImplementedError

    def set_state(self, sync_data: dict) -> None:
        """Ignore what the browser wants to make of the traits: the code and style are among them."""
        _LOG.debug("ignored a change of %s by the browser", ", ".join(map(str, sync_data)))

    def _on_message(self, widget: object, content: object, buffers: list) -> None:
        if not self._limit.allows(content, buffers):
            self._turned_away += 1
            if self._turned_away == 1:
                _LOG.warning("messages from the browser are too large or too many; they are not acted on")
            return
        for answer, buffer in self.receive(content):
            if answer.get("kind") == "refused":
                self._note_refusal(str(answer.get("why")))
            self.send(answer, buffers=None if buffer is None else [buffer])

    def _note_refusal(self, why: str) -> None:
        """A page of ours sends nothing that is refused; whoever looks into the log should know of another."""
        self._refused += 1
        if self._refused <= REFUSALS_LOGGED:
            _LOG.warning("a message from the browser is refused: %s", why)
