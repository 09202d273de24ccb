"""Networks beside each other, groups of images beside each other, and the study beside the published one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pandas as pd

from qcbench.report import results
from qcbench.report.associations import with_people
from qcbench.report.published import AGREEMENT, METRICS, TABLE_S1
from qcbench.report.statistics import TestResult, bonferroni, mann_whitney, mcnemar, smallest_difference
from qcbench.report.tables import NOT_STATED

_GROUPS = {"manufacturer": "manufacturer", "field strength": "field", "sex": "sex"}


def labels_of_task(consensus: pd.DataFrame, task: str) -> pd.Series:
    """Return the truth of a published task by image_id, True for its positive class.

    Images that the task is not about are left out. Raises KeyError for another task.
    """
    rejected = consensus["straight_reject"].fillna(value=False).astype(bool)
    tier = consensus["tier"]
    truth, is_asked = {
        "sr": (rejected, rejected.notna()),
        "gadolinium": (consensus["gadolinium"], ~rejected),
        "tier3": (tier == 3, ~rejected),
        "tier2": (tier == 2, tier.isin([1, 2])),
    }[task]
    asked = is_asked.fillna(value=False).astype(bool) & truth.notna()
    return pd.Series(truth[asked].astype(bool).array, index=consensus.loc[asked, "image_id"].array)


def correctness(predictions: pd.DataFrame, truth: pd.Series, test_ids: Iterable[str]) -> pd.DataFrame:
    """Return one row a test image and column a (architecture, run_id, fold): whether its decision at 0.5 was right."""
    wanted = predictions[predictions["image_id"].isin(set(test_ids) & set(truth.index))]
    table = wanted.pivot_table(index="image_id", columns=["architecture", "run_id", "fold"], values="probability")
    decided = table >= 0.5
    right = decided.eq(truth.reindex(table.index), axis=0)
    return right.where(table.notna())


def architecture_tests(predictions: pd.DataFrame, truth: pd.Series, test_ids: Iterable[str]) -> pd.DataFrame:
    """Return McNemar's exact test of each pair of architectures, fold against fold, Bonferroni-corrected.

    The paper gives the smallest p over the folds (above 0.21 for tier 3, above 0.12 for tier 2).
    """
    right = correctness(predictions, truth, test_ids)
    rows = []
    for (first, run, fold), (second, other_run, other_fold) in itertools.combinations(right.columns, 2):
        if run == other_run or fold != other_fold:
            continue
        both = right[[(first, run, fold), (second, other_run, other_fold)]].dropna()
        one, other = (both[column].astype(bool) for column in both)
        test = mcnemar(one, other)
        alone = int((one & ~other).sum()), int((other & ~one).sum())
        rows.append((f"{first} and {second}", int(fold), *alone, test.p, test.n, test.reason))
    columns = ["Architectures", "Fold", "first alone right", "second alone right", "p", "Images", "Caution"]
    frame = pd.DataFrame(rows, columns=columns).astype({"p": "float64"})
    corrected = pd.Series(bonferroni([None if pd.isna(p) else p for p in frame["p"]]), dtype="float64")
    frame.insert(5, "p, corrected", corrected)
    return frame


def subgroup_tests(
    predictions: pd.DataFrame, truth: pd.Series, test_ids: Iterable[str], images: pd.DataFrame
) -> pd.DataFrame:
    """Return, for each network, whether it errs more on some images: Mann-Whitney on the share of folds that are right.

    Groups are those of manufacturer, field strength, sex, and age above its median, each against all others where it is
    stated; p is Bonferroni-corrected over all rows. `smallest difference` is what groups of these sizes would have
    shown in four studies of five: nothing found is no proof against less.
    """
    right = correctness(predictions, truth, test_ids)
    people = with_people(images).set_index("image_id").reindex(right.index)
    rows = []
    for architecture, run in sorted({column[:2] for column in right.columns}):
        score = right[architecture][run].astype("float64").mean(axis=1).dropna()  # of images that it predicted
        for attribute, value, is_in, is_out in _groups(people.reindex(score.index)):
            own, others = score[is_in], score[is_out]
            sizes = (len(own), len(others))
            rows.append((architecture, attribute, value, own.mean(), others.mean(), sizes, mann_whitney(own, others)))
    corrected = bonferroni([row[-1].p for row in rows])
    frame = pd.DataFrame(
        [
            (*row, 100 * own, 100 * others, test.p, p, _smallest(test, sizes, own, len(rows)), test.n, test.reason)
            for (*row, own, others, sizes, test), p in zip(rows, corrected, strict=True)
        ],
        columns=[
            "Architecture",
            "Attribute",
            "Group",
            "right in the group, %",
            "in the others, %",
            "p",
            "p, corrected",
            "smallest difference, %",
            "Images",
            "Caution",
        ],
    )
    return frame.astype({name: "float64" for name in frame.columns if "%" in name or name.startswith("p")})


def _groups(people: pd.DataFrame) -> Iterable[tuple[str, str, pd.Series, pd.Series]]:
    for words, column in _GROUPS.items():
        stated = people[column].notna() & (people[column] != NOT_STATED)
        values = sorted(people.loc[stated, column].unique())
        # Of two values each is the other's opposite: one test says it.
        for value in values[:1] if len(values) == 2 else values if len(values) > 2 else ():
            yield words, value, stated & (people[column] == value), stated & (people[column] != value)
    ages = people["age_years"]
    if ages.notna().any():
        middle = ages.median()
        yield "age", f"above {middle:g} years", ages > middle, ages <= middle


def _smallest(test: TestResult, sizes: tuple[int, int], share: float, tests: int) -> float | None:
    if test.p is None:
        return None
    found = smallest_difference(*sizes, share=min(max(share, 0.01), 0.99), tests=tests)
    return None if found is None else 100 * found


def beside_the_paper(agreement: pd.DataFrame, consensus: pd.DataFrame, metrics: pd.DataFrame) -> pd.DataFrame:
    """Return the published numbers (Bottani et al. 2022), those of the study, and the difference, in percent.

    What the study lacks is null and not left out.
    """
    rows = [*_agreement_rows(agreement), *_class_rows(consensus), *_metric_rows(metrics)]
    frame = pd.DataFrame(rows, columns=["Table", "What", "Published", "This study"])
    frame = frame.astype({"Published": "float64", "This study": "float64"})
    return frame.assign(Difference=frame["This study"] - frame["Published"])


def _agreement_rows(agreement: pd.DataFrame) -> Iterable[tuple]:
    names = agreement["raters"].str.split(",")
    two = agreement[
        (names.str.len() == 2) & (names.str[0] != names.str[1]) & ~agreement["raters"].str.contains("[(]|consensus")
    ]
    for characteristic, value in AGREEMENT.items():
        statistic = "kappa" if characteristic in ("straight_reject", "gadolinium") else "kappa_linear"
        ours = two.loc[(two["characteristic"] == characteristic) & (two["statistic"] == statistic), "value"]
        words = f"kappa of the raters, {characteristic.replace('_', ' ')}, times 100"
        yield "3", words, 100 * value, 100 * ours.mean() if len(ours) else None


def _class_rows(consensus: pd.DataFrame) -> Iterable[tuple]:
    ours = results.class_counts(consensus) if len(consensus) else pd.DataFrame()
    whole = sum(TABLE_S1.values())
    for (name, gadolinium), n in TABLE_S1.items():
        found = ours.loc[(ours["Class"] == name) & (ours["Gadolinium"] == gadolinium), "% of all"] if len(ours) else []
        words = name if name == "SR" else f"{name}, {gadolinium} gadolinium"
        yield "S1", f"{words}: share of all", 100 * n / whole, found.iloc[0] if len(found) else None


def _metric_rows(metrics: pd.DataFrame) -> Iterable[tuple]:
    ours = results.metric_summary(metrics)
    for (architecture, task, metric), value in METRICS.items():
        mine = ours[(ours["task"] == task) & (ours["architecture"] == architecture) & (ours["metric"] == metric)]
        if architecture == results.ANNOTATORS:
            mine = results.without_single_raters(mine)
        words = f"{task}: {results.METRICS[metric]} of {architecture}"
        yield "5, 6", words, value, 100 * mine["mean"].iloc[0] if len(mine) else None
