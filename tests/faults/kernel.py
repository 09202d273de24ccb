"""A real Jupyter kernel that shows the labeller, and a page that speaks its messages without a browser."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from ast import literal_eval
from pathlib import Path
from queue import Empty

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import write_connection_file

ANSWERS = {"gadolinium": False, "motion": 0, "contrast": 1, "noise": 0}
#: Far beyond what an answer takes; whoever waits this long waits for ever.
_PATIENCE_S = 60.0


class Kernel:
    """One kernel of its own process. It starts at once; `ready` waits for it, `close` ends it."""

    def __init__(self):
        # Short, for a socket's path has at most 107 characters.
        self._folder = Path(tempfile.mkdtemp(prefix="qcb-"))
        connection, _ = write_connection_file(
            str(self._folder / "k.json"), transport="ipc", ip=str(self._folder / "k"), kernel_name="python3"
        )
        private = {name: str(self._folder) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")}
        self.log = self._folder / "kernel.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ipykernel_launcher", "-f", connection],
                env={**os.environ, **private},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._client = BlockingKernelClient(connection_file=connection)
        self._client.load_connection_file()
        self._client.start_channels(shell=True, iopub=True, stdin=False, hb=False, control=False)
        self.printed = ""

    def ready(self):
        """Wait until the kernel answers and what it publishes arrives here."""
        until = time.monotonic() + _PATIENCE_S
        while time.monotonic() < until:
            self._client.kernel_info()
            try:
                while self._client.get_iopub_msg(timeout=0.3)["msg_type"] != "status":
                    pass
            except Empty:
                assert self.process.poll() is None, self.log.read_text()
            else:
                # To the file as well: among thousands of pictures ZMQ drops what is only published.
                self.run(f"import logging\nlogging.getLogger().addHandler(logging.FileHandler({str(self.log)!r}))")
                return self
        raise AssertionError(f"the kernel does not answer: {self.log.read_text()}")

    def run(self, code):
        """Run a cell; return the messages that it published."""
        request = self._client.execute(code, store_history=False)
        published = []
        while True:
            message = self._published(timeout_s=_PATIENCE_S)
            assert message is not None, f"the cell did not end: {code}"
            assert message["msg_type"] != "error", "\n".join(message["content"].get("traceback", []))
            published.append(message)
            is_ours = message["parent_header"].get("msg_id") == request
            if is_ours and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return published

    def value(self, expression):
        """Return what an expression of plain Python values is in the kernel.

        It is read from the reply and not from what is published: behind a flood ZMQ drops the latter.
        """
        client = self._client
        request = client.execute("", silent=True, user_expressions={"value": f"repr({expression})"})
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                reply = client.get_shell_msg(timeout=max(until - time.monotonic(), 0.001))
            except Empty:
                raise AssertionError(f"the kernel does not say what {expression} is") from None
            if reply["parent_header"].get("msg_id") == request:
                break
        value = reply["content"]["user_expressions"]["value"]
        assert value["status"] == "ok", "\n".join(value.get("traceback", []))
        return literal_eval(literal_eval(value["data"]["text/plain"]))

    def show(self, study, rater="alice"):
        """Show the labeller as the notebook does; return the id of its channel."""
        published = self.run(
            f"import qcbench as qc\nwidget = qc.Labeller({str(study.folder)!r}, rater={rater!r})\nwidget"
        )
        states = {
            message["content"]["comm_id"]: message["content"]["data"]["state"]
            for message in published
            if message["msg_type"] == "comm_open"
        }
        [comm_id] = [comm_id for comm_id, state in states.items() if state["_model_name"] == "AnyModel"]
        return comm_id

    def post(self, comm_id, data, buffers=None):
        """Send any message on the widget's channel, as any page can."""
        client = self._client
        message = client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        client.session.send(client.shell_channel.socket, message, buffers=buffers)

    def answer(self, *, timeout_s=_PATIENCE_S):
        """Return content and buffers of the next message of a widget; None when none comes in time."""
        until = time.monotonic() + timeout_s
        while True:
            message = self._published(timeout_s=max(until - time.monotonic(), 0.001))
            if message is None:
                return None
            if message["msg_type"] == "comm_msg" and message["content"]["data"].get("method") == "custom":
                return message["content"]["data"]["content"], message["buffers"]

    def _published(self, *, timeout_s):
        try:
            message = self._client.get_iopub_msg(timeout=timeout_s)
        except Empty:
            return None
        if message["msg_type"] == "stream":
            self.printed += message["content"]["text"]
        return message

    @property
    def is_alive(self):
        return self.process.poll() is None

    def said(self):
        """What the kernel wrote, to the terminal or to the page."""
        while self._published(timeout_s=0.2):
            pass
        return self.log.read_text(errors="replace") + self.printed

    def kill(self):
        """End the kernel as a power cut would end it: at once and without a word."""
        if self.is_alive:
            self.process.send_signal(signal.SIGKILL)

    def close(self):
        self.kill()
        self.process.wait()
        self._client.stop_channels()
        self._client.context.destroy(linger=0)
        shutil.rmtree(self._folder, ignore_errors=True)


class RaterPage:
    """A page at one kernel. Its `outbox` outlives the kernel and is sent first to the next one.

    `acknowledged` are the event ids whose acknowledgement arrived; `refused` the answers to those
    that the kernel will not take.
    """

    def __init__(self):
        self.outbox = {}
        self.acknowledged = set()
        self.refused = []
        self.state = None

    def open(self, kernel, study, rater="alice"):
        """Say hello to a kernel that shows the labeller, and send again what it never confirmed."""
        self.kernel = kernel
        self._comm_id = kernel.show(study, rater)
        self.hello()
        for message in list(self.outbox.values()):
            self.send({"kind": "painted", "key": message["key"]})
            self.send(message)
            assert self.wait_for("ack", "nack")["kind"] == "ack"
        if self.state["cursor"] < len(self.acknowledged):
            self.hello()  # the walk behind the images whose labels have just arrived
        return self

    def hello(self):
        self.send({"kind": "hello"})
        self.state = self.wait_for("state")
        self._position = self.state["cursor"]

    def send(self, content, buffers=None):
        self.kernel.post(self._comm_id, {"method": "custom", "content": content}, buffers)

    def post(self, data):
        """Send a message that is none of the widget's own kind."""
        self.kernel.post(self._comm_id, data)

    def wait_for(self, *kinds, timeout_s=_PATIENCE_S):
        """Return the next answer of a kind; what else arrives is noted. None when it does not come."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            content = self.notice(timeout_s=0.2)
            if content is None and not self.kernel.is_alive:
                return None
            if content is not None and content["kind"] in kinds:
                return content
        return None

    def notice(self, *, timeout_s):
        """Take one answer, note what it settles and return it; None when none comes in time."""
        answered = self.kernel.answer(timeout_s=timeout_s)
        if answered is None:
            return None
        content, self.buffers = answered
        if content["kind"] == "ack":
            self.acknowledged.add(content["event_id"])
            self.outbox.pop(content["event_id"], None)
        elif content["kind"] == "nack" and not content["retry"]:
            self.refused.append(content)
        return content

    def image(self, position):
        """Have the picture of a position sent and painted; return the message that came with it."""
        self.send({"kind": "goto", "position": position, "missing": [position]})
        image = self.wait_for("image")
        if image:
            self.send({"kind": "painted", "key": image["key"]})
        return image

    def commit(self, answers=None, **more):
        """Label the next image and return the message; None when the kernel no longer answers."""
        image = self.image(self._position)
        if image is None:
            return None
        message = {
            "kind": "label",
            "key": image["key"],
            "event_id": str(uuid.uuid4()),
            "replaces": None,
            "answers": answers or ANSWERS,
            "comment": "",
            "reason": "",
            "seconds": 1.5,
            "display": {"css_width": 900},
            **more,
        }
        self.outbox[message["event_id"]] = message
        self.send(message)
        self._position += 1
        return message

    def label(self, answers=None, **more):
        """Label the next image and return the kernel's answer."""
        message = self.commit(answers, **more)
        while (answer := self.wait_for("ack", "nack"))["event_id"] != message["event_id"]:
            pass
        return answer
