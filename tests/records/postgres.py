"""A real PostgreSQL, started and stopped by the tests."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

_UNPRIVILEGED = "postgres"
#: After a crash on a busy machine it has its log to go through first.
_READY_S = 60.0


class Postgres:
    """A PostgreSQL of Debian in a folder of its own, with fsync as it is by default."""

    def __init__(self, binaries):
        self._binaries = binaries
        # Not in pytest's folder: it is closed to other accounts each time that a pytest starts.
        self._folder = Path(tempfile.mkdtemp(prefix="qcbench-postgres-"))
        # initdb and postgres refuse to run as root.
        self._user = {"user": _UNPRIVILEGED, "group": _UNPRIVILEGED, "extra_groups": []} if os.getuid() == 0 else {}
        if self._user:
            shutil.chown(self._folder, _UNPRIVILEGED, _UNPRIVILEGED)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-D", str(self._folder / "data"), "-U", "qcbench", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._process = None
        self.start()

    def _run(self, program, *arguments):
        subprocess.run(
            [self._binaries / program, *arguments], check=True, capture_output=True, cwd=self._folder, **self._user
        )

    def start(self):
        """Start it, and again while what a crash left behind still holds its memory or its port."""
        until = time.monotonic() + _READY_S
        while time.monotonic() < until:
            if self._process is None or self._process.poll() is not None:
                self._process = self._launched()
            ready = [self._binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(ready, check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start: {(self._folder / 'log').read_text(errors='replace')[-2000:]}")

    def _launched(self):
        options = ["-D", str(self._folder / "data"), "-p", str(self.port), "-k", "", "-c", "listen_addresses=127.0.0.1"]
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [self._binaries / "postgres", *options], cwd=self._folder, stdout=log, stderr=log, **self._user
            )

    def stop(self):
        """Stop it at once, as a crash would: what was acknowledged must be there after the next start."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def remove(self):
        self.stop()
        shutil.rmtree(self._folder)

    def url(self, name="postgres"):
        return f"postgresql+psycopg://qcbench@127.0.0.1:{self.port}/{name}"

    def new_database(self, name):
        engine = sa.create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        engine.dispose()
        return self.url(name)


def postgres_binaries():
    """The newest PostgreSQL of Debian, or a reason to skip."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    try:
        pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        if os.getuid() == 0:
            pytest.skip("needs the user postgres, since PostgreSQL does not run as root")
    return found[-1].parent
