"""How much a network gains from more labels: the numbers of Figure 5."""

from __future__ import annotations

import pandas as pd

from qcbench.report.results import ANNOTATORS, tasks_of


def by_size(curve: pd.DataFrame) -> pd.DataFrame:
    """Return the defined rows of the table `learning_curve`, with the balanced accuracy (0 to 1) as `value`.

    Whole participants make a size, so the folds of one size differ by a few images: `n_images` is their mean. Where an
    architecture was fitted in several ways (preset, epochs, spacing, seed) its name says which.
    """
    defined = curve[curve["balanced_accuracy"].notna() & curve["n_images"].notna()]
    ways = ["training_preset", "epochs", "spacing_mm", "seed"]
    n_ways = defined[["architecture", *ways]].drop_duplicates()["architecture"].value_counts()
    names = [
        row.architecture
        if n_ways[row.architecture] == 1
        else f"{row.architecture} ({_preset(row)}, {row.spacing_mm} mm, seed {row.seed})"
        for row in defined.itertuples()
    ]
    sizes = defined.groupby(["task", "architecture", *ways, "n_asked"], dropna=False)["n_images"].transform("mean")
    rows = defined.assign(
        value=defined["balanced_accuracy"].astype("float64"),
        architecture=names,
        n_images=sizes.astype("float64").round().astype("int64"),
    )
    return rows.sort_values(["task", "architecture", "n_images", "fold"], ignore_index=True)


def curve_table(curve: pd.DataFrame) -> pd.DataFrame:
    """Return one row a task, architecture and size: participants, folds, mean ± sd of balanced accuracy in percent.

    sd with ddof = 1 over the folds; `gain` is the mean minus that of the next smaller size.
    """
    rows = by_size(curve)
    found = []
    for task in tasks_of(rows):
        for architecture, mine in rows[rows["task"] == task].groupby("architecture", sort=True):
            before = None
            for n_images, group in mine.groupby("n_images"):
                mean = 100 * group["value"].mean()
                found.append(
                    {
                        "Task": task,
                        "Architecture": architecture,
                        "Images": int(n_images),
                        "Participants": group["n_participants"].max(),
                        "Folds": len(group),
                        "BA, %": mean,
                        "sd": 100 * group["value"].std(ddof=1),
                        "gain": None if before is None else mean - before,
                    }
                )
                before = mean
    columns = ["Task", "Architecture", "Images", "Participants", "Folds", "BA, %", "sd", "gain"]
    frame = pd.DataFrame(found, columns=columns)
    return frame.astype({"BA, %": "float64", "sd": "float64", "gain": "float64", "Participants": "Int64"})


def _preset(row: tuple) -> str:
    return row.training_preset if pd.isna(row.epochs) else f"{row.training_preset}, {row.epochs} epochs"


def annotators(metrics: pd.DataFrame) -> pd.Series:
    """Return the mean balanced accuracy of the raters (0 to 1) by task, of the test set."""
    wanted = (
        (metrics["architecture"] == ANNOTATORS)
        & (metrics["run_id"] == ANNOTATORS)
        & (metrics["metric"] == "balanced_accuracy")
        & (metrics["set"] == "test")
    )
    return metrics[wanted].set_index("task")["value"]
