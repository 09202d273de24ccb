import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

import pytest

from qcbench.widgets import doctor, serve


def run(coroutine):
    """Run in a thread of its own: a browser that an earlier test drove keeps a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


PAGE = '<link rel="stylesheet" href="/static/style.css"><a href="https://example.org">a link is not fetched</a>'


def test_this_environment_can_serve_the_labeller():
    findings = {finding.name: finding for finding in doctor.examine()}
    expected = ["voila", "jupyter-server", "anywidget", "front end", "offline", "memory", "browser"]
    assert list(findings) == expected
    assert [finding for finding in findings.values() if finding.state != "ok"] == []


def test_a_machine_that_is_not_for_labelling_has_no_problem(monkeypatch):
    def nothing(package):
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(doctor.metadata, "version", nothing)
    findings = [(finding.name, finding.state) for finding in doctor.examine()]
    expected = [("voila", "warning"), ("jupyter-server", "warning"), ("anywidget", "warning"), ("browser", "ok")]
    assert findings == expected


def test_a_notebook_whose_own_loop_runs_can_ask_too():
    async def cell():
        return doctor._offline()

    assert [finding.state for finding in run(cell())] == ["ok"]


def test_an_old_package_is_a_problem_and_a_missing_one_is_told_with_its_command():
    assert doctor.at_least("pytest", "1.0.9").state == "ok"
    assert (doctor.at_least("pytest", "999.0").state, doctor.at_least("pytest", "999.0").next_step) == (
        "problem",
        "pip install 'qcbench[label]' --upgrade",
    )
    missing = doctor.at_least("no-such-package", "1.0")
    assert (missing.state, missing.next_step) == ("warning", "pip install 'qcbench[label]'")


@pytest.mark.parametrize(
    ("installed", "state", "words"),
    [("0.11.4", "ok", "anywidget 0.11.4"), ("0.9.18", "problem", "is 0.9.18, in the kernel 0.11.0")],
)
def test_the_front_end_must_be_of_the_kernels_version(tmp_path, installed, state, words):
    folder = tmp_path / "labextensions" / "anywidget"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": "anywidget", "version": installed}))
    found = doctor.front_end([tmp_path / "elsewhere", tmp_path / "labextensions"], "0.11.0")
    assert (found.state, words in found.found) == (state, True)


def test_a_server_without_the_front_end_is_a_problem(tmp_path):
    found = doctor.front_end([tmp_path], "0.11.0")
    assert (found.state, str(tmp_path) in found.found) == ("problem", True)


@pytest.mark.parametrize(
    ("html", "policy", "state", "words"),
    [
        (PAGE, "default-src 'self'; img-src 'self' data:", "ok", "asks for nothing"),
        (PAGE, "default-src 'self'; img-src https://cdn.example.org", "problem", "https://cdn.example.org"),
        (PAGE, "default-src *", "problem", "ask *"),
        (PAGE, "img-src 'self'", "problem", "anybody"),
        (PAGE, "", "problem", "anybody"),
        (
            PAGE + '<script async src="https://cdn.example.org/x.js">',
            "default-src 'self'",
            "warning",
            "https://cdn.example.org/x.js",
        ),
        (PAGE + "<link href=//cdn.example.org/x.css>", "default-src 'self'", "warning", "//cdn.example.org/x.css"),
    ],
)
def test_a_page_that_asks_elsewhere_is_found_out(html, policy, state, words):
    found = doctor.offline(html, policy)
    assert found.state == state
    assert words in found.found


def test_the_template_of_voila_alone_would_ask_elsewhere(monkeypatch):
    bare = "{%- extends 'voila/templates/lab/index.html.j2' -%}"
    monkeypatch.setattr(serve, "_TEMPLATE", bare)
    (found,) = doctor._offline()
    assert (found.state, "https://cdn.jsdelivr.net" in found.found) == ("warning", True)


@pytest.mark.parametrize(
    ("kernel_mb", "available_mb", "state", "words"),
    [
        (80.0, 18_000.0, "ok", "about 100 raters"),
        (170.0, 18_000.0, "warning", "should stay below 160 MB"),
        (80.0, 179.0, "problem", "about 0 raters"),
    ],
)
def test_raters_fit_as_long_as_there_is_memory(kernel_mb, available_mb, state, words):
    found = doctor.memory(kernel_mb, available_mb)
    assert found.state == state
    assert words in found.found


def test_the_memory_of_a_kernel_is_its_own_and_not_that_of_who_started_it():
    ballast = bytearray(400 * 2**20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    assert 40 < doctor.kernel_mb() < 160


def test_no_browser_on_the_server_is_no_trouble():
    found = doctor.browser({"chromium": None, "firefox": None})
    assert (found.state, "one of their own" in found.found) == ("ok", True)
    assert re.search("/usr/bin/firefox", doctor.browser({"chromium": None, "firefox": "/usr/bin/firefox"}).found)
