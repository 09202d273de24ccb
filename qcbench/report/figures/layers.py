"""Figure 3: a network drawn from the architecture.json of a run."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from qcbench.report.figures.style import COLOURS, GREY, INK, WIDTH_INCHES, styled, tint

#: Kinds of layers in the words of the figure; all others by the name of their class.
_WORDS = {
    "Conv3d": "convolution",
    "BatchNorm3d": "batch norm.",
    "PadMaxPool3d": "max pooling",
    "MaxPool3d": "max pooling",
    "AvgPool3d": "average pooling",
    "AdaptiveAvgPool3d": "average pooling",
    "Linear": "fully connected",
    "Dropout": "dropout",
    "Flatten": "flattened",
    "MeanAndSpread": "mean and spread",
}
_TIMES = " \u00d7 "
_TALLEST, _SLANT = 1.35, 0.33  # inches; how much of its height a slab goes back


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Consecutive layers whose output has the same grid: what leaves the last of them, and what they are."""

    shape: tuple[int, ...]
    kinds: Mapping[str, int]
    parameters: int

    @property
    def is_volume(self) -> bool:
        """Whether channels of a volume leave it, and not a list of numbers."""
        return len(self.shape) == 4


def stages(layers: Sequence[Mapping[str, object]]) -> list[Stage]:
    """Return the stages of a network from the layers of architecture.json, in the order in which they run.

    >>> rows = [
    ...     {"kind": "Conv3d", "output_shape": [8, 4, 4, 4], "parameters": 224},
    ...     {"kind": "ReLU", "output_shape": [8, 4, 4, 4], "parameters": 0},
    ...     {"kind": "Linear", "output_shape": [2], "parameters": 18},
    ... ]
    >>> [(stage.shape, dict(stage.kinds), stage.parameters) for stage in stages(rows)]
    [((8, 4, 4, 4), {'Conv3d': 1, 'ReLU': 1}, 224), ((2,), {'Linear': 1}, 18)]
    """

    def grid(layer: Mapping[str, object]) -> tuple[int, ...]:
        shape = tuple(layer["output_shape"])
        return shape[1:] if len(shape) == 4 else shape

    found = []
    for _, group in itertools.groupby(layers, key=grid):
        members = list(group)
        found.append(
            Stage(
                shape=tuple(members[-1]["output_shape"]),
                kinds=Counter(member["kind"] for member in members),
                parameters=sum(member["parameters"] for member in members),
            )
        )
    return found


@styled
def architecture(document: Mapping[str, object]) -> Figure:
    """Return Figure 3: the stages of one network side by side, each with its size, operations and parameters.

    `document` is an architecture.json. A slab is as wide as its channels are many (on a logarithmic scale) and as
    high as its grid is long (by the square root); a column is a list of numbers.
    """
    found = stages(document["layers"])
    whole = [Stage(shape=(1, *document["shape"]), kinds={"input": 1}, parameters=0), *found]
    pitch = (WIDTH_INCHES - 0.1) / len(whole)
    lines = [_operations(stage) for stage in whole]
    low = 0.06 + 0.12 * max(len(each) for each in lines)
    figure = Figure(figsize=(WIDTH_INCHES, low + _TALLEST * (1 + _SLANT / 2) + 0.36))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH_INCHES), ylim=(0, figure.get_figheight()))
    axes.set_axis_off()
    longest = max(document["shape"])
    middle = low + _TALLEST / 2 + 0.05
    size = min(6.0, 8.6 * pitch)  # as large as "169x208x179" has room for
    right = None
    for number, (stage, words) in enumerate(zip(whole, lines, strict=True)):
        centre = 0.05 + pitch * (number + 0.5)
        left, new_right, top = _drawn(axes, stage, centre, middle, pitch, longest)
        if right is not None:
            line = {"arrowstyle": "-|>", "color": GREY, "lw": 0.8, "shrinkA": 1, "shrinkB": 1, "mutation_scale": 6}
            axes.annotate("", (left, middle), (right, middle), arrowprops=line)
        right = new_right
        axes.text(centre, top + 0.06, _size(stage), ha="center", va="bottom", fontsize=size, linespacing=1.15)
        for place, line in enumerate(words):
            bold = "bold" if line.endswith("par.") else "normal"
            axes.text(centre, low - 0.02 - 0.12 * place, line, ha="center", va="top", fontsize=5.2, fontweight=bold)
    return figure


def _drawn(
    axes: Axes, stage: Stage, centre: float, middle: float, pitch: float, longest: int
) -> tuple[float, float, float]:
    """Draw one stage; return where it begins, ends and how high it is."""
    style = {"ec": INK, "lw": 0.6, "joinstyle": "round"}
    if not stage.is_volume:
        height = min(_TALLEST, 0.12 + 0.09 * math.log2(stage.shape[0] + 1))
        left, low = centre - 0.05, middle - height / 2
        axes.add_patch(Rectangle((left, low), 0.1, height, fc=tint(COLOURS["tier 2"], 0.35), **style))
        return left, left + 0.1, low + height
    height = _TALLEST * math.sqrt(max(stage.shape[1:]) / longest)
    back = height * _SLANT / 2
    width = min(0.07 + 0.028 * math.log2(stage.shape[0] + 1), pitch * 0.6)
    back = min(back, max(pitch * 0.85 - width, 0.02))
    left, low = centre - (width + back) / 2, middle - height / 2
    colour = "#ededed" if "input" in stage.kinds else tint(COLOURS["tier 1"], 0.6)
    axes.add_patch(Rectangle((left, low), width, height, fc=colour, **style))
    top = [(left, low + height), (left + width, low + height)]
    top += [(left + width + back, low + height + back), (left + back, low + height + back)]
    side = [(left + width, low), (left + width, low + height)]
    side += [(left + width + back, low + height + back), (left + width + back, low + back)]
    axes.add_patch(Polygon(top, fc=tint(colour, 0.45), **style))
    axes.add_patch(Polygon(side, fc=tint(colour, 0.2), **style))
    return left, left + width + back, low + height + back


def _size(stage: Stage) -> str:
    if not stage.is_volume:
        return f"{stage.shape[0]:,}"
    channels = f"{stage.shape[0]} channel{'s' if stage.shape[0] > 1 else ''}"
    return f"{channels}\n{_TIMES.strip().join(map(str, stage.shape[1:]))}"


def _operations(stage: Stage) -> list[str]:
    if "input" in stage.kinds:
        return ["volume"]
    counts: Counter[str] = Counter()
    for kind, n in stage.kinds.items():
        counts[_WORDS.get(kind, kind)] += n
    lines = [f"{n}{_TIMES}{words}" if n > 1 else words for words, n in counts.items()]
    return [*lines, f"{stage.parameters:,} par."] if stage.parameters else lines
