import signal
import warnings

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import TensorDataset

from qcbench.errors import TrainingError, UsageError
from qcbench.learn.fit import Machine, fit_fold
from qcbench.learn.options import TrainOptions

OPTIONS = TrainOptions(learning_rate=1e-2, batch_size=4, epochs=6, patience=0)


def bright_or_dark(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    volumes = torch.randint(0, 50, (n, 1, 4, 4, 4), generator=generator) + 150 * labels.reshape(-1, 1, 1, 1, 1)
    return TensorDataset(volumes.to(torch.uint8), labels)


def linear():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.1), torch.nn.Linear(64, 2))


def fitted(options=OPTIONS, make=linear, fit=None, machine=None, **more):
    return fit_fold(
        make,
        fit or bright_or_dark(16),
        bright_or_dark(8, 1),
        class_weights=(1.0, 1.0),
        options=options,
        machine=machine or Machine(device="cpu"),
        **more,
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

    with pytest.raises(TrainingError, match=r"not a number at epoch 0, batch 0: .* not the learning rate"):
        fitted(make=lambda: Broken(64, 2))


def test_a_loss_that_left_the_numbers_by_too_long_steps_names_the_learning_rate():
    options = TrainOptions(learning_rate=1e36, batch_size=4, epochs=6, patience=0)
    with pytest.raises(TrainingError, match=r"too long \(.*Lower the learning rate, now 1e\+36"):
        fitted(options)


def test_a_volume_that_is_no_number_is_named_as_the_cause():
    good = bright_or_dark(16)
    volumes = good.tensors[0].float() / 255
    volumes[3, 0, 0, 0, 0] = float("nan")
    with pytest.raises(TrainingError, match="1 of its 4 volumes have voxels that are no numbers"):
        fitted(fit=TensorDataset(volumes, good.tensors[1]))


def test_half_precision_is_named_where_float32_gives_a_number(monkeypatch):
    class Halved(torch.nn.Linear):
        def forward(self, volumes):
            found = super().forward(volumes.flatten(1))
            return found if found.dtype == torch.float32 else found / 0

    # What a start-up check on one batch may miss.
    monkeypatch.setattr("qcbench.learn.precision.choose", lambda *args: ("bf16-mixed", "forced"))
    options = TrainOptions(batch_size=4, epochs=1, precision="auto")
    with pytest.raises(TrainingError, match=r"half precision .bf16-mixed. is the cause"):
        fitted(options, make=lambda: Halved(64, 2))


def test_a_call_goes_on_from_its_checkpoint_and_one_that_is_over_returns_it(tmp_path):
    def interrupted(curves):
        if len(curves) == 3:
            raise KeyboardInterrupt

    expected = fitted()
    with pytest.raises(KeyboardInterrupt):
        fitted(checkpoint_folder=tmp_path / "kept", on_epoch=interrupted)
    went_on = fitted(checkpoint_folder=tmp_path / "kept")
    assert ([went["epoch"] for went in went_on.facts["went_on_after_epochs"]], went_on.curves) == ([2], expected.curves)
    assert all(torch.equal(went_on.state[name], value) for name, value in expected.state.items())
    again = fitted(checkpoint_folder=tmp_path / "kept", on_epoch=lambda curves: pytest.fail("nothing is left to do"))
    assert all(torch.equal(again.state[name], value) for name, value in expected.state.items())
    assert len(again.facts["went_on_after_epochs"]) == 1


def test_what_was_fitted_in_part_without_determinism_is_not_called_deterministic(tmp_path):
    def interrupted(curves):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(machine=Machine(device="cpu", deterministic=True), checkpoint_folder=tmp_path, on_epoch=interrupted)
    facts = fitted(machine=Machine(device="cpu"), checkpoint_folder=tmp_path).facts
    (went_on,) = facts["went_on_after_epochs"]
    assert (facts["deterministic"], went_on["deterministic"]) == (False, False)
    assert (went_on["epoch"], went_on["device"], went_on["devices"], went_on["nodes"]) == (0, "cpu", 1, 1)
    assert went_on["threads"] == torch.get_num_threads()


def test_patience_that_had_run_out_when_the_process_died_is_not_given_again(tmp_path):
    options = TrainOptions(learning_rate=50.0, weight_decay=0.0, batch_size=16, epochs=40, patience=2)
    first = fitted(options, checkpoint_folder=tmp_path / "kept")
    assert fitted(options, checkpoint_folder=tmp_path / "kept").curves == first.curves


def test_the_learning_rate_rises_then_falls_as_a_cosine():
    rates = []

    def note(optimiser, *_):
        rates.append(optimiser.param_groups[0]["lr"])

    handle = register_optimizer_step_pre_hook(note)
    try:
        fitted(
            TrainOptions(learning_rate=1.0, batch_size=4, epochs=5, patience=0, schedule="cosine", warm_up_epochs=1.0)
        )
    finally:
        handle.remove()
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[12] == pytest.approx(0.505)  # halfway between 1 and 0.01
    assert len(rates) == 20


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
        Machine(device="tpu")
