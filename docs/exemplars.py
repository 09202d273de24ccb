"""Draw the exemplar pictures of the protocol t1w-warehouse: one simulated head, one picture a choice.

    python docs/exemplars.py [--to FOLDER]

A hospital puts pictures of its own scans in their place: beside its own protocol file, in the same way.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from contact_sheets import SEVERITIES, drawn, nearest
from PIL import Image, ImageDraw, ImageFont

import qcbench
from qcbench.imaging import heads, simulate

HEAD_SEED, ARTEFACT_SEED = 8, 12
#: How each characteristic looks most often.
TYPICAL = {"motion": "abrupt", "contrast": "mixing", "noise": "noise"}
WIDTH = 900


def main() -> None:
    """Write a JPEG for each choice of t1w-warehouse."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=Path(qcbench.__file__).parent / "protocols" / "t1w-warehouse")
    folder = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)
    head = heads.synthetic_head(seed=HEAD_SEED)
    sight = simulate.Sight(head)
    save(folder / "good.jpg", drawn(head))
    for characteristic, artefact in TYPICAL.items():
        # Well within each grade, where nobody would argue.
        for grade, wanted in enumerate(SEVERITIES[characteristic][2:4], start=1):
            strength = nearest(head, sight, characteristic, artefact, wanted, ARTEFACT_SEED)
            copy = simulate.with_strengths(head, {artefact: strength}, seed=ARTEFACT_SEED, sight=sight)
            if copy.grades[characteristic] != grade:
                raise SystemExit(f"{characteristic} {grade} came out as {copy.grades[characteristic]}")
            save(folder / f"{characteristic}-{grade}.jpg", drawn(copy.head))
    injected = simulate.with_strengths(head, {"gadolinium": 0.8}, seed=ARTEFACT_SEED, sight=sight)
    save(folder / "gadolinium.jpg", drawn(injected.head))
    kinds = ("truncated", "tissue_map", "t2_like", "melon")
    rejects = [drawn(simulate.straight_reject(head, kind=kind, seed=5)) for kind in kinds]
    save(folder / "straight_reject.jpg", np.vstack([np.hstack(rejects[:2]), np.hstack(rejects[2:])]))


def save(path: Path, picture: np.ndarray) -> None:
    """Write a picture, named simulated in itself: it may be looked at without its caption."""
    image = Image.fromarray(picture).convert("L")
    image = image.resize((WIDTH, round(WIDTH * image.height / image.width)), Image.Resampling.LANCZOS)
    font = ImageFont.load_default(15)
    ImageDraw.Draw(image).text((8, image.height - 22), "simulated", fill=190, font=font)
    image.save(path, quality=80, optimize=True)


if __name__ == "__main__":
    main()
