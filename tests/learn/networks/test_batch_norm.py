import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qcbench.learn.networks.batch_norm import (
    BatchNorm3d,
    has_channels_last,
    is_float32_on_a_processor,
    mean_and_variance,
)

ALL_BUT_CHANNELS = (0, 2, 3, 4)


def channels_last(volumes):
    return volumes.to(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_mean_and_variance_of_millions_of_voxels_are_right_to_a_millionth(offset):
    torch.manual_seed(0)
    volumes = channels_last(offset + 3 * torch.randn(4, 8, 60, 80, 70))
    mean, variance = mean_and_variance(volumes)
    exact = volumes.double()
    assert ((mean - exact.mean(ALL_BUT_CHANNELS)) / 3).abs().max() < 1e-5
    torch.testing.assert_close(
        variance.double(), exact.var(ALL_BUT_CHANNELS, correction=0), rtol=1e-5, atol=0, check_dtype=False
    )


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(2, 6), st.integers(2, 6), st.integers(2, 6)),
    seed=st.integers(0, 9),
)
def test_outputs_gradients_and_what_is_learnt_are_those_of_torch_in_double(shape, seed):
    torch.manual_seed(seed)
    volumes, wanted = torch.randn(shape), torch.randn(shape)
    norm = BatchNorm3d(shape[1])
    torch.nn.init.uniform_(norm.weight, -1, 1)
    torch.nn.init.uniform_(norm.bias, -1, 1)
    exact = torch.nn.BatchNorm3d(shape[1]).double()
    exact.load_state_dict(norm.state_dict())
    ours = channels_last(volumes).requires_grad_()
    theirs = volumes.double().requires_grad_()
    (norm(ours) * wanted).sum().backward()
    (exact(theirs) * wanted).sum().backward()
    close = {"rtol": 1e-3, "atol": 1e-3, "check_dtype": False}
    torch.testing.assert_close(ours.grad, theirs.grad.float(), **close)
    torch.testing.assert_close(norm.weight.grad, exact.weight.grad.float(), **close)
    torch.testing.assert_close(norm.bias.grad, exact.bias.grad.float(), **close)
    for mine, its in zip(norm.buffers(), exact.buffers(), strict=True):
        torch.testing.assert_close(mine, its.to(mine.dtype), **close)


def test_torch_and_double_precision_take_over_where_nothing_is_to_be_mended():
    volumes = torch.randn(2, 3, 4, 4, 4)
    assert has_channels_last(channels_last(volumes))
    assert not has_channels_last(volumes)
    assert is_float32_on_a_processor(volumes)
    assert not is_float32_on_a_processor(volumes.double())
    assert not is_float32_on_a_processor(volumes.to("meta"))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not is_float32_on_a_processor(volumes)


def test_in_evaluation_the_norm_is_that_of_torch():
    norm = BatchNorm3d(3).eval()
    norm.running_mean += 0.5
    volumes = channels_last(torch.randn(2, 3, 4, 5, 6))
    assert torch.equal(norm(volumes), torch.nn.BatchNorm3d.forward(norm, volumes))


def test_millions_of_voxels_are_normalised_as_in_double_precision():
    """Torch's own norm is off by 2e-3 here, and by 4e-4 in what goes back."""
    torch.manual_seed(0)
    volumes = channels_last(1 + 3 * torch.randn(4, 8, 60, 80, 70))
    wanted = channels_last(volumes.sign() + torch.randn_like(volumes))
    norm, exact = BatchNorm3d(8), torch.nn.BatchNorm3d(8).double()
    found, right = norm(volumes), exact(volumes.double())
    (found * wanted).sum().backward()
    (right * wanted.double()).sum().backward()
    assert (found - right).abs().max() < 1e-5
    assert ((norm.weight.grad - exact.weight.grad) / exact.weight.grad).abs().max() < 1e-5


def test_one_voxel_a_channel_has_no_variance_and_is_refused_as_by_torch():
    one = channels_last(torch.ones(1, 3, 1, 1, 1))
    for norm in (BatchNorm3d(3), torch.nn.BatchNorm3d(3)):
        with pytest.raises(ValueError, match=r"more than (one|1) (voxel|value)"):
            norm(one)
