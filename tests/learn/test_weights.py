import json

import pytest
import torch

from qcbench.errors import WeightsError
from qcbench.learn import networks, weights

SHAPE = (16, 16, 16)


@pytest.fixture
def saved(tmp_path):
    """A run folder with one fold; returns it with the network that was saved."""
    network = networks.build("conv5_fc3", SHAPE).eval()
    weights.save_architecture(tmp_path, "conv5_fc3", SHAPE)
    fold = tmp_path / "fold-0"
    digest = weights.save_weights(fold, network.state_dict())
    (fold / "fold.json").write_text(json.dumps({"weights_sha256": digest}))
    return tmp_path, network


def test_a_network_comes_back_as_it_was(saved):
    folder, network = saved
    volumes = torch.rand(2, 1, *SHAPE)
    assert torch.equal(weights.load_network(folder, folder / "fold-0")(volumes), network(volumes))


def test_the_architecture_file_lists_every_layer_with_its_parameters(saved):
    folder, network = saved
    document = json.loads((folder / "architecture.json").read_text())
    assert document["parameters"] == networks.count_parameters(network)
    assert sum(layer["parameters"] for layer in document["layers"]) == document["parameters"]


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95pickle", b"\xff" * 64])
def test_what_is_no_safetensors_is_refused(saved, content):
    folder, _ = saved
    (folder / "fold-0" / "weights.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="changed since it was saved"):
        weights.load_network(folder, folder / "fold-0")
    digest = weights.hashlib.sha256(content).hexdigest()
    (folder / "fold-0" / "fold.json").write_text(json.dumps({"weights_sha256": digest}))
    with pytest.raises(WeightsError, match="not safetensors"):
        weights.load_network(folder, folder / "fold-0")


def test_a_pickle_beside_missing_weights_is_named_and_not_read(saved):
    folder, _ = saved
    (folder / "fold-0" / "weights.safetensors").unlink()
    (folder / "fold-0" / "weights.pt").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(WeightsError, match=r"weights\.pt is not read"):
        weights.load_network(folder, folder / "fold-0")


def test_weights_of_another_shape_are_refused(saved):
    folder, _ = saved
    weights.save_architecture(folder, "conv5_fc3", (64, 64, 64))
    with pytest.raises(WeightsError, match="does not fit"):
        weights.load_network(folder, folder / "fold-0")


@pytest.mark.parametrize(
    "content", ["", "[]", '{"name": "vgg", "shape": [1, 1, 1], "outputs": 2}', '{"name": "conv5_fc3"}']
)
def test_a_wrong_architecture_file_is_refused_by_name(saved, content):
    folder, _ = saved
    (folder / "architecture.json").write_text(content)
    with pytest.raises(WeightsError, match=r"architecture\.json"):
        weights.load_network(folder, folder / "fold-0")
