"""The table `predictions` read in part: it has a row for each image, network and fold of the whole warehouse."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from qcbench import store
from qcbench.study import Study


def of_runs(
    study: Study, run_ids: Iterable[str], names: Sequence[str], *, image_ids: Collection[str] | None = None
) -> Iterator[tuple]:
    """Yield the values of the named columns, a tuple a prediction, of these runs and, where given, images.

    Rows that are not asked for never become Python objects: a million of them would need a gigabyte. A column that
    the table does not have is null.
    """
    table = store.read(study, "predictions")
    wanted = pc.is_in(table["run_id"], pa.array(sorted(run_ids), pa.string()))
    if image_ids is not None:
        wanted = pc.and_(wanted, pc.is_in(table["image_id"], pa.array(sorted(image_ids), pa.string())))
    found = table.filter(wanted)
    columns = [found[name].to_pylist() if name in found.column_names else [None] * len(found) for name in names]
    return zip(*columns, strict=True)
