import pytest
import torch

from qcbench.errors import UsageError
from qcbench.learn.networks import PadMaxPool3d, architectures, build, count_parameters, layers, multiply_adds

FULL, AT_2_MM, AT_4_MM = (169, 208, 179), (85, 104, 90), (43, 52, 45)


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


def test_resnet3d_has_the_published_layers_at_full_size():
    with torch.device("meta"):
        network = build("resnet3d")
    assert count_parameters(network) == 3_517_314
    rows = layers(network, FULL)
    pools = [row["output_shape"][1:] for row in rows if row["kind"] == "MaxPool3d"]
    assert pools == [[84, 103, 89], [41, 51, 44], [20, 25, 21], [9, 12, 10], [4, 5, 4]]
    assert next(row["output_shape"] for row in rows if row["kind"] == "Flatten") == [10_240]
    assert multiply_adds(network, FULL) == pytest.approx(26.72e9, rel=1e-3)
    assert [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)] == [0.8]


def test_inception3d_has_the_published_layers_at_full_size():
    with torch.device("meta"):
        network = build("inception3d")
    assert count_parameters(network) == 21_523_686
    assert count_parameters(network.auxiliary) == 7_217_924
    rows = {row["layer"]: row["output_shape"] for row in layers(network, FULL)}
    assert rows["stem.4"] == [192, 20, 24, 21]
    assert rows["threes.2"] == [480, 9, 11, 10]
    assert rows["last_four.1"] == [832, 4, 5, 4]
    assert rows["classifier.0"] == [1024, 3, 3, 3]
    assert rows["classifier.2"] == [27_648]
    assert multiply_adds(network, FULL) == pytest.approx(68.18e9, rel=1e-3)


def test_inception3d_has_three_logits_while_it_learns_and_one_afterwards():
    network = build("inception3d_adaptive", AT_2_MM)
    volumes = torch.rand(2, 1, *AT_2_MM)
    with torch.no_grad():
        assert [logits.shape for logits in network.train()(volumes)] == [(2, 2)] * 3
        assert network.eval()(volumes).shape == (2, 2)


def test_conv5_fc3_costs_what_was_published():
    with torch.device("meta"):
        assert multiply_adds(build("conv5_fc3"), FULL) == pytest.approx(6.649e9, rel=1e-3)


def test_lean3d_has_under_a_million_parameters_and_a_third_of_the_operations():
    with torch.device("meta"):
        lean, published = build("lean3d"), build("conv5_fc3")
    assert count_parameters(lean) == count_parameters(build("lean3d", AT_4_MM)) < 1_000_000
    assert multiply_adds(lean, FULL) < multiply_adds(published, FULL) / 2.9


@pytest.mark.parametrize("shape", [(43, 52, 45), (9, 17, 20), (1, 1, 1)])
def test_lean3d_follows_any_volume(shape):
    network = build("lean3d", shape, outputs=3)
    assert network.eval()(torch.rand(2, 1, *shape)).shape == (2, 3)
    logits = network(torch.zeros(2, 1, *shape))
    logits.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters() if parameter.grad is not None)


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("resnet3d", AT_4_MM, "train it at 1 or 2 mm"),
        ("inception3d", AT_2_MM, "take inception3d_adaptive at 2 mm"),
        ("inception3d_adaptive", AT_4_MM, "train it at 1 or 2 mm"),
    ],
)
def test_a_network_of_which_nothing_is_left_is_refused_with_what_to_do(name, shape, told):
    with torch.device("meta"), pytest.raises(UsageError, match=told):
        build(name, shape)


def test_a_network_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(UsageError, match="no architecture 'vgg'; there are: conv5_fc3, inception3d"):
        build("vgg")
    assert architectures() == ("conv5_fc3", "inception3d", "inception3d_adaptive", "resnet3d", "lean3d", "multitask3d")
