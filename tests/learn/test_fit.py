import signal
import warnings

import pytest
import torch
from torch.utils.data import TensorDataset

from qcbench.errors import TrainingError, UsageError
from qcbench.learn.fit import TrainOptions, fit_fold, weighted_cross_entropy

OPTIONS = TrainOptions(learning_rate=1e-2, batch_size=4, epochs=6, patience=0)


def bright_or_dark(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    volumes = torch.randint(0, 50, (n, 1, 4, 4, 4), generator=generator) + 150 * labels.reshape(-1, 1, 1, 1, 1)
    return TensorDataset(volumes.to(torch.uint8), labels)


def linear():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.1), torch.nn.Linear(64, 2))


def fitted(options=OPTIONS, make=linear, **more):
    return fit_fold(
        make, bright_or_dark(16), bright_or_dark(8, 1), class_weights=(1.0, 1.0), options=options, device="cpu", **more
    )


def test_what_can_be_learned_is_learned_and_the_best_epoch_kept():
    found = fitted(TrainOptions(learning_rate=1e-2, batch_size=4, epochs=20, patience=0))
    losses = [row["validation_loss"] for row in found.curves]
    assert [row["epoch"] for row in found.curves] == list(range(20))
    assert found.best_epoch == losses.index(min(losses))
    assert found.curves[found.best_epoch]["validation_balanced_accuracy"] == 1


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_state_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one, other, third = fitted(seed=1), fitted(seed=1), fitted(seed=2)
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    assert any(not torch.equal(one.state[name], third.state[name]) for name in one.state)


def test_fitting_ends_when_patience_runs_out():
    # A step this large makes every epoch after the first ones worse.
    options = TrainOptions(learning_rate=50.0, weight_decay=0.0, batch_size=16, epochs=40, patience=2)
    found = fitted(options)
    assert len(found.curves) == found.best_epoch + 1 + 2 < 40


def test_a_loss_that_is_no_number_is_a_training_error():
    class Broken(torch.nn.Linear):
        def forward(self, volumes):
            return super().forward(volumes.flatten(1)) * float("nan")

    with pytest.raises(TrainingError, match="not a number at epoch 0"):
        fitted(make=lambda: Broken(64, 2))


def test_an_interrupt_stays_an_interrupt_and_later_ones_still_work():
    def interrupted(curves):
        assert [row["epoch"] for row in curves] == [0]
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fitted(on_epoch=interrupted)
    assert signal.getsignal(signal.SIGINT) is before


def test_lightning_says_nothing_and_leaves_nothing(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted()
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_device_is_refused():
    with pytest.raises(UsageError, match="auto, cpu, cuda"):
        fit_fold(linear, None, None, class_weights=(1, 1), options=OPTIONS, device="tpu")


def test_class_weights_cancel_in_a_batch_of_one_class_unless_the_loss_is_divided_by_images():
    logits, weights = torch.tensor([[0.3, -0.2], [1.0, 0.5]]), torch.tensor([0.6831, 1.8657])
    same = torch.tensor([1, 1])
    plain = torch.nn.functional.cross_entropy(logits, same)
    assert float(weighted_cross_entropy(logits, same, weights)) == pytest.approx(float(plain))
    by_images = weighted_cross_entropy(logits, same, weights, norm="images")
    assert float(by_images) == pytest.approx(1.8657 * float(plain))
    mixed = torch.tensor([0, 1])
    torch_own = torch.nn.functional.cross_entropy(logits, mixed, weight=weights)
    assert float(weighted_cross_entropy(logits, mixed, weights)) == pytest.approx(float(torch_own))
