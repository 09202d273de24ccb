import os
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from qcbench.errors import TrainingError, UsageError
from qcbench.learn import ranks
from qcbench.learn.datasets import VolumeCache, coarse_shape
from qcbench.learn.fit import Machine
from qcbench.learn.fitting import Fitting
from qcbench.learn.options import TrainOptions

WITHOUT_DROPOUT = (
    "-c",
    "import pathlib, sys, torch\n"
    "torch.nn.Dropout.forward = lambda self, values: values\n"
    "from qcbench.learn.ranks import main\n"
    "main(pathlib.Path(sys.argv[1]))",
)
#: Starts what SLURM's srun would, on this machine.
SRUN = """#!{python}
import os, subprocess, sys
nodes, tasks = (int(word.split("=")[1]) for word in sys.argv[1:3])
command = sys.argv[4:]
started = [
    subprocess.Popen(command, env={{**os.environ, "SLURM_PROCID": str(n), "SLURM_LOCALID": str(n % tasks)}})
    for n in range(nodes * tasks)
]
sys.exit(max(process.wait() for process in started))
"""


@pytest.fixture
def fitting(tmp_path):
    """Lean3D, for two epochs of three batches of four and three images; seven images to validate on."""
    rows = {f"image-{number:02d}": number for number in range(18)}
    rng = np.random.default_rng(0)
    volumes = [rng.integers(0, 60 + 120 * (n % 2), coarse_shape(4), dtype=np.uint8) for n in rows.values()]
    (tmp_path / "volumes.u8").write_bytes(b"".join(volume.tobytes() for volume in volumes))
    labels = {image_id: row % 2 for image_id, row in rows.items()}
    return Fitting(
        architecture="lean3d",
        cache=VolumeCache(path=tmp_path / "volumes.u8", spacing=4, rows=rows),
        fit=dict(list(labels.items())[:11]),
        validation=dict(list(labels.items())[11:]),
        class_weights=(0.75, 1.5),
        options=TrainOptions(batch_size=4, epochs=2, patience=0),
        seed=3,
        machine=Machine(device="cpu"),
        checkpoint_folder=tmp_path / "fold" / "fitting",
    )


@pytest.fixture
def srun(tmp_path, monkeypatch):
    """A stand-in for SLURM on the path."""
    fake = tmp_path / "bin" / "srun"
    fake.parent.mkdir()
    fake.write_text(SRUN.format(python=sys.executable))
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")


def test_a_fitting_comes_back_from_json_as_it_was(fitting):
    document = fitting.to_json()
    assert set(document["cache"]["rows"]) == {*fitting.fit, *fitting.validation}
    assert Fitting.of_json(document) == replace(fitting, cache=replace(fitting.cache, rows=document["cache"]["rows"]))


@pytest.mark.slow
def test_two_nodes_fit_what_one_process_fits(fitting, srun, monkeypatch, tmp_path):
    alone = replace(fitting, checkpoint_folder=tmp_path / "alone")
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, values: values)  # its masks would differ
    expected = alone.run()
    monkeypatch.setattr(ranks, "_PROGRAM", WITHOUT_DROPOUT)
    told = []
    found = ranks.fit_together(replace(fitting, machine=Machine(device="cpu", nodes=2)), told.append)
    assert [row["epoch"] for row in told[-1]] == [0, 1]
    assert (found.facts["nodes"], found.best_epoch) == (2, expected.best_epoch)
    for mine, theirs in zip(found.curves, expected.curves, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4)
    for name, value in expected.state.items():
        assert torch.allclose(found.state[name].float(), value.float(), rtol=1e-3, atol=1e-4), name


@pytest.mark.slow
def test_an_error_of_one_process_is_told_and_ends_all(fitting):
    options = replace(fitting.options, learning_rate=1e30)
    with pytest.raises(TrainingError, match=r"ended: the loss is not a number at epoch 0.*Lower the learning rate"):
        ranks.fit_together(replace(fitting, options=options, machine=Machine(device="cpu", devices=2)))


def test_several_nodes_need_a_cluster(fitting, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="2 nodes were asked for, but there is no srun"):
        ranks.fit_together(replace(fitting, machine=Machine(device="cpu", nodes=2)))
