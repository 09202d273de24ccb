import pytest
import torch

from qcbench.errors import UsageError
from qcbench.learn.networks import PadMaxPool3d, architectures, build, count_parameters, layers


def test_conv5_fc3_has_the_published_layers_at_full_size():
    with torch.device("meta"):
        network = build("conv5_fc3")
    assert count_parameters(network) == 42_293_972
    assert sum(buffer.numel() for buffer in network.buffers()) == 501
    rows = layers(network, (169, 208, 179))
    pools = [row["output_shape"] for row in rows if row["kind"] == "PadMaxPool3d"]
    assert pools == [[8, 85, 104, 90], [16, 43, 52, 45], [32, 22, 26, 23], [64, 11, 13, 12], [128, 6, 7, 6]]
    parameters = [row["parameters"] for row in rows if row["parameters"]]
    assert parameters == [224, 16, 3472, 32, 13856, 64, 55360, 128, 221312, 256, 41934100, 65050, 102]
    assert next(row["output_shape"] for row in rows if row["kind"] == "Flatten") == [32256]


@pytest.mark.parametrize(("shape", "n_parameters"), [((43, 52, 45), 1_692_372), ((85, 104, 90), 6_351_572)])
def test_conv5_fc3_follows_coarser_volumes(shape, n_parameters):
    with torch.device("meta"):
        assert count_parameters(build("conv5_fc3", shape)) == n_parameters


def test_conv5_fc3_gives_one_logit_per_class_and_drops_half():
    network = build("conv5_fc3", (20, 17, 9), outputs=3).eval()
    assert network(torch.rand(2, 1, 20, 17, 9)).shape == (2, 3)
    assert [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)] == [0.5]


def test_odd_axes_are_padded_at_the_front_not_at_the_end():
    volume = torch.arange(1.0, 6.0).reshape(1, 1, 5, 1, 1).expand(1, 1, 5, 2, 2)
    pooled = PadMaxPool3d()(volume)
    at_the_end = torch.nn.functional.max_pool3d(volume, 2, ceil_mode=True)
    assert pooled[0, 0, :, 0, 0].tolist() == [1, 3, 5]
    assert at_the_end[0, 0, :, 0, 0].tolist() == [2, 4, 5]


def test_pooling_equals_an_explicit_zero_plane():
    volume = torch.rand(1, 2, 7, 8, 9)
    padded = torch.zeros(1, 2, 8, 8, 10)
    padded[:, :, 1:, :, 1:] = volume
    assert torch.equal(PadMaxPool3d()(volume), torch.nn.functional.max_pool3d(padded, 2))


@pytest.mark.parametrize("name", ["inception3d", "resnet3d", "vgg"])
def test_a_network_that_is_not_there_is_refused_with_those_that_are(name):
    with pytest.raises(UsageError, match=f"no architecture '{name}'; there are: conv5_fc3"):
        build(name)
    assert architectures() == ("conv5_fc3",)
