"""How a network is fitted: the options of a training, and the presets that have names. Pure."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from qcbench.errors import UsageError

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
    if epochs is not None and epochs < 1:
        raise UsageError(f"epochs must be at least 1, got {epochs}")
    if learning_rate is not None and not learning_rate > 0:
        raise UsageError(f"the learning rate must be above 0, got {learning_rate}")
    asked = {"epochs": epochs, "learning_rate": learning_rate}
    return dataclasses.replace(PRESETS[preset], **{name: value for name, value in asked.items() if value is not None})
