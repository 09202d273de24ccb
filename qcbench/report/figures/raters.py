"""What each rater noted, beside the others."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from qcbench.report.figures.style import INK, WIDTH_INCHES, styled, tint

#: From none to severe; light to dark, so that they are told apart in grey as well.
_SHADES = {0: tint("#0072b2", 0.75), 1: tint("#0072b2", 0.4), 2: "#00466e"}


@styled
def rater_grades(shares: pd.DataFrame) -> Figure:
    """Return a panel a characteristic, a bar a rater: the share of each value among the images that carry one.

    `shares` is of `raters.grade_shares`: rater, characteristic, value, share (0 to 1), images. Raters who saw the same
    images differ only by how they grade.
    """
    characteristics = list(dict.fromkeys(shares["characteristic"]))
    names = list(dict.fromkeys(shares["rater"]))
    height = 0.24 * len(names) + 0.85
    figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
    panels = figure.subplots(1, max(len(characteristics), 1), squeeze=False, sharey=True)[0]
    for axes, characteristic in zip(panels, characteristics, strict=False):
        rows = shares[shares["characteristic"] == characteristic]
        left = dict.fromkeys(names, 0.0)
        for row in rows.sort_values(["rater", "value"]).itertuples():
            shade = _SHADES[min(int(row.value), 2)]
            width = 100 * row.share
            axes.barh(names.index(row.rater), width, left=left[row.rater], color=shade, height=0.72, ec="white", lw=0.5)
            if width >= 12:
                colour = "white" if int(row.value) >= 2 else INK
                place = (left[row.rater] + width / 2, names.index(row.rater))
                axes.text(*place, f"{width:.0f}", ha="center", va="center", fontsize=6.5, color=colour)
            left[row.rater] += width
        axes.set_title(characteristic)
        axes.set_xlim(0, 100)
        axes.set_xticks([0, 50, 100])
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), labels=names)
    handles = [
        panels[0].barh([0], [0], color=shade, label=words)
        for shade, words in zip(_SHADES.values(), ("0 or no", "1 or yes", "2"), strict=True)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=7)
    panels[len(panels) // 2].set_xlabel("share of the rater's images, %", fontsize=7.5)
    return figure
