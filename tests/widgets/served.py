"""A page of a rater without a browser: what it asks of a voila, and the websocket to its kernel."""

import json
import re
import socket
import struct
import time
import uuid
from itertools import pairwise

import websocket

from qcbench.widgets import gate, proxied

_KERNEL_ID = re.compile(r'kernelId": "([-0-9a-f]{36})"')
_MODEL_ID = re.compile(r'"model_id": ?"([0-9a-f]{32})"')


def shown(secret, rater):
    """Return the headers that the proxy adds for a rater who logged in."""
    return {gate.SECRET_HEADER: secret, gate.RATER_HEADER: rater}


def ask(address, path="/", headers=None, *, method="GET", body=None):
    """Return status and text of an answer; no redirection is followed."""
    connection = proxied.connection(address, timeout_s=60)
    try:
        connection.request(method, path, headers=dict(headers or {}), body=body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def channels(address, kernel_id, headers=None, *, query="", origin=None, subprotocols=(gate.KERNEL_PROTOCOL,)):
    """Return a websocket to a kernel; raises WebSocketBadStatusException when it is refused."""
    if address.startswith("unix:"):
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(address.removeprefix("unix:"))
    else:
        host, port = address.removeprefix("http://").split(":")
        connected = socket.create_connection((host, int(port)))
    connected.settimeout(30)
    path = f"/api/kernels/{kernel_id}/channels?session_id={uuid.uuid4()}{query}"
    try:
        return websocket.create_connection(
            f"ws://localhost{path}",
            socket=connected,
            header=dict(headers or {}),
            subprotocols=subprotocols,
            suppress_origin=origin is None,
            origin=origin,
            timeout=30,
        )
    except BaseException:
        connected.close()
        raise


class ServedKernel:
    """The kernel behind a page of voila, for a `RaterPage` of tests/faults: `show` loads the page."""

    def __init__(self, address, headers, *, path="/"):
        self._address, self._headers, self._path = address, headers, path
        self._socket = None
        self.is_alive = True

    def show(self, study=None, rater=None):
        """Load the page and connect to its kernel; return the id of the widget's channel."""
        status, page = ask(self._address, self._path, self._headers)
        assert status == 200, page
        [self.kernel_id] = set(_KERNEL_ID.findall(page))
        [comm_id] = set(_MODEL_ID.findall(page))
        self._socket = channels(self._address, self.kernel_id, self._headers)
        return comm_id

    def post(self, comm_id, data, buffers=None):
        """Send a message on a widget's channel, as any page can."""
        self.send("comm_msg", {"comm_id": comm_id, "data": data})

    def send(self, kind, content):
        """Send a message of any kind to the kernel."""
        header = {"msg_id": str(uuid.uuid4()), "msg_type": kind, "session": "page", "username": "", "version": "5.3"}
        parts = [b"shell", *(json.dumps(part).encode() for part in (header, {}, {}, content))]
        offsets = [8 * (len(parts) + 2)]
        for part in parts:
            offsets.append(offsets[-1] + len(part))
        self.send_raw(struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts))

    def send_raw(self, content):
        """Send bytes as they are."""
        self._socket.send_binary(content)

    def answer(self, *, timeout_s=60.0):
        """Return content and buffers of the next message of a widget; None when none comes in time."""
        until = time.monotonic() + timeout_s
        while (left_s := until - time.monotonic()) > 0:
            message = self.receive(timeout_s=left_s)
            if message is None:
                return None
            data = message["content"].get("data", {})
            if message["header"]["msg_type"] == "comm_msg" and data.get("method") == "custom":
                return data["content"], message["buffers"]
        return None

    def receive(self, *, timeout_s):
        """Return the next message of the kernel; None when none comes in time or the kernel is gone."""
        self._socket.settimeout(timeout_s)
        try:
            whole = self._socket.recv()
        except (websocket.WebSocketTimeoutException, TimeoutError):
            return None
        except (websocket.WebSocketException, OSError):
            whole = b""
        if not whole:
            self.is_alive = False
            return None
        [n] = struct.unpack_from("<Q", whole)
        offsets = struct.unpack_from(f"<{n}Q", whole, 8)
        parts = [whole[begin:end] for begin, end in pairwise(offsets)]
        return {"header": json.loads(parts[1]), "content": json.loads(parts[4]), "buffers": parts[5:]}

    def close(self):
        if self._socket:
            self._socket.close()
            self._socket.shutdown()  # the library leaves a socket open whose other end closed first
