"""The tables of a report from the consensus on: classes, reviews, splits, metrics, predictions.

DataFrames in, DataFrames out, as in `qcbench.report.tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd

from qcbench.report.tables import CLASSES, class_of
from qcbench.schema import GRADED, TASKS

#: The metrics of a table, in the order of Bottani et al. 2022, Table 5; higher is better in all.
METRICS = {
    "balanced_accuracy": "BA",
    "f1_weighted": "F1, weighted",
    "f1": "F1",
    "mcc": "MCC",
    "auc": "AUC",
    "auc_hard": "AUC, hard",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
}
TASK_TITLES = {
    "sr": "straight reject (SR) against the rest",
    "gadolinium": "with gadolinium against without",
    "tier3": "tier 3 against tiers 2 and 1",
    "tier2": "tier 2 against tier 1",
}
ANNOTATORS = "annotators"


class Branch(NamedTuple):
    """The images of a tier with or without gadolinium: `grades` has those of grade 0, 1 and 2 of each artefact."""

    tier: str
    gadolinium: bool
    n: int
    grades: Mapping[str, tuple[int, int, int]]


def class_counts(consensus: pd.DataFrame) -> pd.DataFrame:
    """Return Table S1: images per class and gadolinium, and per grade of each artefact, with a total."""
    classes = class_of(consensus)
    groups = [("SR", "not noted", consensus[classes == "SR"])]
    for name in CLASSES[1:]:
        members = consensus[classes == name]
        gadolinium = members["gadolinium"].fillna(value=False)
        groups += [(name, "with", members[gadolinium]), (name, "without", members[~gadolinium])]
    groups.append(("all", "", consensus))
    rows = []
    for name, gadolinium, members in groups:
        row = {"Class": name, "Gadolinium": gadolinium, "Images": len(members)}
        row["% of all"] = 100 * len(members) / len(consensus) if len(consensus) else None
        for artefact in GRADED:
            for grade in (0, 1, 2):
                row[f"{artefact} {grade}"] = None if name == "SR" else int((members[artefact] == grade).sum())
        rows.append(row)
    return pd.DataFrame(rows).astype({f"{artefact} {grade}": "Int64" for artefact in GRADED for grade in (0, 1, 2)})


def gadolinium_counts(consensus: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Return, for each tier that has an image, how many are with and without gadolinium."""
    graded = consensus[class_of(consensus) != "SR"]
    counts = {}
    for name, members in graded.groupby(class_of(graded)):
        n_with = int(members["gadolinium"].sum())
        counts[name] = (n_with, len(members) - n_with)
    return counts


def class_branches(consensus: pd.DataFrame) -> list[Branch]:
    """Return the images of each tier that has some, with and then without gadolinium, by the grade of each artefact."""
    graded = consensus[class_of(consensus) != "SR"]
    branches = []
    for name, members in graded.groupby(class_of(graded)):
        noted = members["gadolinium"].fillna(value=False)
        for gadolinium, part in ((True, members[noted]), (False, members[~noted])):
            grades = {
                artefact: tuple(int((part[artefact] == grade).sum()) for grade in (0, 1, 2)) for artefact in GRADED
            }
            branches.append(Branch(name, gadolinium, len(part), grades))
    return branches


def waiting_reviews(open_reviews: pd.DataFrame) -> pd.DataFrame:
    """Return one row per image that waits for a joint review: who rejects it, who keeps it and how."""
    rows = []
    for image_id, verdicts in open_reviews.groupby("image_id", sort=True):
        rejects = verdicts["straight_reject"].fillna(value=False)
        kept = [f"{row['rater']} ({_grades(row)})" for row in verdicts[~rejects].to_dict("records")]
        rows.append(
            {
                "Image": image_id,
                "Rejected by": ", ".join(verdicts.loc[rejects, "rater"]),
                "Kept by": "; ".join(kept),
            }
        )
    return pd.DataFrame(rows, columns=["Image", "Rejected by", "Kept by"])


def _grades(row: dict) -> str:
    noted = [f"{name} {row[name]}" for name in GRADED if not pd.isna(row[name])]
    if not pd.isna(row["gadolinium"]):
        noted.insert(0, "with gadolinium" if row["gadolinium"] else "without gadolinium")
    return ", ".join(noted) or "no grades"


def split_counts(splits: pd.DataFrame, consensus: pd.DataFrame) -> pd.DataFrame:
    """Return participants and images, in all and per class, of the test set and of each fold."""
    classes = pd.Series(class_of(consensus).array, index=consensus["image_id"].array)
    known = splits.assign(label=splits["image_id"].map(classes))
    groups = [(f"fold {fold}", part) for fold, part in known[known["set"] == "cv"].groupby("fold")]
    groups += [("test", known[known["set"] == "test"]), ("all", known)]
    rows = []
    for name, part in groups:
        row = {"Set": name, "Participants": part["participant_id"].nunique(), "Images": len(part)}
        row.update({label: int((part["label"] == label).sum()) for label in CLASSES})
        row["no consensus"] = int(part["label"].isna().sum())
        rows.append(row)
    return pd.DataFrame(rows)


def shared_participants(splits: pd.DataFrame) -> list[str]:
    """Return the participants that are in two sets or two folds; there must be none."""
    place = splits["set"] + " " + splits["fold"].astype("string").fillna("")
    n_places = place.groupby(splits["participant_id"]).nunique()
    return sorted(n_places.index[n_places > 1])


def metric_summary(metrics: pd.DataFrame, *, evaluated_on: str = "test") -> pd.DataFrame:
    """Return one row per task, run and metric: mean and empirical sd (ddof = 1) over the folds.

    Where there are rows per fold, rows that sum up the folds (fold null) are not used; where there
    are none, as for the annotators, the summary row gives the mean, and its columns `sd`, `low` and
    `high` what they hold. `n_lowest` and `n_highest` are the fewest and most images of an
    evaluation, `folds` how many folds have a defined value out of `folds_run`; `reason` joins the
    reasons of the others. Values lie between 0 and 1 (MCC from -1).
    """
    keys = ["task", "architecture", "training_preset", "run_id", "metric"]
    rows = []
    for key, group in metrics[metrics["set"] == evaluated_on].groupby(keys, dropna=False, sort=True):
        per_fold = group[group["fold"].notna()]
        used = group if per_fold.empty else per_fold
        values = used["value"].dropna().astype(float)
        rows.append(
            {
                **{name: None if pd.isna(value) else value for name, value in zip(keys, key, strict=True)},
                "mean": values.mean(),
                "sd": values.std(ddof=1) if len(per_fold) else used.get("sd", pd.Series([None])).iloc[0],
                "low": used["low"].iloc[0] if per_fold.empty else None,
                "high": used["high"].iloc[0] if per_fold.empty else None,
                "folds": len(values) if len(per_fold) else 0,
                "folds_run": len(per_fold),
                "n_lowest": int(used["n"].min()),
                "n_highest": int(used["n"].max()),
                "simulated": bool(used["simulated"].any()),
                "reason": _reasons(used),
            }
        )
    columns = [*keys, "mean", "sd", "low", "high", "folds", "folds_run", "n_lowest", "n_highest", "simulated", "reason"]
    return pd.DataFrame(rows, columns=columns)


def _reasons(used: pd.DataFrame) -> str:
    undefined = used[used["value"].isna()].sort_values("fold")
    reasons: dict[str, list[str]] = {}
    for row in undefined.to_dict("records"):
        reason = "no reason given" if pd.isna(row["reason"]) else row["reason"]
        reasons.setdefault(reason, []).append("" if pd.isna(row["fold"]) else str(row["fold"]))
    return "; ".join(
        f"{reason} (fold {', '.join(folds)})" if any(folds) else reason for reason, folds in reasons.items()
    )


def metric_table(summary: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the table of one task: a row per metric, a column per architecture, in percent.

    As Table 5 and 6 of the paper: "mean ± sd"; an undefined cell says so, a mean over fewer folds
    than were run names their number, and a metric that an architecture does not have is null.
    """
    mine = without_single_raters(summary[summary["task"] == task])
    columns = {}
    for heading, group in _by_run(mine):
        cells = {row["metric"]: _percent(row) for row in group.to_dict("records")}
        columns[heading] = {words: cells.get(metric) for metric, words in METRICS.items()}
    present = [words for metric, words in METRICS.items() if metric in set(mine["metric"])]
    table = pd.DataFrame(columns, dtype="string").loc[present]
    return table.rename_axis("Metric").reset_index()


def _by_run(summary: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return one task's rows per run: networks first, then baselines, then the annotators."""
    groups = sorted(summary.groupby(["architecture", "run_id"]), key=lambda group: (*_rank(group[0][0]), group[0]))
    names = [architecture for (architecture, _), _ in groups]
    return [
        (f"{architecture} ({run_id})" if names.count(architecture) > 1 else architecture, group)
        for (architecture, run_id), group in groups
    ]


def without_single_raters(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows without those of one rater alone (run "rater:..."): their mean stands for them."""
    return rows[~is_single_rater(rows)]


def is_single_rater(rows: pd.DataFrame) -> pd.Series:
    """Return which rows, of metrics or their summary, are of one rater alone."""
    return (rows["architecture"] == ANNOTATORS) & (rows["run_id"] != ANNOTATORS)


def _rank(architecture: str) -> tuple[bool, bool]:
    return architecture == ANNOTATORS, is_baseline(architecture)


def run_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Return which runs the metrics are of: task, architecture, preset, run, folds, images."""
    rows = []
    for task in tasks_of(summary):
        for _, group in _by_run(without_single_raters(summary[summary["task"] == task])):
            first = group.iloc[0]
            rows.append(
                {
                    "Task": task,
                    "Architecture": first["architecture"],
                    "What it is": _role(first["architecture"]),
                    "Preset": first["training_preset"],
                    "Run": first["run_id"],
                    "Folds": int(group["folds_run"].max()) or None,
                    "Images": images_in_words(group),
                    "Simulated": "yes" if group["simulated"].any() else "no",
                }
            )
    return pd.DataFrame(rows).astype({"Folds": "Int64"} if rows else {})


def images_in_words(summary: pd.DataFrame) -> str:
    """Return how many images an evaluation rests on: "40", or "38 to 40" where it differs."""
    lowest, highest = summary["n_lowest"].min(), summary["n_highest"].max()
    return str(lowest) if lowest == highest else f"{lowest} to {highest}"


def _role(architecture: str) -> str:
    if architecture == ANNOTATORS:
        return "mean of the raters, each against the consensus"
    if architecture.endswith("-ensemble"):
        return "mean probability of all folds"
    return "baseline without a network" if is_baseline(architecture) else "network"


def _percent(row: dict) -> str:
    if pd.isna(row["mean"]):
        return "undefined"
    text = f"{100 * row['mean']:.2f}"
    if not pd.isna(row["sd"]):
        text += f" ± {100 * row['sd']:.2f}"
    elif not pd.isna(row["low"]) and not pd.isna(row["high"]):
        text += f" [{100 * row['low']:.2f}, {100 * row['high']:.2f}]"
    return text if row["folds"] == row["folds_run"] else f"{text} ({row['folds']} of {row['folds_run']} folds)"


def undefined_metrics(summary: pd.DataFrame, task: str) -> list[str]:
    """Return one sentence for each metric of a task that is undefined somewhere, with the reason."""
    shown = without_single_raters(summary)
    holes = shown[(shown["task"] == task) & (shown["reason"] != "")]
    return [
        f"{METRICS.get(row['metric'], row['metric'])} of {row['architecture']} ({row['run_id']}): {row['reason']}."
        for row in holes.to_dict("records")
    ]


def is_baseline(architecture: str) -> bool:
    """Return whether an architecture is the forest, the baseline without a network."""
    return architecture.startswith("forest")


def tasks_of(frame: pd.DataFrame) -> list[str]:
    """Return the tasks of a table, the published ones first and in their order."""
    found = set(frame["task"].dropna())
    return [*(task for task in TASKS if task in found), *sorted(found - set(TASKS))]


def in_headings(names: Iterable[str]) -> dict[str, str]:
    """Return each column's name with the heading that people read.

    >>> in_headings(["true_positives"])
    {'true_positives': 'True positives'}
    """
    return {name: name.replace("_", " ").capitalize() for name in names}


def prediction_counts(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return one row per task and run: images, folds, share of positive rows (p >= 0.5), decisions."""
    rows = []
    for (task, architecture, run_id), group in predictions.groupby(["task", "architecture", "run_id"], sort=True):
        decided = group["decision"].value_counts()
        rows.append(
            {
                "Task": task,
                "Architecture": architecture,
                "Run": run_id,
                "Images": group["image_id"].nunique(),
                "Folds": group["fold"].nunique(),
                "Probability ≥ 0.5, %": 100 * float((group["probability"] >= 0.5).mean()),
                **{f"decided {name}": int(decided.get(name, 0)) for name in ("yes", "no", "ask")},
                "not decided": int(group["decision"].isna().sum()),
            }
        )
    return pd.DataFrame(rows)
