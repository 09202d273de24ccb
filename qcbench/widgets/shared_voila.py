"""One voila for all raters of a study: a page's kernel gets its rater from the server, and is theirs alone.

Runs in a process of its own, which `proxied` starts; its settings are in the voila.json there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.auth.identity import IdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyter_server.utils import url_path_join
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets, bind_unix_socket
from tornado.web import HTTPError
from traitlets import Unicode
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler

from qcbench.study import Study
from qcbench.widgets.gate import RATER_HEADER, Door, Gate, read_secret

#: How voila names the header of the rater in a kernel's environment.
_HEADER_VARIABLE = "HTTP_" + RATER_HEADER.upper().replace("-", "_")
#: So many pages of one rater at once. A reload leaves a kernel behind, and voila never ends it by itself.
_MOST_PAGES = 4
#: More than the largest message of a page; tornado's own limits are 100 and 10 MB.
_BODY_LIMIT = 2**20


class RaterKernels(AsyncMappingKernelManager):
    """Kernels, each of the rater for whose page it was started."""

    def __init__(self, **traits: object) -> None:
        super().__init__(**traits)
        self._owners: dict[str, str] = {}

    def owners(self) -> Iterable[tuple[str, str]]:
        """Return (kernel id, rater) of every kernel."""
        return self._owners.items()

    async def start_kernel(self, *, env: dict[str, str], **more: object) -> str:
        """Start the kernel of a page; its rater is the one that the gate let in."""
        rater = env[_HEADER_VARIABLE]
        await self._make_room(rater)
        if self.is_full(rater):  # an address that the gate took for none of a page
            raise HTTPError(429)
        kernel_id = self.new_kernel_id()
        self._owners[kernel_id] = rater  # before it is there, so that it never is without
        try:
            return await super().start_kernel(kernel_id=kernel_id, env={**env, "QCBENCH_RATER": rater}, **more)
        except BaseException:
            self._owners.pop(kernel_id, None)
            raise

    def remove_kernel(self, kernel_id: str) -> object:
        """Forget a kernel that has ended."""
        self._owners.pop(kernel_id, None)
        return super().remove_kernel(kernel_id)

    def is_full(self, rater: str) -> bool:
        """Return whether a rater has as many pages open as one may have."""
        return len(self._of(rater)) - len(self._left_by(rater)) >= _MOST_PAGES

    async def _make_room(self, rater: str) -> None:
        """End kernels that pages of this rater left behind, the oldest first, until one more may be started."""
        too_many = len(self._of(rater)) - _MOST_PAGES + 1
        for kernel_id in self._left_by(rater)[: max(too_many, 0)]:
            await self.shutdown_kernel(kernel_id)

    def _of(self, rater: str) -> list[str]:
        return [kernel_id for kernel_id, owner in self._owners.items() if owner == rater]

    def _left_by(self, rater: str) -> list[str]:
        return [each for each in self._of(rater) if each in self and not self._kernel_connections.get(each)]


class RaterIdentity(IdentityProvider):
    """Whoever the gate let in; there is no login page here, for the proxy has it."""

    def get_user(self, handler: JupyterHandler) -> User:
        """Return the rater of a request."""
        return User(username=handler.request.headers[RATER_HEADER])

    def get_handlers(self) -> list:
        """Return no pages."""
        return []

    @property
    def login_available(self) -> bool:
        """Return whether one can log in here."""
        return False


class OwnKernels(Authorizer):
    """Asks again, behind the gate, whose kernel it is."""

    def is_authorized(self, handler: JupyterHandler, user: User, action: str, resource: str) -> bool:
        """Return whether a rater may do that."""
        if resource != "kernels":
            return True
        return dict(handler.kernel_manager.owners()).get(handler.path_kwargs.get("kernel_id")) == user.username


class WholeMessages(ZMQChannelsWebsocketConnection):
    """The way from a page to its kernel. A message that is not whole ends it, before anybody counts its parts."""

    def handle_incoming_message(self, incoming_msg: str | bytes) -> None:
        """Pass a message on."""
        # The number of offsets, each of 8 bytes, then these; five parts and their end make six.
        n_offsets = int.from_bytes(incoming_msg[:8], "little") if isinstance(incoming_msg, bytes) else 0
        if 6 <= n_offsets <= len(incoming_msg) // 8 - 1:
            super().handle_incoming_message(incoming_msg)
            return
        self.log.warning("a page sent what is no message; its connection is closed")
        self.websocket_handler.close(1003)


class SharedVoila(Voila):
    """voila behind a gate, on loopback or a unix socket, with the raters' notebooks and nothing else."""

    study = Unicode(config=True, help="the folder of the study")
    secret_file = Unicode(config=True, help="the file of the secret that the proxy shares with us")
    socket = Unicode(config=True, help="the unix socket; empty: a port of loopback")

    def init_settings(self) -> dict:
        """Return voila's settings; what keeps raters apart is set here, where no file can change it."""
        self.identity_provider_class, self.authorizer_class = RaterIdentity, OwnKernels
        self.kernel_websocket_connection_class = WholeMessages
        self.voila_configuration.multi_kernel_manager_class = RaterKernels
        self.voila_configuration.http_header_envs = [RATER_HEADER]
        self.voila_configuration.preheat_kernel = False  # its kernels are started for nobody
        return {**super().init_settings(), "websocket_max_message_size": _BODY_LIMIT}

    def init_handlers(self) -> list:
        """Return voila's pages; the label notebook has the address /, each other one its own."""
        handlers = super().init_handlers()
        pages = Path(self.notebook_path).absolute().parent
        for notebook in sorted(pages.glob("*.ipynb")):
            if notebook.name != Path(self.notebook_path).name:
                given = {**handlers[-1][2], "notebook_path": os.path.relpath(notebook, self.root_dir)}
                address = notebook.stem.partition("_")[2]  # 03_review.ipynb: /review
                handlers.insert(-1, (url_path_join(self.server_url, address), TornadoVoilaHandler, given))
        return handlers

    def listen(self) -> None:
        """Listen behind the gate until stopped."""
        door = Door(Study(self.study), read_secret(self.secret_file))
        server = HTTPServer(Gate(self.app, door, self.kernel_manager), max_body_size=_BODY_LIMIT)
        if self.socket:
            server.add_socket(bind_unix_socket(self.socket, mode=0o660))
        else:
            server.add_sockets(bind_sockets(self.port, "127.0.0.1"))
        self.ioloop = IOLoop.current()
        try:
            self.ioloop.start()
        finally:
            server.stop()
            self.stop()


def main() -> None:
    """Serve as the settings say."""
    SharedVoila.launch_instance()
