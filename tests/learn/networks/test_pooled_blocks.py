import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench.learn.networks import build
from qcbench.learn.networks.batch_norm import BatchNorm3d
from qcbench.learn.networks.pooled_blocks import max_pool, may_be_one_step, one_step


def block(channels_in, channels):
    """A convolution and its norm with factors of both signs, channels last."""
    convolution = torch.nn.Conv3d(channels_in, channels, kernel_size=3, padding=1)
    norm = BatchNorm3d(channels)
    torch.nn.init.uniform_(norm.weight, -1, 1)
    torch.nn.init.uniform_(norm.bias, -1, 1)
    return torch.nn.ModuleList([convolution, norm]).to(memory_format=torch.channels_last_3d)


def layer_by_layer(convolution, norm, volumes):
    return max_pool(torch.relu(norm(convolution(volumes))))


sizes = st.integers(2, 9)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), sizes, sizes, sizes),
    channels=st.integers(1, 6),
    seed=st.integers(0, 9),
)
def test_one_step_gives_the_values_the_gradients_and_the_norm_of_the_layers(shape, channels, seed):
    torch.manual_seed(seed)
    layers = block(shape[1], channels)
    exact = copy.deepcopy(layers).double()
    volumes = torch.randn(shape).to(memory_format=torch.channels_last_3d).requires_grad_()
    in_double = volumes.detach().double().requires_grad_()
    assert may_be_one_step(*layers, volumes)
    found, right = one_step(*layers, volumes), layer_by_layer(*exact, in_double)
    close = {"rtol": 1e-3, "atol": 1e-3}
    torch.testing.assert_close(found, right.float(), **close)
    wanted = torch.randn_like(found)
    (found * wanted).sum().backward()
    (right * wanted).sum().backward()
    torch.testing.assert_close(volumes.grad, in_double.grad.float(), **close)
    for mine, its in zip(layers.parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, its.grad.float(), **close)
    for mine, its in zip(layers.buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(mine, its.to(mine.dtype), **close)
    layers.eval()
    exact.eval()
    torch.testing.assert_close(one_step(*layers, volumes), layer_by_layer(*exact, in_double).float(), **close)


def test_the_bias_of_the_convolution_is_learnt_as_part_of_the_mean_and_has_no_gradient():
    convolution, norm = block(1, 2)
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.bias.copy_(torch.tensor([3.0, -5.0]))
    one_step(convolution, norm, torch.rand(2, 1, 4, 4, 4)).sum().backward()
    assert convolution.bias.grad.tolist() == [0, 0]
    torch.testing.assert_close(norm.running_mean, torch.tensor([0.3, -0.5]))
    assert norm.num_batches_tracked == 1


def test_a_second_backward_through_the_same_graph_gives_the_same():
    convolution, norm = block(1, 2)
    loss = one_step(convolution, norm, torch.rand(2, 1, 4, 4, 4)).sum()
    first = torch.autograd.grad(loss, norm.bias, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(loss, norm.bias)[0], first)


def test_layers_stay_apart_on_other_machines_in_other_formats_and_with_other_norms():
    convolution, norm = block(1, 2)
    volumes = torch.rand(1, 1, 4, 4, 4)
    assert may_be_one_step(convolution, norm, volumes)
    assert not may_be_one_step(convolution, norm, volumes.to("meta"))
    assert not may_be_one_step(convolution.double(), norm, volumes.double())
    assert not may_be_one_step(convolution, torch.nn.SyncBatchNorm(2), volumes)
    assert not may_be_one_step(torch.nn.Conv3d(1, 2, 3), norm, volumes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not may_be_one_step(*block(1, 2), volumes)


@pytest.mark.parametrize("is_training", [True, False])
def test_conv5_fc3_gives_the_same_logits_in_either_memory_format(is_training):
    torch.manual_seed(0)
    network = build("conv5_fc3", (43, 52, 45)).train(is_training)
    network.classifier[1].p = 0.0
    volumes = torch.rand(3, 1, 43, 52, 45)
    apart = copy.deepcopy(network)(volumes)
    together = network.to(memory_format=torch.channels_last_3d)(volumes)
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4)
