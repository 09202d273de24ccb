import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from qcbench.errors import UsageError
from qcbench.learn.networks.multitask import targets
from qcbench.learn.objectives import ALL_TASKS, ONE_TASK, chosen_runs, labels_of, mean_over_terms, of_architecture

GOOD = {"straight_reject": False, "gadolinium": False, "motion": 0, "contrast": 0, "noise": 0}
REJECT = {"straight_reject": True, "gadolinium": None, "motion": None, "contrast": None, "noise": None}
EVEN = torch.ones(8, 2)


def logit(probability):
    return math.log(probability / (1 - probability))


def batch_of_all_tasks():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (6, 8), generator=generator).float()
    labels[torch.rand(6, 8, generator=generator) < 0.4] = math.nan
    return torch.randn(6, 8, generator=generator), labels, torch.rand(8, 2, generator=generator) + 0.5


def test_class_weights_cancel_in_a_batch_of_one_class_unless_the_loss_is_divided_by_images():
    logits, weights = torch.tensor([[0.3, -0.2], [1.0, 0.5]]), torch.tensor([[0.6831, 1.8657]])
    same = torch.tensor([1, 1])
    plain = F.cross_entropy(logits, same)
    assert float(ONE_TASK.loss(logits, same, weights, norm="batch")) == pytest.approx(float(plain))
    assert float(ONE_TASK.loss(logits, same, weights)) == pytest.approx(1.8657 * float(plain))
    mixed = torch.tensor([0, 1])
    torch_own = F.cross_entropy(logits, mixed, weight=weights[0])
    assert float(ONE_TASK.loss(logits, mixed, weights, norm="batch")) == pytest.approx(float(torch_own))


def test_the_loss_is_the_mean_over_what_was_noted():
    logits = torch.zeros(3, 8)
    logits[0, 0] = logit(0.9)
    wanted = torch.full((3, 8), math.nan)
    wanted[0, 0], wanted[1, 0], wanted[2, 1] = 1, 0, 1
    of_sr, of_gadolinium = (-math.log(0.9) - math.log(0.5)) / 2, -math.log(0.5)
    assert ALL_TASKS.loss(logits, wanted).item() == pytest.approx((of_sr + of_gadolinium) / 2)


def test_a_batch_without_a_label_costs_nothing_and_breaks_nothing():
    logits = torch.randn(2, 8, requires_grad=True)
    loss = ALL_TASKS.loss(logits, torch.full((2, 8), math.nan))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_what_was_not_noted_cannot_spoil_the_gradient():
    logits = torch.tensor([[0.0] * 7 + [math.inf]], requires_grad=True)
    ALL_TASKS.loss(logits, torch.tensor([[1.0] * 7 + [math.nan]])).backward()
    assert torch.isfinite(logits.grad).all()


def test_two_grades_off_costs_more_than_one():
    sure = torch.tensor([[-9.0, -9, 9, 9, -9, -9, -9, -9]])  # motion 2
    costs = [ALL_TASKS.loss(sure, torch.tensor([targets({**GOOD, "motion": grade})])).item() for grade in (2, 1, 0)]
    assert costs == sorted(costs)
    assert costs[2] == pytest.approx(2 * costs[1], rel=1e-3)


@pytest.mark.parametrize("norm", ["batch", "images"])
def test_parts_of_a_batch_add_up_to_its_loss(norm):
    """What processes share: each has its losses, and all have what these are divided by."""
    logits, labels, weights = batch_of_all_tasks()
    parts = [ALL_TASKS.costs(logits[n::2], labels[n::2], weights) for n in range(2)]
    divisors = sum(part.divisors(norm) for part in parts)
    together = sum(mean_over_terms(part.losses.sum(dim=0), divisors) for part in parts)
    assert float(together) == pytest.approx(float(ALL_TASKS.loss(logits, labels, weights, norm=norm)), rel=1e-5)


def test_sums_count_the_images_and_hits_of_each_answer():
    labels = torch.tensor([targets(row) for row in (GOOD, {**GOOD, "gadolinium": True}, REJECT)])
    logits = torch.full((3, 8), -1.0)
    logits[:, 0] = torch.tensor([1.0, -1.0, 1.0])
    sums = ALL_TASKS.costs(logits, labels, EVEN).sums()
    assert sums[:2, 2:].tolist() == [[2, 1, 1, 1], [1, 1, 1, 0]]  # of no and of yes: images, hits
    assert sums[:3, 1].tolist() == [3, 2, 2]
    binary = ONE_TASK.costs(torch.tensor([[0.0, 1], [0, 1], [1, 0]]), torch.tensor([0, 1, 1]), EVEN[:1]).sums()
    assert binary[:, 2:].tolist() == [[1, 0, 2, 1]]


def test_a_run_for_all_tasks_takes_every_image_and_one_for_a_task_its_own():
    rows = [{"image_id": "a", **REJECT, "tier": None}, {"image_id": "b", **GOOD, "tier": 1}]
    assert labels_of(rows, "tier2") == {"b": 0}
    found = labels_of(rows, "multitask")
    assert (found["b"], found["a"][0]) == ([0.0] * 8, 1.0)
    assert all(math.isnan(value) for value in found["a"][1:])


def test_a_network_is_asked_what_it_is_built_for():
    assert (of_architecture("multitask3d").outputs, of_architecture("lean3d").outputs) == (8, 2)
    assert chosen_runs("multitask", "multitask3d") == chosen_runs("all", "multitask3d") == ("multitask",)
    with pytest.raises(UsageError, match=r"task must be all or multitask, got 'sr'.*take lean3d"):
        chosen_runs("sr", "multitask3d")
    with pytest.raises(UsageError, match="architecture multitask3d, got 'lean3d'"):
        chosen_runs("multitask", "lean3d")
