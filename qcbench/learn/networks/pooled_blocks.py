"""Convolution, batch norm, ReLU and pooling as one step on a processor: the same function, half the way to the memory.

At full resolution a processor spends more time carrying voxels between these layers than on most convolutions. Where
the factor of the norm is positive, norm and ReLU keep the order of values, so the largest of eight voxels can be taken
first and an eighth of them be normalised; a convolution with its signs turned makes every factor positive. What goes
back to the voxels is a constant, a multiple of the voxel, and the gradient at the largest of each eight.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 (the name everyone knows it by)
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from qcbench.learn.networks.batch_norm import BatchNorm3d, is_float32_on_a_processor, mean_and_variance

_PER_CHANNEL = (1, -1, 1, 1, 1)
_ALL_BUT_CHANNELS = (0, 2, 3, 4)


def max_pool(volumes: Tensor, *, return_indices: bool = False) -> Tensor | tuple[Tensor, Tensor]:
    """Pool by two; an odd axis is taken to have one plane more, at its front, that is never the largest."""
    # With padding 1 on both sides the windows of an odd axis begin before its first plane and end with its last, so
    # that the pooling itself pads, without a copy.
    padding = tuple(size % 2 for size in volumes.shape[2:])
    return F.max_pool3d(volumes, kernel_size=2, padding=padding, return_indices=return_indices)


def may_be_one_step(convolution: nn.Conv3d, norm: nn.Module, volumes: Tensor) -> bool:
    """Return whether `one_step` is for these layers: float32 on a processor, channels last, a norm of one process."""
    is_ours = type(norm) is BatchNorm3d
    return is_ours and convolution.weight.stride(1) == 1 and is_float32_on_a_processor(volumes)


def one_step(convolution: nn.Conv3d, norm: BatchNorm3d, volumes: Tensor) -> Tensor:
    """Return ``max_pool(relu(norm(convolution(volumes))))``, up to rounding; in training mode the norm learns."""
    signs = torch.where(norm.weight.detach() < 0, -1.0, 1.0)
    # Without its bias, which the norm takes away again.
    turned = F.conv3d(
        volumes, convolution.weight * signs.reshape(-1, 1, 1, 1, 1), None, convolution.stride, convolution.padding
    ).contiguous(memory_format=torch.channels_last_3d)
    factor = norm.weight * signs
    if not norm.training:
        scale = factor * torch.rsqrt(norm.running_var + norm.eps)
        shift = (convolution.bias - norm.running_mean) * signs
        return torch.relu(_line(max_pool(turned), scale, norm.bias + shift * scale))
    pooled, mean, variance = _NormReluPool.apply(turned, convolution.bias, factor, norm.bias, norm.eps)
    norm.note(mean * signs + convolution.bias.detach(), variance, turned.numel() / turned.shape[1])
    return pooled


class _NormReluPool(torch.autograd.Function):
    """Norm by the batch with positive factors, ReLU, pooling; also the mean and the variance of each channel.

    A constant added before, as the bias of a convolution, changes nothing: its gradient is zero.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, volumes: Tensor, constant: Tensor, factor: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = mean_and_variance(volumes)
        largest, places = max_pool(volumes, return_indices=True)
        rsqrt = torch.rsqrt(variance + eps)
        scale = factor * rsqrt
        pooled = torch.relu_(_line(largest, scale, bias - mean * scale))
        ctx.save_for_backward(volumes, largest, places, pooled, mean, rsqrt, scale)
        ctx.mark_non_differentiable(mean, variance)
        return pooled, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        volumes, largest, places, pooled, mean, rsqrt, scale = ctx.saved_tensors
        passed = gradient * (pooled > 0)
        of_bias = passed.sum(_ALL_BUT_CHANNELS)
        of_factor = ((largest - mean.reshape(_PER_CHANNEL)) * passed).sum(_ALL_BUT_CHANNELS) * rsqrt
        n = volumes.numel() / volumes.shape[1]
        slope = -scale * rsqrt * of_factor / n
        of_volumes = _line(volumes, slope, -scale * of_bias / n - slope * mean)
        # Windows do not overlap: no voxel is added to twice, so the order of the additions is no matter.
        voxels = _channels_last(of_volumes).view(len(volumes), -1, volumes.shape[1])
        of_largest = _channels_last(passed * scale.reshape(_PER_CHANNEL)).flatten(1, 3)
        voxels.scatter_add_(1, _channels_last(places).flatten(1, 3), of_largest)
        return of_volumes, torch.zeros_like(of_bias), of_factor, of_bias, None


def _line(volumes: Tensor, slope: Tensor, constant: Tensor) -> Tensor:
    """Return slope * volumes + constant, of each channel its own."""
    return torch.addcmul(constant.reshape(_PER_CHANNEL), volumes, slope.reshape(_PER_CHANNEL))


def _channels_last(volumes: Tensor) -> Tensor:
    """Return (n, channels, x, y, z) as (n, x, y, z, channels)."""
    return volumes.permute(0, 2, 3, 4, 1)
