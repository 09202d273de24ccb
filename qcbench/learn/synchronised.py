"""Batch norm over the images of all processes, so that several see what one would."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


def across_processes(network: nn.Module, accelerator: str) -> nn.Module:
    """Return the network with every batch norm made one over all processes; names and weights stay.

    On a GPU that is torch's own; torch has none for processors.
    """
    if accelerator == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm3d):
            setattr(network, name, _of_all_processes(child))
        else:
            across_processes(child, accelerator)
    return network


class BatchNormOfAllProcesses(nn.BatchNorm3d):
    """Batch norm by the mean and the variance of the volumes on all processes, gradients included."""

    def forward(self, volumes: Tensor) -> Tensor:
        """Return the volumes (n, channels, x, y, z), normalised."""
        if not self.training:
            return super().forward(volumes)
        axes = (0, 2, 3, 4)
        n_mine = volumes.new_tensor([volumes.numel() / volumes.shape[1]])
        mean, spread = volumes.mean(axes), volumes.var(axes, unbiased=False)
        # Sums of squares around each process's own mean: around 0 they would lose digits.
        gathered = all_reduce(torch.cat([n_mine, n_mine * mean]))
        n, total_mean = gathered[0], gathered[1:] / gathered[0]
        variance = all_reduce(n_mine * (spread + (mean - total_mean) ** 2)) / n
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(total_mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shape = (1, -1, 1, 1, 1)
        return volumes * scale.reshape(shape) + (self.bias - total_mean * scale).reshape(shape)


def _of_all_processes(norm: nn.BatchNorm3d) -> BatchNormOfAllProcesses:
    new = BatchNormOfAllProcesses(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    new.load_state_dict(norm.state_dict())
    return new
