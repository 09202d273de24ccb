"""Small cells of tables of counts: hidden, and with them whatever would give them away.

A count of a few people can say who they are to somebody who knows one of them. What is hidden must not come back by
subtraction, so further cells are hidden until, for every small cell, a wide range of values fits everything that is
shown (complementary suppression, audited by linear programming). All hidden cells read the same: to know which of them
are small would narrow them down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import linprog

THRESHOLD = 10
HIDDEN = "hidden"

Cell = tuple[int, str]


class Sum(NamedTuple):
    """Cells (row number, column) that add up to the cell `total`; None for a total that is known from elsewhere."""

    total: Cell | None
    parts: tuple[Cell, ...]


def within_rows(frame: pd.DataFrame, parts: Sequence[str], total: str | None = None) -> list[Sum]:
    """Return that in each row the columns `parts` add up to the column `total`."""
    return [Sum((row, total) if total else None, tuple((row, part) for part in parts)) for row in range(len(frame))]


def down_columns(rows: Sequence[int], columns: Iterable[str], total_row: int | None = None) -> list[Sum]:
    """Return that in each column those rows add up to the row `total_row`."""
    return [
        Sum(None if total_row is None else (total_row, name), tuple((row, name) for row in rows)) for name in columns
    ]


def hide_small(
    frame: pd.DataFrame,
    counts: Sequence[str],
    sums: Iterable[Sum] = (),
    *,
    threshold: int = THRESHOLD,
    follows: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return a table in which the counts from 1 to `threshold` - 1 are hidden, and those that would tell them.

    `counts` are the columns of counts, `sums` what adds up in them. For each small count the values that fit what is
    shown differ by `threshold` - 2 at least. A column that `follows` a count is hidden with it. Zero is shown while it
    tells nothing: it is nobody.

    >>> frame = pd.DataFrame({"Class": ["a", "b", "c"], "Images": [3, 12, 40]})
    >>> hide_small(frame, ["Images"], down_columns(range(3), ["Images"]))["Images"].tolist()
    ['hidden', 'hidden', 40]
    """
    sums = list(sums)
    values = {
        (row, name): float(value)
        for name in counts
        for row, value in enumerate(pd.to_numeric(frame[name], errors="coerce"))
        if not pd.isna(value)
    }
    small = {cell for cell, value in values.items() if 0 < value < threshold}
    hidden = set(small)
    while unsafe := [cell for cell in sorted(small) if _width(cell, values, hidden, sums) < threshold - 2]:
        hidden.add(_next_to_hide(unsafe[0], values, hidden, sums) or _any_other(values, hidden) or unsafe[0])
        if hidden >= values.keys():
            break
    shown = frame.astype(object).copy()
    follows = follows or {}
    for row, name in hidden:
        for column in (name, *(other for other, count in follows.items() if count == name)):
            shown.iloc[row, shown.columns.get_loc(column)] = HIDDEN
    return shown


def _next_to_hide(cell: Cell, values: Mapping, hidden: set[Cell], sums: list[Sum]) -> Cell | None:
    """Return the smallest cell that is still shown in a sum with the cell; zeros last."""
    beside = {
        other
        for each in sums
        if cell in each.parts or cell == each.total
        for other in (*each.parts, *((each.total,) if each.total else ()))
        if other in values and other not in hidden
    }
    return min(beside, key=lambda other: (values[other] == 0, values[other], other), default=None)


def _any_other(values: Mapping, hidden: set[Cell]) -> Cell | None:
    return next((cell for cell in sorted(values) if cell not in hidden), None)


def _width(cell: Cell, values: Mapping, hidden: set[Cell], sums: list[Sum]) -> float:
    """Return by how much the values of a hidden cell can differ, given all that is shown; infinite without bounds."""
    unknown = sorted(hidden)
    place = {each: number for number, each in enumerate(unknown)}
    matrix, right = [], []
    for total, parts in sums:
        there = [part for part in parts if part in values]
        if not any(part in hidden for part in there) and total not in hidden:
            continue
        row, known = np.zeros(len(unknown)), 0.0
        for part in there:
            if part in hidden:
                row[place[part]] += 1
            else:
                known += values[part]
        if total in hidden:
            row[place[total]] -= 1
            matrix.append(row)
            right.append(-known)
        else:
            whole = values[total] if total in values else sum(values[part] for part in there)
            matrix.append(row)
            right.append(whole - known)
    if not matrix:
        return np.inf
    # A zero that is hidden looks like any other: then nobody knows that hidden cells are at least 1.
    least = 0 if any(values[each] == 0 for each in hidden) else 1
    ends = []
    for sign in (1, -1):
        aim = np.zeros(len(unknown))
        aim[place[cell]] = sign
        found = linprog(aim, A_eq=np.array(matrix), b_eq=np.array(right), bounds=(least, None), method="highs")
        if found.status == 3:  # unbounded
            return np.inf
        ends.append(sign * found.fun)
    return ends[1] - ends[0]
