"""Two raters under a real JupyterHub with the configuration that is shipped, each under a Unix account of their own.

The accounts are two that every Debian has and that nobody uses, so that none need be made.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from qcbench import durable, images, store
from qcbench.study import Study
from qcbench.widgets import deploy, serve
from tests.browser.conftest import Desk, head

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ACCOUNTS = ("games", "news")
#: What the test changes of the shipped file: who may log in, ports, and the homes that these accounts lack.
CHANGES = """
import os, pwd
from jupyterhub.spawner import LocalProcessSpawner, set_user_setuid

class Spawner(LocalProcessSpawner):
    def make_preexec_fn(self, name):
        return set_user_setuid(name, chdir=False)
    def user_env(self, env):
        return {{**super().user_env(env), "HOME": "{folder}/home/" + self.user.name}}

c.JupyterHub.spawner_class = Spawner
c.Spawner.cmd = ["{python}", "-m", "jupyterhub.singleuser"]
c.Spawner.environment["PYTHONPATH"] = "{modules}"
c.Spawner.environment["JUPYTER_PATH"] += ":{share}"
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.ConfigurableHTTPProxy.command = ["{proxy}"]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"
"""

OPEN = """
import sys
import qcbench as qc
try:
    print(qc.Labeller(sys.argv[1], rater=sys.argv[2]).problem)
except PermissionError as error:
    print("PermissionError", error)
"""


def _python_of_others():
    """Return a Python that other accounts can run, and the modules that it needs; skip where there is none."""
    modules = os.pathsep.join([str(Path(__file__).parents[2]), *(each for each in sys.path if "site-packages" in each)])
    same = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for python in (sys.executable, shutil.which(same, path="/usr/local/bin:/usr/bin")):
        command = [python or "", "-c", "import jupyterhub, voila, qcbench"]
        with tempfile.TemporaryFile() as nothing:
            try:
                ended = subprocess.run(
                    command, user=ACCOUNTS[0], env={"PYTHONPATH": modules}, cwd="/", stdin=nothing, capture_output=True
                )
            except OSError:
                continue
        if ended.returncode == 0:
            return python, modules
    return pytest.skip(f"needs a {same} that other accounts can run; this one lies in a folder that is closed to them")


def _study(folder):
    """A study of six drawn images that both accounts can read, and label folders that each owns alone."""
    study = Study.create(folder, raters=list(ACCOUNTS))
    stems = [f"sub-{number:03d}_ses-M00_T1w" for number in range(6)]
    paths = [study.derivatives / f"{stem}.png" for stem in stems]
    scan = {"source_path": "drawn", "simulated": True}
    store.write(study, "images", [{**scan, "image_id": stem, "participant_id": stem[:7]} for stem in stems])
    drawn = [
        {
            "image_id": stem,
            "screenshot_path": study.relative(path),
            "screenshot_sha256": images.save_png(path, head(number)),
            "preprocessing_preset": "drawn",
        }
        for number, (stem, path) in enumerate(zip(stems, paths, strict=True))
    ]
    store.write(study, "preprocessed", drawn)
    for name in ACCOUNTS:
        durable.make_folder(study.label_folder(name))
        os.chown(study.label_folder(name), pwd.getpwnam(name).pw_uid, 0)
        study.label_folder(name).chmod(0o2750)
    for path in (folder, *folder.rglob("*")):
        if not path.name.startswith("rater="):
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    return study


@pytest.fixture(scope="module")
def hub():
    """A JupyterHub for the two accounts: `address`, `study`, `python`, `modules`."""
    pytest.importorskip("jupyterhub", reason="needs JupyterHub: pip install jupyterhub configurable-http-proxy")
    proxy = shutil.which("configurable-http-proxy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if proxy is None or os.geteuid() != 0:
        pytest.skip("needs configurable-http-proxy, and root to start servers under the accounts of raters")
    python, modules = _python_of_others()
    folder = Path(tempfile.mkdtemp(prefix="qcbench-hub-"))
    folder.chmod(0o755)  # the temporary folders of pytest are closed to other accounts
    try:
        for name in ACCOUNTS:
            (folder / "home" / name).mkdir(parents=True)
            shutil.chown(folder / "home" / name, name)
        study = _study(folder / "study")
        port, hub_port, api_port = (serve._free_port(None) for _ in range(3))
        options = deploy.Options(port=port, socket=folder / "run" / "voila.sock")
        [config] = deploy.write(study, folder / "config", behind="jupyterhub", options=options)
        changes = CHANGES.format(
            folder=folder,
            python=python,
            modules=modules,
            share=Path(sys.prefix) / "share" / "jupyter",
            proxy=proxy,
            hub_port=hub_port,
            api_port=api_port,
        )
        config.write_text(config.read_text() + changes)
        with (folder / "hub.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(config)], cwd=folder, stdout=log, stderr=log
            )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/hub/login", process, folder / "hub.log")
            yield SimpleNamespace(address=address, study=study, python=python, modules=modules, log=folder / "hub.log")
        finally:
            process.terminate()
            try:
                process.wait(90)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder)


def _wait_for(address, process, log):
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture
def desks(chromium, hub):
    """A function that logs a rater in at the Hub, in a browser of their own."""
    contexts = []

    def opens(name):
        contexts.append(chromium.new_context(viewport={"width": 1280, "height": 720}))
        desk = Desk(contexts[-1].new_page()).open(f"{hub.address}/hub/login")
        desk.page.fill("input[name=username]", name)
        desk.page.fill("input[name=password]", "any")
        desk.page.click("input[type=submit]")
        return desk

    yield opens
    for context in contexts:
        context.close()


def _as_account(hub, name, rater, **environment):
    """Return what the labeller of a rater says in a kernel that runs under an account."""
    ended = subprocess.run(
        [hub.python, "-c", OPEN, str(hub.study.folder), rater],
        user=name,
        group=pwd.getpwnam(name).pw_gid,
        extra_groups=[],
        env={"PYTHONPATH": hub.modules, "HOME": "/nonexistent", **environment},
        cwd="/",
        capture_output=True,
        text=True,
    )
    return ended.stdout.strip() or ended.stderr


def test_two_raters_log_in_and_label_under_their_own_accounts(hub, desks):
    pages = {name: desks(name) for name in ACCOUNTS}
    for desk in pages.values():
        desk.label(0, "q")
        desk.waits_at(1)
        desk.saved()
    pages["games"].picture("hub-games")
    for name, desk in pages.items():
        [event] = store.label_events(hub.study, name)
        assert (event["rater"], event["straight_reject"]) == (name, True)
        [segment] = hub.study.label_folder(name).rglob("seg-*.parquet")
        assert (segment.owner(), oct(segment.stat().st_mode & 0o777)) == (name, "0o640")
        assert desk.went_out == []

    games = pages["games"].page
    for path in ("", "api/kernels", "api/contents", "voila/render/02_label.ipynb", "voila/files/02_label.ipynb"):
        answer = games.request.get(f"{hub.address}/user/news/{path}", headers={"X-Forwarded-User": "news"})
        assert answer.status in (403, 404), path
    games.goto(f"{hub.address}/user/games/voila/render/02_label.ipynb?rater=news&JUPYTERHUB_USER=news")
    pages["games"].waits_at(1)
    pages["games"].press("q")
    pages["games"].waits_at(2)
    pages["games"].saved()
    assert len(store.label_events(hub.study, "games")) == 2
    assert len(store.label_events(hub.study, "news")) == 1


def test_a_name_that_the_account_does_not_have_is_refused_by_the_page_and_by_the_disk(hub):
    own = {"JUPYTERHUB_USER": "games", "QCBENCH_OWN_ACCOUNTS": "1"}
    assert _as_account(hub, "games", "games", **own) == "None"
    assert "'games' logged in (JUPYTERHUB_USER)" in _as_account(hub, "games", "news", **own)
    forged = {**own, "JUPYTERHUB_USER": "news"}
    assert "runs under the Unix account 'games'" in _as_account(hub, "games", "news", **forged)
    # Whoever takes away what the page checks still meets the owner of the folder.
    assert "Permission" in _as_account(hub, "games", "news", JUPYTERHUB_USER="news")
