"""Draw the contact sheets of simulated-artefacts.md: five severities of each artefact on three heads.

    python docs/contact_sheets.py [--study STUDY IMAGE_ID...] [--to FOLDER]

Without a study the heads are synthetic, as in the pictures that are kept here; with one, the same sheets
are drawn of its scans, to be looked at and not to be kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from qcbench import store
from qcbench.imaging import crop, heads, simulate
from qcbench.imaging.screenshot import screenshot
from qcbench.imaging.simulate import grades
from qcbench.prepare import pool
from qcbench.study import Study

#: Severities to show of each characteristic: good, just visible, some, severe, worse.
SEVERITIES = {
    "motion": (0.05, 0.16, 0.32, 0.50, 0.68),
    "contrast": (0.07, 0.2, 0.33, 0.47, 0.58),
    "noise": (0.06, 0.17, 0.32, 0.5, 0.75),
}
DOSES = (0.0, 0.25, 0.5, 0.75, 1.0)
SYNTHETIC_SEEDS = (3, 8, 21)
SCALE, GAP, CAPTION = 0.44, 4, 16


def main() -> None:
    """Write one JPEG an artefact, and one of the straight rejects."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", nargs="+", metavar=("STUDY", "IMAGE_ID"))
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "artefacts")
    options = parser.parse_args()
    people = scans(*options.study) if options.study else [heads.synthetic_head(seed=seed) for seed in SYNTHETIC_SEEDS]
    options.to.mkdir(parents=True, exist_ok=True)
    sights = [simulate.Sight(head) for head in people]
    for characteristic, family in simulate.ARTEFACTS.items():
        for name in family:
            rows = [
                severities(head, sight, characteristic, name, seed=11 + number)
                for number, (head, sight) in enumerate(zip(people, sights, strict=True))
            ]
            save(options.to / f"{name}.jpg", rows)
    kinds = [[(simulate.straight_reject(head, kind=kind, seed=5), kind) for kind in simulate.KINDS] for head in people]
    save(options.to / "straight_rejects.jpg", [[(drawn(reject), kind) for reject, kind in row] for row in kinds])


def scans(study: str, *image_ids: str) -> list[heads.Head]:
    """Return scans of a study as heads."""
    catalogue, aligned = ({r["image_id"]: r for r in store.rows(Study(study), n)} for n in ("images", "preprocessed"))
    return [pool.source_head(Study(study), catalogue[name], aligned[name]) for name in image_ids]


def severities(head, sight, characteristic: str, name: str, *, seed: int) -> list[tuple[np.ndarray, str]]:
    """Return five pictures of one head and what was measured on each."""
    cells = []
    for wanted in DOSES if characteristic == "gadolinium" else SEVERITIES[characteristic]:
        strength = wanted
        if characteristic != "gadolinium":
            strength = nearest(head, sight, characteristic, name, wanted, seed)
        copy = simulate.with_strengths(head, {name: strength}, seed=seed, sight=sight)
        if characteristic == "gadolinium":
            caption = f"dose {strength:.2f}"
        else:
            caption = f"grade {copy.grades[characteristic]}   severity {copy.severity[characteristic]:.2f}"
        cells.append((drawn(copy.head), caption))
    return cells


def nearest(head, sight, characteristic: str, name: str, wanted: float, seed: int) -> float:
    """Return the strength whose measured severity is near to the one wanted."""
    strengths = np.array([grades.first_guess(name, wanted)])
    seen = np.array([0.0])
    for _ in range(3):
        copy = simulate.with_strengths(head, {name: float(strengths[-1])}, seed=seed, sight=sight)
        seen = np.append(seen, copy.severity[characteristic])
        ratio = wanted / max(seen[-1], 1e-3)
        strengths = np.append(strengths, np.clip(strengths[-1] * ratio**0.7, 0.0, 1.0))
    return float(strengths[int(np.argmin(np.abs(seen[1:] - wanted)))])


def drawn(head: heads.Head) -> np.ndarray:
    """Return the three slices as raters see them."""
    volume, _ = crop.to_int16(crop.to_canonical(head.data, head.affine, head.template_to_scanner))
    return screenshot(volume)


def save(path: Path, rows: list[list[tuple[np.ndarray, str]]]) -> None:
    """Write one sheet: heads down, severities across, a caption under each picture."""
    height, width = (round(size * SCALE) for size in rows[0][0][0].shape)
    sheet = Image.new("L", (len(rows[0]) * (width + GAP) - GAP, len(rows) * (height + CAPTION + GAP) - GAP), 16)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for down, row in enumerate(rows):
        for across, (picture, caption) in enumerate(row):
            left, top = across * (width + GAP), down * (height + CAPTION + GAP)
            sheet.paste(Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS), (left, top))
            pen.text((left + 4, top + height + 1), caption, fill=220, font=font)
    sheet.save(path, quality=82, optimize=True)


if __name__ == "__main__":
    main()
