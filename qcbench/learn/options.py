"""How a network is fitted: its options, the presets that have names, and numbers as people give them. Pure."""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qcbench.errors import UsageError

#: Seeds of numpy and scikit-learn have 32 bits.
LAST_SEED = 2**32 - 1
#: What the cosine ends at, as a share of the learning rate.
LAST_SHARE = 0.01


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How one network is fitted; stored beside its weights.

    `patience`: epochs without a lower validation loss after which fitting ends (0: never).
    `loss_norm`: ``batch`` divides by the weights in the batch, as torch and the paper do, so that
    with two images of one class the class weights cancel; ``images`` divides by their number.
    `class_weights_of`: ``all`` counts the classes in the whole cross-validation set, as the paper does; ``fit`` in
    the images that the fold is fitted on, so that nothing is known of those it is chosen by.
    `schedule`: ``cosine`` lowers the learning rate to a hundredth of itself, after `warm_up_epochs` in which it rises.
    `clip_norm`: the longest gradient of a step (0: any). `augment`: see `augment.augmented`.
    `precision`: ``float32``, or ``auto`` for half precision where `precision.choose` finds that it is as good.
    """

    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    batch_size: int = 2
    epochs: int = 50
    patience: int = 10
    loss_norm: str = "batch"
    class_weights_of: str = "all"
    channels_last: bool = False
    optimiser: str = "adam"
    schedule: str = "constant"
    warm_up_epochs: float = 0.0
    clip_norm: float = 0.0
    augment: bool = False
    precision: str = "float32"


#: Bottani et al. 2022, section 2.6, with the weight decay of the code they trained with.
PAPER_2022 = TrainOptions()
#: For demonstrations and tests: shows that the path works, not what a network can do.
QUICK = TrainOptions(learning_rate=1e-3, batch_size=4, epochs=6, patience=0, loss_norm="images", channels_last=True)
#: What has been learned since: every image counts by its class, the disk and the device are not waited for.
BETTER = TrainOptions(
    learning_rate=3e-4,
    weight_decay=1e-2,
    batch_size=8,
    patience=12,
    loss_norm="images",
    class_weights_of="fit",
    channels_last=True,
    optimiser="adamw",
    schedule="cosine",
    warm_up_epochs=2.0,
    clip_norm=1.0,
    augment=True,
    precision="auto",
)
PRESETS = {"paper-2022": PAPER_2022, "quick": QUICK, "better": BETTER}


def train_options(preset: str, *, epochs: int | None = None, learning_rate: float | None = None) -> TrainOptions:
    """Return the options of a preset, with another number of epochs or another learning rate if one is given."""
    if preset not in PRESETS:
        raise UsageError(f"there is no training preset {preset!r}; choose one of {', '.join(PRESETS)}")
    asked = {"epochs": None if epochs is None else whole_number("epochs", epochs, least=1)}
    if learning_rate is not None:
        if isinstance(learning_rate, str) or not 0 < learning_rate < math.inf:
            raise UsageError(f"the learning rate must be a number above 0, got {learning_rate!r}")
        asked["learning_rate"] = float(learning_rate)
    return dataclasses.replace(PRESETS[preset], **{name: value for name, value in asked.items() if value is not None})


def whole_number(name: str, value: object, *, least: int = 0, most: int | None = None) -> int:
    """Return a whole number as Python's own, whoever's it was: those of numpy are no JSON.

    >>> whole_number("seed", -1)
    Traceback (most recent call last):
        ...
    qcbench.errors.UsageError: seed must be a whole number of at least 0, got -1
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least or (most is not None and number > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise UsageError(f"{name} must be a whole number {span}, got {value!r}")
    return number


def chosen_folds(folds: str | int | Iterable[int], existing: Sequence[int]) -> list[int]:
    """Return each of the folds that are asked for once: all, the one of that number, or some.

    >>> chosen_folds((2, 0, 2), [0, 1, 2]), chosen_folds("all", [0, 1])
    ([2, 0], [0, 1])
    """
    said = f"the splits have {', '.join(map(str, existing))}; say a number, several, or all"
    if isinstance(folds, str):
        if folds == "all":
            return list(existing)
        raise UsageError(f"there is no fold {folds!r}; {said}")
    try:
        asked = list(folds)
    except TypeError:
        asked = [folds]
    if not asked:
        raise UsageError(f"no fold was asked for; {said}")
    chosen = list(dict.fromkeys(whole_number("a fold", fold) for fold in asked))
    for fold in chosen:
        if fold not in existing:
            raise UsageError(f"there is no fold {fold}; {said}")
    return chosen
