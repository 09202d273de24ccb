"""A small study with drawn heads, voila and JupyterLab on loopback, and one Chromium."""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from qcbench import images, store
from qcbench.study import Study
from qcbench.widgets import serve

ARTEFACTS = Path(__file__).parents[2] / "test-artefacts"


def head(seed):
    """A picture of three slices of a head-like ellipse with ventricles and grain, 624 x 208."""
    import numpy as np

    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[-1:1:208j, -1:1:208j]
    panels = []
    for width, height in ((0.86, 0.74), (0.68, 0.72), (0.7, 0.88)):
        radius = np.hypot(columns / width, rows / height)
        grey = np.where(radius < 1, 60.0, 0.0)
        grey[(radius < 0.97) & (radius > 0.9)] = 15
        folds = 14 * np.sin(19 * np.arctan2(rows, columns)) * (radius > 0.6)
        grey = np.where(radius < 0.88, 128 + folds, grey)
        grey = np.where(radius < 0.62, 178 - 12 * (seed % 3), grey)
        grey[np.hypot((np.abs(columns) - 0.12) / 0.09, rows / 0.25) < 1] = 40
        panels.append(grey + random.normal(0, 3 + 3 * (seed % 3), grey.shape) * (radius < 1.05))
    return np.clip(np.hstack(panels), 0, 255).astype("uint8")


@pytest.fixture
def labelling_study(tmp_path):
    """A study of six images with screenshots, whose raters alice and bob have labelled nothing."""
    return drawn_study(tmp_path / "study", n=6)


def drawn_study(folder, *, n):
    """Make a study of `n` images with screenshots, whose raters alice and bob have labelled nothing."""
    study = Study.create(folder, raters=["alice", "bob"])
    catalogue, preprocessed = [], []
    for number in range(n):
        stem = f"sub-{number:03d}_ses-M00_T1w"
        path = study.derivatives / f"{stem}.png"
        sha256 = images.save_png(path, head(number))
        catalogue.append(
            {"image_id": stem, "participant_id": stem[:7], "source_path": f"{stem}.nii.gz", "simulated": True}
        )
        preprocessed.append(
            {
                "image_id": stem,
                "screenshot_path": study.relative(path),
                "screenshot_sha256": sha256,
                "preprocessing_preset": "drawn",
            }
        )
    store.write(study, "images", catalogue)
    store.write(study, "preprocessed", preprocessed)
    return study


class Desk:
    """What a rater does and sees at a page with the labeller."""

    def __init__(self, page):
        self.page = page
        self.addresses = []
        page.on("request", lambda request: self.addresses.append(request.url))
        page.on("websocket", lambda socket: self.addresses.append(socket.url))
        page.on("dialog", lambda dialog: dialog.accept())

    def open(self, address):
        self.page.goto(address, timeout=60_000)
        return self

    def waits_at(self, position):
        """Wait until the image of that position is on the screen."""
        self.page.wait_for_selector(f'.qc-labeller[data-painted="{position}"]', timeout=180_000)

    def press(self, *codes):
        for code in codes:
            self.page.keyboard.press(code)

    def label(self, position, *codes):
        self.waits_at(position)
        self.press(*codes)

    def sees(self, selector, text, *, timeout_s=15):
        self.page.locator(selector, has_text=text).first.wait_for(timeout=1000 * timeout_s)

    def saved(self):
        self.sees(".qc-saved", "all saved")

    def picture(self, name):
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png")

    @property
    def went_out(self):
        """Requests that left this machine; none are allowed."""
        inside = ("http://127.0.0.1:", "ws://127.0.0.1:", "blob:http://127.0.0.1:", "data:")
        return [address for address in self.addresses if not address.startswith(inside)]


@pytest.fixture
def desk(chromium, request):
    """A rater's desk with a screen of 1280 x 720; the last thing seen is kept as a picture."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    desk = Desk(context.new_page())
    yield desk
    desk.picture(f"last-{request.node.name[:50]}")
    context.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One voila for all tests; its study is a link, which each test points at its own."""
    folder = tmp_path_factory.mktemp("served")
    link = folder / "study"
    link.symlink_to(Study.create(folder / "empty", raters=["alice"]).folder)
    with serve.running(link, rater="alice") as (address, process):
        yield SimpleNamespace(link=link, address=address, process=process)


@pytest.fixture
def voila(server):
    """A function that has alice's page serve a study and returns its address; and `process`."""

    def show(study):
        server.link.unlink()
        server.link.symlink_to(study.folder)
        return server.address

    show.process = server.process
    return show


@pytest.fixture
def lab(labelling_study, tmp_path):
    """The address and the file of a notebook in JupyterLab that has the labeller and neighbour cells."""
    folder = tmp_path / "lab"
    folder.mkdir()
    notebook = json.loads(serve.notebook_text("02_label.ipynb"))
    for number, source in enumerate(("neighbour = 1", "neighbour + 1")):
        notebook["cells"].append(
            {
                "cell_type": "code",
                "id": f"beside-{number}",
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
        )
    (folder / "label.ipynb").write_text(json.dumps(notebook))
    port, token = serve._free_port(None), secrets.token_hex(16)
    private = {name: str(tmp_path / name) for name in ("config", "runtime", "data", "settings", "workspaces")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--ip=127.0.0.1", "--allow-root"]
    command += [f"--IdentityProvider.token={token}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}"]
    command += [f"--LabApp.user_settings_dir={private['settings']}", f"--LabApp.workspaces_dir={private['workspaces']}"]
    command += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    environment = {
        **os.environ,
        "QCBENCH_STUDY": str(labelling_study.folder),
        "QCBENCH_RATER": "alice",
        "JUPYTER_CONFIG_DIR": private["config"],
        "JUPYTER_RUNTIME_DIR": private["runtime"],
        "JUPYTER_DATA_DIR": private["data"],
    }
    with (tmp_path / "lab.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api", process, tmp_path / "lab.log")
        address = f"http://127.0.0.1:{port}/lab/tree/label.ipynb?token={token}"
        yield SimpleNamespace(address=address, notebook=folder / "label.ipynb")
    finally:
        serve._stop(process)


def _wait_for(address, process, log):
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            time.sleep(0.2)
    raise AssertionError(log.read_text())
