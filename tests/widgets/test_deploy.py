import ast
import json
import re
import shutil
import stat
import subprocess

import pytest

from qcbench.errors import UsageError
from qcbench.study import Study
from qcbench.widgets import deploy, gate

PLACE = re.compile(r"@[A-Z_]+@")


@pytest.mark.parametrize("behind", ["nginx", "caddy"])
def test_a_proxy_and_the_service_share_a_secret_that_no_readable_file_holds(study, tmp_path, behind):
    proxy, service, secret_file, shown = deploy.write(study, tmp_path / "etc", behind=behind)
    secret = gate.read_secret(secret_file)
    assert f'X-Qcbench-Secret "{secret}"' in shown.read_text()
    for path in (secret_file, shown):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for path in (proxy, service):
        text = path.read_text()
        assert secret not in text
        assert PLACE.findall(text) == []
    assert f"import {shown}" in proxy.read_text() or f"include {shown};" in proxy.read_text()
    assert f"--proxy-secret {secret_file} --socket /run/qcbench/voila.sock" in service.read_text()


def test_writing_again_keeps_the_secret_and_follows_the_options(study, tmp_path):
    secret = gate.read_secret(deploy.write(study, tmp_path / "etc", behind="nginx")[2])
    options = deploy.Options(host="qc.example", port=8443)
    proxy, _, secret_file, _ = deploy.write(study, tmp_path / "etc", behind="nginx", options=options)
    assert gate.read_secret(secret_file) == secret
    assert "server_name qc.example;" in proxy.read_text()
    assert "listen 8443 ssl;" in proxy.read_text()


def test_the_hub_knows_the_raters_and_no_page_asks_a_cdn(study, tmp_path):
    [config] = deploy.write(study, tmp_path / "hub", behind="jupyterhub")
    text = config.read_text()
    assert PLACE.findall(text) == []
    ast.parse(text)
    assert 'c.Authenticator.allowed_users = {"alice", "bob"}' in text
    settings = json.loads((tmp_path / "hub" / "hub" / "config" / "jupyter_server_config.json").read_text())
    assert settings["VoilaConfiguration"]["file_allowlist"] == []
    assert settings["ServerApp"]["tornado_settings"]["mathjax_config"] is None
    assert "default-src 'self'" in settings["ServerApp"]["tornado_settings"]["headers"]["Content-Security-Policy"]
    assert {path.name for path in (tmp_path / "hub" / "hub" / "pages").iterdir()} == {
        "02_label.ipynb",
        "03_review.ipynb",
    }


def test_names_that_would_break_a_configuration_are_refused(study, tmp_path):
    with pytest.raises(UsageError, match="expected one of nginx, caddy, jupyterhub, got 'apache'"):
        deploy.write(study, tmp_path, behind="apache")
    for options in (deploy.Options(host="a; include /etc/shadow"), deploy.Options(key=tmp_path / 'k"ey')):
        with pytest.raises(UsageError, match="goes into files of others"):
            deploy.write(study, tmp_path / "etc", behind="nginx", options=options)
    spaced = Study.create(tmp_path / "my study", raters=["alice"])
    with pytest.raises(UsageError, match="my study"):
        deploy.write(spaced, tmp_path / "etc", behind="nginx")
    assert not (tmp_path / "etc").exists()


def test_systemd_takes_the_service(study, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: install it (Debian: apt-get install systemd)")
    service = deploy.write(study, tmp_path / "etc", behind="nginx")[1]
    # Only the lines of the file: that the program is installed in place is not for this test.
    service.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", service.read_text()))
    found = subprocess.run(["systemd-analyze", "verify", str(service)], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
