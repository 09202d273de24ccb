"""Networks on the disk: safetensors for the numbers, JSON for the shape. No pickle is ever read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from qcbench import durable
from qcbench.errors import UsageError, WeightsError
from qcbench.learn import networks

FILE_NAME = "weights.safetensors"


def save_architecture(folder: Path, name: str, shape: tuple[int, int, int], outputs: int = 2) -> None:
    """Write architecture.json: name, shape, outputs, and the layers with their parameter counts."""
    with torch.device("meta"):
        network = networks.build(name, shape, outputs)
    document = {
        "name": name,
        "shape": list(shape),
        "outputs": outputs,
        "parameters": networks.count_parameters(network),
        "layers": networks.layers(network, shape),
    }
    durable.write_text(folder / "architecture.json", json.dumps(document, indent=1) + "\n")


def save_weights(folder: Path, state: dict[str, torch.Tensor]) -> str:
    """Write weights.safetensors durably; return the file's sha256."""
    content = safetensors.torch.save({name: tensor.contiguous() for name, tensor in state.items()})
    durable.write_bytes(folder / FILE_NAME, content)
    return hashlib.sha256(content).hexdigest()


def load_network(run_folder: Path, fold_folder: Path) -> nn.Module:
    """Return the network of a run with the weights of one fold, on the CPU, ready to predict.

    Raises WeightsError when a file is missing, is no safetensors or JSON, was changed since it
    was saved, or does not fit the architecture.
    """
    architecture = read_json(run_folder / "architecture.json")
    try:
        with torch.device("meta"):
            network = networks.build(architecture["name"], tuple(architecture["shape"]), architecture["outputs"])
    except (KeyError, TypeError, UsageError) as error:
        raise WeightsError(f"{run_folder / 'architecture.json'} describes no network of qcbench: {error}") from error
    state = _read_state(fold_folder)
    try:
        # assign: the network has no memory of its own, it takes that of the file's tensors.
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{fold_folder / FILE_NAME} does not fit {architecture['name']}: {error}") from error
    return network.requires_grad_(False).eval()


def read_json(path: Path) -> dict:
    """Return a JSON document of a run; raises WeightsError when it is missing or damaged."""
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing; train again, or remove the run {path.parent.name}") from error
    except ValueError as error:
        raise WeightsError(f"{path} is no JSON: {error}; train again, or restore it from a backup") from error
    if not isinstance(document, dict):
        raise WeightsError(f"{path} must hold a JSON object, got {type(document).__name__}")
    return document


def _read_state(fold_folder: Path) -> dict[str, torch.Tensor]:
    path = fold_folder / FILE_NAME
    if not path.is_file():
        others = sorted(file.name for file in fold_folder.glob("*") if file.suffix in (".pt", ".pth", ".ckpt", ".pkl"))
        hint = f"; {', '.join(others)} is not read, because loading a pickle can run code" if others else ""
        raise WeightsError(f"{path} is missing{hint}. Train again.")
    content = path.read_bytes()
    expected = read_json(fold_folder / "fold.json").get("weights_sha256")
    if hashlib.sha256(content).hexdigest() != expected:
        raise WeightsError(f"{path} was changed since it was saved (sha256 differs from fold.json). Train again.")
    try:
        return safetensors.torch.load(content)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not safetensors: {error}. Train again.") from error
