"""A hospital's login: nginx or Caddy with the configuration that is shipped, before one voila for all raters."""

import base64
import http.client
import secrets
import shutil
import ssl
import subprocess
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from qcbench.widgets import deploy, proxied, serve

NGINX = """\
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; user {user};
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    {types}
    include {folder}/config/nginx.conf;
}}
"""
CADDY = "{{\n\tadmin off\n\tauto_https disable_redirects\n}}\nimport {folder}/config/Caddyfile\n"


def _program(name):
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs {name}: install it (Debian: apt-get install {name})")
    return path


def _certificate(folder):
    """Write a certificate for localhost, signed by itself."""
    command = [
        _program("openssl"),
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(command, check=True, capture_output=True)


def _passwords(name, folder, passwords):
    """Write the file of passwords that the configuration of a proxy asks for."""
    lines = []
    for rater, password in passwords.items():
        if name == "nginx":
            command = [_program("openssl"), "passwd", "-apr1", password]
        else:
            command = [_program("caddy"), "hash-password", "--plaintext", password]
        hashed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        lines.append(f"{rater}:{hashed}" if name == "nginx" else f"{rater} {hashed}")
    (folder / "config" / f"raters.{name}").write_text("\n".join(lines) + "\n")


def _command(name, folder):
    if name == "nginx":
        (folder / "whole.conf").write_text(NGINX.format(folder=folder, user="root", types=""))
        return [_program("nginx"), "-p", str(folder), "-e", str(folder / "nginx.log"), "-c", str(folder / "whole.conf")]
    (folder / "Whole").write_text(CADDY.format(folder=folder))
    return [_program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Whole")]


@contextmanager
def running(name, study, folder, raters):
    """Serve a study behind a proxy; yield its `port`, the `passwords` of raters and voila's own address."""
    _program(name)
    port = serve._free_port(None)
    _certificate(folder)
    options = deploy.Options(
        host="localhost",
        port=port,
        socket=folder / "voila.sock",
        certificate=folder / "certificate.pem",
        key=folder / "key.pem",
    )
    deploy.write(study, folder / "config", behind=name, options=options)
    passwords = {rater: secrets.token_hex(8) for rater in raters}
    _passwords(name, folder, passwords)
    command, log = _command(name, folder), folder / "proxy.log"
    environment = {"PATH": "/usr/sbin:/usr/bin", "HOME": str(folder)}
    secret_file = folder / "config" / "secret"
    with (
        proxied.running(study, secret_file=secret_file, socket_path=options.socket) as (address, voila),
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=environment) as proxy,
    ):
        hospital = SimpleNamespace(
            port=port, passwords=passwords, study=study, voila=voila, address=address, secret_file=secret_file
        )
        try:
            _wait_for(hospital, proxy, log)
            yield hospital
        finally:
            proxy.terminate()


def _wait_for(hospital, proxy, log):
    for _ in range(100):
        try:
            if ask(hospital)[0] == 401:
                return
        except OSError:
            assert proxy.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def login(hospital, rater):
    """Return the headers with which a browser logs a rater in."""
    pair = f"{rater}:{hospital.passwords[rater]}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


def ask(hospital, path="/", headers=None):
    """Return status and text of what the proxy answers."""
    connection = http.client.HTTPSConnection(
        "localhost", hospital.port, timeout=60, context=ssl._create_unverified_context()
    )
    try:
        connection.putrequest("GET", path)
        for name, value in headers or ():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()
