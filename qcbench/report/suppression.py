"""Small cells of tables of counts: hidden, and with them whatever would give them away.

A count of a few people can say who they are to somebody who knows one of them. What is hidden must not come back by
subtraction, so further cells are hidden until, for every small cell, a wide range of values fits everything that is
shown (complementary suppression, audited by linear programming). Tables that count the same people are audited
together: a count that is hidden in one is hidden in all, and so is what one table minus another would tell. All hidden
cells read the same: to know which of them are small would narrow them down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import linprog

THRESHOLD = 10
HIDDEN = "hidden"

#: A cell of one table: its row number and column; among several tables with the table's name before them.
Cell = tuple


class Sum(NamedTuple):
    """Cells that add up to the cell `total`; None for a total that is known from elsewhere."""

    total: Cell | None
    parts: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Counts:
    """A table with columns of counts, and what adds up in it.

    A column that `follows` counts is hidden with any of them. `rows` are those that hold counts; None for all.
    """

    frame: pd.DataFrame
    columns: Sequence[str]
    sums: Sequence[Sum] = ()
    follows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows: Sequence[int] | None = None

    def values(self) -> dict[Cell, float]:
        """Return the count of each cell that has one."""
        numbers = {name: pd.to_numeric(self.frame[name], errors="coerce") for name in self.columns}
        return {
            (row, name): float(numbers[name].iloc[row])
            for name in self.columns
            for row in (range(len(self.frame)) if self.rows is None else self.rows)
            if not pd.isna(numbers[name].iloc[row])
        }

    def without(self, hidden: Iterable[Cell]) -> pd.DataFrame:
        """Return the table with those cells hidden, and what follows them."""
        shown = self.frame.astype(object).copy()
        for row, name in hidden:
            for column in (name, *(other for other, counts in self.follows.items() if name in counts)):
                shown.iloc[row, shown.columns.get_loc(column)] = HIDDEN
        return shown


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
    follows: Mapping[str, tuple[str, ...]] | None = None,
) -> pd.DataFrame:
    """Return a table in which the counts from 1 to `threshold` - 1 are hidden, and those that would tell them.

    `counts` are the columns of counts, `sums` what adds up in them. For each small count the values that fit what is
    shown differ by `threshold` - 2 at least. A column that `follows` a count is hidden with it. Zero is shown while it
    tells nothing: it is nobody.

    >>> frame = pd.DataFrame({"Class": ["a", "b", "c"], "Images": [3, 12, 40]})
    >>> hide_small(frame, ["Images"], down_columns(range(3), ["Images"]))["Images"].tolist()
    ['hidden', 'hidden', 40]
    """
    only = Counts(frame=frame, columns=counts, sums=tuple(sums), follows=follows or {})
    return hide_together({"": only}, threshold=threshold)[""]


def hide_together(
    tables: Mapping[str, Counts],
    links: Iterable[Sum] = (),
    *,
    unseen: Mapping[Cell, float] | None = None,
    threshold: int = THRESHOLD,
) -> dict[str, pd.DataFrame]:
    """Return tables that count the same people, small counts hidden in all of them, and those that would tell them.

    `links` are sums of cells (table, row, column) of different tables; `unseen` holds the values of cells that no table
    shows but a reader could compute, as the people in one table and not in another: the small ones are kept from that.

    >>> scans = Counts(frame=pd.DataFrame({"Images": [60]}), columns=["Images"])
    >>> usable = Counts(frame=pd.DataFrame({"Images": [57]}), columns=["Images"])
    >>> lost = Sum(("scans", 0, "Images"), (("usable", 0, "Images"), ("lost",)))
    >>> shown = hide_together({"scans": scans, "usable": usable}, [lost], unseen={("lost",): 3})
    >>> shown["scans"]["Images"].tolist(), shown["usable"]["Images"].tolist()
    ([60], ['hidden'])
    """
    unseen = dict(unseen or {})
    values = {(name, *cell): value for name, table in tables.items() for cell, value in table.values().items()}
    sums = [_named(name, each) for name, table in tables.items() for each in table.sums]
    system = _System(values | unseen, [*sums, *links], frozenset(unseen))
    hidden = system.hide(threshold)
    return {
        name: table.without(cell[1:] for cell in hidden if cell[0] == name and cell not in unseen)
        for name, table in tables.items()
    }


def _named(table: str, each: Sum) -> Sum:
    return Sum((table, *each.total) if each.total else None, tuple((table, *part) for part in each.parts))


class _System:
    """All counts and what adds up among them; says what must be hidden."""

    def __init__(self, values: Mapping[Cell, float], sums: Iterable[Sum], unseen: frozenset[Cell]) -> None:
        self._values, self._unseen = values, unseen
        self._sums = [
            Sum(each.total if each.total in values else None, tuple(part for part in each.parts if part in values))
            for each in sums
        ]
        # What does not add up (in a table that is only partly filled) tells nobody anything.
        self._sums = [each for each in self._sums if each.parts and self._holds(each)]
        self._of: dict[Cell, list[Sum]] = {}
        for each in self._sums:
            for cell in _cells(each):
                self._of.setdefault(cell, []).append(each)

    def _holds(self, each: Sum) -> bool:
        return each.total is None or self._values[each.total] == sum(self._values[part] for part in each.parts)

    def hide(self, threshold: int) -> set[Cell]:
        """Return the cells to hide, those unseen among them."""
        small = {cell for cell, value in self._values.items() if 0 < value < threshold}
        hidden = set(self._unseen)
        for cell in small:
            hidden |= self._equals(cell)
        waiting, ranges = sorted(small, key=str), _Ranges(self._values)
        while waiting:
            # A cell that is safe stays so: hiding more only widens what it may be.
            if self._is_safe(waiting[0], hidden, threshold, ranges):
                waiting.pop(0)
                continue
            following = self._next_to_hide(waiting[0], hidden)
            if following is None:
                waiting.pop(0)
                continue
            hidden |= self._equals(following)
        return self._without_needless(hidden, small, threshold)

    def _without_needless(self, hidden: set[Cell], small: set[Cell], threshold: int) -> set[Cell]:
        """Return the hidden cells without those that may as well be shown, the largest counts first."""
        tried = set(self._unseen).union(*(self._equals(cell) for cell in small))
        for cell in sorted(hidden - tried, key=lambda cell: (-self._values[cell], str(cell))):
            if cell in tried:
                continue
            same = self._equals(cell)
            tried |= same
            near, _ = self._component(cell, hidden)  # the nearest first: they are the first to be told
            fewer, ranges = hidden - same, _Ranges(self._values)
            if all(self._is_safe(other, fewer, threshold, ranges) for other in near if other in small):
                hidden = fewer
        return hidden

    def _equals(self, cell: Cell) -> set[Cell]:
        """Return the cells that hold the same count by what adds up: sums of one part."""
        found, waiting = {cell}, [cell]
        while waiting:
            for each in self._of.get(waiting.pop(), ()):
                if each.total is not None and len(each.parts) == 1:
                    new = set(_cells(each)) - found
                    found |= new
                    waiting += new
        return found

    def _next_to_hide(self, cell: Cell, hidden: set[Cell]) -> Cell | None:
        """Return the smallest cell that is still shown in a sum with the cell, zeros last; or else in a sum with one
        that is hidden beside it, and so on; at last any cell that is shown.
        """
        near, ring = {cell}, {cell}
        while ring:
            beside = {other for each in ring for found in self._of.get(each, ()) for other in _cells(found)}
            shown = beside - hidden
            if shown:
                return min(shown, key=lambda other: (self._values[other] == 0, self._values[other], str(other)))
            ring = beside - near
            near |= ring
        return min(self._values.keys() - hidden, key=str, default=None)

    def _component(self, cell: Cell, hidden: set[Cell]) -> tuple[list[Cell], list[Sum]]:
        """Return the hidden cells that hang together with a cell, the nearest first, and the sums that they are in."""
        found, sums, place = {cell: None}, {}, 0
        while place < len(found):
            for each in self._of.get(list(found)[place], ()):
                sums[id(each)] = each
                found |= {other: None for other in sorted(_cells(each), key=str) if other in hidden}
            place += 1
        return list(found), list(sums.values())

    def _is_safe(self, cell: Cell, hidden: set[Cell], threshold: int, ranges: _Ranges) -> bool:
        """Return whether the values of a hidden cell can differ by `threshold` - 2, given all that is shown.

        What is found to fit goes into `ranges`: it fits for the other hidden cells as well, and often tells enough.
        """
        if ranges.width(cell) >= threshold - 2:
            return True
        unknown, sums = self._component(cell, hidden)
        if not sums:
            return True
        place = {each: number for number, each in enumerate(unknown)}
        matrix, right = np.zeros((len(sums), len(unknown))), np.zeros(len(sums))
        for row, (total, parts) in enumerate(sums):
            known = 0.0
            for part in parts:
                if part in place:
                    matrix[row, place[part]] += 1
                else:
                    known += self._values[part]
            if total in place:
                matrix[row, place[total]] -= 1
                right[row] = -known
            else:
                whole = self._values[total] if total is not None else sum(self._values[part] for part in parts)
                right[row] = whole - known
        # A zero that is hidden looks like any other: then nobody knows that hidden cells are at least 1.
        some_zero = any(self._values[each] == 0 for each in unknown)
        bounds = [(0 if some_zero or each in self._unseen else 1, None) for each in unknown]
        for sign in (1, -1):
            aim = np.zeros(len(unknown))
            aim[place[cell]] = sign
            found = linprog(aim, A_eq=matrix, b_eq=right, bounds=bounds, method="highs")
            if found.status == 3:  # unbounded
                return True
            ranges.add(unknown, found.x)
        return ranges.width(cell) >= threshold - 2


class _Ranges:
    """The lowest and highest values of cells that were found to fit what is shown; at first their own alone."""

    def __init__(self, values: Mapping[Cell, float]) -> None:
        self._lowest, self._highest = dict(values), dict(values)

    def add(self, cells: Iterable[Cell], fitting: Iterable[float]) -> None:
        """Take in values that fit together."""
        for cell, value in zip(cells, fitting, strict=True):
            self._lowest[cell] = min(self._lowest[cell], value)
            self._highest[cell] = max(self._highest[cell], value)

    def width(self, cell: Cell) -> float:
        """Return by how much the values of a cell differ that were found so far."""
        # Half a thousandth is the solver's own error, and would make no whole number of people.
        return self._highest[cell] - self._lowest[cell] + 5e-4


def _cells(each: Sum) -> tuple[Cell, ...]:
    return each.parts if each.total is None else (*each.parts, each.total)
