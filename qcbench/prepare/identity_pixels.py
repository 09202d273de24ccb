"""Whether words are burnt into a picture: rows of strokes of one brightness on a dark ground. Nothing is read out.

No network and no dictionary: connected pieces above a brightness, of like height, on one line, near each other,
equally bright, with the ground between them dark. A word over bright tissue is seen only where it is brighter than
the tissue; a single letter (the L or R of a side) and most words of three letters are not reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

#: Brightnesses at which pieces are looked for, as shares of white; words are often brighter than anything else.
_LEVELS = (0.25, 0.45, 0.65, 0.85, 1.1, 1.6)
_WHITE_PERCENTILE = 99.8
_LOWEST_PIXELS, _HIGHEST_PIXELS = 4, 64
#: Letters that touch make one piece, at most as many times as wide as high.
_WIDEST = 7.0
#: Noise has thousands of pieces, and a page of text some hundreds.
_MOST_PIECES, _MOST_SPECKS = 1500, 20_000
#: How many slices of a volume are looked at together.
SLAB_SLICES = 4
_EIGHT_NEIGHBOURS = np.ones((3, 3), int)


@dataclass(frozen=True, kw_only=True)
class _Row:
    """Pieces beside each other: how many, and how much they look like letters. Shares are of 1."""

    n_pieces: int
    n_letters: int
    height: float
    on_baseline: float
    at_top: float
    height_spread: float
    brightness_spread: float
    ground: float
    bright_ground: float


def has_text(picture: np.ndarray) -> bool:
    """Return whether a 2D picture has words in rows, bright on dark, or dark on a page that is mostly bright."""
    grey = np.asarray(picture, dtype=np.float32)
    if grey.ndim != 2 or min(grey.shape) < 2 * _LOWEST_PIXELS:
        return False
    low, high = float(grey.min()), float(grey.max())
    if not np.isfinite(high) or low == high:
        return False
    if np.median(grey) > (low + high) / 2:
        grey = high - grey
    elif low > 0:
        grey = grey - low
    return _is_written(grey, _white_of(grey), both_ways=False)


def slices_with_text(volume: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield axis and number of the first slab of SLAB_SLICES slices with words along each axis, running either way.

    A slab is looked at as the brightest of its voxels: on the dark ground where words are seen, these are the words.
    """
    white = _white_of(volume)
    for axis in range(3):
        for number in range(0, volume.shape[axis], SLAB_SLICES):
            slab = volume[(slice(None),) * axis + (slice(number, number + SLAB_SLICES),)]
            plane = np.ascontiguousarray(slab.max(axis=axis))
            if plane.max() > _LEVELS[0] * white and _is_written(plane, white, both_ways=True):
                yield axis, number
                break


def _white_of(grey: np.ndarray) -> float:
    white = float(np.percentile(grey, _WHITE_PERCENTILE))
    return white if white > 0 else float(grey.max())


def _is_written(grey: np.ndarray, white: float, *, both_ways: bool) -> bool:
    highest = grey.max()
    for level in _LEVELS:
        if level * white >= highest:
            return False
        labelled, n_pieces = ndimage.label(grey > level * white, _EIGHT_NEIGHBOURS)
        if not 3 <= n_pieces <= _MOST_SPECKS:
            continue
        boxes = _boxes(labelled)
        for turned in (False, True) if both_ways else (False,):
            views = (grey.T, labelled.T) if turned else (grey, labelled)
            if any(_is_word(row) for row in _rows(*views, boxes[:, [0, 3, 4, 1, 2, 5]] if turned else boxes)):
                return True
    return False


def _boxes(labelled: np.ndarray) -> np.ndarray:
    """Return one row a piece: its number, top, bottom, left, right (exclusive) and area."""
    area = np.bincount(labelled.ravel())
    parts = ndimage.find_objects(labelled)
    rows = [
        (
            number,
            parts[number - 1][0].start,
            parts[number - 1][0].stop,
            parts[number - 1][1].start,
            parts[number - 1][1].stop,
            area[number],
        )
        for number in np.flatnonzero(area[1:] >= _LOWEST_PIXELS) + 1
    ]
    return np.array(rows, dtype=int).reshape(-1, 6)


def _rows(grey: np.ndarray, labelled: np.ndarray, boxes: np.ndarray) -> Iterator[_Row]:
    height, width = boxes[:, 2] - boxes[:, 1], boxes[:, 4] - boxes[:, 3]
    fits = (height >= _LOWEST_PIXELS) & (height <= _HIGHEST_PIXELS) & (width <= _WIDEST * height)
    boxes = boxes[fits & (boxes[:, 5] >= 0.1 * height * width)]
    if not 3 <= len(boxes) <= _MOST_PIECES:
        return
    for group in _groups(np.argwhere(_are_neighbours(boxes)).tolist()):
        if len(group) >= 3:
            yield _described(grey, labelled, boxes[group])


def _groups(links: list[list[int]]) -> list[list[int]]:
    group_of: dict[int, list[int]] = {}
    for first, second in links:
        one, other = group_of.setdefault(first, [first]), group_of.setdefault(second, [second])
        if one is not other:
            one += other
            group_of.update(dict.fromkeys(other, one))
    return list({id(group): sorted(group) for group in group_of.values()}.values())


def _are_neighbours(boxes: np.ndarray) -> np.ndarray:
    """Return whether the second of two pieces stands to the right of the first, near, and on the same line."""
    top, bottom, left, right = boxes[:, 1:5].T
    height = bottom - top
    higher, lower = np.maximum(height[:, None], height), np.minimum(height[:, None], height)
    gap = left[None, :] - right[:, None]
    shared = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    tolerance = 0.2 * higher + 1
    aligned = (abs(bottom[:, None] - bottom) <= tolerance) | (abs(top[:, None] - top) <= tolerance)
    return (gap >= -1) & (gap <= 0.9 * higher) & (shared >= 0.6 * lower) & (higher <= 2 * lower) & aligned


def _described(grey: np.ndarray, labelled: np.ndarray, boxes: np.ndarray) -> _Row:
    numbers, top, bottom, left, right = boxes[:, :5].T
    height = bottom - top
    tall = float(np.percentile(height, 80))
    window = (slice(top.min(), bottom.max()), slice(left.min(), right.max()))
    inside, names = grey[window], labelled[window]
    peaks = ndimage.maximum(inside, names, numbers)
    peak = float(np.median(peaks))
    # The edges of a stroke are neither ink nor ground.
    ground = inside[~ndimage.binary_dilation(np.isin(names, numbers))]
    dark, bright = np.percentile(ground, (50, 95)) / peak if ground.size else (0.0, 0.0)
    off = 0.12 * tall + 0.6
    return _Row(
        n_pieces=len(boxes),
        n_letters=int(np.maximum(1, np.round((right - left) / (0.8 * tall))).sum()),
        height=tall,
        on_baseline=float(np.mean(abs(bottom - np.median(bottom)) <= off)),
        at_top=float(np.mean(abs(top - top.min()) <= off)),
        height_spread=float(height.std() / height.mean()),
        brightness_spread=float(np.std(peaks) / peak),
        ground=float(dark),
        bright_ground=float(bright),
    )


def _is_word(row: _Row) -> bool:
    # The limits part words planted into four heads from the pieces of scalp, vessels and noise that chance puts in a
    # row there; benchmarks/burnt_in_text.py measures them on other heads, fonts and words.
    if row.ground > 0.2 or row.on_baseline < 0.7 or row.height_spread > 0.3 or row.height < 5:
        return False
    even = row.brightness_spread <= 0.04
    if row.n_pieces == 3:
        return (
            row.n_letters >= 3
            and row.brightness_spread <= 0.02
            and min(row.on_baseline, row.at_top) == 1
            and row.height_spread <= 0.1
            and row.ground <= 0.1
            and row.bright_ground <= 0.75
            and row.height >= 7
        )
    if row.n_pieces >= 7 and row.on_baseline >= 0.85 and row.ground <= 0.05 and row.brightness_spread <= 0.2:
        return True
    if row.bright_ground > 0.75:
        return False
    # A few small pieces of unlike height are what masking leaves of a scalp.
    if row.n_pieces < 6 and row.height < 6 and row.height_spread > 0.15:
        return False
    if even:
        return row.at_top >= 0.34 or row.n_pieces >= 6
    return (
        row.brightness_spread <= 0.2
        and row.n_pieces >= 5
        and row.ground <= 0.1
        and row.on_baseline >= 0.75
        and row.at_top >= 0.4
    )
