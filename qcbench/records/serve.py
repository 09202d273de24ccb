"""The records API on a port of this machine, until it is interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from qcbench.errors import UsageError
from qcbench.records import tokens
from qcbench.records.api import make_app
from qcbench.records.database import open_database
from qcbench.records.identity import Pseudonyms, site_key
from qcbench.study import Study

#: More requests than this at one time are told to come again.
_AT_ONE_TIME = 200


def pseudonyms_of(study: Study) -> Pseudonyms:
    """Return what stands for identities in a study's records; its key is made when there is none."""
    return Pseudonyms(site_key(study.folder / "records" / "site.key"))


def serve(
    study: Study,
    *,
    port: int,
    host: str = "127.0.0.1",
    open_reads: bool = False,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the API until it is interrupted; `on_ready` is called with its address.

    Raises UsageError when there is no token that opens anything, or when the port is taken.
    """
    database = open_database(study)
    with database.reading() as connection:
        if not tokens.any_in_force(connection):
            raise UsageError(
                "nobody could use this server: no token was made yet. Make one with: "
                f"qcbench records token {study.folder} --client NAME --scope write"
            )
    app = make_app(database, pseudonyms_of(study), open_reads=open_reads)
    config = uvicorn.Config(
        app,
        log_level="warning",
        # The log of requests would hold what people ask for.
        access_log=False,
        server_header=False,
        limit_concurrency=_AT_ONE_TIME,
        timeout_keep_alive=30,
        ws="none",
    )
    with _listening(host, port) as listener:
        if on_ready is not None:
            on_ready(f"http://{host}:{listener.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listener])
    database.close()


def _listening(host: str, port: int) -> socket.socket:
    # Named as TCP, asyncio sends at once: else each answer waits 40 ms for the client to confirm its first half.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"port {port} of {host} cannot be used ({error.strerror}); choose another with --port"
        ) from None
    listener.listen(2048)
    return listener
