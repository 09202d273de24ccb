"""The hospital's own exemplars: pictures of the study in the place of those that a protocol came with."""

from __future__ import annotations

from qcbench import durable, images
from qcbench.annotate.queue import labellable
from qcbench.errors import UsageError
from qcbench.protocol import exemplar_name
from qcbench.study import Study
from qcbench.summary import Summary


def put(study: Study, image_id: str, *, criterion: str, value: str) -> Summary:
    """Make the picture of an image the exemplar of a choice, for every rater from now on.

    `value` reads as in the protocol file, e.g. 2 or true. The pictures are part of the protocol's hash, so that each
    label says which exemplars its rater had. Raises UsageError for what the protocol or the study does not have.
    """
    choices = {
        exemplar_name(each.name, choice.value): choice for each in study.protocol.criteria for choice in each.choices
    }
    name = f"{criterion}-{value}"
    if name not in choices:
        raise UsageError(
            f"{study.protocol.name} has no choice {value!r} of {criterion!r}; choices are {', '.join(choices)}"
        )
    row = next((row for row in labellable(study) if row["image_id"] == image_id), None)
    if row is None:
        raise UsageError(
            f"{image_id!r} has no picture in this study that raters see; give an image_id of its catalogue"
        )
    picture = images.read_png(study.absolute(row["screenshot_path"]))
    durable.write_bytes(study.exemplars / f"{name}.png", picture)
    # Not before: where the disk refuses the new one, raters keep the former.
    for former in study.exemplars.glob(f"{name}.*"):
        if former.name != f"{name}.png":
            former.unlink()
    return Summary(stage="exemplar", done=1, facts={"choice": name, "image": image_id})
