"""Fixtures that every room uses: an empty study, real data where there is any, small NIfTI files."""

import os
import shutil
from pathlib import Path

import pytest

from qcbench.study import Study

CHROMIUM = os.environ.get("QCBENCH_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def study(tmp_path):
    """An empty study with raters alice and bob."""
    return Study.create(tmp_path / "study", raters=["alice", "bob"])


@pytest.fixture(scope="session")
def real_data():
    """The folder of real heads, ratings and records; its absence skips the test."""
    folder = os.environ.get("QCBENCH_REAL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs real images: set QCBENCH_REAL_DATA to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def chromium():
    """One headless Chromium for all browser tests."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip("needs Chromium: install it, or set QCBENCH_CHROMIUM to its path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()
