"""How images are preprocessed: sets of options whose name stands beside every result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from qcbench.errors import UsageError
from qcbench.imaging.bias import BiasOptions
from qcbench.imaging.register import RegisterOptions


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How images are preprocessed; its name stands beside every result.

    `cubes_below_mm`: an image with voxels below that in some direction is resampled to cubes of 1 mm first; None
    spares it that second interpolation. `display` is how the picture is scaled: white is the 99.8th percentile
    (``percentile``), or the image's own range is drawn (``min-max``). `prefers_whole_head` looks for a template with
    a skull on this machine. What an image may cost is in `limits`.
    """

    bias: BiasOptions = field(default_factory=BiasOptions)
    register: RegisterOptions = field(default_factory=RegisterOptions)
    cubes_below_mm: float | None = None
    display: str = "percentile"
    prefers_whole_head: bool = False


#: Bottani et al. 2022 (section 2.4): N4 with control points 600 mm apart, ANTs' defaults and no mask; a fit needs 6 GB.
_PAPER = Preset(
    bias=BiasOptions(
        spacing_mm=None, in_head=False, shrink_factor=4, iterations=(50, 50, 50, 50), spline_distance_mm=600
    ),
    register=RegisterOptions(as_published=True),
    cubes_below_mm=0.9,
    prefers_whole_head=True,
)

#: ``fast``: N4 and affine on voxels of 4 mm, at about 5 CPU-seconds a head. ``clinica-2026``: t1-linear as Clinica has
#: it since control points are 200 mm apart and images are not resampled first.
PRESETS = {
    "fast": Preset(),
    "paper-2022": _PAPER,
    "paper-2022-min-max": replace(_PAPER, display="min-max"),
    "clinica-2026": replace(_PAPER, bias=replace(_PAPER.bias, spline_distance_mm=200), cubes_below_mm=None),
}


def by_name(name: str) -> Preset:
    """Return a preset. Raises UsageError for a name that there is not."""
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}; there is {', '.join(PRESETS)}")
    return PRESETS[name]
