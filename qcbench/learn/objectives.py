"""What a network is asked: one task with two classes, or all that was noted of an image.

Both are told in the same terms. A loss has terms, one a question: a task has one, the network for all tasks one an
output. The loss of some images is the mean over the terms of (sum of the weighted losses) / (what they are divided
by), so that sums are all that batches of an epoch and processes of a batch have to share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from qcbench.errors import UsageError
from qcbench.learn.networks import multitask
from qcbench.learn.tasks import MULTITASK, chosen_tasks, class_weights, covered_tasks, task_labels

#: The label of an image as a data set holds it: 0 or 1, or a number an output (not a number: not noted).
Label = int | list[float]


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What each image costs in each term: all (images, terms), and 0 or false where nothing was noted."""

    losses: Tensor
    weights: Tensor
    noted: Tensor
    wanted: Tensor
    decided: Tensor

    def divisors(self, norm: str) -> Tensor:
        """Return (terms,): the sum of the weights for ``batch``, how many were noted for ``images``."""
        return self.weights.sum(dim=0) if norm == "batch" else self.noted.sum(dim=0).to(self.weights.dtype)

    def sums(self) -> Tensor:
        """Return (terms, 6): weighted losses, weights, then images and hits of no and of yes."""
        found = [self.losses.detach().sum(dim=0), self.weights.sum(dim=0)]
        for answer in (False, True):
            mine = self.noted & (self.wanted == answer)
            found += [mine.sum(dim=0), (mine & (self.decided == answer)).sum(dim=0)]
        return torch.stack([value.to(torch.float32) for value in found], dim=1)


class Objective(ABC):
    """What the logits of a network mean, and what a wrong one costs."""

    #: How many logits the network has, and how many terms the loss.
    outputs: int
    terms: int

    @abstractmethod
    def costs(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Costs:
        """Return the costs of a batch; `weights` (terms, 2) are those of no and of yes."""

    @abstractmethod
    def weights(self, labels: Collection[Label]) -> list:
        """Return the weights of no and of yes that make both weigh the same among these labels, for each term."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> list[Tensor]:
        """Return the probability (images,) of the positive class of each task of the run."""

    def loss(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None, *, norm: str = "images") -> Tensor:
        """Return the loss of a batch, weighted where weights are given; `norm` as in `TrainOptions.loss_norm`.

        >>> logits, labels = torch.tensor([[0.0, 0.0], [0.0, 0.0]]), torch.tensor([1, 1])
        >>> [round(float(ONE_TASK.loss(logits, labels, torch.tensor([[1.0, 3.0]]), norm=norm)), 4)
        ...  for norm in ("batch", "images")]
        [0.6931, 2.0794]
        """
        even = torch.ones((self.terms, 2), device=logits.device)
        costs = self.costs(logits, labels, even if weights is None else weights)
        return mean_over_terms(costs.losses.sum(dim=0), costs.divisors(norm))


class OneTask(Objective):
    """Two classes, told by cross-entropy."""

    outputs, terms = 2, 1

    def costs(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Costs:
        """Return the costs of labels 0 and 1 (images,)."""
        losses = F.cross_entropy(logits.float(), labels, weight=weights[0], reduction="none")
        wanted = (labels == 1)[:, None]
        return Costs(
            losses=losses[:, None],
            weights=weights[0][labels][:, None],
            noted=torch.ones_like(wanted),
            wanted=wanted,
            decided=(logits.argmax(dim=1) == 1)[:, None],
        )

    def weights(self, labels: Collection[Label]) -> list:
        """Return N / (2 n_c) of class 0 and of class 1."""
        return list(class_weights(labels))

    def probabilities(self, logits: Tensor) -> list[Tensor]:
        """Return the probability of class 1."""
        return [torch.softmax(logits.float(), dim=1)[:, 1]]


class AllTasks(Objective):
    """What a rater notes, a yes or no for each of the outputs of `networks.multitask`.

    What was not noted has no part in the loss, nor has an output of which a batch knows nothing; a batch without any
    label costs 0 and teaches nothing. Grades count at both steps, so that two grades off costs more than one.
    """

    outputs = terms = len(multitask.OUTPUTS)

    def costs(self, logits: Tensor, labels: Tensor, weights: Tensor) -> Costs:
        """Return the costs of `multitask.targets` (images, 8)."""
        noted = ~labels.isnan()
        answers = torch.where(noted, labels, 0.0)
        of_class = torch.where(answers == 1, weights[:, 1], weights[:, 0])
        losses = F.binary_cross_entropy_with_logits(logits.float(), answers, reduction="none")
        return Costs(
            # A sum over a masked product would carry the not-a-number of an overflown logit; `where` does not.
            losses=torch.where(noted, losses * of_class, 0.0),
            weights=torch.where(noted, of_class, 0.0),
            noted=noted,
            wanted=answers == 1,
            decided=logits > 0,
        )

    def weights(self, labels: Collection[Label]) -> list:
        """Return `multitask.balancing_weights` as lists."""
        return multitask.balancing_weights(torch.tensor(list(labels)).reshape(-1, self.outputs)).tolist()

    def probabilities(self, logits: Tensor) -> list[Tensor]:
        """Return the probabilities of the tasks, in the order of `tasks.covered_tasks`."""
        found = multitask.task_probabilities(logits.float())
        return [found[task] for task in covered_tasks(MULTITASK)]


ONE_TASK, ALL_TASKS = OneTask(), AllTasks()


def of_architecture(architecture: str) -> Objective:
    """Return what a network of that name is asked."""
    return ALL_TASKS if architecture == multitask.NAME else ONE_TASK


def chosen_runs(task: str, architecture: str) -> tuple[str, ...]:
    """Return the task of each run that is meant: a run a task, or one for all with the network for all tasks.

    Raises UsageError when the network is not for that task.

    >>> chosen_runs("all", "lean3d"), chosen_runs("all", "multitask3d")
    (('sr', 'gadolinium', 'tier3', 'tier2'), ('multitask',))
    """
    is_for_all = architecture == multitask.NAME
    if is_for_all and task not in ("all", MULTITASK):
        raise UsageError(
            f"{architecture} answers all tasks at once: task must be all or {MULTITASK}, got {task!r}. "
            "For one task take lean3d, whose trunk is the same."
        )
    if task == MULTITASK and not is_for_all:
        raise UsageError(
            f"task {MULTITASK} is that of architecture {multitask.NAME}, got {architecture!r}; "
            f"take {multitask.NAME}, or task all for a network a task"
        )
    return (MULTITASK,) if is_for_all else chosen_tasks(task)


def labels_of(rows: Iterable[Mapping[str, object]], task: str) -> dict[str, Label]:
    """Return image_id -> label of the images of the consensus that a run of that task is fitted to."""
    if task == MULTITASK:
        return {row["image_id"]: multitask.targets(row) for row in rows}
    return task_labels(rows, task)


def mean_over_terms(losses: Tensor, divisors: Tensor) -> Tensor:
    """Return the mean of losses / divisors, both (terms,), over the terms that have a divisor; 0 where none has."""
    has_one = divisors > 0
    of_terms = torch.where(has_one, losses / torch.where(has_one, divisors, 1.0), 0.0)
    return of_terms.sum() / has_one.sum().clamp(min=1)
