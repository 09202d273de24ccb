"""Measure how many words burnt into slices are seen, and how many slices and volumes without words are accused.

    python -m benchmarks.burnt_in_text FOLDER_OF_NIFTI [SEED]

The limits of `identity_pixels` were set on the first four heads of ds000011 with other fonts and words than these:
give other heads, or another seed, for figures that mean anything.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from qcbench import images
from qcbench.errors import ImageError
from qcbench.prepare import identity_pixels

FONTS = ("DejaVuSansMono-Bold", "DejaVuSerif-Bold", "DejaVuSans-Oblique", "STIXGeneral", "cmss10", "cmtt10", None)
WORDS = ("ROUSSEAU ALICE", "WILSON^TOM 24.12.1951", "NIP: 4410987", "Hopital Sud", "09/10/1962 F", "Girard", "Dr Petit")
SIZES_PIXELS = (9, 30)
#: Brightness of words, as a share of the volume's white.
BRIGHTNESSES = (0.6, 0.8, 1.0, 1.0, 1.3, 2.0)
SLICES_AN_AXIS = 20
_TRIES = 40


def main(folder: Path, seed: int) -> None:
    """Print the table for all NIfTI files below `folder`."""
    rng = np.random.default_rng(seed)
    seen = planted = accused = slices = accused_volumes = volumes = 0
    for path in sorted(folder.rglob("*.nii.gz")):
        try:
            volume = images.load_volume(path).data
        except ImageError:
            continue
        volumes += 1
        accused_volumes += any(True for _ in identity_pixels.slices_with_text(volume))
        white = float(np.percentile(volume, 99.8))
        for axis in range(3):
            for number in np.linspace(0, volume.shape[axis] - 1, SLICES_AN_AXIS).astype(int):
                plane = np.take(volume, number, axis=axis)
                slices += 1
                accused += identity_pixels.has_text(plane)
                with_words = _written(plane, white, rng)
                if with_words is not None:
                    planted += 1
                    seen += identity_pixels.has_text(with_words)
    print(f"words seen: {seen} of {planted} ({seen / planted:.1%})")
    print(f"slices without words accused: {accused} of {slices} ({accused / slices:.2%})")
    print(f"volumes without words accused: {accused_volumes} of {volumes} ({accused_volumes / volumes:.2%})")


def _written(plane: np.ndarray, white: float, rng: np.random.Generator) -> np.ndarray | None:
    """Return the slice with words somewhere on air, sharp or smooth; None when there is no room."""
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for _ in range(_TRIES):
        name, size = FONTS[rng.integers(len(FONTS))], int(rng.integers(*SIZES_PIXELS))
        font = ImageFont.truetype(str(fonts / f"{name}.ttf"), size) if name else ImageFont.load_default(size)
        words = WORDS[rng.integers(len(WORDS))]
        ink = Image.new("L", plane.shape[::-1])
        draw = ImageDraw.Draw(ink)
        draw.fontmode = "L" if rng.random() < 0.6 else "1"
        left, top, right, bottom = (int(edge) for edge in draw.textbbox((0, 0), words, font=font))
        spare_rows, spare_columns = plane.shape[0] - (bottom - top) - 2, plane.shape[1] - (right - left) - 2
        if min(spare_rows, spare_columns) < 1:
            continue
        row, column = 1 + int(rng.integers(spare_rows)), 1 + int(rng.integers(spare_columns))
        box = plane[row : row + bottom - top, column : column + right - left]
        if np.mean(box > 0.2 * white) > 0.02:
            continue
        draw.text((column - left, row - top), words, fill=255, font=font)
        share = np.asarray(ink, np.float32) / 255
        return plane * (1 - share) + share * white * float(rng.choice(BRIGHTNESSES))
    return None


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
