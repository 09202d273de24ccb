"""What goes together in a labelled study: classes with scanners and people, grades with each other, DICOM words with
gadolinium. DataFrames in, DataFrames out, as in `qcbench.report.tables`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

from qcbench.protocol import Protocol
from qcbench.report.statistics import TestResult, bonferroni, chi_squared, kappa, welch
from qcbench.report.tables import CLASSES, NOT_STATED, class_of, mean_sd_range
from qcbench.schema import GRADED


def tier_rules(protocol: Protocol) -> pd.DataFrame:
    """Return Table 2: each tier of a protocol, when it holds, and in which words raters see it."""
    names = ", ".join(name.replace("_", " ") for name in protocol.tier_criteria)
    rows, bound = [], None
    for rule in protocol.tier_rules:
        least = rule.when_any_at_least
        when = f"any of {names} at least {least}" if least else f"none of {names} above 0"
        if least and bound is not None:
            when += f", none at {bound} or above"
        rows.append({"Tier": rule.tier, "Holds when": when, "Wording": rule.wording})
        bound = least
    return pd.DataFrame(rows, columns=["Tier", "Holds when", "Wording"]).sort_values("Tier", ignore_index=True)


def people_by_class(images: pd.DataFrame, consensus: pd.DataFrame) -> pd.DataFrame:
    """Return Table 4: images by manufacturer, field strength and sex, and age, of each class and of all."""
    known = _with_class(images, consensus)
    groups = [*((name, known[known["label"] == name]) for name in CLASSES), ("all", known)]
    columns = {name: _people(group, known) for name, group in groups}
    table = pd.DataFrame(columns)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["Attribute", "Value"])
    return table.reset_index()


def _with_class(images: pd.DataFrame, consensus: pd.DataFrame) -> pd.DataFrame:
    labelled = consensus.assign(label=class_of(consensus))[["image_id", "label"]]
    return with_people(labelled.merge(images, on="image_id", how="left"))


def with_people(known: pd.DataFrame) -> pd.DataFrame:
    """Return rows of the catalogue with manufacturer, `field` (e.g. 1.5 T) and sex as words, age as a number."""
    initial = known["sex"].fillna("").str[:1].str.upper()
    field = known["field_strength_t"].map(lambda tesla: NOT_STATED if pd.isna(tesla) else f"{tesla:g} T")
    return known.assign(
        manufacturer=known["manufacturer"].fillna(NOT_STATED),
        field=field,
        sex=initial.where(initial.isin(["F", "M"]), NOT_STATED),
        age_years=known["age_years"].astype("float64"),
    )


def _people(group: pd.DataFrame, known: pd.DataFrame) -> dict[tuple[str, str], object]:
    cells: dict[tuple[str, str], object] = {("Images", ""): len(group)}
    for words, column in (("Manufacturer", "manufacturer"), ("Field strength", "field"), ("Sex", "sex")):
        for value in sorted(known[column].unique()):
            cells[words, value] = int((group[column] == value).sum())
    cells["Age, years", "mean ± sd [range]"] = mean_sd_range(group["age_years"])
    cells["Age, years", NOT_STATED] = int(group["age_years"].isna().sum())
    return cells


def people_tests(images: pd.DataFrame, consensus: pd.DataFrame) -> pd.DataFrame:
    """Return the tests beside Table 4: each class against all other images, Bonferroni-corrected.

    Chi-squared for manufacturer, field strength and sex, Welch's t-test for age. The paper tests each class against the
    whole; a class is part of the whole, and such groups are not independent, so here it is against the rest. What is
    not stated is left out. An effect (Cramer's V from 0 to 1; for age the difference in years) stands beside each p.
    """
    known = _with_class(images, consensus)
    tests: list[tuple[str, str, str, TestResult, float | None]] = []
    for name in CLASSES:
        is_class = known["label"] == name
        for words, column in (("manufacturer", "manufacturer"), ("field strength", "field"), ("sex", "sex")):
            stated = known[column] != NOT_STATED
            counts = pd.crosstab(is_class[stated], known.loc[stated, column]).to_numpy()
            test = chi_squared(counts) if counts.size else chi_squared([[0, 0], [0, 0]])
            tests.append((name, words, "chi-squared", test, _cramers_v(test, counts)))
        ages = known["age_years"]
        own, others = ages[is_class].dropna(), ages[~is_class].dropna()
        difference = own.mean() - others.mean() if len(own) and len(others) else None
        tests.append((name, "age", "Welch's t", welch(own, others), difference))
    corrected = bonferroni([test.p for *_, test, _ in tests])
    return pd.DataFrame(
        [
            (name, words, kind, test.statistic, test.p, p, effect, test.n, test.reason)
            for (name, words, kind, test, effect), p in zip(tests, corrected, strict=True)
        ],
        columns=["Class", "Attribute", "Test", "Statistic", "p", "p, corrected", "Effect", "Images", "Caution"],
    ).astype({"Statistic": "float64", "p": "float64", "p, corrected": "float64", "Effect": "float64"})


def _cramers_v(test: TestResult, counts: np.ndarray) -> float | None:
    if test.statistic is None:
        return None
    # Of the plain statistic: with Yates' correction a perfect association of two by two would be less than 1.
    statistic = chi2_contingency(counts, correction=False).statistic
    return float(np.sqrt(statistic / (test.n * (min(counts.shape) - 1))))


def dicom_words(images: pd.DataFrame, consensus: pd.DataFrame, *, column: str = "dicom_gadolinium") -> pd.DataFrame:
    """Return how well a DICOM column tells what raters saw of gadolinium: one row a figure.

    The consensus is the truth. Images without consensus on gadolinium or without a description are left out. The paper:
    sensitivity 84.1, specificity 39.4, kappa 0.25.
    """
    known = consensus[["image_id", "gadolinium"]].merge(images[["image_id", column]], on="image_id", how="left")
    known = known.dropna()
    truth, noted = known["gadolinium"].astype(bool), known[column].astype(bool)
    counts = [
        [int((truth & noted).sum()), int((truth & ~noted).sum())],
        [int((~truth & noted).sum()), int((~truth & ~noted).sum())],
    ]
    (hits, misses), (false_alarms, rejections) = counts

    def percent(n: int, of: int) -> float | None:
        return 100 * n / of if of else None

    figures = {
        "with gadolinium, noted": hits,
        "with gadolinium, not noted": misses,
        "without gadolinium, noted": false_alarms,
        "without gadolinium, not noted": rejections,
        "sensitivity, %": percent(hits, hits + misses),
        "specificity, %": percent(rejections, false_alarms + rejections),
        "PPV, %": percent(hits, hits + false_alarms),
        "NPV, %": percent(rejections, misses + rejections),
        "kappa": kappa(counts),
    }
    return pd.DataFrame({"Figure": list(figures), "Value": pd.Series(list(figures.values()), dtype="float64")})


def grades_together(consensus: pd.DataFrame) -> pd.DataFrame:
    """Return how often a severe grade of one artefact goes with that of another, among the graded images.

    Each row: of the images with grade 2 of one characteristic, the share that has grade 2 of another.
    """
    graded = consensus[class_of(consensus) != "SR"]
    rows = []
    for first in GRADED:
        severe = graded[graded[first] == 2]
        for second in GRADED:
            if first != second:
                n = int((severe[second] == 2).sum())
                share = 100 * n / len(severe) if len(severe) else None
                rows.append((f"{first} 2", f"{second} 2", n, len(severe), share))
    return pd.DataFrame(rows, columns=["Of images with", "also have", "Images", "of", "%"]).astype({"%": "float64"})


def tier3_reasons(consensus: pd.DataFrame) -> pd.DataFrame:
    """Return why images are of tier 3: the share with severe contrast, motion, noise, and with gadolinium as well."""
    worst = consensus[class_of(consensus) == "tier 3"]
    has_gadolinium = worst["gadolinium"].fillna(value=False)
    rows = []
    for name in GRADED:
        severe = worst[name] == 2
        rows.append((f"{name} 2", int(severe.sum())))
        rows.append((f"{name} 2, with gadolinium", int((severe & has_gadolinium).sum())))
    frame = pd.DataFrame(rows, columns=["Tier 3 with", "Images"])
    return frame.assign(**{"% of tier 3": 100 * frame["Images"] / len(worst) if len(worst) else None})
