"""One image on one page: what was measured, on which voxels, and how usual that is. HTML that needs nothing else."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from qcbench import images, iqm_keys
from qcbench.iqm import norms
from qcbench.iqm.mosaic import Panel

_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5em auto; max-width: 75em; padding: 0 1em; color: #1b1b1b; }
h1 { font-size: 1.3em; overflow-wrap: anywhere; }
figure { margin: 1em 0; }
figcaption { font-weight: 600; }
img { background: #000; max-width: 100%; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid #ccc; padding: .15em .7em; text-align: left; }
td.number { font-variant-numeric: tabular-nums; text-align: right; }
tr.unusual td.number { font-weight: 700; }
.reason { color: #8a3b00; }
"""
_WIDTH, _HEIGHT = 160, 16
#: What is drawn reaches so many inter-quartile ranges beyond the quartiles; a value outside is drawn at the end.
_REACH = 2.0
#: Tukey's fence.
_UNUSUAL = 1.5


def html(row: Mapping[str, object], panels: Sequence[Panel], displacement_mm: np.ndarray | None = None) -> str:
    """Return the page of a row of `iqms`; `displacement_mm` is the motion between volumes of a series."""
    modality, profile = str(row["modality"]), str(row["iqm_profile"])
    title = f"{escape(str(row['image_id']))}: {modality}, profile {escape(profile)}"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head><body>',
            f"<h1>{title}</h1>",
            *(_figure(panel) for panel in panels),
            *([] if displacement_mm is None or not displacement_mm.size else [_motion(displacement_mm)]),
            *_table(row, modality, profile),
            "</body></html>",
            "",
        ]
    )


def _figure(panel: Panel) -> str:
    caption = f"<figcaption>{escape(panel.caption)}</figcaption>"
    if panel.picture is None:
        return f'<figure class="reason">{caption}</figure>'
    encoded = base64.b64encode(images.png_bytes(panel.picture)).decode()
    return f'<figure>{caption}<img alt="{escape(panel.caption)}" src="data:image/png;base64,{encoded}"></figure>'


def _motion(displacement_mm: np.ndarray) -> str:
    """Return the displacement from volume to volume as a line, 0 at the bottom."""
    top = max(float(displacement_mm.max()), 1e-6)
    step = 1000 / max(displacement_mm.size - 1, 1)
    points = " ".join(f"{place * step:.1f},{100 - 95 * value / top:.1f}" for place, value in enumerate(displacement_mm))
    return (
        f"<figure><figcaption>Displacement between volumes, 0 to {top:.3g} mm</figcaption>"
        f'<svg viewBox="0 0 1000 100" width="100%" role="img" aria-label="displacement between volumes">'
        f'<polyline points="{points}" fill="none" stroke="#205493" stroke-width="1.5"/></svg></figure>'
    )


def _table(row: Mapping[str, object], modality: str, profile: str) -> list[str]:
    usual = norms.of(modality, profile)
    reasons = json.loads(str(row["reasons"])) if row.get("reasons") else {}
    compared = (
        f"The box is the middle half of {norms.origin(modality)}. What is usual need not be good."
        if usual
        else f"There are no records of {modality} to compare with."
    )
    lines = [
        f"<p>{escape(compared)}</p>",
        "<table><thead><tr><th>metric<th>value<th>unit<th>better<th>usual<th></tr></thead><tbody>",
    ]
    for key in iqm_keys.keys_of(modality):
        value, quartiles = row.get(key.name), usual.get(key.name)
        shown = (
            f'<td class="number">{_number(value)}'
            if value is not None
            else f'<td class="reason">{escape(reasons.get(key.name, "not measured"))}'
        )
        is_unusual = value is not None and quartiles is not None and _distance(value, quartiles) > _UNUSUAL
        usual_text = f"{_number(quartiles.low)} to {_number(quartiles.high)}" if quartiles else ""
        bar = _bar(value, quartiles) if quartiles and value is not None else ""
        lines.append(
            f'<tr{" class=unusual" if is_unusual else ""}><td title="{escape(key.doc)}">{key.name}{shown}'
            f"<td>{escape(key.unit)}<td>{key.better}<td>{usual_text}<td>{bar}</tr>"
        )
    return [*lines, "</tbody></table>", "<p>Bold: beyond 1.5 times the width of the box.</p>" if usual else ""]


def _distance(value: float, quartiles: norms.Quartiles) -> float:
    """Return how far a value is outside the quartiles, in inter-quartile ranges.

    >>> _distance(5.0, norms.Quartiles(1.0, 3.0)), _distance(2.0, norms.Quartiles(1.0, 3.0))
    (1.0, 0.0)
    """
    beyond = max(quartiles.low - value, value - quartiles.high, 0.0)
    if beyond == 0.0:
        return 0.0
    return beyond / quartiles.iqr if quartiles.iqr > 0 else math.inf


def _bar(value: float, quartiles: norms.Quartiles) -> str:
    """Return the box of the quartiles and the value as a mark, an arrow where it lies further out."""
    reach = _REACH * quartiles.iqr or 1.0
    left, right = quartiles.low - reach, quartiles.high + reach

    def place(number: float) -> float:
        return 4 + (_WIDTH - 8) * min(max((number - left) / (right - left), 0.0), 1.0)

    low, high, mark = place(quartiles.low), place(quartiles.high), place(value)
    middle = _HEIGHT / 2
    if value < left:
        drawn = f'<path d="M{mark - 4:.1f} {middle} l8 -5 v10 z" fill="#b50909"/>'
    elif value > right:
        drawn = f'<path d="M{mark + 4:.1f} {middle} l-8 -5 v10 z" fill="#b50909"/>'
    else:
        drawn = f'<circle cx="{mark:.1f}" cy="{middle}" r="4" fill="#205493"/>'
    label = f"{_number(value)} against the usual range"
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="{label}">'
        f'<line x1="0" x2="{_WIDTH}" y1="{middle}" y2="{middle}" stroke="#ccc"/>'
        f'<rect x="{low:.1f}" y="2" width="{max(high - low, 1):.1f}" height="{_HEIGHT - 4}" fill="#d6d7d9"/>'
        f"{drawn}</svg>"
    )


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4g}"
