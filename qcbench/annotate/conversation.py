"""What every page about screenshots and its kernel say to each other: a walk of pictures, and exemplars.

The browser is not trusted: whatever a message claims is checked here, and neither identity nor image
ids nor paths travel in either direction. An image has a key that cannot be guessed, comes with the
picture alone, and is the same for every session of a rater: what could not be saved is sent again
to the next kernel, and still belongs to the picture that was on the screen.

    from the browser                                      to the browser
    goto     position, missing                            image (with the PNG as buffer), one each
    painted  key
    exemplars criterion                                   exemplar (with its picture as buffer), one a choice
    volume   key                                          volume: how many slices there are, and where
    slices   key, plane, numbers                          slice (with the PNG as buffer), one each
    ping                                                  pong

Anything that cannot be acted on is answered with ``refused``.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import NamedTuple

from qcbench.annotate.messages import Refused
from qcbench.annotate.queue import QueuedImage
from qcbench.annotate.volumes import Volumes
from qcbench.errors import ImageError, ProtocolError, QcbenchError, StudyError
from qcbench.protocol import Protocol

#: How far around the image on the screen pictures are sent ahead.
AHEAD, BEHIND = 3, 2


class Outgoing(NamedTuple):
    """One message to the browser: plain JSON values, and the file of a picture."""

    content: dict
    buffer: bytes | None = None


class Conversation:
    """A page's other half. `receive` takes one message and returns the answers to it.

    `person` is who sits there; `read_screenshot` returns the PNG bytes of an image, or raises
    ImageError or StudyError. `volumes` are opened on demand; without them only pictures are shown.
    Subclasses add kinds of messages to `kinds` and say in `about` what goes with a picture.
    """

    def __init__(
        self,
        pictures: Iterable[QueuedImage],
        protocol: Protocol,
        read_screenshot: Callable[[QueuedImage], bytes],
        *,
        person: str,
        salt: str,
        volumes: Volumes | None = None,
    ) -> None:
        self.protocol = protocol
        self._volumes = volumes
        self.desk = _opaque(salt, "desk", person)
        self.pictures = {_opaque(salt, person, *image.slot, image.screenshot_sha256): image for image in pictures}
        self.walk: list[str] = []
        self.painted: set[str] = set()
        self._read_screenshot = read_screenshot
        self.kinds: dict[str, Callable[[dict], list[Outgoing]]] = {
            "goto": self._goto,
            "painted": self._paint,
            "exemplars": self._exemplars,
            "volume": self._volume,
            "slices": self._slices,
            "ping": lambda message: [Outgoing({"kind": "pong"})],
        }

    def about(self, image: QueuedImage) -> dict:
        """Return what is sent along with a picture."""
        raise NotImplementedError

    def receive(self, message: object) -> list[Outgoing]:
        """Return the answers to one message from the browser. Never raises for a bad message."""
        kind = message.get("kind") if isinstance(message, dict) else None
        answer = self.kinds.get(kind) if isinstance(kind, str) else None
        if answer is None:
            return [_refused("the message is of no known kind")]
        try:
            return answer(message)
        except Refused as refusal:
            return [_refused(str(refusal))]
        except (QcbenchError, OSError):
            # The reason may name files, and file names hold participant ids.
            return [_refused("the study cannot be read any more; tell the coordinator")]

    def known(self, key: object) -> str:
        """Return the key if it is that of a picture of this walk; refuse it otherwise."""
        if not isinstance(key, str) or key not in self.pictures:
            raise Refused("the picture is none that was sent")
        return key

    def _goto(self, message: dict) -> list[Outgoing]:
        self._position(message.get("position"))
        missing = message.get("missing")
        if not isinstance(missing, list) or len(missing) > AHEAD + BEHIND + 1:
            raise Refused(f"goto names at most {AHEAD + BEHIND + 1} missing positions")
        wanted = [self._position(place) for place in missing]
        return [self._picture(place) for place in wanted if place < len(self.walk)]

    def _position(self, value: object) -> int:
        if type(value) is not int or not 0 <= value <= len(self.walk):
            raise Refused(f"a position is a whole number from 0 to {len(self.walk)}")
        return value

    def _picture(self, position: int) -> Outgoing:
        key = self.walk[position]
        image = self.pictures[key]
        has_volume = self._volumes is not None and self._volumes.may_open(image)
        seen = {"convention": image.convention, "has_volume": has_volume}
        content = {"kind": "image", "position": position, "key": key, **seen, **self.about(image)}
        try:
            png = self._read_screenshot(image)
            if hashlib.sha256(png).hexdigest() != image.screenshot_sha256:
                raise ImageError("CHANGED", f"{image.screenshot_path} is not the picture that preprocess drew")
        except (ImageError, StudyError):
            return Outgoing({**content, "error": "the picture is missing or damaged; tell the coordinator"})
        return Outgoing(content, png)

    def _paint(self, message: dict) -> list[Outgoing]:
        """Note that a picture was on the screen; its key is the proof that it was sent."""
        self.painted.add(self.known(message.get("key")))
        return []

    def _volume(self, message: dict) -> list[Outgoing]:
        key = self.known(message.get("key"))
        volumes = self._opened(self.pictures[key])
        try:
            about = volumes.describe(self.pictures[key])
        except Refused as refusal:
            about = {"error": str(refusal)}
        return [Outgoing({"kind": "volume", "key": key, **about})]

    def _opened(self, image: QueuedImage) -> Volumes:
        if self._volumes is None or not self._volumes.may_open(image):
            raise Refused("this image is labelled from the picture alone")
        return self._volumes

    def _slices(self, message: dict) -> list[Outgoing]:
        key = self.known(message.get("key"))
        image = self.pictures[key]
        volumes = self._opened(image)
        plane, numbers = volumes.check(image, message.get("plane"), message.get("numbers"))
        return [
            Outgoing(
                {"kind": "slice", "key": key, "plane": plane, "number": number},
                volumes.png(image, plane, number),
            )
            for number in numbers
        ]

    def _exemplars(self, message: dict) -> list[Outgoing]:
        """Send the pictures that show the choices of one criterion; none where the protocol has none."""
        criterion = next((each for each in self.protocol.criteria if each.name == message.get("criterion")), None)
        if criterion is None:
            raise Refused("exemplars are asked for by the name of a criterion")
        sent = []
        for choice in criterion.choices:
            try:
                picture = self.protocol.read_exemplar(criterion.name, choice.value)
            except ProtocolError:
                continue  # it was there when the protocol was read; work goes on without it
            if picture is not None:
                content = {"kind": "exemplar", "criterion": criterion.name, "value": choice.value}
                sent.append(Outgoing(content, picture))
        return sent


def nack(event_id: str, why: str, *, retry: bool) -> Outgoing:
    """Return the answer to an event that was not written; without `retry` it can never be accepted as it is."""
    return Outgoing({"kind": "nack", "event_id": event_id, "why": why, "retry": retry})


def disk_refused(error: OSError, what: str = "it") -> str:
    """Return an error of the disk in words that name no file."""
    return f"the disk refused {what} ({error.strerror or 'input/output error'})"


def _refused(why: str) -> Outgoing:
    return Outgoing({"kind": "refused", "why": why})


def _opaque(salt: str, *texts: str) -> str:
    """Return what stands for the texts in a browser: the same each time, and nothing can be read from it."""
    return hmac.new(salt.encode(), "\n".join(texts).encode(), hashlib.sha256).hexdigest()[:32]
