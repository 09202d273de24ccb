"""The labeller in a real browser: from the key to the next picture, beside plain ipywidgets.

`python -m benchmarks.label_latency [--images 300]` prints the table with the limits that were set
for it. Both are served by voila and reached through a proxy on loopback that adds the round trip;
keys are pressed by the browser's own input pipeline, a commit every 400 ms.
"""

import argparse
import hashlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nbformat
import numpy as np
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table

from qcbench import images, store
from qcbench.study import Study
from qcbench.widgets import serve
from tests.browser.network import Network
from tests.conftest import _FLAGS, CHROMIUM

BEAT_S = 0.4
ROUND_TRIPS_MS = (0, 80)
N_PEER = 100
N_LARGE, N_EVENTS = 5500, 12_100
LIMITS = {"p50 ms": 17, "p95 ms": 50, "ack p95 ms": 50, "kernel MB": 160, "open s": 2, "load s": 0.5}

#: Measures in the page. A commit is over when a decoded picture that was not there at the key press
#: has been in a frame: the frame's callback finds it, and the message that follows runs after the frame.
CLOCK = """
(() => {
  const clock = (window.clock = { shown: [], acknowledged: [], eventTiming: {}, late: 0 });
  const commits = new Set(["Space", "KeyQ"]);
  const picture = () => document.querySelector(".qc-frame img, .jupyter-widgets img");
  const face = () => { const img = picture(); return img ? { img, src: img.currentSrc || img.src } : {}; };
  let pressedAt = 0;
  window.addEventListener("keydown", (event) => {
    if (!commits.has(event.code) || event.repeat) return;
    const before = face();
    pressedAt = event.timeStamp;
    const started = event.timeStamp;
    const look = () => requestAnimationFrame(() => {
      const now = face();
      const isNext = now.img && (now.img !== before.img || now.src !== before.src);
      if (isNext && now.img.complete && now.img.naturalWidth) {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => clock.shown.push({ at: started, ms: performance.now() - started });
        port2.postMessage(null);
      } else if (performance.now() - started < 5000) look();
      else clock.late += 1;
    });
    look();
  }, true);
  new PerformanceObserver((list) => {
    const pressed = list.getEntries().filter((entry) => entry.name === "keydown");
    for (const entry of pressed) clock.eventTiming[entry.startTime] = entry.duration;
  }).observe({ type: "event", durationThreshold: 16, buffered: true });
  // The longest label is small; pictures are not decoded as text, that would cost what is measured.
  const text = (data) => typeof data === "string" ? data : data.byteLength < 6000 ? new TextDecoder().decode(data) : "";
  const id = /"event_id": ?"([-0-9a-f]{36})"/;
  const sent = new Map();
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    const said = text(data);
    const label = /"kind": ?"label"/.test(said) && said.match(id);
    if (label && !sent.has(label[1])) sent.set(label[1], pressedAt);
    if (!this.isWatched) {
      this.isWatched = true;
      this.addEventListener("message", (event) => {
        const answer = text(event.data);
        const ack = /"kind": ?"ack"/.test(answer) && answer.match(id);
        if (ack && sent.has(ack[1])) clock.acknowledged.push(performance.now() - sent.get(ack[1]));
      });
    }
    return send.call(this, data);
  };
  window.addEventListener("load", () => (clock.loadedAt = performance.now()));
  const painted = setInterval(() => {
    if (!document.querySelector(".qc-labeller[data-painted]")) return;
    clock.paintedAt = performance.now();
    clearInterval(painted);
  }, 5);
})();
"""

#: The loop of a notebook made of plain widgets: the kernel reads the text box, saves and sends the next picture.
PEER = """
import json, os
from pathlib import Path
import ipywidgets as widgets
pictures = [Path(path).read_bytes() for path in json.loads(Path(os.environ["PEER_PICTURES"]).read_text())]
place = 0
picture = widgets.Image(value=pictures[0], format="png")
box = widgets.Text(continuous_update=True, placeholder="type here")
def read(change):
    global place
    if "q" not in change["new"] and " " not in change["new"]:
        return
    with open(os.environ["PEER_LABELS"], "a") as file:
        file.write(f"{place} | {change['new']}\\n")
    place += 1
    picture.value = pictures[place % len(pictures)]
    box.value = ""
box.observe(read, "value")
widgets.VBox([picture, box])
"""


def _pictures(folder, n=6):
    """Draw heads-like noise of the size that a screenshot of three slices has."""
    rows, columns = np.mgrid[-1:1:208j, -1:1:624j]
    for number in range(n):
        random = np.random.default_rng(number)
        radius = np.hypot((np.abs(columns) * 3 % 1 - 0.5) * 2, rows)
        grey = np.where(radius < 0.9, 120 + 60 * np.cos(9 * radius + number), 4) + random.normal(0, 8, rows.shape)
        images.save_png(folder / f"drawn-{number}.png", np.clip(grey, 0, 255).astype("uint8"))
    return sorted(folder.glob("drawn-*.png"))


def _study(folder, n):
    """Return a study of n images that share a few drawn pictures."""
    study = Study.create(folder, raters=["alice", "bob"])
    pictures = _pictures(study.derivatives)
    sha256 = [hashlib.sha256(path.read_bytes()).hexdigest() for path in pictures]
    names = [f"sub-{number:05d}_ses-M00_T1w" for number in range(n)]
    scan = {"source_path": "drawn", "simulated": True}
    store.write(study, "images", [{**scan, "image_id": name, "participant_id": name[:9]} for name in names])
    shown = [
        {
            "image_id": name,
            "screenshot_path": study.relative(pictures[number % len(pictures)]),
            "screenshot_sha256": sha256[number % len(pictures)],
            "preprocessing_preset": "drawn",
        }
        for number, name in enumerate(names)
    ]
    store.write(study, "preprocessed", shown)
    return study


@contextmanager
def _peer(folder, pictures):
    """Serve the notebook of plain widgets with voila; yield its address."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PEER)])
    nbformat.write(notebook, folder / "peer.ipynb")
    (folder / "pictures.json").write_text(json.dumps([str(path) for path in pictures]))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "voila", "peer.ipynb", "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"]
    given = {"PEER_PICTURES": str(folder / "pictures.json"), "PEER_LABELS": str(folder / "labels.txt")}
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **given}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/static/favicon.ico", timeout=2).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _page(address, *, round_trip_ms=0):
    """Open an address in a fresh browser through a network with that round trip; yield the page."""
    # Templates that ask a CDN for icons are answered at once that there is none: this is not what is measured.
    flags = [*_FLAGS, "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
    parts = urllib.parse.urlsplit(address)
    with sync_playwright() as playwright, Network(parts.port, delay_s=round_trip_ms / 2000) as network:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.add_init_script(CLOCK)
        page.goto(parts._replace(netloc=f"127.0.0.1:{network.port}").geturl(), timeout=120_000)
        yield page
        browser.close()


def _press(page, n, keys):
    """Press the keys of n labels, the committing one on the beat; return what the page measured.

    A rater looks first: the keys before it fall into the second half of the beat.
    """
    beat = time.monotonic() + 1
    for number in range(n):
        *before, commit = keys[number % len(keys)]
        for place, key in enumerate(before):
            _sleep_until(beat - BEAT_S * (len(before) - place) / (2 * len(before)))
            page.keyboard.press(key)
        _sleep_until(beat)
        page.keyboard.press(commit)
        beat += BEAT_S
    page.wait_for_timeout(2000)
    return page.evaluate("window.clock")


def _sleep_until(moment):
    time.sleep(max(moment - time.monotonic(), 0))


def _quantiles(milliseconds):
    return statistics.median(milliseconds), statistics.quantiles(milliseconds, n=20)[-1]


def _kernel_mb(process):
    """Return the memory of the newest kernel below a process, its shared pages counted whole."""
    kernels, below = [], [process.pid]
    while below:
        pid = below.pop()
        below += [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        if b"ipykernel" in Path(f"/proc/{pid}/cmdline").read_bytes():
            kernels.append(pid)
    status = Path(f"/proc/{max(kernels)}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000


def _ours(folder, n, round_trip_ms):
    """Label n images; return what the page measured, the kernel's memory and how many labels are on the disk."""
    study = _study(folder, n + 10)
    with serve.running(study, rater="alice") as (address, process), _page(address, round_trip_ms=round_trip_ms) as page:
        page.wait_for_selector('.qc-labeller[data-painted="0"]', timeout=60_000)
        clock = _press(page, n, [("q",), ("e", "1", "a", "z", " ")])
        clock["kernel_mb"] = _kernel_mb(process)
    clock["n_saved"] = len(store.label_events(study, "alice"))
    return clock


def _theirs(folder, n, round_trip_ms):
    with _peer(folder, _pictures(folder)) as address, _page(address, round_trip_ms=round_trip_ms) as page:
        page.locator("input[type=text]").wait_for(timeout=60_000)
        page.locator("input[type=text]").click()
        clock = _press(page, n, [("q",)])
    clock["n_saved"] = len((folder / "labels.txt").read_text().splitlines())
    return clock


def _seconds_to_open(folder):
    """Return seconds from the page's load event to the first picture of a study of 5,500 images."""
    study = _study(folder, N_LARGE)
    with serve.running(study, rater="alice") as (address, process), _page(address) as page:
        page.wait_for_selector('.qc-labeller[data-painted="0"]', timeout=60_000)
        page.wait_for_timeout(200)
        clock = page.evaluate("window.clock")
        return max(clock["paintedAt"] - clock["loadedAt"], 0) / 1000, clock["paintedAt"] / 1000, _kernel_mb(process)


def _seconds_to_load(folder):
    """Return the median seconds to load 12,100 events: 5,500 labels of each of two raters, 10% revised."""
    study = Study.create(folder, raters=["alice", "bob"])
    stamp = {"protocol": "t1w-warehouse", "protocol_sha256": "0" * 64, "version": "benchmark", "source": "rater"}
    for rater in ("alice", "bob"):
        log = store.SegmentLog(study.label_folder(rater) / "session", "label_events")
        log.extend(
            {
                **stamp,
                "event_id": f"{rater}-{number:08d}-0000-0000-0000-000000000000",
                "rater": rater,
                "session": "session",
                "sequence": number,
                "image_id": f"sub-{number % N_LARGE:05d}_ses-M00_T1w",
                "purpose": "label",
                "straight_reject": number % 4 == 0,
                "motion": number % 3,
                "supersedes": None,
                "saved_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
            }
            for number in range(N_EVENTS // 2)
        )
    took = []
    for _ in range(5):
        started = time.perf_counter()
        events, damaged = store.read_log(study.folder / "labels", "label_events")
        took.append(time.perf_counter() - started)
        assert (len(events), damaged) == (N_EVENTS, [])
    return statistics.median(took)


def figures(n_images=300):
    """Yield (what, figure, qcbench, limit or None, plain ipywidgets or None, remark)."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for round_trip_ms in ROUND_TRIPS_MS:
            ours = _ours(folder / f"study-{round_trip_ms}", n_images, round_trip_ms)
            (folder / f"peer-{round_trip_ms}").mkdir()
            theirs = _theirs(folder / f"peer-{round_trip_ms}", min(N_PEER, n_images), round_trip_ms)
            what = f"key to next picture, round trip +{round_trip_ms} ms"
            mine, peers = ([each["ms"] for each in clock["shown"]] for clock in (ours, theirs))
            remark = f"{len(mine)} of {n_images} shown, {ours['n_saved']} saved; peer {len(peers)}, {theirs['n_saved']}"
            for figure, us, them in zip(("p50 ms", "p95 ms"), _quantiles(mine), _quantiles(peers), strict=True):
                yield what, figure, us, LIMITS[figure], them, remark
            timed = [ours["eventTiming"].get(_nearest(ours["eventTiming"], each["at"])) for each in ours["shown"]]
            timed = [each for each in timed if each is not None] or [float("nan")]
            yield what, "p50 ms by the Event Timing API (steps of 8)", statistics.median(timed), None, None, ""
            if round_trip_ms == 0:
                p50, p95 = _quantiles(ours["acknowledged"])
                yield "key to acknowledgement, on the disk", "p50 ms", p50, None, None, ""
                yield "key to acknowledgement, on the disk", "p95 ms", p95, LIMITS["ack p95 ms"], None, ""
                yield f"kernel after {n_images} labels", "MB", ours["kernel_mb"], LIMITS["kernel MB"], None, "resident"
        after_load, in_all, kernel_mb = _seconds_to_open(folder / "large")
        yield (
            f"study of {N_LARGE:,} images open",
            "s after page load",
            after_load,
            LIMITS["open s"],
            None,
            (f"{in_all:.1f} s after the address was entered"),
        )
        yield f"kernel with {N_LARGE:,} images", "MB", kernel_mb, LIMITS["kernel MB"], None, "resident"
        load_s = _seconds_to_load(folder / "events")
        yield f"load {N_EVENTS:,} events", "s", load_s, LIMITS["load s"], None, "median of 5"


def _nearest(timing, started):
    """Return the entry of the key press: its time is the event's own, but for rounding."""
    near = [key for key in timing if abs(float(key) - started) < 1]
    return near[0] if near else None


def measure(n_images=300):
    """Yield rows for the table of all benchmarks; the peer is plain ipywidgets, or else the limit."""
    for what, figure, ours, limit, theirs, _ in figures(n_images):
        if theirs is not None:
            yield what, figure, ours, theirs, "plain ipywidgets: widgets.Image and a Text box"
        elif limit is not None:
            yield what, figure, ours, limit, "the limit that was set"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=300)
    table = Table(title="labelling in Chromium under voila, a commit every 400 ms")
    for column in ("what", "figure", "qcbench", "limit", "within", "plain ipywidgets", "remark"):
        table.add_column(column)
    for what, figure, ours, limit, theirs, remark in figures(parser.parse_args().images):
        within = "" if limit is None else "yes" if ours <= limit else "NO"
        shown = ["" if value is None else f"{value:.3g}" for value in (ours, limit, theirs)]
        table.add_row(what, figure, shown[0], shown[1], within, shown[2], remark)
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
