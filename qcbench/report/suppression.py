"""Small cells of tables of counts: hidden, and with them whatever would give them away.

A count of a few people can say who they are to somebody who knows one of them. A cell that is hidden alone can be
computed from a total; so a second one is hidden with it (complementary suppression), wherever cells add up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

THRESHOLD = 10
HIDDEN = "suppressed"


def hide_small(
    frame: pd.DataFrame,
    counts: Sequence[str],
    *,
    threshold: int = THRESHOLD,
    adds_up: Iterable[Sequence[str]] = (),
    follows: dict[str, str] | None = None,
    groups: pd.Series | None = None,
) -> pd.DataFrame:
    """Return a table whose counts from 1 to `threshold` - 1 read "<10", with those that would tell them "suppressed".

    `counts` are the columns of counts. The rows of a column are taken to add up to a number that is known, all of them
    or those of each of the `groups`; of `adds_up`, each names columns that add up within a row. A column that
    `follows` a count is hidden with it. Zero is shown: it is nobody.

    >>> frame = pd.DataFrame({"Class": ["a", "b", "c"], "Images": [3, 12, 40]})
    >>> hide_small(frame, ["Images"])["Images"].tolist()
    ['<10', 'suppressed', 40]
    """
    values = frame[list(counts)].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    small = (values > 0) & (values < threshold)
    hidden = small.copy()
    places = {name: number for number, name in enumerate(counts)}
    rows_of = (
        [np.flatnonzero((groups == group).to_numpy()) for group in groups.unique()] if groups is not None else None
    )
    lines = [
        *((rows, column) for column in range(values.shape[1]) for rows in (rows_of or [np.arange(len(frame))])),
        *((row, [places[name] for name in names]) for row in range(len(frame)) for names in adds_up),
    ]
    while any(_complement(values, hidden, line) for line in lines):
        pass
    shown = frame.astype(object).copy()
    for name, number in places.items():
        shown.loc[hidden[:, number], name] = HIDDEN
        shown.loc[small[:, number], name] = f"<{threshold}"
    for name, count in (follows or {}).items():
        shown.loc[hidden[:, places[count]], name] = HIDDEN
    return shown


def _complement(values: np.ndarray, hidden: np.ndarray, line: tuple) -> bool:
    """Hide the smallest other cell of a line in which one cell is hidden alone; return whether that was needed."""
    mine = hidden[line]
    if mine.sum() != 1:
        return False
    others = np.where(mine | ~(values[line] > 0), np.inf, values[line])
    if not np.isfinite(others).any():
        return False  # nothing else is in this line: its total is the cell itself, and stands in another line
    changed = mine.copy()
    changed[others.argmin()] = True
    hidden[line] = changed
    return True
