"""What networks decided on the test set against the consensus: probabilities, right and wrong decisions, hospitals.

DataFrames in, DataFrames out, as in `qcbench.report.tables`. Everything starts from `judged`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from qcbench.report.comparisons import labels_of_task
from qcbench.report.results import is_baseline, tasks_of
from qcbench.report.tables import NOT_STATED
from qcbench.schema import TASKS

N_BINS = 10
#: How the sets of `metrics` begin whose images are of a place that was left out of training.
LEFT_OUT = "left-out "
_MEAN = "mean over places"


def judged(predictions: pd.DataFrame, consensus: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Return each fold's prediction of each test image of a published task, with the truth of the consensus.

    Columns: task, architecture, run_id, series, fold, image_id, probability, probability_calibrated (0 to 1, of the
    positive class) and is_positive. `series` is the architecture, with its run where a task has several of it;
    networks come before baselines.
    """
    test = set(splits.loc[splits["set"] == "test", "image_id"])
    wanted = predictions[predictions["image_id"].isin(test) & predictions["probability"].notna()]
    parts = []
    for task in tasks_of(wanted):
        if task not in TASKS or consensus.empty:
            continue
        truth = labels_of_task(consensus, task)
        mine = wanted[(wanted["task"] == task) & wanted["image_id"].isin(truth.index)]
        n_runs = mine.groupby("architecture")["run_id"].nunique()
        series = [
            f"{row.architecture} ({row.run_id})" if n_runs[row.architecture] > 1 else row.architecture
            for row in mine[["architecture", "run_id"]].itertuples()
        ]
        is_positive = truth.reindex(mine["image_id"]).to_numpy(dtype=bool)
        parts.append(mine.assign(series=series, is_positive=is_positive))
    columns = ["task", "architecture", "run_id", "series", "fold", "image_id", "probability", "probability_calibrated"]
    if not parts:
        return pd.DataFrame(columns=[*columns, "is_positive"])
    whole = pd.concat(parts)[[*columns, "is_positive"]]
    numbers = {"probability": "float64", "probability_calibrated": "float64", "fold": "int64"}
    whole = whole.astype(numbers).assign(last=whole["architecture"].map(is_baseline))
    ordered = whole.sort_values(["last", "series", "fold", "image_id"], kind="stable", ignore_index=True)
    return ordered.drop(columns="last")


def _with_calibrated(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows, and once more those with a calibrated probability, as a series of its own."""
    calibrated = rows[rows["probability_calibrated"].notna()]
    again = calibrated.assign(
        probability=calibrated["probability_calibrated"], series=calibrated["series"] + ", calibrated"
    )
    return pd.concat([rows, again], ignore_index=True)


def reliability(rows: pd.DataFrame, *, n_bins: int = N_BINS) -> pd.DataFrame:
    """Return one row a task, series and bin of probability: predictions, their mean probability and share positive.

    `rows` is of `judged`; the folds' predictions are counted together, so an image counts once a fold. Empty bins are
    in it, with null for the shares. A calibrated probability is a series of its own.
    """
    found = []
    for task, series, mine in _by_series(_with_calibrated(rows)):
        place = np.minimum((mine["probability"] * n_bins).astype(int), n_bins - 1)
        for number in range(n_bins):
            inside = mine[place == number]
            found.append(
                {
                    "task": task,
                    "series": series,
                    "lowest": number / n_bins,
                    "highest": (number + 1) / n_bins,
                    "predictions": len(inside),
                    "mean_probability": inside["probability"].mean(),
                    "positive": inside["is_positive"].astype(float).mean(),
                }
            )
    columns = ["task", "series", "lowest", "highest", "predictions", "mean_probability", "positive"]
    return pd.DataFrame(found, columns=columns)


def calibration_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how well probabilities hold, by task and series: mean ± sd (ddof = 1) over the folds.

    Brier score: the mean squared distance of the probability from the truth (0 or 1). Calibration error: the mean
    distance of probability and share positive over bins of one tenth, weighted by their size. Lower is better in both.
    `Brier, no network` is that of always saying the share of the positive class.
    """
    found = []
    for task, series, mine in _by_series(_with_calibrated(rows)):
        scores = []
        for _, fold in mine.groupby("fold"):
            truth = fold["is_positive"].astype(float)
            brier = float(((fold["probability"] - truth) ** 2).mean())
            scores.append((brier, _calibration_error(fold), float(truth.mean() * (1 - truth.mean()))))
        briers, errors, plain = (np.array(each) for each in zip(*scores, strict=True))
        found.append(
            {
                "Task": task,
                "Network": series,
                "Test images": mine["image_id"].nunique(),
                "Folds": len(scores),
                "Brier score": _mean_sd(briers),
                "Brier, no network": f"{plain.mean():.3f}",
                "Calibration error": _mean_sd(errors),
            }
        )
    columns = ["Task", "Network", "Test images", "Folds", "Brier score", "Brier, no network", "Calibration error"]
    return pd.DataFrame(found, columns=columns)


def _calibration_error(rows: pd.DataFrame) -> float:
    place = np.minimum((rows["probability"] * N_BINS).astype(int), N_BINS - 1)
    bins = rows.assign(positive=rows["is_positive"].astype(float)).groupby(place)
    gaps = (bins["probability"].mean() - bins["positive"].mean()).abs()
    return float((gaps * bins.size()).sum() / len(rows))


def _mean_sd(values: np.ndarray, form: str = ".3f") -> str:
    spread = f" ± {values.std(ddof=1):{form}}" if len(values) > 1 else ""
    return f"{values.mean():{form}}{spread}"


def confusion(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row a task, series and fold: test images by truth and decision at a probability of 0.5."""
    found = []
    for task, series, mine in _by_series(rows):
        for fold, part in mine.groupby("fold"):
            said, truth = part["probability"] >= 0.5, part["is_positive"].astype(bool)
            found.append(
                {
                    "task": task,
                    "series": series,
                    "fold": int(fold),
                    "true_positives": int((said & truth).sum()),
                    "false_negatives": int((~said & truth).sum()),
                    "false_positives": int((said & ~truth).sum()),
                    "true_negatives": int((~said & ~truth).sum()),
                }
            )
    names = ["true_positives", "false_negatives", "false_positives", "true_negatives"]
    return pd.DataFrame(found, columns=["task", "series", "fold", *names])


def errors(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the test images that at least half of a network's folds got wrong, the surest mistakes first.

    `kind` is "missed" for a positive image and "false alarm" for a negative one; `probability` is the mean over the
    folds, `folds_wrong` of `folds`.
    """
    columns = ["task", "series", "image_id", "kind", "probability", "folds_wrong", "folds"]
    if rows.empty:
        return pd.DataFrame(columns=columns)
    is_wrong = (rows["probability"] >= 0.5) != rows["is_positive"].astype(bool)
    by_image = rows.assign(wrong=is_wrong).groupby(["task", "series", "image_id", "is_positive"], sort=False)
    found = by_image.agg(
        probability=("probability", "mean"), folds_wrong=("wrong", "sum"), folds=("wrong", "size")
    ).reset_index()
    found = found[found["folds_wrong"] * 2 >= found["folds"]]
    found["kind"] = np.where(found["is_positive"].astype(bool), "missed", "false alarm")
    surest = (found["probability"] - 0.5).abs()
    order = [TASKS.index(task) for task in found["task"]]
    ordered = found.assign(surest=surest, order=order).sort_values(
        ["order", "series", "kind", "folds_wrong", "surest", "image_id"],
        ascending=[True, True, True, False, False, True],
        ignore_index=True,
    )
    return ordered[columns]


def by_hospital(rows: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return balanced accuracy on the test images of each hospital, mean ± sd over the folds, in percent.

    These networks have learned from other images of the same hospitals. Undefined where a hospital has one class only.
    """
    columns = ["Task", "Network", "Hospital", "Test images", "of which positive", "BA, %"]
    hospitals = images.set_index("image_id")["hospital"].fillna(NOT_STATED)
    known = rows.assign(hospital=hospitals.reindex(rows["image_id"]).fillna(NOT_STATED).to_numpy())
    found = []
    for task, series, mine in _by_series(known):
        for hospital, part in mine.groupby("hospital", sort=True):
            truth = part.groupby("image_id")["is_positive"].first().astype(bool)
            values = np.array([_balanced_accuracy(fold) for _, fold in part.groupby("fold")])
            words = "undefined: one class only" if np.isnan(values).any() else _mean_sd(100 * values, ".1f")
            found.append((task, series, hospital, len(truth), int(truth.sum()), words))
    return pd.DataFrame(found, columns=columns)


def _balanced_accuracy(rows: pd.DataFrame) -> float:
    is_right = (rows["probability"] >= 0.5) == rows["is_positive"].astype(bool)
    positive = rows["is_positive"].astype(bool)
    if positive.all() or not positive.any():
        return float("nan")
    return float((is_right[positive].mean() + is_right[~positive].mean()) / 2)


def left_out_places(metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the balanced accuracy at each hospital (manufacturer, model) that a network never saw, in percent.

    With the 95% interval, and the mean ± sd over the places. They are the sets `left-out ...` of the table `metrics`.
    """
    is_left_out = metrics["set"].str.startswith(LEFT_OUT).fillna(value=False)
    rows = metrics[is_left_out & (metrics["metric"] == "balanced_accuracy")]
    found = [
        {
            "Task": row["task"],
            "Network": row["architecture"],
            "Preset": row["training_preset"],
            "Left out": row["set"].removeprefix(LEFT_OUT),
            "Place": row["run_id"] if pd.isna(row.get("left_out")) else row["left_out"],
            "Images": row["n"],
            "BA, %": _with_spread(row),
            "Simulated": "yes" if row["simulated"] else "no",
        }
        for row in rows.assign(is_mean=rows["run_id"].str.startswith(_MEAN))
        .sort_values(["task", "architecture", "set", "is_mean"], kind="stable")
        .to_dict("records")
    ]
    columns = ["Task", "Network", "Preset", "Left out", "Place", "Images", "BA, %", "Simulated"]
    return pd.DataFrame(found, columns=columns)


def _with_spread(row: dict) -> str:
    if pd.isna(row["value"]):
        return "undefined" if pd.isna(row["reason"]) else f"undefined: {row['reason']}"
    text = f"{100 * row['value']:.1f}"
    if row["run_id"].startswith(_MEAN) and not pd.isna(row.get("sd")):
        return f"{text} ± {100 * row['sd']:.1f}"
    return text if pd.isna(row["low"]) else f"{text} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _by_series(rows: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    return [
        (task, series, rows[(rows["task"] == task) & (rows["series"] == series)])
        for task in tasks_of(rows)
        for series in rows.loc[rows["task"] == task, "series"].unique()
    ]
