"""What stages over images have in common: rows reach their table as they are done, and a Summary says what was done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

from qcbench import parallel, store
from qcbench.study import Study
from qcbench.summary import Summary


def fill(
    study: Study,
    table: str,
    todo: list[dict],
    worker: parallel.Worker,
    executor: Executor,
    *,
    told: Callable[[dict], dict],
    verb: str,
    show_progress: bool = True,
) -> dict[str, str]:
    """Have the worker make a row of `table` for each row of the catalogue; return why images failed, by image_id.

    `told` gives, from the row of the catalogue, what stands in the row also when the image failed. Rows reach the
    table now and then, so that a run that is killed is gone on with.
    """
    known = {row["image_id"]: told(row) for row in todo}
    failed = {}
    with (
        parallel.progress(verb, len(todo), show=show_progress) as advance,
        store.collect(study, table) as kept,
    ):
        for row in parallel.map_rows(worker, todo, executor):
            kept.append({**known[row["image_id"]], **row})
            if row["error"]:
                failed[row["image_id"]] = row["error"]
            advance()
    return failed


def summary(
    verb: str,
    *,
    usable: list[dict],
    n_tried: int,
    failed: dict[str, str],
    made: Iterable[dict],
    began: float,
    facts: dict[str, object],
) -> Summary:
    """Return the Summary of a stage that tried `n_tried` of the usable images and began at a time.monotonic().

    `made` are the rows that the table now has of the usable images, those of earlier runs among them.
    """
    seconds = time.monotonic() - began
    rate = {"images_per_hour": round(3600 * n_tried / seconds)} if n_tried else {}
    earlier = sum(bool(row["error"]) for row in made) - len(failed)
    return Summary(
        stage=verb,
        done=n_tried - len(failed),
        unchanged=len(usable) - n_tried,
        failed=failed,
        facts={"images": len(usable), **rate, **facts},
        notes=[f"{earlier} images failed in an earlier run; try them again with --retry"] if earlier else [],
        seconds=seconds,
    )
