import subprocess
import sys

import pytest

import qcbench

# pyarrow loads numpy where it is installed; that is small and not ours to prevent.
HEAVY = ("torch", "ants", "pandas", "matplotlib", "nibabel", "sklearn", "scipy", "ipywidgets")


def loaded_after(statement):
    code = f"{statement}; import sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("statement", ["import qcbench", "import qcbench; qcbench.Study", "import qcbench.cli"])
def test_nothing_heavy_is_loaded(statement):
    assert loaded_after(statement) == []


def test_every_public_name_can_be_had():
    for name in qcbench.__all__:
        assert getattr(qcbench, name) is not None


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match="preprocess"):
        _ = qcbench.preproces
