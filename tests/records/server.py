"""The records server as a process of its own, to be killed, starved and asked over a real connection."""

import http.client
import json
import os
import subprocess
import sys
from contextlib import closing

_SERVE = """
import sys
from qcbench.records import serve
from qcbench.study import Study
serve.serve(Study(sys.argv[1]), port=0, on_ready=lambda address: print(address, flush=True))
"""


class Server:
    """A server on a study; `url` names another database than the study's own."""

    def __init__(self, study, url=None):
        environment = {name: value for name, value in os.environ.items() if name != "QCBENCH_DATABASE_URL"}
        if url:
            environment["QCBENCH_DATABASE_URL"] = url
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(study.folder)], env=environment, stdout=subprocess.PIPE, text=True
        )
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), self.address
        self.port = int(self.address.rsplit(":", 1)[1])

    def ask(self, method, path, token, payload=None, timeout_s=60):
        """Return the status, the headers and the JSON of an answer."""
        body = None if payload is None else json.dumps(payload)
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)) as connection:
            connection.request(method, path, body, {"Authorization": token, "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), json.loads(answer.read())

    def memory_mb(self):
        with open(f"/proc/{self.process.pid}/status") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
