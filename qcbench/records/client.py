"""Records and ratings sent to a records server from another machine: many at a time, and again until they are there.

Sending the same payload twice stores it once, so a client that is in doubt sends again; nothing is lost with a
warning. What the server refuses is told with its reasons and not sent again.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping

from qcbench.errors import UsageError

_BYTES_A_REQUEST = 900_000
_PAYLOADS_A_REQUEST = 1_000
_PATIENCE_S = 120.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 15.0
_TIMEOUT_S = 60.0
#: The server is away, or a proxy before it says so.
_COMES_BACK = (502, 503, 504)


class _NoDetour(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would hand the token to whoever is named there, and the payloads to nobody."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoDetour)


class Client:
    """A records server at an address, asked with one token."""

    def __init__(self, address: str, token: str, *, patience_s: float = _PATIENCE_S) -> None:
        if not address.startswith(("http://", "https://")):
            raise UsageError(f"a server's address begins with http:// or https://, got {address!r}")
        self._address, self._token, self._patience_s = address.rstrip("/"), token, patience_s

    def send_records(self, modality: str, payloads: Iterable[Mapping]) -> list[dict]:
        """Return the server's outcome of each record: `status` 201 new, 200 there already, 422 with `issues`."""
        return self._send(f"/api/v2/records/{modality}/bulk", payloads)

    def send_ratings(self, payloads: Iterable[Mapping]) -> list[dict]:
        """Return the server's outcome of each rating, as `send_records` does."""
        return self._send("/api/v2/ratings/bulk", payloads)

    def _send(self, path: str, payloads: Iterable[Mapping]) -> list[dict]:
        outcomes: list[dict] = []
        for body in _bodies(payloads):
            outcomes += self._ask(path, body)["items"]
        return outcomes

    def _ask(self, path: str, body: bytes) -> dict:
        """Return the answer. Raises UsageError when it is refused whole, or when nobody answers for too long."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        until, wait_s = time.monotonic() + self._patience_s, _FIRST_WAIT_S
        while True:
            request = urllib.request.Request(self._address + path, body, headers)  # noqa: S310 checked to be http
            try:
                with _OPENER.open(request, timeout=_TIMEOUT_S) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in _COMES_BACK:
                        raise UsageError(f"{self._address} refused: {error.code} {_message(error)}") from None
            except (OSError, ValueError):
                # Cut off in the middle: whether it was stored cannot be known, so it is sent again.
                pass
            if time.monotonic() + wait_s > until:
                raise UsageError(
                    f"{self._address} did not answer for {self._patience_s:g} s; run the same command again later: "
                    "what was stored already is not stored twice"
                )
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def _bodies(payloads: Iterable[Mapping]) -> Iterator[bytes]:
    """Yield JSON lists that are as long as a request may be."""
    pending: list[str] = []
    size = 0
    for payload in payloads:
        text = json.dumps(payload, allow_nan=False)
        if pending and (size + len(text) > _BYTES_A_REQUEST or len(pending) == _PAYLOADS_A_REQUEST):
            yield f"[{','.join(pending)}]".encode()
            pending, size = [], 0
        pending.append(text)
        size += len(text) + 1
    if pending:
        yield f"[{','.join(pending)}]".encode()


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return json.load(error)["_error"]["message"]
    except (ValueError, KeyError, TypeError):
        return error.reason
