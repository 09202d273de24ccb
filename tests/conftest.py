"""Fixtures that every room uses: an empty study, real data where there is any, small NIfTI files."""

import os
from pathlib import Path

import pytest

from qcbench.study import Study


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
