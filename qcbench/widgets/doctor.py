"""Whether this machine can serve the labeller: voila and anywidget, nothing from outside, memory, browser."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from qcbench import machine
from qcbench.findings import Finding, ask, ok, problem, warning
from qcbench.widgets import serve

#: Below these, what is served can be read by strangers (CVE-2024-30265, CVE-2026-44727), or is drawn by no page.
_LEAST = {"voila": "0.5.6", "jupyter-server": "2.20.0", "anywidget": "0.9.13"}
_INSTALL = "pip install 'qcbench[label]'"
_KERNEL_LIMIT_MB = 160
#: The voila process of one rater, measured; its kernel comes on top.
_SERVER_MB = 100
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox", "firefox-esr")
_NOWHERE = {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "blob:", "data:"}
_FETCHED = re.compile(
    r"""<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)\s*=\s*["']?((?:https?:)?//[^"'\s>]+)""", re.I
)

# The peak of this process alone: what getrusage says starts with that of the process it was forked from.
_KERNEL = """\
import re
import ipykernel.kernelapp
import qcbench.widgets.labeller
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1))
"""


def examine() -> list[Finding]:
    """Return what is found about the pages that this environment serves."""
    findings = [
        finding
        for package, least in _LEAST.items()
        for finding in ask(package, lambda p=package, v=least: at_least(p, v))
    ]
    findings += ask("front end", _front_end_here)
    findings += ask("offline", _offline)
    findings += ask("memory", _memory_here)
    findings += ask("browser", lambda: browser({name: shutil.which(name) for name in _BROWSERS}))
    return findings


def at_least(package: str, least: str) -> Finding:
    """Return whether a package is installed, and new enough."""
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        return warning(package, "is not installed: labels cannot be made from this environment", _INSTALL)
    if _numbers(version) < _numbers(least):
        return problem(package, f"{version} is older than {least}, which is needed", f"{_INSTALL} --upgrade")
    return ok(package, version)


def front_end(folders: list[Path], version: str) -> Finding:
    """Return whether the server finds the browser's half of anywidget, of the kernel's version."""
    name = "front end"
    for folder in folders:
        package = folder / "anywidget" / "package.json"
        if not package.is_file():
            continue
        other = json.loads(package.read_text(encoding="utf-8"))["version"]
        if _numbers(other)[:2] != _numbers(version)[:2]:
            found = f"anywidget in {folder} is {other}, in the kernel {version}: pages stay empty"
            return problem(name, found, "Install one version of anywidget for both, and start the server again.")
        return ok(name, f"anywidget {other} in {folder}")
    looked = ", ".join(map(str, folders))
    return problem(
        name,
        f"no labextension anywidget in {looked}: pages stay empty",
        "Install anywidget into the environment of the server too, and start the server again.",
    )


def offline(html: str, policy: str) -> Finding:
    """Return whether a page can fetch anything from elsewhere: what it asks for, and what its policy lets through."""
    name = "offline"
    directives = dict(each.strip().partition(" ")[::2] for each in policy.split(";"))
    outside = sorted({word for sources in directives.values() for word in sources.split()} - _NOWHERE)
    if directives.get("default-src") != "'self'" or outside:
        found = f"the content security policy lets a page ask {', '.join(outside) or 'anybody'}"
        return problem(name, found, "Set it to 'self' alone in qcbench/widgets/serve.py.")
    links = sorted(set(_FETCHED.findall(html)))
    if links:
        return warning(
            name,
            f"this version of voila puts {', '.join(links)} into the page; the browser refuses to fetch it, "
            "but may look its address up",
            "Use the version of voila in constraints.txt.",
        )
    return ok(name, "the page that is served asks for nothing from elsewhere, and its policy would not let it")


def memory(kernel_mb: float, available_mb: float) -> Finding:
    """Return how many raters fit beside each other: a server and a kernel each."""
    raters = int(available_mb // (kernel_mb + _SERVER_MB))
    found = (
        f"a labelling kernel takes {kernel_mb:.0f} MB, its server {_SERVER_MB} MB; {available_mb / 1024:.1f} GB are "
        f"free: room for about {raters} raters at once"
    )
    if raters < 1:
        return problem("memory", found, "End something else on this machine, or use another.")
    if kernel_mb > _KERNEL_LIMIT_MB:
        todo = "See what the environment loads at start-up (pandas, matplotlib?); one of [label] alone is smaller."
        return warning("memory", f"{found}; a kernel should stay below {_KERNEL_LIMIT_MB} MB", todo)
    return ok("memory", found)


def browser(found: dict[str, str | None]) -> Finding:
    """Return which browsers this machine has; raters may well use one of another machine."""
    here = [path for path in found.values() if path]
    if here:
        return ok("browser", ", ".join(here))
    return ok("browser", "none on this machine; raters open the address in one of their own")


def kernel_mb() -> float:
    """Return the peak memory of a process that has loaded what a labelling kernel loads."""
    command = [sys.executable, "-c", _KERNEL]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if result.returncode:
        last = result.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise RuntimeError(f"a labelling kernel does not start: {last[0]}")
    return int(result.stdout) / 1024


def _front_end_here() -> list[Finding]:
    if not _is_installed("anywidget", "voila"):
        return []
    from jupyter_core.paths import jupyter_path

    return [front_end([Path(folder) for folder in jupyter_path("labextensions")], metadata.version("anywidget"))]


def _offline() -> list[Finding]:
    if not _is_installed("voila"):
        return []
    # In a thread, because a notebook's own loop runs in this one.
    with tempfile.TemporaryDirectory(prefix="qcbench-") as private, ThreadPoolExecutor(1) as thread:
        html = thread.submit(lambda: asyncio.run(_rendered(Path(private)))).result()
        settings = json.loads((Path(private) / "config" / "voila.json").read_text(encoding="utf-8"))
    headers = settings["Voila"]["tornado_settings"]["headers"]
    return [offline(html, headers.get("Content-Security-Policy", ""))]


def _memory_here() -> list[Finding]:
    if not _is_installed("anywidget", "ipykernel"):
        return []
    free_gb = machine.available_memory_gb()
    return [] if free_gb is None else [memory(kernel_mb(), 1024 * free_gb)]


async def _rendered(folder: Path) -> str:
    """Return the page around the cells as voila makes it of our template; no kernel is started."""
    import nbformat
    from jupyter_core.paths import jupyter_path
    from voila.exporter import VoilaExporter
    from voila.paths import collect_template_paths

    page = serve._lay_out(folder, "02_label.ipynb", 0, "")
    roots = [str(folder / "share"), *jupyter_path()]
    paths = collect_template_paths(["voila", "nbconvert"], "qcbench", prune=True, root_dirs=roots)
    # Its files are those of the template it extends.
    exporter = VoilaExporter(template_paths=paths, template_name="lab", theme="dark", base_url="/")
    context = {
        "frontend": "voila",
        "main_js": "",
        "kernel_start": lambda notebook: "",
        "cell_generator": lambda notebook, kernel: [],
        "notebook_execute": lambda notebook, kernel: "",
    }
    notebook = nbformat.read(page, as_version=4)
    parts = exporter.generate_from_notebook_node(notebook, {"base_url": "/", "theme": "dark"}, extra_context=context)
    return "".join([part async for part, _ in parts])


def _is_installed(*packages: str) -> bool:
    try:
        return all(metadata.version(package) for package in packages)
    except metadata.PackageNotFoundError:
        return False


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.match(r"[\d.]+", version).group().strip(".").split("."))
