"""Ready configurations: voila for all raters behind nginx or Caddy, or one server a rater under JupyterHub."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from qcbench import durable
from qcbench.errors import UsageError
from qcbench.study import Study
from qcbench.widgets import proxied, serve

_TEMPLATES = Path(__file__).parent
#: The service that is started, the proxy's group, and how its files call the line that shows the secret.
_SERVICE = "qcbench.service"
_PROXIES = {
    "nginx": ("nginx.conf", "www-data", 'proxy_set_header {header} "{secret}";\n'),
    "caddy": ("Caddyfile", "caddy", 'header_up {header} "{secret}"\n'),
}
_PLACE, _PLAIN = re.compile(r"@([A-Z_]+)@"), re.compile(r"[\w./:@-]+")
BEHIND = (*_PROXIES, "jupyterhub")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Where the server is found, and what it shows there; each can be changed in the files afterwards."""

    host: str = "qc.hospital.example"
    port: int | None = None
    socket: Path = Path("/run/qcbench/voila.sock")
    certificate: Path = Path("/etc/ssl/certs/qcbench.pem")
    key: Path = Path("/etc/ssl/private/qcbench.key")


def write(study: Study | str | Path, folder: str | Path, *, behind: str, options: Options | None = None) -> list[Path]:
    """Write what `behind` (nginx, caddy or jupyterhub) needs into a folder, and return the files to look at first.

    A secret that lies there stays; everything else is written anew.
    """
    study, folder, options = Study.of(study), Path(folder).absolute(), options or Options()
    if behind not in BEHIND:
        raise UsageError(f"expected one of {', '.join(BEHIND)}, got {behind!r}")
    for text in (study.folder, folder, options.host, options.socket, options.certificate, options.key):
        if not _PLAIN.fullmatch(str(text)):
            raise UsageError(f"{text}: expected letters, digits and ._/:@- alone, since it goes into files of others")
    return _for_hub(study, folder, options) if behind == "jupyterhub" else _for_proxy(study, folder, behind, options)


def _for_proxy(study: Study, folder: Path, behind: str, options: Options) -> list[Path]:
    from qcbench.widgets.gate import SECRET_HEADER, make_secret, read_secret

    name, group, line = _PROXIES[behind]
    secret_file = make_secret(folder / "secret")
    shown = folder / f"secret.{behind}"
    durable.write_text(shown, line.format(header=SECRET_HEADER, secret=read_secret(secret_file)), mode=0o600)
    filled = {
        "STUDY": study.folder,
        "COMMAND": Path(sys.executable).parent / "qcbench",
        "SERVICE": _SERVICE,
        "SECRET_FILE": secret_file,
        "SECRET": shown,
        "PASSWORDS": folder / f"raters.{behind}",
        "PROXY_GROUP": group,
        "SOCKET": options.socket,
        "HOST": options.host,
        "LISTEN": options.port or 443,
        "CERTIFICATE": options.certificate,
        "KEY": options.key,
    }
    return [_write_filled(folder, name, filled), _write_filled(folder, _SERVICE, filled), secret_file, shown]


def _for_hub(study: Study, folder: Path, options: Options) -> list[Path]:
    hub = folder / "hub"
    for page in proxied.PAGES:
        durable.write_text(hub / "pages" / page, serve.notebook_text(page), mode=0o644)
    serve.write_template(hub / "share")
    settings = {
        "ServerApp": {
            "jpserver_extensions": {"voila.server_extension": True, "jupyterlab": False, "notebook": False},
            "tornado_settings": {
                "headers": {"Content-Security-Policy": serve.CONTENT_SECURITY_POLICY},
                # With one of the two every page asks a CDN for MathJax.
                "mathjax_url": None,
                "mathjax_config": None,
            },
            "terminals_enabled": False,
        },
        "VoilaConfiguration": serve.PAGE_SETTINGS,
        "MappingKernelManager": {"cull_idle_timeout": proxied.IDLE_S, "cull_interval": 120, "cull_connected": False},
        "KernelManager": {"transport": "ipc"},
    }
    durable.write_text(hub / "config" / "jupyter_server_config.json", json.dumps(settings, indent=1) + "\n")
    folder.chmod(folder.stat().st_mode | 0o055)
    for path in (hub, *hub.rglob("*")):  # every rater's server reads them, and none holds a secret
        path.chmod(0o755 if path.is_dir() else 0o644)
    filled = {
        "STUDY": study.folder,
        "FOLDER": folder,
        "RATERS": json.dumps(study.all_raters)[1:-1],
        "PYTHON": sys.executable,
        "PORT": options.port or 8000,
        "RUNTIME": options.socket.parent,
    }
    return [_write_filled(folder, "jupyterhub_config.py", filled)]


def _write_filled(folder: Path, name: str, filled: dict[str, object]) -> Path:
    """Write a shipped file with its places filled; nothing in capitals between @ stays."""
    text = (_TEMPLATES / f"{name}.in").read_text(encoding="utf-8")
    text = _PLACE.sub(lambda place: str(filled[place[1]]), text)
    durable.write_text(folder / name, text, mode=0o644)
    return folder / name
