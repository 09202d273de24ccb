import pytest
import torch
from torch import nn

from qcbench.learn import precision
from qcbench.learn.networks import build

VOLUMES = torch.randint(0, 255, (2, 1, 16, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.tensor([0, 1])


class Cancelling(nn.Module):
    """Two large numbers whose small difference is the answer: half precision loses it."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4096, 2)

    def forward(self, volumes):
        return self.layer(volumes.flatten(1) + 100) - self.layer(torch.full_like(volumes, 100).flatten(1))


def with_units(monkeypatch, *flags):
    monkeypatch.setattr(precision, "_processor_flags", lambda: frozenset(flags))


def test_a_processor_without_units_computes_in_float32(monkeypatch):
    with_units(monkeypatch, "avx2", "avx512f")
    chosen, reason = precision.choose(Cancelling(), VOLUMES, LABELS, "cpu")
    assert (chosen, reason) == ("32-true", "float32: the processor has neither avx512_bf16 nor amx_bf16")


def test_half_precision_is_taken_where_a_batch_gives_what_float32_gives(monkeypatch):
    with_units(monkeypatch, "amx_bf16")
    torch.manual_seed(0)
    network = build("conv5_fc3", (16, 16, 16))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    chosen, reason = precision.choose(network, VOLUMES, LABELS, "cpu")
    assert chosen == "bf16-mixed"
    assert reason.startswith("the processor has amx_bf16; logits differ from float32 by 0.0")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_half_precision_is_refused_where_it_does_not(monkeypatch):
    with_units(monkeypatch, "avx512_bf16")
    torch.manual_seed(0)
    chosen, reason = precision.choose(Cancelling(), VOLUMES, LABELS, "cpu")
    assert chosen == "32-true"
    assert reason.startswith("bf16-mixed was refused: logits differ")


def test_a_fresh_network_whose_logits_are_all_small_is_measured_by_their_spread(monkeypatch):
    class Constant(nn.Linear):
        def forward(self, volumes):
            found = super().forward(volumes.flatten(1)) / 10
            return found if found.dtype == torch.float32 else torch.zeros_like(found)

    with_units(monkeypatch, "amx_bf16")
    torch.manual_seed(0)
    chosen, reason = precision.choose(Constant(4096, 2), VOLUMES, LABELS, "cpu")
    assert (chosen, reason.split(":")[0]) == ("32-true", "bf16-mixed was refused")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_in_half_precision_is_far(value):
    class Overflowing(nn.Linear):
        def forward(self, volumes):
            found = super().forward(volumes.flatten(1))
            return found if found.dtype == torch.float32 else found * value

    assert precision.difference(Overflowing(4096, 2), VOLUMES, LABELS, torch.bfloat16)[0] == float("inf")
