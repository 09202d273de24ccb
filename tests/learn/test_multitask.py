import math

import pytest
import torch

from qcbench.errors import UsageError
from qcbench.learn.networks import architectures, build, count_parameters
from qcbench.learn.networks.multitask import (
    OUTPUTS,
    balancing_weights,
    ordered,
    targets,
    task_probabilities,
)
from qcbench.learn.objectives import ALL_TASKS
from qcbench.schema import TASKS

GOOD = {"straight_reject": False, "gadolinium": False, "motion": 0, "contrast": 0, "noise": 0}
BAD = {"straight_reject": False, "gadolinium": True, "motion": 2, "contrast": 1, "noise": 0}
REJECT = {"straight_reject": True, "gadolinium": None, "motion": None, "contrast": None, "noise": None}


def logit(probability):
    return math.log(probability / (1 - probability))


def test_the_outputs_are_what_a_rater_notes():
    assert OUTPUTS == (
        "sr", "gadolinium", "motion_1", "motion_2", "contrast_1", "contrast_2", "noise_1", "noise_2",
    )  # fmt: skip


def test_a_straight_reject_teaches_only_that():
    assert targets(BAD) == [0, 1, 1, 1, 1, 0, 0, 0]
    wanted = targets(REJECT)
    assert wanted[0] == 1 and all(math.isnan(value) for value in wanted[1:])
    logits = torch.zeros(1, 8, requires_grad=True)
    ALL_TASKS.loss(logits, torch.tensor([wanted])).backward()
    assert logits.grad[0, 0] != 0
    assert not logits.grad[0, 1:].any()


def test_grade_two_is_never_likelier_than_grade_one():
    logits = ordered(torch.randn(200, 8, generator=torch.Generator().manual_seed(0)) * 20)
    grades = logits[:, 2:].unflatten(1, (3, 2))
    assert (grades[:, :, 1] <= grades[:, :, 0]).all()
    assert torch.isfinite(logits).all()


def test_the_classes_of_an_output_weigh_the_same():
    every = torch.tensor([targets(row) for row in (GOOD, GOOD, GOOD, BAD, REJECT)])
    weights = balancing_weights(every)
    assert weights[0].tolist() == pytest.approx([5 / 8, 5 / 2])
    assert weights[1].tolist() == pytest.approx([4 / 6, 4 / 2])  # the reject has no gadolinium noted
    assert weights[7].tolist() == [0.5, 0]  # nobody has noise 2
    logits = torch.zeros(5, 8)
    assert ALL_TASKS.loss(logits, every, weights).item() < ALL_TASKS.loss(logits, every).item() * 1.01


def test_tiers_follow_from_the_grades():
    p1, p2 = {"motion": 0.6, "contrast": 0.5, "noise": 0.2}, {"motion": 0.3, "contrast": 0.1, "noise": 0.01}
    values = [0.25, 0.75] + [value for name in p1 for value in (p1[name], p2[name])]
    found = {name: value.item() for name, value in task_probabilities(torch.tensor([list(map(logit, values))])).items()}
    no_tier3 = 0.7 * 0.9 * 0.99
    assert found == pytest.approx(
        {"sr": 0.25, "gadolinium": 0.75, "tier3": 1 - no_tier3, "tier2": 1 - 0.4 * 0.5 * 0.8 / no_tier3, **p1}, abs=1e-6
    )
    assert set(TASKS) <= set(found)


def test_sure_logits_give_probabilities_and_no_infinities():
    extremes = torch.tensor([[200.0] * 8, [-200.0] * 8])
    found = task_probabilities(extremes)
    assert [found["tier3"].tolist(), found["sr"].tolist()] == [[1, 0], [1, 0]]
    assert all(torch.isfinite(value).all() for value in found.values())
    assert ((found["tier2"] >= 0) & (found["tier2"] <= 1)).all()


def test_it_is_built_by_name_with_its_eight_outputs():
    assert "multitask3d" in architectures()
    network = build("multitask3d", (9, 17, 20), outputs=8)
    assert count_parameters(network) == count_parameters(build("lean3d", (9, 17, 20), outputs=8))
    assert network.eval()(torch.rand(2, 1, 9, 17, 20)).shape == (2, 8)
    with pytest.raises(UsageError, match=r"8 outputs .* got 2.*take lean3d"):
        build("multitask3d", (9, 17, 20))


def test_it_learns_all_from_images_that_each_lack_something():
    """Brightness is the reject, each quarter of the volume one artefact; half of the labels are missing."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    grades = torch.randint(0, 3, (120, 3), generator=generator)
    rejects = torch.rand(120, generator=generator) < 0.3
    volumes = 0.05 * torch.rand(120, 1, 8, 8, 8, generator=generator)
    volumes += 0.4 * rejects[:, None, None, None, None]
    for number in range(3):
        corner = volumes[:, 0, 2 * number : 2 * number + 2]
        corner[:, :, ::2] += 0.25 * grades[:, number, None, None, None]
    rows = [
        {**GOOD, "straight_reject": reject, "motion": motion, "contrast": contrast, "noise": noise}
        for reject, (motion, contrast, noise) in zip(rejects.tolist(), grades.tolist(), strict=True)
    ]
    wanted = torch.tensor([targets(row) for row in rows])
    wanted[torch.rand(wanted.shape, generator=generator) < 0.5] = math.nan
    network = build("multitask3d", (8, 8, 8), outputs=8).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = ALL_TASKS.loss(network(volumes), wanted, balancing_weights(wanted))
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.75 * losses[0]
