"""Two people who do not exist, at 2.5 mm, and what is known of them."""

import pytest

from qcbench.imaging import heads, simulate


@pytest.fixture(scope="session")
def head():
    return heads.synthetic_head(seed=1, spacing_mm=(2.5, 2.5, 2.5))


@pytest.fixture(scope="session")
def another():
    return heads.synthetic_head(seed=6, spacing_mm=(2.5, 2.8, 2.5))


@pytest.fixture(scope="session")
def sight(head):
    return simulate.Sight(head)
