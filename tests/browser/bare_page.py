"""The labeller's page without Jupyter: its code and style in a browser, the kernel's session in this process."""

import base64
import json
from types import SimpleNamespace

import pytest

from qcbench import images, store
from qcbench.annotate.session import Session
from qcbench.study import Study
from qcbench.widgets.labeller import Labeller
from tests.browser.conftest import Desk, head

#: Never asked for: the test answers every request itself. Secure, as an address of 127.0.0.1 is.
ADDRESS = "http://127.0.0.1:9/label"

#: What anywidget gives a page: traits, messages both ways.
MODEL = """
window.begin = async (code, traits) => {
  const widget = (await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })))).default;
  const listeners = new Set();
  const model = {
    get: (name) => traits[name],
    on: (name, listener) => listeners.add(listener),
    off: (name, listener) => listeners.delete(listener),
    send: (content) => {
      if (window.isCut) throw new Error("Cannot send");
      window.toKernel(JSON.stringify(content)).then((answers) => answers.forEach(([answer, png]) => {
        const bytes = png && Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
        listeners.forEach((listener) => listener(answer, bytes ? [new DataView(bytes.buffer)] : []));
      }));
    },
  };
  window.end = widget.render({ model, el: document.getElementById("cell") });
};
"""


def drawn_study(folder, *, protocol, endings=("T1w", "T2w", "bold")):
    """A study of alice's under a protocol: one drawn image for each ending, from sub-000 on."""
    study = Study.create(folder, raters=["alice"], protocol=str(protocol))
    stems = [f"sub-{number:03d}_{ending}" for number, ending in enumerate(endings)]
    paths = [study.derivatives / f"{stem}.png" for stem in stems]
    catalogue = [
        {
            "image_id": stem,
            "participant_id": stem[:7],
            "source_path": f"{stem}.nii.gz",
            "file_md5": f"{number:032x}",
            "simulated": True,
        }
        for number, stem in enumerate(stems)
    ]
    drawn = [
        {
            "image_id": stem,
            "screenshot_path": study.relative(path),
            "screenshot_sha256": images.save_png(path, head(number)),
            "preprocessing_preset": "drawn",
        }
        for number, (stem, path) in enumerate(zip(stems, paths, strict=True))
    ]
    store.write(study, "images", catalogue)
    store.write(study, "preprocessed", drawn)
    return study


class Kernel:
    """Answers a page as a kernel does; `lose` names kinds of answers that do not arrive, `answer` replaces some."""

    def __init__(self, study, rater="alice"):
        self.session = Session.open(study, rater)
        self.lose = set()
        self.answer = {}
        self.asked = []

    def receive(self, text):
        message = json.loads(text)
        self.asked.append(message)
        if message["kind"] in self.answer:
            return [[content, None] for content in self.answer[message["kind"]](message)]
        answers = self.session.receive(message)
        return [
            [content, png and base64.b64encode(png).decode()]
            for content, png in answers
            if content["kind"] not in self.lose
        ]

    def asked_for(self, kind):
        return [message for message in self.asked if message["kind"] == kind]


class BareDesk(Desk):
    """A desk whose page is opened on a kernel, which the test holds in its hand."""

    def __init__(self, page):
        super().__init__(page)
        self.kernel = None
        self.widget = Labeller  # whose code and style the page has
        page.route("**/*", lambda route: route.fulfill(content_type="text/html", body=self.html()))
        page.expose_function("toKernel", lambda text: self.kernel.receive(text))

    def html(self):
        return (
            f"<!doctype html><meta charset=utf-8><style>{self.widget._css}</style>"
            f"<body style='margin:0'><div id=cell></div><script>{MODEL}</script>"
        )

    def begin(self, kernel, *, theme="dark", fills_page=True):
        """Load the page, or load it again, with a kernel behind it."""
        self.kernel = kernel
        self.page.goto(ADDRESS)
        self.page.evaluate(
            "([code, traits]) => begin(code, traits)", [self.widget._esm, {"theme": theme, "fills_page": fills_page}]
        )
        return self


@pytest.fixture
def bare(chromium, request):
    """A function that gives another tab of one browser; the first one is kept as a picture."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, locale="en-GB")
    tabs = SimpleNamespace(opened=[])

    def another():
        tabs.opened.append(BareDesk(context.new_page()))
        return tabs.opened[-1]

    yield another
    if tabs.opened:
        tabs.opened[0].picture(f"last-{request.node.name[:50]}")
    context.close()


@pytest.fixture
def bench(bare):
    """One tab."""
    return bare()
