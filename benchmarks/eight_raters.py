"""Eight raters at one server: from the key to the next picture, labels lost, memory a rater.

`python -m benchmarks.eight_raters [--raters 8] [--labels 50]` prints the table. One voila behind nginx
serves all of them. The first rater works in Chromium, whose input pipeline presses the keys; the
others are pages without a browser that speak the same messages over the same websockets, since eight
browsers beside the server on two cores would measure the browsers. Each labels every 400 ms.
"""

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks.label_latency import CLOCK, _press, _quantiles, _sleep_until, _study
from qcbench import store
from qcbench.study import Study
from qcbench.widgets import gate
from tests.browser import hospital
from tests.conftest import _FLAGS, CHROMIUM
from tests.faults.kernel import RaterPage
from tests.widgets.served import ServedKernel, shown

BEAT_S = 0.4
LIMITS = {"p95 ms": 100, "lost": 0, "doubled": 0, "MB": 160}


class BarePage:
    """A rater who labels on the beat in a thread of their own, without a browser.

    `took_ms` is the time of a whole label: the picture is asked for and comes, the label is sent and
    its acknowledgement comes. A browser has the picture beforehand, so it waits for less.
    """

    def __init__(self, address, headers, n):
        self._page, self._kernel, self._n = RaterPage(), ServedKernel(address, headers), n
        self.took_ms, self.problem = [], None
        self._thread = threading.Thread(target=self._label_all, daemon=True)

    def open(self, study):
        self._page.open(self._kernel, study)

    def start(self, at):
        self._starts_at = at
        self._thread.start()

    def join(self):
        self._thread.join()
        self._kernel.close()
        if self.problem:
            raise self.problem

    def _label_all(self):
        try:
            for number in range(self._n):
                _sleep_until(self._starts_at + number * BEAT_S)
                started = time.perf_counter()
                assert self._page.label()["kind"] == "ack"
                self.took_ms.append(1000 * (time.perf_counter() - started))
        except Exception as error:  # raised where it is waited for
            self.problem = error


def measure_together(folder, n_raters, n_labels):
    """Return the clock of the browser, the milliseconds of the bare pages, saved event ids, and memory in MB."""
    raters = [f"rater-{number}" for number in range(1, n_raters + 1)]
    _study(folder / "study", n_labels + 10)
    settings = folder / "study" / "study.toml"
    settings.write_text(settings.read_text().replace('["alice", "bob"]', str(raters).replace("'", '"')))
    study = Study(folder / "study")
    with hospital.running("nginx", study, folder, raters[:1]) as served:
        secret = gate.read_secret(served.secret_file)
        others = [BarePage(served.address, shown(secret, rater), n_labels) for rater in raters[1:]]
        opened_s = []
        for page in others:
            started = time.perf_counter()
            page.open(study)
            opened_s.append(time.perf_counter() - started)
        clock = _with_browser(served, raters[0], n_labels, others)
        memory_mb = _memory_mb(served.voila.pid)
    events = {rater: [event["event_id"] for event in store.label_events(study, rater)] for rater in raters}
    return clock, [ms for page in others for ms in page.took_ms], events, opened_s, memory_mb


def _with_browser(served, rater, n_labels, others):
    """Label in Chromium while the others label; return what its page measured."""
    login = {"username": rater, "password": served.passwords[rater]}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        context = browser.new_context(http_credentials=login, ignore_https_errors=True)
        page = context.new_page()
        page.set_viewport_size({"width": 1280, "height": 720})
        page.add_init_script(CLOCK)
        page.goto(f"https://localhost:{served.port}/", timeout=120_000)
        page.wait_for_selector('.qc-labeller[data-painted="0"]', timeout=60_000)
        starts_at = time.monotonic() + 1
        for number, other in enumerate(others):  # spread over the beat, as people are
            other.start(starts_at + BEAT_S * number / max(len(others), 1))
        clock = _press(page, n_labels, [("q",), ("e", "1", "a", "z", " ")])
        for other in others:
            other.join()
        browser.close()
    return clock


def _memory_mb(pid):
    """Return (server, each kernel): proportional set size, in which shared pages are divided among their users."""
    server, kernels, below = 0.0, [], [pid]
    while below:
        pid = below.pop()
        below += [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        pages = Path(f"/proc/{pid}/smaps_rollup").read_text()
        size_mb = int(pages.split("\nPss:")[1].split()[0]) / 1000
        if b"ipykernel" in Path(f"/proc/{pid}/cmdline").read_bytes():
            kernels.append(size_mb)
        else:
            server += size_mb
    return server, kernels


def figures(n_raters=8, n_labels=50):
    """Yield (what, figure, value, limit or None)."""
    with tempfile.TemporaryDirectory(prefix="qcbench-") as folder:
        clock, took_ms, events, opened_s, (server_mb, kernels_mb) = measure_together(Path(folder), n_raters, n_labels)
    key, ack = _quantiles([each["ms"] for each in clock["shown"]]), _quantiles(clock["acknowledged"])
    yield f"key to next picture, Chromium, {n_raters} raters at once", "p50 ms", key[0], None
    yield f"key to next picture, Chromium, {n_raters} raters at once", "p95 ms", key[1], LIMITS["p95 ms"]
    yield "key to acknowledgement, on the disk, Chromium", "p50 ms", ack[0], None
    yield "key to acknowledgement, on the disk, Chromium", "p95 ms", ack[1], None
    if took_ms:
        whole = _quantiles(took_ms)
        yield "picture fetched afresh, label, acknowledgement, without a browser", "p50 ms", whole[0], None
        yield "picture fetched afresh, label, acknowledgement, without a browser", "p95 ms", whole[1], None
        yield "page opened, one after the other", "median s", statistics.median(opened_s), None
    saved = [event_id for ids in events.values() for event_id in ids]
    yield "labels lost", f"of {n_raters * n_labels}", n_raters * n_labels - len(set(saved)), LIMITS["lost"]
    yield "labels doubled", f"of {n_raters * n_labels}", len(saved) - len(set(saved)), LIMITS["doubled"]
    yield "the server, for all raters", "MB", server_mb, None
    yield "the kernel of one rater", "largest MB", max(kernels_mb), LIMITS["MB"]
    yield "all of it, divided by the raters", "MB a rater", (server_mb + sum(kernels_mb)) / n_raters, None


def measure(n_raters=8, n_labels=50):
    """Yield rows for the table of all benchmarks: ours beside the limit that was set."""
    for what, figure, ours, limit in figures(n_raters, n_labels):
        if limit:
            yield what, figure, ours, limit, "the limit that was set"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--raters", type=int, default=8)
    parser.add_argument("--labels", type=int, default=50)
    asked = parser.parse_args()
    table = Table(title=f"{asked.raters} raters at one server, {asked.labels} labels each, one every 400 ms")
    for column in ("what", "figure", "qcbench", "limit", "within"):
        table.add_column(column)
    for what, figure, ours, limit in figures(asked.raters, asked.labels):
        within = "" if limit is None else "yes" if ours <= limit else "NO"
        table.add_row(what, figure, f"{ours:.3g}", "" if limit is None else f"{limit:g}", within)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
