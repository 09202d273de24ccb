"""Contact sheets: screenshots under a name each, as in Figure 1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qcbench.report.figures.style import GREY, WIDTH_INCHES, styled
from qcbench.report.pictures import Picture


@styled
def contact_sheet(groups: Mapping[str, Sequence[Picture]], *, columns: int = 3) -> Figure:
    """Return a sheet of screenshots, one or more rows a group under its name, captions below.

    A picture that could not be read has an empty frame with the reason's code.
    """
    shown = {name: pictures for name, pictures in groups.items() if pictures}
    n_rows = {name: math.ceil(len(pictures) / columns) for name, pictures in shown.items()}
    shapes = [picture.grey.shape for pictures in shown.values() for picture in pictures if picture.grey is not None]
    aspect = max((rows / width for rows, width in shapes), default=0.4)
    row_inches = WIDTH_INCHES / columns * aspect + 0.3
    figure = Figure(
        figsize=(WIDTH_INCHES, max(row_inches * sum(n_rows.values()) + 0.15 * len(shown), 0.5)), layout="constrained"
    )
    if not shown:
        return figure
    parts = figure.subfigures(len(shown), 1, height_ratios=list(n_rows.values()), squeeze=False)[:, 0]
    for part, (name, pictures) in zip(parts, shown.items(), strict=True):
        part.suptitle(name, x=0.005, ha="left", fontsize=9, fontweight="bold")
        grid = part.subplots(n_rows[name], columns, squeeze=False).ravel()
        for axes in grid:
            axes.set_axis_off()
        for axes, picture in zip(grid, pictures, strict=False):
            _picture(axes, picture)
    return figure


def _picture(axes: Axes, picture: Picture) -> None:
    axes.set_title(picture.caption, fontsize=6.5, loc="center", y=-0.02, va="top", pad=0, wrap=True)
    if picture.grey is None:
        axes.text(0.5, 0.5, picture.error.split(":")[0], ha="center", va="center", color=GREY, transform=axes.transAxes)
        return
    axes.imshow(picture.grey, cmap="gray", vmin=0, vmax=255, interpolation="antialiased")
