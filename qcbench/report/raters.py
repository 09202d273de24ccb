"""How each rater worked: images, seconds, distribution of grades, and agreement with themselves.

DataFrames in, DataFrames out, as in `qcbench.report.tables`. Seconds run from the moment an image was painted to its
commit; who goes for a coffee has a long last image, so medians and quartiles are given and no means.
"""

from __future__ import annotations

import pandas as pd

from qcbench.report.tables import in_words
from qcbench.schema import CHARACTERISTICS, GRADED

#: An image counts for the pace of a rater with the others of its hundred.
STEP = 100


def rater_table(labels: pd.DataFrame, agreement: pd.DataFrame) -> pd.DataFrame:
    """Return one row a rater: images, days, revisions, comments, seconds an image, straight rejects, own repeats."""
    rows = []
    for rater, mine in labels.groupby("rater", sort=True):
        seconds = mine["seconds"].dropna().astype(float)
        n_repeats, kappa = own_repeats(agreement, rater)
        rows.append(
            {
                "Rater": rater,
                "Images": len(mine),
                "Days": mine["saved_at"].dt.date.nunique(),
                "Revised": int((mine["n_revisions"] > 0).sum()),
                "With a comment": int((mine["comment"].fillna("").str.strip() != "").sum()),
                "Seconds an image: median [quartiles]": _quartiles(seconds),
                "Straight reject, %": 100 * float(mine["straight_reject"].astype(bool).mean()),
                "Own repeats": n_repeats,
                "Kappa with oneself, straight reject": kappa,
            }
        )
    columns = {"Own repeats": "Int64", "Kappa with oneself, straight reject": "float64"}
    return pd.DataFrame(rows).astype(columns if rows else {})


def _quartiles(seconds: pd.Series) -> str | None:
    if seconds.empty:
        return None
    low, middle, high = seconds.quantile([0.25, 0.5, 0.75])
    return f"{middle:.1f} [{low:.1f}, {high:.1f}]"


def own_repeats(agreement: pd.DataFrame, rater: str) -> tuple[int | None, float | None]:
    """Return how many images a rater saw twice, unannounced, and their kappa on straight reject; None without any."""
    rows = agreement[agreement["raters"] == f"{rater},{rater}"]
    if rows.empty:
        return None, None
    kappa = rows.loc[(rows["characteristic"] == "straight_reject") & (rows["statistic"] == "kappa"), "value"].dropna()
    return int(rows["n"].max()), float(kappa.iloc[0]) if len(kappa) else None


def repeats_table(agreement: pd.DataFrame, rater: str) -> pd.DataFrame:
    """Return how a rater agrees with themselves: a row a characteristic and statistic, with the 95% interval."""
    rows = agreement[agreement["raters"] == f"{rater},{rater}"]
    frame = pd.DataFrame(
        {
            "Characteristic": rows["characteristic"].map(in_words),
            "Statistic": rows["statistic"].map(in_words),
            "Value": rows["value"].astype("float64"),
            "Low": rows["low"].astype("float64"),
            "High": rows["high"].astype("float64"),
            "Images": rows["n"].astype("Int64"),
        }
    )
    return frame.reset_index(drop=True)


def grade_shares(labels: pd.DataFrame) -> pd.DataFrame:
    """Return, for each rater, characteristic and value, its share (0 to 1) of the images on which it was noted.

    Straight reject and gadolinium count as 0 (no) and 1 (yes).
    """
    rows = []
    for characteristic in CHARACTERISTICS:
        for rater, mine in labels.groupby("rater", sort=True):
            noted = mine[characteristic].dropna().astype(int)
            values = (0, 1, 2) if characteristic in GRADED else (0, 1)
            rows += [
                (rater, in_words(characteristic), value, float((noted == value).mean()), len(noted))
                for value in values
                if len(noted)
            ]
    return pd.DataFrame(rows, columns=["rater", "characteristic", "value", "share", "images"])


def pace(labels: pd.DataFrame, rater: str) -> pd.DataFrame:
    """Return a rater's successive hundreds of images, in the order saved: median seconds and share rejected, percent.

    A rater who tires or drifts shows here first.
    """
    mine = labels[labels["rater"] == rater].sort_values(["saved_at", "image_id"], ignore_index=True)
    rows = []
    for start in range(0, len(mine), STEP):
        part = mine.iloc[start : start + STEP]
        rows.append(
            {
                "Images": f"{start + 1} to {start + len(part)}",
                "Seconds an image, median": part["seconds"].astype("float64").median(),
                "Straight reject, %": 100 * float(part["straight_reject"].astype(bool).mean()),
                **{f"{name}, mean grade": part[name].astype("float64").mean() for name in GRADED},
            }
        )
    return pd.DataFrame(rows)
