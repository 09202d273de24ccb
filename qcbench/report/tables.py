"""The tables of a report on images, labels and consensus: DataFrames in, DataFrames out.

The columns given are those of `qcbench.schema`; the columns returned are headings for people,
with units. Numbers stay numbers, so that a CSV made from them can be computed with.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import pandas as pd

from qcbench import spreadsheet
from qcbench.schema import CHARACTERISTICS, GRADED

CLASSES = ("SR", "tier 1", "tier 2", "tier 3")
NOT_STATED = "not stated"


def mean_sd_range(values: Iterable[float | None]) -> str:
    """Return "mean ± sd [lowest, highest]" of the values that are there; sd with ddof = 1.

    >>> mean_sd_range([60, 70, None, 80])
    '70.0 ± 10.0 [60, 80]'
    >>> mean_sd_range([60]), mean_sd_range([])
    ('60.0 [60, 60]', 'not stated')
    """
    known = pd.Series(list(values), dtype="float64").dropna()
    if known.empty:
        return NOT_STATED
    spread = f" ± {known.std(ddof=1):.1f}" if len(known) > 1 else ""
    return f"{known.mean():.1f}{spread} [{known.min():.3g}, {known.max():.3g}]"


def class_of(consensus: pd.DataFrame) -> pd.Series:
    """Return the class of each consensus row: SR, tier 1, tier 2 or tier 3."""
    tiers = "tier " + consensus["tier"].astype("string")
    return tiers.mask(consensus["straight_reject"].fillna(value=False), "SR").astype("string")


def usable(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images of the catalogue that can be read and are not excluded."""
    return images[images["error"].isna() & images["excluded_reason"].isna()]


def workflow(
    images: pd.DataFrame,
    preprocessed: pd.DataFrame,
    labels: pd.DataFrame,
    consensus: pd.DataFrame,
    open_reviews: pd.DataFrame,
    splits: pd.DataFrame,
    *,
    raters: Sequence[str],
    drawn: Iterable[str] = (),
) -> pd.DataFrame:
    """Return how many images and participants reach each step, and where the others stop.

    Of the catalogue each image is counted once: unreadable, excluded, failed, waiting for
    preprocessing, or preprocessed. `raters` are those whose labels make the consensus; `drawn` are the
    images of the sample that is labelled, all where there is none.
    """
    candidates = usable(images)["image_id"]
    failed = set(preprocessed.loc[preprocessed["error"].notna(), "image_id"])
    done = set(preprocessed.loc[preprocessed["error"].isna(), "image_id"])
    n_raters = labels[labels["rater"].isin(raters)].groupby("image_id")["rater"].nunique()
    by_all = set(n_raters.index[n_raters >= len(raters)])
    drawn = set(drawn)
    not_labelled = sorted(done - by_all)
    not_drawn = [image_id for image_id in not_labelled if drawn and image_id not in drawn]
    steps = [
        ("in the catalogue", "", images["image_id"]),
        ("unreadable", "left out", images.loc[images["error"].notna(), "image_id"]),
        ("excluded", "left out", images.loc[images["error"].isna() & images["excluded_reason"].notna(), "image_id"]),
        ("preprocessing failed", "left out", candidates[candidates.isin(failed)]),
        ("waiting for preprocessing", "waiting", candidates[~candidates.isin(failed | done)]),
        ("preprocessed", "", candidates[candidates.isin(done)]),
        ("not drawn for labelling", "left out", not_drawn),
        ("waiting for labels", "waiting", sorted(set(not_labelled) - set(not_drawn))),
        ("labelled by any rater", "", labels["image_id"]),
        ("labelled by all consensus raters", "", sorted(by_all)),
        ("waiting for a joint review", "waiting", open_reviews["image_id"]),
        ("with a consensus", "", consensus["image_id"]),
        ("in cross-validation", "", splits.loc[splits["set"] == "cv", "image_id"]),
        ("in the test set", "", splits.loc[splits["set"] == "test", "image_id"]),
    ]
    participant = images.set_index("image_id")["participant_id"]
    rows = [
        (step, len(set(ids)), participant.reindex(list(dict.fromkeys(ids))).nunique(), kind)
        for step, kind, ids in steps
        if step != "not drawn for labelling" or drawn
    ]
    return pd.DataFrame(rows, columns=["Step", "Images", "Participants", "Kind"])


def demographics(images: pd.DataFrame) -> pd.DataFrame:
    """Return Table 1: images, age and sex by manufacturer, model and field strength, with a total."""
    keys = ["manufacturer", "model_name", "field_strength_t"]
    named = images.assign(**{key: images[key].fillna(NOT_STATED) for key in keys[:2]})
    rows = [
        {"Manufacturer": maker, "Model": model, "Field strength, T": field, **_people(group)}
        for (maker, model, field), group in named.groupby(keys, dropna=False, sort=True)
    ]
    total = {"Manufacturer": "all", "Model": "", "Field strength, T": None, **_people(images)}
    return pd.DataFrame([*rows, total]).astype({"Field strength, T": "float64"})


def _people(images: pd.DataFrame) -> dict[str, object]:
    initial = images["sex"].fillna("").str[:1].str.upper()
    female, male = int((initial == "F").sum()), int((initial == "M").sum())
    return {
        "Images": len(images),
        "of which simulated": int(images["simulated"].fillna(value=False).sum()),
        "Participants": images["participant_id"].nunique(),
        "Age, years: mean ± sd [range]": mean_sd_range(images["age_years"]),
        "Age not stated": int(images["age_years"].isna().sum()),
        "F/M": f"{female}/{male}",
        "Sex not stated": len(images) - female - male,
    }


def left_out(images: pd.DataFrame) -> pd.DataFrame:
    """Return why images of the catalogue are left out, with counts, the most frequent first."""
    reasons = ("unreadable: " + images["error"]).fillna("excluded: " + images["excluded_reason"]).dropna()
    counts = reasons.groupby(reasons).size().rename("Images").rename_axis("Reason").reset_index()
    return counts.sort_values(["Images", "Reason"], ascending=[False, True], ignore_index=True)


def preprocessing_summary(preprocessed: pd.DataFrame) -> pd.DataFrame:
    """Return one row per preset and template: images done and failed, alignment (0-1), seconds."""
    rows = []
    for (preset, template), group in preprocessed.groupby(["preprocessing_preset", "template"], dropna=False):
        done = group[group["error"].isna()]
        rows.append(
            {
                "Preset": preset,
                "Template": NOT_STATED if pd.isna(template) else template,
                "Done": len(done),
                "Failed": len(group) - len(done),
                "Alignment: lowest": done["alignment"].min(),
                "median": done["alignment"].median(),
                "highest": done["alignment"].max(),
                "Seconds an image: median": done["seconds"].median(),
            }
        )
    return pd.DataFrame(rows)


def preprocessing_failures(preprocessed: pd.DataFrame) -> pd.DataFrame:
    """Return the images whose preprocessing failed, with the reason."""
    failed = preprocessed[preprocessed["error"].notna()].sort_values("image_id", ignore_index=True)
    return failed[["image_id", "error"]].set_axis(["Image", "Reason"], axis=1)


def failure_reasons(preprocessed: pd.DataFrame) -> pd.DataFrame:
    """Return why preprocessing failed, with counts, the most frequent first; details after the colon are left out."""
    reasons = preprocessed["error"].dropna().str.partition(":")[0]
    counts = reasons.groupby(reasons).size().rename("Images").rename_axis("Reason").reset_index()
    return counts.sort_values(["Images", "Reason"], ascending=[False, True], ignore_index=True)


def lowest_alignments(preprocessed: pd.DataFrame, *, n: int = 9) -> pd.DataFrame:
    """Return the `n` preprocessed images with the lowest alignment (0-1, higher is better)."""
    done = preprocessed[preprocessed["error"].isna() & preprocessed["alignment"].notna()]
    worst = done.sort_values(["alignment", "image_id"], ignore_index=True).head(n)
    return worst[["image_id", "alignment", "screenshot_path"]]


def labels_per_rater(labels: pd.DataFrame) -> pd.DataFrame:
    """Return what each rater noted: one row per characteristic and value, one column per rater.

    A rater that is not a person at the screen is named with its source, e.g. "sim-1 (simulated)".
    """
    columns = {}
    for rater, group in labels.groupby("rater", sort=True):
        sources = sorted(set(group["source"]) - {"rater"})
        columns[f"{rater} ({', '.join(sources)})" if sources else rater] = _noted(group)
    table = pd.DataFrame(columns, dtype="Int64")
    return table.rename_axis("Noted").reset_index()


def _noted(labels: pd.DataFrame) -> dict[str, int]:
    counts = {
        "images labelled": len(labels),
        "straight reject": int(labels["straight_reject"].sum()),
        "with gadolinium": int(labels["gadolinium"].fillna(value=False).sum()),
        "without gadolinium": int((~labels["gadolinium"].fillna(value=True)).sum()),
    }
    for name in GRADED:
        counts.update({f"{name} {grade}": int((labels[name] == grade).sum()) for grade in (0, 1, 2)})
    counts.update({f"tier {tier}": int((labels["tier"] == tier).sum()) for tier in (1, 2, 3)})
    counts["labels that were revised"] = int((labels["n_revisions"] > 0).sum())
    return counts


def comments(labels: pd.DataFrame) -> pd.DataFrame:
    """Return the comments that raters wrote, by image and rater."""
    written = labels[labels["comment"].fillna("").str.strip() != ""].sort_values(["image_id", "rater"])
    return (
        written[["image_id", "rater", "comment"]].set_axis(["Image", "Rater", "Comment"], axis=1).reset_index(drop=True)
    )


def agreement_table(agreement: pd.DataFrame) -> pd.DataFrame:
    """Return Table 3: one row per characteristic and raters compared, one column per statistic.

    ``alice, alice`` are a rater's own hidden repeats. A cell reads "value [low, high]" with the 95%
    interval; an undefined one gives its reason, and a statistic that was not computed for a
    characteristic is null.
    """
    known = [*CHARACTERISTICS, "tier"]
    names = [*known, *sorted(set(agreement["characteristic"]) - set(known))]
    statistics = sorted(set(agreement["statistic"]), key=lambda name: ("kappa" not in name, name))
    rows = []
    for (raters, characteristic), group in agreement.groupby(["raters", "characteristic"]):
        cells = {row["statistic"]: _with_interval(row) for row in group.to_dict("records")}
        rows.append(
            {
                "Characteristic": in_words(characteristic),
                "Raters": raters.replace(",", ", "),
                "Images": group["n"].max(),
                **{in_words(statistic): cells.get(statistic) for statistic in statistics},
                "order": (raters, names.index(characteristic)),
            }
        )
    return pd.DataFrame(sorted(rows, key=lambda row: row["order"])).drop(columns="order", errors="ignore")


def _with_interval(row: dict) -> str:
    if pd.isna(row["value"]):
        return "undefined" if pd.isna(row["reason"]) else f"undefined: {row['reason']}"
    form = ".1f" if row["statistic"].startswith("percent") else ".2f"
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return format(row["value"], form)
    return f"{row['value']:{form}} [{row['low']:{form}}, {row['high']:{form}}]"


def in_words(name: str) -> str:
    """Return a column's or statistic's name as a reader would write it.

    >>> in_words("straight_reject")
    'straight reject'
    """
    return name.replace("_", " ")


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Return a table as a parquet file; a column of numbers and words becomes one of words. Same table, same bytes."""
    plain = frame.copy()
    for name in plain.columns:
        values = plain[name].dropna()
        if plain[name].dtype == object and len({str if isinstance(value, str) else float for value in values}) > 1:
            plain[name] = plain[name].map(lambda value: None if pd.isna(value) else str(value))
    buffer = io.BytesIO()
    plain.to_parquet(buffer, index=False)
    return buffer.getvalue()


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with texts that a spreadsheet would take for a formula made plain by an apostrophe.

    A rater's comment may begin with =, +, - or @ (OWASP, CSV injection). Numbers stay numbers.

    >>> without_formulas(pd.DataFrame({"comment": ["=1+1", "blurred", -1.5]}))["comment"].tolist()
    ["'=1+1", 'blurred', -1.5]
    """
    return frame.map(lambda value: spreadsheet.harmless(value) if isinstance(value, str) else value)
